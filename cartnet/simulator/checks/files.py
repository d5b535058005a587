"""The replicas' files, after each transaction that is done and synced."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cartnet.storage import journal

if TYPE_CHECKING:
    from cartnet.simulator.checks.truth import Truth
    from cartnet.simulator.disk import File, SimulatedDisk
    from cartnet.workload.findings import Tally

UNDER_WAY_SECONDS_MAX: Final = 3.0
"""How long an acknowledgement may be under way."""


@dataclass
class Durable:
    """What one replica's disk holds for good.

    :ivar generation: of the disk: after a wipe or an old copy all begins anew.
    :ivar commit_index: as its file has it; what comes after may be replaced.
    :ivar since: when it was first seen, in seconds.
    :ivar is_new: whether it was a new file, neither old nor damaged.
    :ivar former: what the disk held before it was replaced.
    :ivar former_term: the greatest term of all that it held before.
    :ivar file_id: which file it is, by its own word.
    """

    generation: int
    since: float
    is_new: bool
    former: Durable | None = None
    former_term: int = 0
    term: int = 0
    vote: str | None = None
    last_index: int = 0
    last_term: int = 0
    commit_index: int = 0
    file: File | None = None
    file_id: str | None = None


class Files:
    """Looks at one group's files.

    :ivar founding: the ids of the files that replicas had at first.
    """

    def __init__(self, truth: Truth, tally: Tally, now: Callable[[], float]) -> None:
        self.durable: dict[str, Durable] = {}
        self.founding: dict[str, str] = {}
        self._truth = truth
        self._tally = tally
        self._now = now
        self._votes: dict[tuple[str, int, int], str] = {}
        self._entries: dict[tuple[int, int], tuple[int, tuple[int, int] | None]] = {}

    def holds(self, name: str, index: int, term: int) -> bool:
        """Whether the disk of ``name`` has the entry for good."""
        durable = self.durable.get(name)
        if durable is None:
            return False
        if _holds(durable, index, term):
            return True
        # What it acknowledged before it lost its disk may be on its way still.
        former = durable.former
        return (
            former is not None
            and self._is_under_way(durable)
            and _holds(former, index, term)
        )

    def _is_under_way(self, durable: Durable) -> bool:
        return self._now() - durable.since < UNDER_WAY_SECONDS_MAX

    def was_replaced(self, name: str) -> bool:
        """Whether the disk of ``name`` is damaged, or another than at first whose file
        was not let in."""
        durable = self.durable.get(name)
        return durable is None or not (
            durable.generation == 0
            or (
                durable.is_new
                and durable.file_id is not None
                and self._truth.admitted.get(name) == durable.file_id
            )
        )

    def has_file(self, name: str, file_id: str) -> bool:
        """Whether ``name`` has that file, or has lost it a moment ago."""
        durable = self.durable.get(name)
        return durable is not None and (
            durable.file_id == file_id
            or (
                durable.former is not None
                and durable.former.file_id == file_id
                and self._is_under_way(durable)
            )
        )

    def stopped(self, name: str, disk: SimulatedDisk, *, begins_anew: bool) -> None:
        """A replica has stopped by itself, and says that it was for its disk.

        :raises Incorrect: nothing was done to that.
        """
        if begins_anew:
            self._tally.require(
                "S4 a replica begins anew only after its file was hurt", disk.hurt, name
            )
        else:
            self._tally.require(
                "L1 a replica stops by its disk only after a disk fault",
                disk.refused or disk.hurt,
                name,
            )

    def written(self, name: str, generation: int, file: File) -> None:
        """A transaction of ``name`` is done; its process has not heard yet.

        :raises Incorrect: the file is not as it must be.
        """
        cursor = file.plain_cursor()
        try:
            state, (base_index, base_term) = journal.state(cursor), journal.base(cursor)
            last_index, last_term = journal.last(cursor)
            (digest,) = cursor.execute("SELECT (SELECT digest FROM digest)").fetchone()
            # Every column, since a byte of the schema itself may have been changed.
            cursor.execute("SELECT idx, term, checksum, command FROM log LIMIT 0")
        except (sqlite3.Error, UnicodeDecodeError, journal.Damaged):
            return  # The file is being made, or is damaged and about to be found so.
        term, vote = state.hard_state.term, state.hard_state.vote
        commit, applied = state.commit_index, state.applied_index
        durable = self._durable_of(name, generation, file.disk)
        self._check_term(name, durable, term, vote, is_safe=file.is_safe)
        self._tally.require(
            "R8 applied <= commit <= last, in the file",
            applied <= commit <= last_index,
            name,
            ": applied ",
            applied,
            ", commit ",
            commit,
            ", last ",
            last_index,
        )
        if digest is not None and applied:
            self._truth.digest(name, applied, digest)
        self._check_log(
            name, cursor, max(durable.commit_index, base_index), base_index, base_term
        )
        durable.commit_index = commit
        if file.is_safe:
            durable.last_index, durable.last_term = last_index, last_term
        elif (last_index, last_term) != (durable.last_index, durable.last_term):
            # What is new may be lost, and what it took the place of is gone.
            durable.last_index = min(durable.last_index, durable.commit_index)
        durable.file = file
        if durable.file_id is None:
            durable.file_id = _file_id(cursor)
            self.founding.setdefault(name, durable.file_id)

    def _durable_of(self, name: str, generation: int, disk: SimulatedDisk) -> Durable:
        durable = self.durable.get(name)
        if durable is None or durable.generation != generation:
            former, former_term = durable, 0
            if former is not None:
                former.former = None
                former_term = max(former.former_term, former.term)
            durable = Durable(
                generation, self._now(), not disk.hurt, former, former_term
            )
            self.durable[name] = durable
        return durable

    def _check_term(
        self, name: str, durable: Durable, term: int, vote: str | None, *, is_safe: bool
    ) -> None:
        self._tally.require(
            "R7 S2 a term never falls",
            term >= durable.term,
            name,
            ": term ",
            term,
            " after ",
            durable.term,
        )
        if not is_safe:
            return  # Nobody may be told of it yet.
        durable.term, durable.vote = term, vote
        if vote is not None:
            first = self._votes.setdefault((name, durable.generation, term), vote)
            self._tally.require(
                "R7 S2 one vote a term",
                first == vote,
                name,
                " votes for ",
                vote,
                " and ",
                first,
                " in term ",
                term,
            )

    def _check_log(
        self,
        name: str,
        cursor: sqlite3.Cursor,
        settled: int,
        base_index: int,
        base_term: int,
    ) -> None:
        """Each entry against the one true entry of its index and term, and that one's
        predecessor: by induction equal entries have equal logs before them (3.5)."""
        rows = cursor.execute(
            "SELECT idx, term, checksum, command FROM log WHERE idx >= ? ORDER BY idx",
            (settled,),
        )
        before: tuple[int, int] | None = None
        if settled == base_index and base_index:
            before = base_index, base_term
        for index, term, checksum, command in rows:
            if journal.checksum(index, term, command) != checksum:
                # Damaged on the disk: its replica has yet to find that.
                before = None
                continue
            known_sum, known_before = self._entries.get((index, term), (checksum, None))
            self._tally.require(
                "R3 S3 equal index and term, equal entry and prefix",
                known_sum == checksum
                and (before is None or known_before is None or before == known_before),
                name,
                " at ",
                index,
                " in term ",
                term,
                ": behind ",
                before,
                ", elsewhere behind ",
                known_before,
                ", checksums ",
                checksum,
                " and ",
                known_sum,
            )
            if before is not None or (index, term) not in self._entries:
                self._entries[index, term] = checksum, before or known_before
            before = index, term


def _holds(durable: Durable, index: int, term: int) -> bool:
    if durable.file is None or index > durable.last_index:
        return False
    cursor = durable.file.plain_cursor()
    row = cursor.execute("SELECT term FROM log WHERE idx = ?", (index,)).fetchone()
    if row is None:
        return bool(cursor.execute("SELECT idx FROM log_base").fetchone()[0] >= index)
    return bool(row[0] == term)


def _file_id(cursor: sqlite3.Cursor) -> str:
    row = cursor.execute("SELECT value FROM meta WHERE key = 'file_id'").fetchone()
    found: str = row[0]
    return found
