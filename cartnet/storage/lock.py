"""One process a database: a lock file beside it, which dies with its holder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class Held(Exception):
    """Another process, or another replica object of this one, holds the lock.

    The message is the holder's own line, such as ``pid 12 cluster demo replica s1r0``.
    """


class FileLock:
    """``flock`` on a file of its own.

    Never on the database: closing any descriptor of a file drops all of a process's
    POSIX locks on it, SQLite's included. The lock file stays behind when released;
    removing it would let two processes lock two files of one name.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    def acquire(self, line: str) -> None:
        """Take the lock and leave ``line`` in the file for those who come too late.

        :raises Held: somebody has it; with that holder's line.
        :raises OSError: the file cannot be made or opened.
        """
        assert self._descriptor is None, "a lock is taken once"
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self.path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{line}\n".encode(), 0)
        except BlockingIOError:
            holder = os.pread(descriptor, 1024, 0).decode("utf-8", "replace").strip()
            os.close(descriptor)
            raise Held(holder or "an unknown process") from None
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock up; nothing happens where it is not held."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextmanager
def kept_still(path: Path) -> Iterator[None]:
    """Keep the holder of the lock ``path`` away meanwhile, without leaving a trace.

    Others may do the same at the same time. Where there is no lock file there is
    nobody to keep away.

    :raises Held: somebody has the lock; with that holder's line.
    :raises OSError: the file cannot be opened.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 1024, 0).decode("utf-8", "replace").strip()
            raise Held(holder or "an unknown process") from None
        yield
    finally:
        os.close(descriptor)
