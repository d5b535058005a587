"""A machine small enough to check by hand, and a disk without threads."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import Deferred, fail, succeed

from cartnet.consensus.messages import Entry
from cartnet.shop import group
from cartnet.shop.answers import Assigned
from cartnet.storage.database import library
from cartnet.storage.storage import Owner, Storage

if TYPE_CHECKING:
    from cartnet.seams import Cursor, Disk
    from cartnet.shop.machine import Answer, Machine

# Two libraries in one process do not see each other's locks.
sqlite: Any = importlib.import_module(library()[0])

OWNER = Owner(
    cluster="demo",
    group="s1",
    replica="s1r0",
    members=(("s1r0", "127.0.0.1:5005"), ("s1r1", "127.0.0.1:5006")),
    members_hash="5e1f",
)


class Till:
    """Adds every command, a JSON integer, to one sum, and counts the commands."""

    def create(self, cursor: Cursor) -> None:
        group.create_tables(cursor)
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS till"
            " (sum INTEGER NOT NULL, commands INTEGER NOT NULL)"
        )
        cursor.execute("SELECT COUNT(*) FROM till")
        if cursor.fetchone() == (0,):
            cursor.execute("INSERT INTO till (sum, commands) VALUES (0, 0)")

    def apply(self, cursor: Cursor, index: int, payload: msgspec.Raw | bytes) -> Answer:
        amount = int(bytes(payload))
        cursor.execute(
            "UPDATE till SET sum = sum + ?, commands = commands + 1", (amount,)
        )
        return Assigned(shard=f"{index}:{amount}")


def till(cursor: Cursor) -> tuple[int, int]:
    """Query the sum and the number of commands."""
    cursor.execute("SELECT sum, commands FROM till")
    total, commands = cursor.fetchone()
    return total, commands


def entry(index: int, term: int = 1, command: bytes = b"1") -> Entry:
    return Entry(index, term, msgspec.Raw(command))


def numbered(first: int, last: int, term: int = 1) -> tuple[Entry, ...]:
    """Entries whose command is their own index."""
    return tuple(
        entry(index, term, str(index).encode()) for index in range(first, last + 1)
    )


def storage(
    path: Path, disk: Disk, machine: Machine | None = None, owner: Owner = OWNER
) -> Storage:
    return Storage(path, disk, machine or Till(), owner, lambda count: b"\x07" * count)


class InlineWorker:
    """Runs every job at once, in the caller's thread."""

    def __init__(self, connection: Any, set_up: Callable[[], object]) -> None:
        self._connection = connection
        self._set_up = set_up
        self.jobs: list[Any] = []

    def run(self, job: Callable[[Any], Any]) -> Deferred[Any]:
        self.jobs.append(job)
        try:
            if len(self.jobs) == 1:
                self._set_up()
            return succeed(job(self._connection))
        except Exception:
            return fail()

    def interrupt(self) -> None:
        """No statement is ever in hand when somebody else runs."""

    def close(self) -> Deferred[None]:
        self._connection.close()
        return succeed(None)


class InlineDisk:
    """Real files, no threads; ``wrap`` may put something around each writer."""

    def __init__(self, wrap: Callable[[Any], Any] = lambda connection: connection):
        self._wrap = wrap
        self.workers: list[InlineWorker] = []

    def open(self, path: Path, *, read_only: bool) -> InlineWorker:
        connection = sqlite.connect(path, isolation_level=None)
        # Faults are injected where statements begin and end; syncing would add
        # nothing but time.
        set_up = partial(connection.execute, "PRAGMA journal_mode = WAL")
        worker = InlineWorker(
            connection if read_only else self._wrap(connection), set_up
        )
        self.workers.append(worker)
        return worker
