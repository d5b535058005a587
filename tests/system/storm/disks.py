"""What is done to disks and files: full, damaged, deleted, an old copy put back."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Final

from tests.system.clusters import Cluster
from tests.system.waiting import POLL_SECONDS

PAGE_BYTES: Final = 4096
ROOM_BYTES_LEFT: Final = (128 * 1024, 512 * 1024)
"""What is left on a disk that is nearly full: enough to start, and soon used."""

LOG_BYTES_LEFT: Final = 64 * 1024
"""What a log file may still grow by where its replica's disk is full."""

BALLAST: Final = "ballast"
"""A file that takes all the room that there is."""

FULL_SECONDS_MAX: Final = 10.0
"""So long a replica is given to find out that its disk is full."""

STOPPED: Final = "this replica stops: its disk says"
"""The last that a replica logs that could not write."""


class Disks:
    """Spoils replicas' files while they are down; fills their disks while they run.

    :ivar counts: what came of that, how often.

    :param folder: says where a replica's files are.
    """

    def __init__(
        self, cluster: Cluster, folder: Callable[[str], Path], random: Random
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._cluster = cluster
        self._folder = folder
        self._random = random
        self._stops: Counter[str] = Counter()
        self._copies = cluster.folder / "copies"

    def _files(self, name: str) -> list[Path]:
        """A replica's database and what SQLite keeps beside it."""
        folder = self._folder(name)
        found = (folder / f"{name}.db{suffix}" for suffix in ("", "-wal", "-shm"))
        return [path for path in found if path.exists()]

    # --- files of the dead ------------------------------------------------------------

    def wipe(self, name: str) -> None:
        """Delete all files; the lock beside them is nobody's data."""
        for path in self._folder(name).glob(f"{name}.db*"):
            if path.suffix != ".lock":
                path.unlink()

    def damage(self, name: str) -> None:
        """Change one bit, or a page, of the database behind SQLite's back."""
        # Otherwise the log beside it may have the page once more.
        path = self._truncate(name)
        content = bytearray(path.read_bytes())
        at = self._random.randrange(len(content))
        if self._random.random() < 0.5:
            content[at] ^= 1 << self._random.randrange(8)
        else:
            begin = at - at % PAGE_BYTES
            content[begin : begin + PAGE_BYTES] = self._random.randbytes(PAGE_BYTES)
        path.write_bytes(content)

    def _truncate(self, name: str) -> Path:
        """Move what is in a database's log into the database."""
        path = self._folder(name) / f"{name}.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as file:
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path

    def swap(self, name: str) -> None:
        """Put back the copy of the last time, if there is one, else make one.

        The replica has been started since: the others know that the copy is old.
        """
        copy = self._copies / name
        if copy.exists():
            for path in self._files(name):
                path.unlink()
            for path in copy.iterdir():
                shutil.copy(path, self._folder(name))
            shutil.rmtree(copy)
        else:
            copy.mkdir(parents=True)
            for path in self._files(name):
                shutil.copy(path, copy)

    # --- the disk of one that runs ----------------------------------------------------

    def has_its_own(self, name: str) -> bool:
        """Whether a replica has a disk of its own."""
        return self._folder(name).is_mount()

    def fill(self, name: str) -> None:
        """Take nearly all the room that there is on the disk of a replica that is down.

        Without what its database's log may write over: that is made anew.
        """
        self._truncate(name)
        disk = os.statvfs(self._folder(name))
        left = self._random.choice(ROOM_BYTES_LEFT)
        with (self._folder(name) / BALLAST).open("wb") as file:
            taken = disk.f_bavail * disk.f_frsize - left
            os.posix_fallocate(file.fileno(), 0, taken)

    def limit(self, name: str) -> None:
        """Let a replica's process write nothing but the first part of each file."""
        room = self._log(name).stat().st_size + LOG_BYTES_LEFT
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        process = self._cluster.processes[name]
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (room, hard))

    def see_stop(self, name: str) -> None:
        """Wait until a replica finds out that its disk is full, or a little longer."""
        deadline = time.monotonic() + FULL_SECONDS_MAX
        while time.monotonic() < deadline:
            stops = self._log(name).read_text(errors="replace").count(STOPPED)
            if stops > self._stops[name]:
                self._stops[name] = stops
                self.counts["replicas stopped by a full disk"] += 1
                return
            time.sleep(POLL_SECONDS)

    def make_room(self, name: str) -> None:
        """Let a process that is dead have room when it starts."""
        (self._folder(name) / BALLAST).unlink(missing_ok=True)

    def _log(self, name: str) -> Path:
        return self._cluster.folder / "logs" / f"{name}.log"
