"""Tables as they are copied out, and put in place of others."""

from __future__ import annotations

import errno
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.messages import HardState
from cartnet.storage import snapshot
from cartnet.storage.storage import Storage, Write
from tests.storage.doubles import InlineDisk, numbered, sqlite, storage, till
from tests.storage.limited import no_room


class TakeTests(SynchronousTestCase):
    def test_cut_off(self) -> None:
        """A copy that cannot be finished leaves no file open."""
        path = Path(self.mktemp())
        store = storage(path, InlineDisk())
        self.successResultOf(store.open())
        self.successResultOf(store.close())
        files: list[Any] = []

        def opened(size_max: int) -> Any:
            file = tempfile.SpooledTemporaryFile(size_max)  # noqa: SIM115 # kept open
            files.append(file)
            return file

        self.patch(snapshot, "SpooledTemporaryFile", opened)
        with closing(sqlite.connect(path)) as connection:
            connection.execute("UPDATE till SET sum = 0.5")
            with self.assertRaises(AssertionError):
                snapshot.take(connection.cursor())

        self.assertEqual([file.closed for file in files], [True])

    def test_no_room(self) -> None:
        """A copy for which the disk has no room fails when it is made, not where a
        part of it is sent."""
        path = Path(self.mktemp())
        store = storage(path, InlineDisk())
        self.successResultOf(store.open())
        self.patch(snapshot, "SNAPSHOT_MEMORY_BYTES_MAX", 1)
        self.patch(snapshot, "SNAPSHOT_PART_BYTES_MAX", 1)
        copy = self.successResultOf(store.snapshot())
        size = sum(len(copy.part(number)) for number in range(copy.parts))
        copy.close()

        with no_room(above=size - 1):
            failure = self.failureResultOf(store.snapshot(), OSError)

        self.assertEqual(failure.value.errno, errno.EFBIG)
        self.successResultOf(store.snapshot()).close()
        self.successResultOf(store.close())


class InstallTests(SynchronousTestCase):
    """The rows of one file, on their way to another that holds less."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.path = folder / "to.db"
        self.source = self.filled(folder / "from.db", 5)
        self.store = self.filled(self.path, 2)
        self.copy = self.successResultOf(self.source.snapshot())

    def tearDown(self) -> None:
        self.copy.close()
        for store in (self.source, self.store):
            self.successResultOf(store.close())

    def filled(self, path: Path, count: int) -> Storage:
        store = storage(path, InlineDisk())
        self.successResultOf(store.open())
        entries = numbered(1, count)
        self.successResultOf(store.write(Write(HardState(1), entries, count)))
        return store

    def install(self, *parts: bytes) -> bool:
        """Install what came in place of the copy's parts."""
        for number, part in enumerate(parts):
            self.successResultOf(self.store.stage(number, part))
        copy = self.copy
        return self.successResultOf(
            self.store.install(
                copy.last_index, copy.last_term, {"s1r1": "f"}, copy.digest
            )
        )

    def assert_holds(self, total: int, count: int) -> None:
        """The file is sound, and holds ``count`` commands."""
        self.assertEqual(self.successResultOf(self.store.read(till)), (total, count))
        found = self.successResultOf(self.store.recount())
        self.assertEqual((found.applied_index, found.difference), (count, None))

    def test_sound(self) -> None:
        """Rows that fit their digest are in place, and so are the founders."""
        self.assertTrue(self.install(self.copy.part(0)))

        self.assert_holds(15, 5)
        self.successResultOf(self.store.close())
        self.store = storage(self.path, InlineDisk())
        recovered = self.successResultOf(self.store.open())
        self.assertEqual(recovered.founders, {"s1r1": "f"})
        self.assertEqual((recovered.base_index, recovered.last_index), (5, 5))

    def test_unsound(self) -> None:
        """Rows unlike their digest, or unlike any that a table takes, change nothing:
        the file goes on, with all that it held, and takes what is sound."""
        for row in ([16, 5], [None, 5]):
            unsound = msgspec.json.encode([("till", [row])])
            self.assertFalse(self.install(unsound), row)

        self.assert_holds(3, 2)
        self.successResultOf(self.store.write(Write(None, numbered(3, 3), 3)))
        self.assert_holds(6, 3)
        self.assertTrue(self.install(self.copy.part(0)))
        self.assert_holds(15, 5)
