"""What one commit holds: log rows, hard state and the effects of what is committed.

They commit together, so a restart can neither lose nor repeat an effect. Everything
here runs in the writer's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cartnet.consensus.messages import decode_admission, is_admission
from cartnet.limits import APPLY_BYTES_MAX, APPLY_ENTRIES_MAX
from cartnet.storage import digest, journal, owner
from cartnet.storage.digest import DigestKeeper

if TYPE_CHECKING:
    from cartnet.consensus.messages import Entry, HardState, Life
    from cartnet.seams import Connection, Cursor
    from cartnet.shop.machine import Answer, Machine

T = TypeVar("T")


@dataclass(frozen=True)
class Write:
    """What one Ready asks of the disk.

    :ivar hard_state: the new term and vote, or None where they stand.
    :ivar entries: to append; what stands at their indexes and behind is dropped.
    :ivar commit_index: known to be committed: through it entries are applied, and
        whoever asks for that hears of each. A lower one than stored changes nothing.
    :ivar sync: whether it must survive a power cut once the Deferred has fired.
        Only what promises nothing (only effects, and what is compacted) may go
        without: effects are applied again from the log.
    :ivar founders: the file ids of the group's first members by name, or None.
    :ivar lives: the lives of the other members that were met, or None.
    :ivar compact_through: applied entries up to this index go; 0 where none do.
    """

    hard_state: HardState | None = None
    entries: tuple[Entry, ...] = ()
    commit_index: int = 0
    sync: bool = True
    founders: dict[str, str] | None = None
    lives: dict[str, Life] | None = None
    compact_through: int = 0

    def __post_init__(self) -> None:
        assert self.sync or not (
            self.entries
            or self.hard_state
            or self.founders is not None
            or self.lives is not None
        ), "what is promised to others is synced"


@dataclass(frozen=True)
class Applied:
    """One applied entry; ``answer`` is None for a ``null`` command alone."""

    index: int
    term: int
    answer: Answer | None


@dataclass(frozen=True)
class Admitted:
    """A replica's new file counts from an entry of ``term`` on."""

    term: int
    name: str
    file_id: str


@dataclass(frozen=True)
class Written:
    """What a Write brought: at most APPLY_ENTRIES_MAX entries applied, in order.

    Where ``applied_index`` is still below the commit index, the next Write goes on.

    :ivar admitted: the replicas whose new files were admitted, with the terms of the
        entries that did it.
    :ivar digests: those of the tables that were recorded, with their indexes.
    """

    applied_index: int
    answers: tuple[Applied, ...]
    admitted: tuple[Admitted, ...] = ()
    digests: tuple[tuple[int, str], ...] = ()


class Fenced(Exception):
    """The storage was crashed, or an earlier transaction failed: nothing commits."""


class Fence:
    """Closed once, by the reactor's thread or by a failed transaction; never opened.

    A single attribute that only ever goes from True to False needs no lock.
    """

    def __init__(self) -> None:
        self.open = True

    def close(self) -> None:
        self.open = False

    def check(self) -> None:
        """:raises Fenced: the fence is closed."""
        if not self.open:
            raise Fenced


class Job(Generic[T]):
    """What a :class:`~cartnet.seams.Worker` runs: one transaction.

    :ivar sync: whether what it commits must be on the disk before its Deferred fires.
        A worker with a real disk need not look at it (the job sets SQLite's
        ``synchronous`` itself). A simulated one must keep synced jobs, with all that
        committed before them, through a power cut, and may lose a suffix of the rest.
    """

    sync: bool = False

    def __call__(self, connection: Connection) -> T:
        raise NotImplementedError


class WriterJob(Job[T]):
    """A transaction of the writer: whole, or not at all, and never past the fence.

    A failure closes the fence, because the writes behind it rely on this one.
    """

    def __init__(
        self,
        interaction: Callable[[Cursor], T],
        fence: Fence,
        writer: WriterState,
        *,
        sync: bool,
    ) -> None:
        self._interaction = interaction
        self._fence = fence
        self._writer = writer
        self.sync = sync

    def __call__(self, connection: Connection) -> T:
        self._fence.check()
        cursor = connection.cursor()
        try:
            self._writer.synchronize(cursor, self.sync)
            cursor.execute("BEGIN IMMEDIATE")
            self._writer.digest.begin(connection)
            result = self._interaction(cursor)
            self._writer.digest.save(cursor)
            # Here the race with a crash is decided: either it sees a transaction that
            # rolls back, or one whose COMMIT has begun and may end either way.
            self._fence.check()
            cursor.execute("COMMIT")
            return result
        except BaseException:
            self._fence.close()
            roll_back(connection, cursor)
            raise


