"""What is done to disks and files: full, damaged, deleted, an old copy put back."""

from __future__ import annotations

import re
import resource
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Final

from tests.system.clusters import Cluster

PAGE_BYTES: Final = 4096
LOG_BYTES_LEFT: Final = 256 * 1024
"""What a log file may still grow by where its replica's disk is full."""

STOPPED: Final = r"(?m)^cartnet: {name} stopped itself: .*\n"
"""The last that a process says whose replica could not write."""


class Disks:
    """Spoils replicas' files while they are down; fills their disks while they run."""

    def __init__(self, cluster: Cluster, random: Random) -> None:
        self._cluster = cluster
        self._random = random
        self._db = cluster.folder / "db"
        self._copies = cluster.folder / "copies"

    def files(self, name: str) -> list[Path]:
        """A replica's database and what SQLite keeps beside it."""
        found = (self._db / f"{name}.db{suffix}" for suffix in ("", "-wal", "-shm"))
        return [path for path in found if path.exists()]

    # --- files of the dead ------------------------------------------------------------

    def wipe(self, name: str) -> None:
        """Delete all files; the lock beside them is nobody's data."""
        for path in self._db.glob(f"{name}.db*"):
            if path.suffix != ".lock":
                path.unlink()

    def damage(self, name: str) -> None:
        """Change one bit, or a page, of the database behind SQLite's back."""
        path = self._db / f"{name}.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as file:
            # Otherwise the log beside it may have the page once more.
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        content = bytearray(path.read_bytes())
        at = self._random.randrange(len(content))
        if self._random.random() < 0.5:
            content[at] ^= 1 << self._random.randrange(8)
        else:
            begin = at - at % PAGE_BYTES
            content[begin : begin + PAGE_BYTES] = self._random.randbytes(PAGE_BYTES)
        path.write_bytes(content)

    def swap(self, name: str) -> None:
        """Put back the copy of the last time, if there is one, else make one.

        The replica has been started since: the others know that the copy is old.
        """
        copy = self._copies / name
        if copy.exists():
            for path in self.files(name):
                path.unlink()
            for path in copy.iterdir():
                shutil.copy(path, self._db)
            shutil.rmtree(copy)
        else:
            copy.mkdir(parents=True)
            for path in self.files(name):
                shutil.copy(path, copy)

    # --- the disk of one that runs ----------------------------------------------------

    def fill(self, name: str) -> None:
        """Let a replica's process make no file larger than its database's log is."""
        process = self._cluster.processes[name]
        wal, log = (
            self._db / f"{name}.db-wal",
            self._cluster.folder / f"logs/{name}.log",
        )
        used = max(wal.stat().st_size, log.stat().st_size + LOG_BYTES_LEFT)
        _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (used, hard))

    def forget_full(self, name: str) -> None:
        """Take what a replica said as it stopped for what it was bound to say."""
        said = self._cluster.folder / f"{name}.err"
        said.write_text(re.sub(STOPPED.format(name=name), "", said.read_text()))
