"""Simulated disks: real SQLite in memory, jobs that take simulated time, power cuts."""

from __future__ import annotations

import sqlite3
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.base import DelayedCall
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from typing_extensions import override

from cartnet.simulator.process import Process
from cartnet.workload.findings import Incorrect

if TYPE_CHECKING:
    from cartnet.simulator.clock import SimulatedClock

Job = Callable[[Any], Any]
Hook = Callable[[str], None]


class Killed(BaseException):
    """The process ends at this very statement: nobody hears what becomes of the job.

    :ivar end: ends it, once the job is over.
    """

    def __init__(self, end: Callable[[], None]) -> None:
        super().__init__()
        self.end = end


LEVEL_FULL: Final = 2
"""From this ``PRAGMA synchronous`` on a WAL is synced with each transaction."""


@dataclass
class Speed:
    """What a disk takes: seconds, the means of exponential distributions."""

    job: float = 0.000_2
    sync: float = 0.001


class SimulatedDisk:
    """One host's disk (:class:`cartnet.seams.Disk`); its files outlive its processes.

    Each hook is added by somebody who takes it off again, and leaves others alone.

    :ivar files: what is on it.
    :ivar before: hooks that are called with each statement before it runs; what one
        raises, the statement raises (a full disk, an error, :class:`Killed`).
    :ivar after: likewise, once it has run.
    :ivar synced: hooks that are called when a job was synced, before its process hears
        of it.
    :ivar written: called when a job of a writer is over, and synced if it had to be,
        before its process hears of it; the checkers' own.
    :ivar process: whose disk it is for now.
    :ivar refused: whether it has failed a statement of that process.
    :ivar hurt: whether its files are old, or damaged: they are until it is wiped.
    :ivar generation: counts how often its files were replaced by others, or damaged.
    :ivar tearing: a power cut takes what is not synced, or the end of it; a sync that
        is not over has synced nothing.
    :ivar lost: counts power cuts that took something; ``torn`` those that left a part
        of what was not synced.
    """

    def __init__(self, clock: SimulatedClock, random: Random, speed: Speed) -> None:
        self.clock = clock
        self.random = random
        self.speed = speed
        self.files: dict[Path, File] = {}
        # Sets that keep their order.
        self.before: dict[Hook, None] = {}
        self.after: dict[Hook, None] = {}
        self.synced: dict[Callable[[], None], None] = {}
        self.written: Callable[[File], None] | None = None
        self.process = Process()
        self.refused = self.hurt = False
        self.generation = 0
        self.tearing = False
        self.lost = self.torn = 0
        self._stalled_until = 0.0
        self._stalled: list[DelayedCall] = []
        self._workers: dict[SimulatedWorker, None] = {}

    def stall(self, seconds: float) -> None:
        """Have no sync that begins from now on end before so many seconds are over."""
        self._stalled_until = self.clock.seconds() + seconds

    def go_on(self) -> None:
        """End the stall, and the syncs that it has held up."""
        self._stalled_until = 0.0
        for sync in self._stalled:
            if sync.active():
                sync.reset(0)
        self._stalled.clear()

    @property
    def sync_seconds_min(self) -> float:
        """What a sync takes at least that begins now."""
        return max(0.0, self._stalled_until - self.clock.seconds())

    def stalled(self, sync: DelayedCall) -> None:
        """The end of a sync that has begun in a stall."""
        self._stalled.append(sync)

    def open(self, path: Path, *, read_only: bool) -> SimulatedWorker:
        if path not in self.files:
            if read_only:
                raise sqlite3.OperationalError(f"unable to open database file: {path}")
            self.files[path] = File(self)
        worker = SimulatedWorker(self, self.files[path], read_only)
        self._workers[worker] = None
        return worker

    def closed(self, worker: SimulatedWorker) -> None:
        self._workers.pop(worker, None)

    def crash(self, *, power_lost: bool) -> None:
        """End every job and connection unheard; a power cut also takes, or spares, what
        was not synced."""
        self.process.end()
        self.process = Process()
        self.refused = False
        self._stalled.clear()
        self._workers.clear()
        for file in self.files.values():
            loses = power_lost and (self.tearing or self.random.random() < 0.75)
            file.crash(lose_unsynced=loses)
        self.tearing = False

    def copy(self) -> dict[Path, bytes]:
        """What every file holds; call it between a crash and a start."""
        assert not self._workers
        return {path: file.connection.image() for path, file in self.files.items()}

    def restore(self, copy: dict[Path, bytes]) -> None:
        """Put a copy, old or damaged, in place of every file; call it between a crash
        and a start."""
        assert not self._workers
        self.generation += 1
        self.hurt = True
        self.files = {path: File(self, image) for path, image in copy.items()}

    def wipe(self) -> None:
        """Lose every file; call it between a crash and a start."""
        assert not self._workers
        self.generation += 1
        self.hurt = False
        self.files.clear()

    def call(self, hooks: dict[Hook, None], sql: str) -> None:
        """Tell hooks of a statement, each of which may fail it."""
        try:
            for hook in tuple(hooks):
                hook(sql)
        except sqlite3.Error:
            self.refused = True
            raise


