"""What a replica makes of a file that fails it."""

from __future__ import annotations

import sqlite3

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from cartnet.replica.driver import Outdated
from cartnet.replica.scrubber import condemns_file, is_disk_trouble
from cartnet.storage.journal import Damaged


class FailureTests(SynchronousTestCase):
    """A file is set aside for what is wrong with it, never for what a disk refuses."""

    def test_full_disk(self) -> None:
        """SQLite's own word for a full file stops the replica and keeps the file."""
        connection = sqlite3.connect(":memory:")
        self.addCleanup(connection.close)
        connection.execute("CREATE TABLE t (x)")
        connection.execute("PRAGMA max_page_count = 2")
        try:
            connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
        except sqlite3.Error:
            full = Failure()

        self.assertTrue(is_disk_trouble(full))
        self.assertFalse(condemns_file(full))

    def test_damage(self) -> None:
        """A checksum, the other replicas or SQLite may condemn a file."""
        for error in (
            Damaged("an entry"),
            Outdated("the tables"),
            sqlite3.DatabaseError("database disk image is malformed"),
        ):
            self.assertTrue(condemns_file(Failure(error)), error)
            self.assertFalse(is_disk_trouble(Failure(error)), error)

    def test_our_own_mistake(self) -> None:
        """A broken belief is neither: its traceback is wanted."""
        broken = Failure(AssertionError("a belief"))

        self.assertFalse(condemns_file(broken))
        self.assertFalse(is_disk_trouble(broken))
