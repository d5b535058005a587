"""Storage on real threads: order, fences, ends. Conditions are waited for, not time."""

from __future__ import annotations

import sqlite3
import stat
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.trial.unittest import SynchronousTestCase, TestCase
from typing_extensions import override

from cartnet.consensus.messages import HardState
from cartnet.storage.database import ThreadedDisk, library
from cartnet.storage.storage import (
    Closed,
    Fenced,
    Recovered,
    Storage,
    Write,
    Written,
)
from tests.storage.doubles import Till, entry, numbered, sqlite, storage, till

if TYPE_CHECKING:
    from cartnet.seams import Cursor
    from cartnet.shop.machine import Answer

ENDLESS = (
    "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n)"
    " SELECT COUNT(*) FROM n WHERE reached(x)"
)


def endless(cursor: Any, reached: Callable[[], None]) -> None:
    """Run a query that never ends; ``reached`` is called once it is in hand."""

    def each(number: int) -> int:
        if number == 2:
            reached()
        return 1

    cursor.connection.create_function("reached", 1, each)
    cursor.execute(ENDLESS)
    cursor.fetchall()


class Signal:
    """Said in any thread, heard in the reactor's."""

    def __init__(self) -> None:
        self.heard: Deferred[None] = Deferred()

    def __call__(self) -> None:
        reactor.callFromThread(  # type: ignore[attr-defined]  # a module to mypy
            self.heard.callback, None
        )


class Holding(Till):
    """A till that stops at the command 0 until it is let go."""

    def __init__(self) -> None:
        self.reached = Signal()
        self.let_go = threading.Event()

    @override
    def apply(self, cursor: Cursor, index: int, payload: msgspec.Raw | bytes) -> Answer:
        if bytes(payload) == b"0":
            self.reached()
            self.let_go.wait()
        return super().apply(cursor, index, payload)


class Endless(Till):
    """A till whose command 0 never ends by itself."""

    def __init__(self) -> None:
        self.reached = Signal()

    @override
    def apply(self, cursor: Cursor, index: int, payload: msgspec.Raw | bytes) -> Answer:
        if bytes(payload) == b"0":
            endless(cursor, self.reached)
        return super().apply(cursor, index, payload)


class StorageCase(TestCase):
    timeout = 60

    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "s1r0.db"
        self.disk = self.make_disk()
        self.threads = threading.active_count()
        self.addCleanup(self.check_threads)

    def make_disk(self) -> ThreadedDisk:
        return ThreadedDisk(reactor)  # type: ignore[arg-type]  # a module to mypy

    def check_threads(self) -> None:
        self.assertEqual(threading.active_count(), self.threads)

    def claimed(self, machine: Till | None = None) -> Storage:
        store = storage(self.path, self.disk, machine)
        # A test that fails leaves no thread that would keep the process alive.
        self.addCleanup(store.crash)
        if isinstance(machine, Holding):
            self.addCleanup(machine.let_go.set)
        store.claim()
        return store

    async def opened(self, machine: Till | None = None) -> tuple[Storage, Recovered]:
        store = self.claimed(machine)
        return store, await store.open()

    async def total(self) -> tuple[int, int]:
        """Open the file anew and return the till's sum and number of commands."""
        store, _ = await self.opened()
        found = await store.read(till)
        await store.close()
        return found