class Cursor(sqlite3.Cursor):
    connection: Connection

    @override
    def execute(self, sql: str, parameters: Any = (), /) -> Cursor:
        self.connection.notice(sql)
        super().execute(sql, parameters)
        self.connection.noticed(sql)
        return self

    @override
    def executemany(self, sql: str, parameters: Any, /) -> Cursor:
        self.connection.notice(sql)
        super().executemany(sql, parameters)
        self.connection.noticed(sql)
        return self


class Connection(sqlite3.Connection):
    """A connection whose file hears of every statement before it runs."""

    file: File

    @override
    def cursor(self, factory: Any = Cursor) -> Any:
        return super().cursor(factory)

    @override
    def close(self) -> None:
        """Do nothing: the database lives in this connection, the workers end."""

    def notice(self, sql: str) -> None:
        self.file.notice(sql)

    def noticed(self, sql: str) -> None:
        self.file.noticed(sql)

    def plain_cursor(self) -> sqlite3.Cursor:
        """One whose statements nobody is told of."""
        return super().cursor(sqlite3.Cursor)

    def image(self) -> bytes:
        """All that is committed, damaged or not; nothing while it is empty."""
        try:
            return self.serialize()
        except sqlite3.OperationalError:
            return b""

    def level(self) -> int:
        """The value of ``PRAGMA synchronous``."""
        found = self.plain_cursor().execute("PRAGMA synchronous").fetchone()
        level = found[0]
        assert isinstance(level, int)
        return level


class File:
    """One SQLite file. Its workers share a connection, job after job.

    A job happens at one simulated instant, so that no other sees half of it, as in WAL.
    """

    def __init__(self, disk: SimulatedDisk, image: bytes | None = None) -> None:
        self.interrupted = False
        self._reads = False
        self.disk = disk
        # What a power cut may leave, oldest first: empty where nothing can be lost.
        self._left: list[bytes] = []
        self._connect(image)

    def run(self, job: Job, *, read_only: bool) -> tuple[Any, bool]:
        """Run a job; give its result or Failure, and whether it synced something.

        :raises Incorrect: a check of what the job does has found something.
        """
        self._level_at_commit = 0
        self._reads = read_only
        tearing = self.disk.tearing and not read_only
        if tearing and not self._left:
            self._left.append(self.connection.image())
        try:
            result = job(self.connection)
            assert not self.connection.in_transaction, "a job ends its transaction"
            synced = self._level_at_commit >= LEVEL_FULL and not read_only
        except Incorrect:
            raise  # What a check has found: no error of the disk's.
        except BaseException:
            result, synced = Failure(), False
            self.connection.rollback()
        self.interrupted = False
        if tearing and self._level_at_commit and not synced:
            self._left.append(self.connection.image())
        return result, synced

    def synced(self) -> None:
        """All that was committed is safe."""
        self._left.clear()

    @property
    def is_safe(self) -> bool:
        """Whether a power cut would take nothing of what is committed."""
        return not self._left

    def plain_cursor(self) -> sqlite3.Cursor:
        """For whoever looks on, unnoticed."""
        return self.connection.plain_cursor()

    def notice(self, sql: str) -> None:
        head = sql.lstrip()[:18].upper()
        # A reader's COMMIT touches no disk.
        if not (self._reads and head.startswith("COMMIT")):
            self.disk.call(self.disk.before, sql)
        if self.interrupted and not head.startswith("ROLLBACK"):
            raise sqlite3.OperationalError("interrupted")
        if head.startswith("PRAGMA SYNCHRONOUS"):
            # Whatever is committed at a lower level may be lost from here on.
            if not self._left:
                self._left.append(self.connection.image())
        elif head.startswith("COMMIT"):
            self._level_at_commit = self.connection.level()

    def noticed(self, sql: str) -> None:
        if not self._reads:
            self.disk.call(self.disk.after, sql)

    def crash(self, *, lose_unsynced: bool) -> None:
        """Roll back what is open; with ``lose_unsynced`` to the last sync, or to where
        the disk was with what followed it."""
        self.connection.rollback()
        image = self.connection.image()
        if lose_unsynced and self._left:
            chosen = self.disk.random.randrange(len(self._left))
            self.disk.lost += self._left[chosen] != image
            self.disk.torn += chosen > 0
            image = self._left[chosen]
        self._left.clear()
        self._close()
        self._connect(image)

    def _connect(self, image: bytes | None) -> None:
        self.connection = sqlite3.connect(
            ":memory:",
            isolation_level=None,
            factory=Connection,
            # Whichever thread collects it closes it.
            check_same_thread=False,
        )
        self.connection.file = weakref.proxy(self)
        # With the disk that it is on, at the latest.
        self._close = weakref.finalize(self, sqlite3.Connection.close, self.connection)
        self.interrupted = False
        if image:
            self.connection.deserialize(image)


