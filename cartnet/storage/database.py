"""Threads and connections: :class:`~cartnet.seams.Disk` over ``adbapi``.

SQLite 3.7.0 to 3.51.2 can corrupt a WAL file that two connections use when a
checkpoint and a commit race (sqlite.org/wal.html#walresetbug). So the library is
chosen, and where none is sound a file has one connection, which reads too.
"""

from __future__ import annotations

import importlib
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from twisted.enterprise import adbapi
from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThreadPool

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorThreads

    from cartnet.seams import Disk, Worker

SOUND_VERSION: Final = (3, 51, 3)

WAL_PAGES_MAX: Final = 2_000
"""Pages (4 KiB) of WAL after which a commit copies them into the database."""

WAL_BYTES_KEPT_MAX: Final = 32 * 1024 * 1024
"""A WAL that a long read let grow is cut back to this when it starts over."""

BUSY_SECONDS_MAX: Final = 5.0
"""How long a statement waits for another program's lock, such as a backup's."""

STATEMENTS_KEPT: Final = 256
"""Prepared statements a connection keeps; a machine uses about a hundred."""


def library() -> tuple[str, bool]:
    """Choose the DB-API module, and say whether its SQLite is sound for two
    connections.

    One process must use one library for a file: two of them do not see each other's
    POSIX locks.
    """
    if sqlite3.sqlite_version_info >= SOUND_VERSION:
        return "sqlite3", True
    try:
        other = importlib.import_module("pysqlite3.dbapi2")
    except ImportError:
        return "sqlite3", False
    if other.sqlite_version_info >= SOUND_VERSION:
        return "pysqlite3.dbapi2", True
    return "sqlite3", False


class ThreadedDisk:
    """Opens SQLite files, each connection in one thread of its own."""

    def __init__(
        self, reactor: IReactorThreads, *, module: str = "", sound: bool = True
    ) -> None:
        """Use ``module``, by default what :func:`library` chooses.

        ``sound`` says of a given module whether two connections may share a file.
        """
        self._reactor = reactor
        self._module, self._sound = (module, sound) if module else library()
        self._writers: dict[Path, ThreadWorker] = {}

    def open(self, path: Path, *, read_only: bool) -> Worker:
        """Open ``path``; it is touched by the first job, in the worker's thread."""
        path = path.absolute()
        if read_only and not self._sound and path in self._writers:
            return SharedWorker(self._writers[path])
        worker = ThreadWorker(
            self._reactor, self._module, path, read_only, self._writers
        )
        if not read_only:
            assert path not in self._writers, "a file has one writer"
            self._writers[path] = worker
        return worker


class ThreadWorker:
    """One connection and its thread: an ``adbapi`` pool of one."""

    def __init__(
        self,
        reactor: IReactorThreads,
        module: str,
        path: Path,
        read_only: bool,
        writers: dict[Path, ThreadWorker],
    ) -> None:
        self._reactor = reactor
        self._path = path
        self._read_only = read_only
        self._writers = writers
        self._connection: Any = None
        self._connection_lock = threading.Lock()
        self._closed: Deferred[None] | None = None
        self._pool = adbapi.ConnectionPool(
            module,
            f"{path.as_uri()}?mode={'ro' if read_only else 'rwc'}",
            uri=True,
            timeout=BUSY_SECONDS_MAX,
            isolation_level=None,  # Jobs say BEGIN and COMMIT themselves.
            check_same_thread=False,  # interrupt() comes from the reactor's thread.
            cached_statements=STATEMENTS_KEPT,
            cp_min=1,
            cp_max=1,
            cp_openfun=self._opened,
            cp_reactor=reactor,
        )

    def run(self, job: Callable[[Any], Any]) -> Deferred[Any]:
        assert self._closed is None, "a closed worker has no jobs"
        done: Deferred[Any] = self._pool.runWithConnection(job)
        return done

    def interrupt(self) -> None:
        # The lock keeps the thread from closing the connection meanwhile; it is never
        # held for longer than an assignment or this call, which does not wait.
        with self._connection_lock:
            if self._connection is not None:
                self._connection.interrupt()

    def close(self) -> Deferred[None]:
        assert self._closed is None, "a worker is closed once"
        # The connection is closed in its own thread, behind the last job, because the
        # last one of a file copies the whole WAL: the reactor must not wait for that.
        self._closed = deferToThreadPool(
            self._reactor, self._pool.threadpool, self._disconnect
        )
        return self._closed.addBoth(self._ended)

    def _ended(self, result: Any) -> Any:
        # The thread is idle now, so joining it does not hold the reactor.
        self._pool.close()
        if self._writers.get(self._path) is self:
            del self._writers[self._path]
        return result

    def _disconnect(self) -> None:
        with self._connection_lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.disconnect(connection)

    def _opened(self, connection: Any) -> None:
        """Set a new connection up, in its thread."""
        try:
            if self._read_only:
                connection.execute("PRAGMA query_only = ON")
            else:
                # SQLite gives -wal and -shm the mode of the database.
                self._path.chmod(0o600)
                for pragma in _WRITER_PRAGMAS:
                    connection.execute(f"PRAGMA {pragma}")
            for pragma in _PRAGMAS:
                connection.execute(f"PRAGMA {pragma}")
        except BaseException:
            connection.close()
            raise
        self._connection = connection


_WRITER_PRAGMAS: Final = (
    "journal_mode = WAL",
    "synchronous = FULL",
    f"wal_autocheckpoint = {WAL_PAGES_MAX}",
    f"journal_size_limit = {WAL_BYTES_KEPT_MAX}",
    # macOS alone: its fsync leaves the data in the drive's cache.
    "fullfsync = ON",
    "checkpoint_fullfsync = ON",
)
_PRAGMAS: Final = (
    "foreign_keys = ON",
    "trusted_schema = OFF",
    "cell_size_check = ON",
    "temp_store = MEMORY",
    "cache_size = -8000",
)


class SharedWorker:
    """The writer's connection lent to readers, where two would not be safe."""

    def __init__(self, writer: ThreadWorker) -> None:
        self._writer = writer

    def run(self, job: Callable[[Any], Any]) -> Deferred[Any]:
        def read(connection: Any) -> Any:
            connection.execute("PRAGMA query_only = ON")
            try:
                return job(connection)
            finally:
                connection.execute("PRAGMA query_only = OFF")

        return self._writer.run(read)

    def interrupt(self) -> None:
        self._writer.interrupt()

    def close(self) -> Deferred[None]:
        """Fire at once: the connection and its thread are the writer's."""
        return succeed(None)


if TYPE_CHECKING:
    _disk: type[Disk] = ThreadedDisk
    _workers: tuple[type[Worker], type[Worker]] = (ThreadWorker, SharedWorker)