class ThreadedTests(StorageCase):
    async def test_round_trip(self) -> None:
        """What was written is read beside the writer, and after a restart."""
        store, fresh = await self.opened()
        written = await store.write(Write(HardState(1, "s1r0"), numbered(1, 5), 4))
        self.assertEqual(written.applied_index, 4)
        self.assertEqual(await store.read(till), (10, 4))
        self.assertEqual(await store.read_entries(2, 3, 100), numbered(2, 3))
        await store.close()

        store, recovered = await self.opened()

        self.assertEqual(recovered.file_id, fresh.file_id)
        self.assertEqual(recovered.tail, numbered(1, 5))
        self.assertEqual(recovered.hard_state, HardState(1, "s1r0"))
        await store.close()

    async def test_writes_keep_their_order(self) -> None:
        """Writes asked for without waiting commit one behind the other."""
        store, _ = await self.opened()

        written: list[Written] = await gatherResults(
            [store.write(Write(HardState(1), numbered(n, n), n)) for n in range(1, 101)]
        )

        self.assertEqual([w.applied_index for w in written], list(range(1, 101)))
        self.assertEqual(await store.read(till), (5050, 100))
        await store.close()

    async def test_the_files_are_private(self) -> None:
        """Database, WAL and lock are this user's alone, and the file is in WAL mode."""
        store, _ = await self.opened()
        await store.write(Write(HardState(1)))

        modes = {
            path.name: stat.S_IMODE(path.stat().st_mode)
            for path in self.path.parent.iterdir()
        }

        self.assertIn("s1r0.db-wal", modes)
        self.assertEqual(
            store.file_bytes(),
            self.path.stat().st_size
            + self.path.with_name("s1r0.db-wal").stat().st_size,
        )
        self.assertEqual(set(modes.values()), {0o600})
        await store.close()
        left = sorted(path.name for path in self.path.parent.iterdir())
        self.assertEqual(left, ["s1r0.db", "s1r0.db.lock"])

    async def test_readers_cannot_write(self) -> None:
        """A query that writes fails; the file and later queries are unharmed."""
        store, _ = await self.opened()

        failed = store.read(lambda cursor: cursor.execute("UPDATE till SET sum = 9"))

        await self.assertFailure(failed, sqlite.OperationalError)
        self.assertEqual(await store.read(till), (0, 0))
        await store.write(Write(HardState(1), numbered(1, 1), 1))
        self.assertEqual(await store.read(till), (1, 1))
        await store.close()

    async def test_a_query_sees_one_moment(self) -> None:
        """A write between two statements of a query is not seen by the second."""
        store, _ = await self.opened()
        first, reached, written = Signal(), threading.Event(), []
        self.addCleanup(reached.set)

        def query(cursor: Cursor) -> tuple[tuple[int, int], tuple[int, int]]:
            before = till(cursor)
            first()
            reached.wait()
            return before, till(cursor)

        seen = store.read(query)
        await first.heard
        if self.disk_is_sound():
            await store.write(Write(HardState(1), numbered(1, 1), 1))
        else:
            written.append(store.write(Write(HardState(1), numbered(1, 1), 1)))
        reached.set()

        self.assertEqual(await seen, ((0, 0), (0, 0)))
        await gatherResults(written)
        self.assertEqual(await store.read(till), (1, 1))
        await store.close()

    async def test_a_cancelled_query_is_forgotten(self) -> None:
        """Its caller hears at once; the query's end troubles nobody."""
        store, _ = await self.opened()
        started, go_on = Signal(), threading.Event()
        self.addCleanup(go_on.set)

        def query(cursor: Cursor) -> None:
            started()
            go_on.wait()
            raise ValueError

        asked = store.read(query)
        await started.heard
        asked.cancel()
        await self.assertFailure(asked, CancelledError)
        go_on.set()

        self.assertEqual(await store.read(till), (0, 0))
        await store.close()

    async def test_a_failed_write_ends_the_writing(self) -> None:
        """Writes behind a failed one fail too, since they rely on it."""
        store, _ = await self.opened()
        bad = store.write(Write(HardState(1), (entry(1, 1, b"oops"),), 1))
        behind = store.write(Write(HardState(1)))

        await self.assertFailure(bad, ValueError)
        await self.assertFailure(behind, Fenced)
        await store.close()

        self.assertEqual(await self.total(), (0, 0))

    def disk_is_sound(self) -> bool:
        return True


