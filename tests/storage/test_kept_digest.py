"""The digest in a replica's storage: recorded, kept, held against the tables."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from cartnet.consensus.messages import HardState
from cartnet.limits import DIGEST_ENTRIES
from cartnet.storage import digest
from cartnet.storage.database import ThreadedDisk
from cartnet.storage.journal import NULL_COMMAND
from cartnet.storage.storage import Closed, StateDamaged, Storage, Write, Written
from tests.storage.doubles import InlineDisk, entry, numbered, sqlite, storage, till
from tests.storage.test_transaction import Cut, CutOff


def edit(path: Path, sql: str) -> None:
    """Change the file as another program does."""
    connection = sqlite.connect(path, isolation_level=None)
    try:
        connection.execute(sql)
    finally:
        connection.close()


class DigestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir(parents=True)

    def opened(self, name: str, disk: InlineDisk | None = None) -> Storage:
        store = storage(self.folder / name, disk or InlineDisk())
        self.successResultOf(store.open())
        self.addCleanup(lambda: store.close())
        return store

    def written(self, store: Storage, write: Write) -> Written:
        return self.successResultOf(store.write(write))


class RecordedTests(DigestCase):
    def test_within_a_batch(self) -> None:
        """What is recorded is the digest after just that entry, however many are
        applied in its transaction."""
        entries = numbered(1, DIGEST_ENTRIES + 5)
        together = self.opened("together.db")
        alone = self.opened("alone.db")
        at_once = self.written(together, Write(HardState(1), entries, len(entries)))
        self.written(alone, Write(HardState(1), entries, DIGEST_ENTRIES - 1))
        exactly = self.written(alone, Write(commit_index=DIGEST_ENTRIES))
        index, value = self.successResultOf(alone.read(digest.digest_at))

        self.assertEqual(index, DIGEST_ENTRIES)
        self.assertEqual(exactly.digests, ((index, value),))
        self.assertEqual(at_once.digests, exactly.digests)
        self.assertEqual(
            self.successResultOf(together.read(digest.recorded)), at_once.digests
        )
        _, last = self.successResultOf(together.read(digest.digest_at))
        self.assertNotEqual(last, value)

    def test_markers(self) -> None:
        """An entry without a command has the digest recorded, and changes none."""
        store = self.opened("s1r0.db")
        written = self.written(
            store,
            Write(HardState(1), (entry(1), entry(2, 1, NULL_COMMAND), entry(3)), 3),
        )
        ((index, value),) = written.digests
        self.assertEqual(index, 2)
        other = self.opened("s1r1.db")
        self.written(other, Write(HardState(1), (entry(1),), 1))
        self.assertEqual(self.successResultOf(other.read(digest.digest_at)), (1, value))


class CutTests(DigestCase):
    def test_every_statement(self) -> None:
        """Cut off at any statement of a write, the digest is that of the tables, and
        whoever goes on ends where one does who was never cut off."""
        before = Write(HardState(1), numbered(1, 3), 2)
        write = Write(None, (entry(4, 1, NULL_COMMAND), *numbered(5, 6)), 6)
        whole = self.opened("whole.db")
        self.written(whole, before)
        self.written(whole, write)
        expected = self.successResultOf(whole.read(digest.digest_at))
        step = 0
        while True:
            cuts: list[CutOff] = []

            def wrap(connection: Any, cuts: list[CutOff] = cuts) -> CutOff:
                cuts.append(CutOff(connection))
                return cuts[0]

            name = f"{step}.db"
            store = self.opened(name, InlineDisk(wrap))
            self.written(store, before)
            cuts[0].steps, cuts[0].cut_at = 0, step
            result = store.write(write)
            if not cuts[0].dead:
                self.successResultOf(result)
                break
            self.failureResultOf(result, Cut)
            self.successResultOf(store.close())
            again = self.opened(name)  # Fails where digest and tables differ.
            state = self.successResultOf(again.read(digest.compare))
            self.assertIsNone(state.difference)
            self.written(again, Write(commit_index=2))
            if state.applied_index == 2:
                self.written(again, write)
            found = self.successResultOf(again.read(digest.digest_at))
            self.successResultOf(again.close())
            self.assertEqual(found, expected, f"cut at step {step}")
            step += 1
        self.assertGreater(step, 20)


class DamagedTests(DigestCase):
    def test_opened(self) -> None:
        """A file that was altered while it was closed does not open."""
        store = storage(self.folder / "s1r0.db", InlineDisk())
        self.successResultOf(store.open())
        self.written(store, Write(HardState(1), numbered(1, 3), 3))
        self.successResultOf(store.close())
        edit(self.folder / "s1r0.db", "UPDATE till SET sum = 7")
        store = storage(self.folder / "s1r0.db", InlineDisk())
        failure = self.failureResultOf(store.open(), StateDamaged)
        self.assertIn("up to index 3", failure.getErrorMessage())
        self.successResultOf(store.close())

    def test_recounted(self) -> None:
        """A file that is altered while it is open is found by a recount, and goes on
        being found whatever is applied meanwhile."""
        store = self.opened("s1r0.db")
        self.written(store, Write(HardState(1), numbered(1, 3), 2))
        counted = self.successResultOf(store.recount())
        self.assertEqual((counted.applied_index, counted.difference), (2, None))
        edit(self.folder / "s1r0.db", "UPDATE till SET sum = 8")
        self.assertIsNotNone(self.successResultOf(store.recount()).difference)
        self.written(store, Write(commit_index=3))
        self.assertIsNotNone(self.successResultOf(store.recount()).difference)


def threaded_disk() -> ThreadedDisk:
    return ThreadedDisk(reactor)  # type: ignore[arg-type]  # a module to mypy


class ThreadedTests(TestCase):
    """With the real disk: threads, and a connection of its own for each recount."""

    async def opened(self) -> tuple[Storage, Path]:
        path = Path(self.mktemp()).absolute()
        store = storage(path, threaded_disk())
        await store.open()
        await store.write(Write(HardState(1), numbered(1, 50), 50))
        return store, path

    def test_recounted(self) -> Deferred[None]:
        """A recount runs beside writes, and sees one moment of the file."""

        async def test() -> None:
            store, path = await self.opened()
            counts = []
            for index in range(51, 60):
                counts.append(store.recount())
                await store.write(Write(None, numbered(index, index), index))
            for counted in counts:
                self.assertIsNone((await counted).difference)
            self.assertEqual((await store.read(till))[1], 59)
            edit(path, "UPDATE till SET sum = 8")
            self.assertIsNotNone((await store.recount()).difference)
            await store.close()

        return Deferred.fromCoroutine(test())

    def test_closed(self) -> Deferred[None]:
        """Closing ends a recount, or lets it end."""

        async def test() -> None:
            store, _ = await self.opened()
            counted = store.recount()
            await store.close()
            with contextlib.suppress(Closed):
                self.assertIsNone((await counted).difference)
            await self.assertFailure(store.recount(), Closed)

        return Deferred.fromCoroutine(test())

    def test_crashed(self) -> Deferred[None]:
        """A crash waits for no recount, and nobody hears of one."""

        async def test() -> None:
            store, path = await self.opened()
            heard: list[object] = []
            store.recount().addBoth(heard.append)
            await store.crash()
            self.assertEqual(heard, [])
            again = storage(path, threaded_disk())
            await again.open()
            await again.close()

        return Deferred.fromCoroutine(test())
