"""A replica's disk: claimed, opened, written in whole transactions, closed or crashed.

One connection writes and one reads, each in a thread of its own, behind the
:class:`~cartnet.seams.Disk` that is handed in. Everything but :meth:`Storage.claim`
goes through its workers, so the same class runs on a simulated disk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from cartnet.limits import CACHE_BYTES_MAX, CACHE_ENTRIES_MAX
from cartnet.shop.group import group_id
from cartnet.storage import claims, digest, journal, owner, schema, snapshot
from cartnet.storage.digest import Comparison, StateDamaged
from cartnet.storage.journal import Damaged
from cartnet.storage.owner import Owner, StartError
from cartnet.storage.transaction import (
    Applied,
    Fence,
    Fenced,
    Job,
    ReaderJob,
    Write,
    WriterJob,
    WriterState,
    Written,
    perform,
)

if TYPE_CHECKING:
    from cartnet.consensus.messages import Entry, HardState, Life
    from cartnet.seams import Cursor, Disk, Worker
    from cartnet.shop.machine import Machine
    from cartnet.storage.lock import FileLock
    from cartnet.storage.snapshot import Snapshot

__all__ = [
    "Applied",
    "Closed",
    "Damaged",
    "Fenced",
    "Owner",
    "Recovered",
    "StartError",
    "StateDamaged",
    "Storage",
    "Write",
    "Written",
]

T = TypeVar("T")


@dataclass(frozen=True)
class Recovered:
    """What a file held when it was opened.

    :ivar base_index: entries through it are compacted away.
    :ivar term_runs: the first index of every term in the log, with that term.
    :ivar tail: the newest entries, oldest first, within the cache's bounds.
    :ivar commit_index: known to be committed, at least ``applied_index``.
    :ivar file_id: random, made with the file: a replaced file is another one.
    :ivar starts: how often a replica has started on it, this time included.
    :ivar lives: of the other members, as they were last met.
    :ivar founders: file ids of the group's first members by name; empty before.
    :ivar group_id: None until the machine has applied the group's first command.
    """

    hard_state: HardState
    last_index: int
    term_runs: tuple[tuple[int, int], ...]
    tail: tuple[Entry, ...]
    commit_index: int
    applied_index: int
    file_id: str
    founders: dict[str, str]
    group_id: str | None
    base_index: int = 0
    base_term: int = 0
    starts: int = 1
    lives: dict[str, Life] = field(default_factory=dict)


def _undecodable(reason: Failure) -> NoReturn:
    """Call damage what a first statement meets: a definition that is no text, which
    SQLite quotes, and Python cannot decode."""
    reason.trap(UnicodeDecodeError)
    raise Damaged("a definition is no text") from None


class Closed(Exception):
    """The storage has been closed: no more reads and writes."""


class Storage:
    """One replica's file.

    The order is :meth:`claim` (where there is a real file system), :meth:`open`, any
    number of reads and writes, then :meth:`close` or :meth:`crash`, after which
    another Storage may open the file.
    """

    def __init__(
        self,
        path: Path,
        disk: Disk,
        machine: Machine,
        owner: Owner,
        token_bytes: Callable[[int], bytes],
    ) -> None:
        """Touch nothing yet.

        :param token_bytes: chance, for the id of a fresh file.
        """
        self._path = path
        self._disk = disk
        self._machine = machine
        self._owner = owner
        self._token_bytes = token_bytes
        self._fence = Fence()
        self._writer_state = WriterState()
        self._writer: Worker | None = None
        self._reader: Worker | None = None
        self._passing: list[Worker] = []
        self._lock: FileLock | None = None
        self._crashed = False
        self._ending = False
        self._ended = False
        self._waiting_for_end: list[Deferred[None]] = []

    def claim(self) -> None:
        """Make the folder, lock the file for this process, and look whose it is.

        Blocks for a moment; meant for before the reactor runs.

        :raises StartError: the replica cannot start; one line says what to do.
        """
        assert self._lock is None, "a file is claimed once"
        self._lock = claims.claim(self._path, self._owner)

    def open(self) -> Deferred[Recovered]:
        """Open or make the file and read what a replica needs to go on.

        Fails with :class:`StartError` where the file is another's, and with
        :class:`Damaged` where anything in it is not what was written.
        """
        assert self._writer is None, "a storage is opened once"
        if self._ending:
            return self._refuse()
        self._writer = self._disk.open(self._path, read_only=False)
        recovered = self._run(self._writer, self._writer_job(self._recover, sync=True))
        recovered.addErrback(_undecodable)
        return recovered.addCallback(self._open_reader)

    def write(self, write: Write) -> Deferred[Written]:
        """Commit one Ready and apply what is committed, in one transaction.

        Writes commit in the order in which they are asked for. A failed one fails its
        Deferred and all later ones; the file then holds the state before it.
        """
        interaction = partial(
            perform,
            write=write,
            machine=self._machine,
            fence=self._fence,
            keeper=self._writer_state.digest,
        )
        return self._write(interaction, sync=write.sync)

    def _write(self, interaction: Callable[[Cursor], T], *, sync: bool) -> Deferred[T]:
        if self._ending:
            return self._refuse()
        assert self._writer is not None, "opened first"
        return self._run(self._writer, self._writer_job(interaction, sync=sync))

    def read(self, query: Callable[[Cursor], T]) -> Deferred[T]:
        """Run a query over one moment of the file, beside the writer.

        Cancelling the Deferred forgets the answer; the query itself goes on.
        """
        if self._ending:
            return self._refuse()
        assert self._reader is not None, "opened first"
        return self._run(self._reader, ReaderJob(query, self._fence))

    def read_entries(
        self, first_index: int, last_index: int, bytes_max: int
    ) -> Deferred[tuple[Entry, ...]]:
        """Read log entries, both ends included: as many as fit, at least the first.

        Fails with :class:`Damaged` where one is missing or not what was written.
        """
        return self.read(
            partial(
                journal.entries,
                first_index=first_index,
                last_index=last_index,
                bytes_max=bytes_max,
            )
        )

    def file_bytes(self) -> int:
        """Return the size of the file with its write-ahead log; 0 where it has none."""
        return sum(
            path.stat().st_size
            for path in (self._path, self._path.with_name(f"{self._path.name}-wal"))
            if path.exists()
        )

    def snapshot(self) -> Deferred[Snapshot]:
        """Copy the machine's tables out, beside writers and readers."""
        return self._pass(snapshot.take)

    def recount(self) -> Deferred[Comparison]:
        """Hold the tables, as they are on the disk, against their digest.

        Beside writers and readers, and ended by :meth:`close`, since it takes seconds
        for a million rows. The connection is a fresh one: it has no pages in memory,
        which might be right where those on the disk are not.
        """

        def check() -> None:
            self._fence.check()
            if self._ending:
                raise Closed

        return self._pass(partial(digest.compare, check=check))

    def _pass(self, query: Callable[[Cursor], T]) -> Deferred[T]:
        """Run a long query on a connection, and in a thread, of its own."""
        if self._ending:
            return self._refuse()
        worker = self._disk.open(self._path, read_only=True)
        self._passing.append(worker)

        def passed(result: T | Failure) -> Any:
            if worker not in self._passing:
                return result  # The storage is being closed, and this worker with it.
            self._passing.remove(worker)
            return worker.close().addCallback(lambda _: result)

        passing = self._run(worker, ReaderJob(query, self._fence))
        return passing.addErrback(_undecodable).addBoth(passed)

    def stage(self, part: int, rows: bytes) -> Deferred[None]:
        """Keep a part of a snapshot that has come; part 0 forgets all before."""

        def staged(cursor: Cursor) -> None:
            snapshot.stage(cursor, part, rows)

        return self._write(staged, sync=False)

    def install(
        self,
        last_index: int,
        last_term: int,
        founders: dict[str, str],
        expected_digest: str,
    ) -> Deferred[bool]:
        """Put the parts that have come in place of tables and log; synced.

        :return: whether that was done. Where the rows differ from their digest, the
            parts are dropped, and the file stays as it was: it is not the damaged one.
        """
        return self._write(
            partial(
                snapshot.install,
                last_index=last_index,
                last_term=last_term,
                founders=founders,
                expected_digest=expected_digest,
                keeper=self._writer_state.digest,
            ),
            sync=True,
        )

    def close(self) -> Deferred[None]:
        """Finish what is in hand, close the file, give the lock back, then fire.

        Reads and writes asked for later fail with :class:`Closed`.
        """
        return self._end()

    def crash(self) -> Deferred[None]:
        """Stop as a killed process does.

        No transaction reaches COMMIT after this returns; one whose COMMIT has begun
        may end either way, as under a real kill. What is pending or asked for later
        never hears. Fires once threads and connections are gone and the lock is free.
        """
        self._crashed = True
        self._fence.close()
        if not self._ended:
            for worker in (self._writer, self._reader, *self._passing):
                if worker is not None:
                    worker.interrupt()
        return self._end()

    def set_aside(self) -> Path:
        """Move the closed file away, so that a new one takes its place; say where to.

        It is kept: an operator may want to know what has become of it. The database
        goes first: without its write-ahead log it would be a sound older copy. A log
        that a kill leaves behind is nobody's: SQLite drops it with the next database.
        """
        assert self._ended, "crashed or closed first"
        for number in count(1):
            aside = self._path.with_name(f"{self._path.name}.set-aside-{number}")
            if not aside.exists():
                break
        for suffix in ("", "-wal", "-shm"):
            source = self._path.with_name(self._path.name + suffix)
            if source.exists():
                source.rename(aside.with_name(aside.name + suffix))
        return aside

    def _writer_job(
        self, interaction: Callable[[Cursor], T], *, sync: bool
    ) -> WriterJob[T]:
        return WriterJob(interaction, self._fence, self._writer_state, sync=sync)

    def _recover(self, cursor: Cursor) -> Recovered:
        if owner.is_fresh(cursor):
            owner.create(cursor, self._owner, self._token_bytes)
            journal.create(cursor)
            snapshot.create(cursor)
        else:
            owner.check(cursor, self._owner, str(self._path))
            schema.check(cursor)
            snapshot.forget(cursor)
        self._machine.create(cursor)
        digest.open_tables(cursor)
        schema.keep(cursor)
        state = journal.state(cursor)
        starts = owner.count_start(cursor)
        meta = owner.read(cursor)
        base_index, base_term = journal.base(cursor)
        last_index, last_term = journal.last(cursor)
        term_runs = journal.term_runs(cursor)
        commit_index = max(state.commit_index, state.applied_index)
        if last_index < commit_index:
            raise Damaged(f"{self._path}: committed entries are missing from the log")
        if state.applied_index < base_index or state.hard_state.term < last_term:
            # Each row has its checksum, but pages may be of different times.
            raise Damaged(f"{self._path}: the row of hard_state is older than the log")
        return Recovered(
            hard_state=state.hard_state,
            base_index=base_index,
            base_term=base_term,
            last_index=last_index,
            term_runs=term_runs,
            tail=journal.tail(cursor, CACHE_ENTRIES_MAX, CACHE_BYTES_MAX),
            commit_index=commit_index,
            applied_index=state.applied_index,
            file_id=meta["file_id"],
            founders=owner.founders(meta),
            group_id=group_id(cursor),
            starts=starts,
            lives=owner.lives(meta),
        )

    def _open_reader(self, recovered: Recovered) -> Recovered:
        if not self._ending:
            self._reader = self._disk.open(self._path, read_only=True)
        return recovered

    def _run(self, worker: Worker, job: Job[T]) -> Deferred[T]:
        """Run a job for somebody who may have gone when it ends, or been killed."""
        heard: Deferred[T] = Deferred()

        def done(result: T | Failure) -> None:
            if self._crashed or heard.called:
                return
            if isinstance(result, Failure):
                heard.errback(result)
            else:
                heard.callback(result)

        worker.run(job).addBoth(done)
        return heard

    def _refuse(self) -> Deferred[Any]:
        return Deferred() if self._crashed else fail(Closed())

    def _end(self) -> Deferred[None]:
        if self._ended:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._waiting_for_end.append(waiting)
        if not self._ending:
            self._ending = True
            Deferred.fromCoroutine(self._close_workers()).addBoth(self._release)
        return waiting

    async def _close_workers(self) -> None:
        # The reader first: the last connection of a file to go copies its WAL, and a
        # read-only one cannot.
        try:
            while self._passing:
                await self._passing.pop().close()
            if self._reader is not None:
                await self._reader.close()
        finally:
            if self._writer is not None:
                await self._writer.close()

    def _release(self, result: Failure | None) -> None:
        self._ended = True
        if self._lock is not None:
            self._lock.release()
        waiting, self._waiting_for_end = self._waiting_for_end, []
        for end in waiting:
            end.callback(result)