class SimulatedWorker:
    """A thread with its connection (:class:`cartnet.seams.Worker`).

    A job runs when its time is over; its result is heard after the sync, if it had one.
    A crash in between leaves what was committed, and nobody told.
    """

    def __init__(self, disk: SimulatedDisk, file: File, read_only: bool) -> None:
        self._disk = disk
        self._file = file
        self._read_only = read_only
        self._process = disk.process
        self._waiting: deque[tuple[Job, Deferred[Any]]] = deque()
        self._busy = self._started = False
        self._closing: Deferred[None] | None = None

    def run(self, job: Job) -> Deferred[Any]:
        assert self._closing is None, "a closed worker runs nothing"
        done: Deferred[Any] = Deferred()
        self._waiting.append((job, done))
        self._next()
        return done

    def interrupt(self) -> None:
        if self._started:
            self._file.interrupted = True

    def close(self) -> Deferred[None]:
        assert self._closing is None
        self._closing = Deferred()
        self._next()
        return self._closing

    def _next(self) -> None:
        if self._busy or not self._process.alive:
            return
        if self._waiting:
            self._busy = self._started = True
            self._later(self._disk.speed.job, self._run, *self._waiting.popleft())
        elif self._closing is not None:
            self._busy = True
            self._disk.closed(self)
            self._later(self._disk.speed.job, self._closing.callback, None)

    def _run(self, job: Job, done: Deferred[Any]) -> None:
        result, synced = self._file.run(job, read_only=self._read_only)
        self._started = False
        if isinstance(result, Failure) and isinstance(result.value, Killed):
            result.value.end()
            return
        if synced:
            seconds_min = self._disk.sync_seconds_min
            sync = self._later(
                self._disk.speed.sync,
                self._synced,
                done,
                result,
                seconds_min=seconds_min,
            )
            if seconds_min:
                self._disk.stalled(sync)
        else:
            self._finish(done, result)

    def _synced(self, done: Deferred[Any], result: Any) -> None:
        self._file.synced()
        for hook in tuple(self._disk.synced):
            hook()
        if self._process.alive:
            self._finish(done, result)

    def _finish(self, done: Deferred[Any], result: Any) -> None:
        self._busy = False
        failed = isinstance(result, Failure)
        if self._disk.written is not None and not self._read_only and not failed:
            self._disk.written(self._file)
        self._next()
        if not done.called:  # It may have been cancelled.
            done.callback(result)

    def _later(
        self,
        mean: float,
        function: Callable[..., None],
        *args: Any,
        seconds_min: float = 0.0,
    ) -> DelayedCall:
        delay = seconds_min + mean * self._disk.random.expovariate(1)
        return self._disk.clock.callLater(delay, self._process.enter, function, *args)
