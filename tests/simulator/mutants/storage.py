"""Mutants of the disk."""

from __future__ import annotations

import sqlite3
from dataclasses import replace as changed
from typing import Any

import msgspec

from cartnet.shop.answers import Nothing
from cartnet.storage import journal, owner, snapshot, transaction
from cartnet.storage.digest import Comparison
from cartnet.storage.storage import Storage
from cartnet.storage.transaction import Applied, WriterJob, WriterState
from tests.simulator.mutants.mutant import Replace, mutant


class Unheeding:
    """A connection, or its cursor, whose failed commits nobody hears of."""

    def __init__(self, behind: Any) -> None:
        self._behind = behind

    def __getattr__(self, name: str) -> Any:
        return getattr(self._behind, name)

    def cursor(self) -> Unheeding:
        return Unheeding(self._behind.cursor())

    def execute(self, sql: str, *parameters: Any) -> Any:
        try:
            return self._behind.execute(sql, *parameters)
        except sqlite3.OperationalError:
            if self._behind.connection.in_transaction:
                raise
            return self


@mutant("M2", "a vote is not kept")
def _(replace: Replace) -> None:
    def save(cursor: Any, new: Any) -> None:
        blank = msgspec.structs.replace(new.hard_state, vote=None)
        former(cursor, changed(new, hard_state=blank))

    former = replace(journal, "save", save)


@mutant("M5", "a restart applies the last entry once more")
def _(replace: Replace) -> None:
    def recover(self: Any, cursor: Any) -> Any:
        recovered = former(self, cursor)
        again = max(recovered.base_index, recovered.applied_index - 1)
        journal.save(cursor, changed(journal.state(cursor), applied_index=again))
        return changed(recovered, applied_index=again)

    former = replace(Storage, "_recover", recover)


@mutant("M7", "the keys that were used are in no snapshot and in no digest")
def _(replace: Replace) -> None:
    replace(snapshot, "OWN_TABLES", snapshot.OWN_TABLES | {"remembered_keys"})


@mutant("M13", "an error while an entry is applied is swallowed")
def _(replace: Replace) -> None:
    def apply(cursor: Any, entry: Any, machine: Any, fence: Any) -> Any:
        try:
            return former(cursor, entry, machine, fence)
        except Exception:
            return Applied(entry.index, entry.term, Nothing())

    former = replace(transaction, "_apply", apply)


@mutant("M14", "nothing is synced")
def _(replace: Replace) -> None:
    def synchronize(self: Any, cursor: Any, sync: bool) -> None:
        former(self, cursor, False)

    former = replace(WriterState, "synchronize", synchronize)


@mutant("M27", "the checksums of log entries are not looked at")
def _(replace: Replace) -> None:
    def entry(row: Any) -> Any:
        index, term, command, _ = row
        return former((index, term, command, journal.checksum(index, term, command)))

    former = replace(journal, "_entry", entry)


@mutant("M28", "tables that differ from their digest are believed")
def _(replace: Replace) -> None:
    replace(Comparison, "difference", property(lambda self: None))


@mutant("M57", "a commit that fails is taken for done")
def _(replace: Replace) -> None:
    def call(self: Any, connection: Any) -> Any:
        return former(self, Unheeding(connection))

    former = replace(WriterJob, "__call__", call)


@mutant("M63", "what is appended to the log is not synced")
def _(replace: Replace) -> None:
    def write(self: Any, write: Any) -> Any:
        # A Write would not let itself be made so.
        object.__setattr__(write, "sync", write.sync and not write.entries)
        return former(self, write)

    former = replace(Storage, "write", write)


@mutant("M64", "a replica that has lost a file keeps no votes in the next")
def _(replace: Replace) -> None:
    first: dict[str, str] = {}

    def save(cursor: Any, new: Any) -> None:
        try:
            meta = owner.read(cursor)
        except sqlite3.OperationalError:
            return former(cursor, new)  # The file is only being made.
        if first.setdefault(meta["replica"], meta["file_id"]) != meta["file_id"]:
            blank = msgspec.structs.replace(new.hard_state, vote=None)
            new = changed(new, hard_state=blank)
        return former(cursor, new)

    former = replace(journal, "save", save)


@mutant("M65", "compacting the log asks for a table that is not there")
def _(replace: Replace) -> None:
    def compact(cursor: Any, index: int) -> None:
        cursor.execute("DELETE FROM entries WHERE idx <= ?", (index,))

    replace(journal, "compact", compact)


@mutant("M66", "a file that was started on before is taken for a damaged one")
def _(replace: Replace) -> None:
    def count_start(cursor: Any) -> int:
        starts: int = former(cursor)
        if starts > 1:
            raise journal.Damaged("started on before")
        return starts

    former = replace(owner, "count_start", count_start)