class WriterState:
    """What goes with the writer's connection; its thread's own."""

    def __init__(self) -> None:
        self.digest = DigestKeeper()
        self._sync: bool | None = None

    def synchronize(self, cursor: Cursor, sync: bool) -> None:
        """Make the next transaction sync, or not; it cannot change within one."""
        if sync is not self._sync:
            cursor.execute(f"PRAGMA synchronous = {'FULL' if sync else 'NORMAL'}")
            self._sync = sync


class ReaderJob(Job[T]):
    """A query that sees one moment of the file, however many statements it takes."""

    def __init__(self, query: Callable[[Cursor], T], fence: Fence) -> None:
        self._query = query
        self._fence = fence

    def __call__(self, connection: Connection) -> T:
        self._fence.check()
        cursor = connection.cursor()
        try:
            cursor.execute("BEGIN")
            result = self._query(cursor)
            cursor.execute("COMMIT")
            return result
        except BaseException:
            roll_back(connection, cursor)
            raise


def roll_back(connection: Any, cursor: Cursor) -> None:
    """End the transaction, if SQLite has not done so by itself."""
    if connection.in_transaction:
        cursor.execute("ROLLBACK")


def perform(
    cursor: Cursor, write: Write, machine: Machine, fence: Fence, keeper: DigestKeeper
) -> Written:
    """Append, keep the hard state, apply what is committed; within a transaction.

    :raises cartnet.storage.journal.Damaged: an entry to apply is not what was written.
    """
    before = journal.state(cursor)
    journal.append(cursor, write.entries, before.commit_index)
    commit_index = max(before.commit_index, write.commit_index)
    # Not through what is known from before: a Write of founders, say, has nobody who
    # would pass on the answers and admissions of what it applies.
    last_index = min(write.commit_index, before.applied_index + APPLY_ENTRIES_MAX)
    applied: list[Applied] = []
    recorded: list[tuple[int, str]] = []
    admitted: tuple[Admitted, ...] = ()
    if last_index > before.applied_index:
        # Read back rather than taken from memory: what is applied is what is on disk.
        entries = journal.entries(
            cursor, before.applied_index + 1, last_index, APPLY_BYTES_MAX
        )
        for entry in entries:
            applied.append(_apply(cursor, entry, machine, fence))
            if digest.due(entry.index, bytes(entry.command)):
                # Here, not at the end: what is compared is the state after this entry.
                recorded.append((entry.index, keeper.record(cursor, entry.index)))
        admitted = tuple(_admissions(entries))
        for each in admitted:
            owner.admit(cursor, each.name, each.file_id)
    after = journal.State(
        hard_state=write.hard_state or before.hard_state,
        commit_index=commit_index,
        applied_index=before.applied_index + len(applied),
    )
    assert after.hard_state.term >= before.hard_state.term, "terms never fall"
    if after != before:
        journal.save(cursor, after)
    if write.founders is not None:
        owner.save_founders(cursor, write.founders)
    if write.lives is not None:
        owner.save_lives(cursor, write.lives)
    if write.compact_through:
        assert write.compact_through <= after.applied_index
        journal.compact(cursor, write.compact_through)
    return Written(after.applied_index, tuple(applied), admitted, tuple(recorded))


def _apply(cursor: Cursor, entry: Entry, machine: Machine, fence: Fence) -> Applied:
    # A crash between two statements would not be noticed before COMMIT otherwise.
    fence.check()
    answer = None
    command = bytes(entry.command)
    if command != journal.NULL_COMMAND and not is_admission(command):
        answer = machine.apply(cursor, entry.index, entry.command)
    return Applied(entry.index, entry.term, answer)


def _admissions(entries: tuple[Entry, ...]) -> Iterator[Admitted]:
    for entry in entries:
        command = bytes(entry.command)
        if is_admission(command):
            admission = decode_admission(command)
            yield Admitted(entry.term, admission.admit, admission.file)
