"""The replicas' files, after each transaction that is done and synced."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cartnet.consensus.raft import NOBODY
from cartnet.storage import journal, owner

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
    :ivar is_whole: whether it has all that was ever synced to this very file: a new
        one has, and one with a flipped bit elsewhere.
    :ivar former: what the disk held before it was replaced.
    :ivar file_id: which file it is, by its own word.
    """

    generation: int
    since: float
    is_whole: bool
    file_id: str
    former: Durable | None = None
    term: int = 0
    vote: str | None = None
    last_index: int = 0
    last_term: int = 0
    commit_index: int = 0
    file: File | None = None


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
        self._terms: dict[str, int] = {}
        self._votes: dict[tuple[str, int], dict[int, str]] = {}
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

    def counted(self, name: str) -> str | None:
        """The file of ``name`` that the group was founded with, or has let in."""
        return self._truth.admitted.get(name, self.founding.get(name))

    def was_replaced(self, name: str) -> bool:
        """Whether ``name`` has lost what it had acknowledged: its file is none that
        counts, or an old copy, or damage has taken something of it.

        Then nothing holds it to that, until a new file of it is let in.
        """
        durable = self.durable.get(name)
        return durable is None or not (
            durable.is_whole and durable.file_id == self.counted(name)
        )

    def binds(self, name: str, term: int, candidate: str) -> bool:
        """Whether a disk of ``name`` has had for good, in whatever file, that vote, or
        a greater term: after that no file votes in ``term`` but an old copy."""
        return (
            term < self._terms.get(name, 0)
            or candidate in self._votes.get((name, term), {}).values()
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
            durable = self.durable.get(name)
            if durable is None or durable.generation != generation:
                durable = self._begun(name, generation, file)
        except (sqlite3.Error, UnicodeDecodeError, journal.Damaged):
            return  # The file is being made, or is damaged and about to be found so.
        term, vote = state.hard_state.term, state.hard_state.vote
        commit, applied = state.commit_index, state.applied_index
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
            name, file, max(durable.commit_index, base_index), base_index, base_term
        )
        durable.commit_index = commit
        if file.is_safe:
            durable.last_index, durable.last_term = last_index, last_term
        elif (last_index, last_term) != (durable.last_index, durable.last_term):
            # What is new may be lost, and what it took the place of is gone.
            durable.last_index = min(durable.last_index, durable.commit_index)
        durable.file = file

    def _begun(self, name: str, generation: int, file: File) -> Durable:
        """A replica has started on its first disk, or on what was put in its place."""
        file_id = owner.read(file.plain_cursor())["file_id"]
        self.founding.setdefault(name, file_id)
        former = self.durable.get(name)
        is_whole = not file.disk.hurt or (
            former is not None and _is_kept(former, file, file_id)
        )
        if former is not None:
            former.former = None
        durable = Durable(generation, self._now(), is_whole, file_id, former)
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
        self._terms[name] = max(term, self._terms.get(name, 0))
        if vote is not None:
            votes = self._votes.setdefault((name, term), {})
            first = votes.setdefault(durable.generation, vote)
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
        # An old copy of a file that counted votes until it hears that it no longer
        # does: nobody counts its vote who knows that.
        if durable.is_whole:
            self._tally.require(
                "R7 R9 S2 a file that was not let in votes for nobody",
                vote in (None, NOBODY) or durable.file_id == self.counted(name),
                name,
                " votes for ",
                vote,
                " in term ",
                term,
                ", with ",
                durable.file_id,
            )

    def _check_log(
        self,
        name: str,
        file: File,
        settled: int,
        base_index: int,
        base_term: int,
    ) -> None:
        """Each entry against the one true entry of its index and term, and that one's
        predecessor: by induction equal entries have equal logs before them (3.5)."""
        rows = file.plain_cursor().execute(
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
            if file.disk.hurt and before is not None and before[0] != index - 1:
                # Damage to the tree hides rows from who seeks them by their indexes.
                before = None
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
    return _has(durable.file.plain_cursor(), index, term)


def _has(cursor: sqlite3.Cursor, index: int, term: int) -> bool:
    row = cursor.execute("SELECT term FROM log WHERE idx = ?", (index,)).fetchone()
    if row is None:
        return bool(cursor.execute("SELECT idx FROM log_base").fetchone()[0] >= index)
    return bool(row[0] == term)


def _is_kept(former: Durable, file: File, file_id: str) -> bool:
    """Whether all is in the file that the disk held for good before it was changed:
    its replica has just held each entry that is left against its checksum."""
    cursor = file.plain_cursor()
    kept = journal.state(cursor).hard_state
    return (
        former.is_whole
        and former.file_id == file_id
        and (kept.term, kept.vote) == (former.term, former.vote)
        and _has(cursor, former.last_index, former.last_term)
    )