class CloseTests(StorageCase):
    async def test_close_finishes_what_is_in_hand(self) -> None:
        """Everything asked for before close commits and is heard; nothing after is."""
        store, _ = await self.opened()
        heard = []
        for n in range(1, 31):
            store.write(Write(HardState(1), numbered(n, n), n)).addCallback(
                lambda written: heard.append(written.applied_index)
            )

        closed = store.close()
        await self.assertFailure(store.write(Write()), Closed)
        await self.assertFailure(store.read(till), Closed)
        await closed
        await store.close()

        self.assertEqual(heard, list(range(1, 31)))
        self.assertEqual(await self.total(), (465, 30))

    async def test_close_before_open(self) -> None:
        """A claimed storage that was never opened gives its lock back."""
        store = self.claimed()
        await store.close()

        self.assertEqual(await self.total(), (0, 0))

    async def test_close_while_opening(self) -> None:
        """A storage closed while it opens still says what it found."""
        store = self.claimed()
        opening = store.open()

        await store.close()

        self.assertEqual((await opening).last_index, 0)
        self.assertEqual(await self.total(), (0, 0))

    async def test_a_failed_open(self) -> None:
        """A file that cannot be opened fails the opening and leaves no thread."""
        self.path.mkdir(parents=True)
        store = storage(self.path, self.disk)

        await self.assertFailure(store.open(), sqlite.OperationalError)
        await store.close()


class CrashTests(StorageCase):
    async def test_a_transaction_in_hand_is_undone(self) -> None:
        """A crash before COMMIT leaves nothing of the Write, and nobody hears."""
        machine = Holding()
        store, _ = await self.opened(machine)
        await store.write(Write(HardState(1), numbered(1, 2), 2))
        heard: list[Any] = []
        entries = (entry(3, 1, b"7"), entry(4, 1, b"0"))
        store.write(Write(HardState(4), entries, 4)).addBoth(heard.append)
        store.write(Write(HardState(5))).addBoth(heard.append)
        store.read(till).addBoth(heard.append)
        await machine.reached.heard

        crashed = store.crash()
        store.write(Write(HardState(6))).addBoth(heard.append)
        store.read(till).addBoth(heard.append)
        machine.let_go.set()
        await crashed

        self.assertEqual(len([h for h in heard if not isinstance(h, tuple)]), 0)
        store, recovered = await self.opened()
        self.assertEqual(recovered.hard_state, HardState(1))
        self.assertEqual((recovered.last_index, recovered.applied_index), (2, 2))
        self.assertEqual(await store.read(till), (3, 2))
        await store.close()

    async def test_a_crash_interrupts_the_statement_in_hand(self) -> None:
        """A statement that would run for ever ends with its replica."""
        machine = Endless()
        store, _ = await self.opened(machine)
        store.write(Write(HardState(1), (entry(1, 1, b"0"),), 1))
        await machine.reached.heard

        await store.crash()

        self.assertEqual(await self.total(), (0, 0))

    async def test_a_crash_interrupts_the_query_in_hand(self) -> None:
        """A query that would run for ever ends with its replica."""
        store, _ = await self.opened()
        reached = Signal()
        heard: list[object] = []
        store.read(lambda cursor: endless(cursor, reached)).addBoth(heard.append)
        await reached.heard

        await store.crash()

        self.assertEqual(heard, [])
        self.assertEqual(await self.total(), (0, 0))

    async def test_a_crash_amid_writes(self) -> None:
        """Whenever a crash comes, the file holds a prefix with all that was heard."""
        for crash_after in range(12):
            self.path = Path(self.mktemp()) / "s1r0.db"
            store, _ = await self.opened()
            crashed: Deferred[None] = Deferred()
            heard: list[int] = []

            def count(
                written: Written,
                store: Storage = store,
                heard: list[int] = heard,
                crashed: Deferred[None] = crashed,
                crash_after: int = crash_after,
            ) -> None:
                heard.append(written.applied_index)
                if len(heard) == crash_after + 1:
                    store.crash().chainDeferred(crashed)

            for n in range(1, 41):
                store.write(Write(HardState(1), numbered(n, n), n)).addCallback(count)
            await crashed

            self.assertEqual(heard, list(range(1, crash_after + 2)))
            store, recovered = await self.opened()
            applied = recovered.applied_index
            self.assertGreaterEqual(applied, heard[-1])
            self.assertEqual(recovered.last_index, applied)
            self.assertEqual(
                await store.read(till), (applied * (applied + 1) // 2, applied)
            )
            await store.close()

    async def test_a_crash_while_closing(self) -> None:
        """A stop that takes too long may be cut off; both ends are heard."""
        machine = Endless()
        store, _ = await self.opened(machine)
        store.write(Write(HardState(1), (entry(1, 1, b"0"),), 1))
        await machine.reached.heard

        closed = store.close()
        await store.crash()
        await closed
        await store.crash()

        self.assertEqual(await self.total(), (0, 0))

    async def test_a_crash_while_opening(self) -> None:
        """The file may be opened anew; the opening that was cut off is not heard."""
        store = self.claimed()
        heard: list[object] = []
        store.open().addBoth(heard.append)

        await store.crash()

        self.assertEqual(heard, [])
        self.assertEqual(await self.total(), (0, 0))

    async def test_a_crash_before_opening(self) -> None:
        """Nothing opens after a crash, and the lock is free."""
        store = self.claimed()
        await store.crash()

        self.assertFalse(store.open().called)
        self.assertEqual(await self.total(), (0, 0))


class OneConnectionTests(ThreadedTests):
    """The same promises where the library is not sound for two connections."""

    @override
    def make_disk(self) -> ThreadedDisk:
        return ThreadedDisk(
            reactor,  # type: ignore[arg-type]  # a module to mypy
            module=sqlite.__name__,
            sound=False,
        )

    @override
    def disk_is_sound(self) -> bool:
        return False

    async def test_there_is_one_connection(self) -> None:
        """Reads and writes use one thread."""
        store, _ = await self.opened()

        await store.read(till)

        self.assertEqual(threading.active_count(), self.threads + 1)
        await store.close()


class OneConnectionCrashTests(CrashTests):
    """Crashes where reads wait behind writes."""

    make_disk = OneConnectionTests.make_disk


class LibraryTests(SynchronousTestCase):
    """Which SQLite is used, on any machine."""

    def chosen(self, standard: tuple[int, int, int], other: object) -> tuple[str, bool]:
        """Choose between a standard library's version and another module or none."""
        self.patch(sqlite3, "sqlite_version_info", standard)
        kept = sys.modules.get("pysqlite3.dbapi2")
        sys.modules["pysqlite3.dbapi2"] = other  # type: ignore[assignment]  # None bars
        try:
            return library()
        finally:
            del sys.modules["pysqlite3.dbapi2"]
            if kept is not None:
                sys.modules["pysqlite3.dbapi2"] = kept

    def test_the_standard_library_where_it_is_sound(self) -> None:
        """A sound SQLite is never passed over for another."""
        newer = SimpleNamespace(sqlite_version_info=(3, 60, 0))

        self.assertEqual(self.chosen((3, 51, 3), newer), ("sqlite3", True))

    def test_another_where_it_is_not(self) -> None:
        """Where the standard library's can corrupt a file, a sound one is used."""
        sound = SimpleNamespace(sqlite_version_info=(3, 51, 3))

        self.assertEqual(self.chosen((3, 51, 2), sound), ("pysqlite3.dbapi2", True))

    def test_one_connection_where_there_is_none(self) -> None:
        """Without a sound one, the standard library's is used by one connection."""
        as_old = SimpleNamespace(sqlite_version_info=(3, 51, 1))

        self.assertEqual(self.chosen((3, 40, 1), as_old), ("sqlite3", False))
        self.assertEqual(self.chosen((3, 40, 1), None), ("sqlite3", False))
