"""What a replica makes of a file that fails it."""

from __future__ import annotations

import sqlite3
from types import SimpleNamespace
from typing import Any, NoReturn, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from cartnet.errors import Refused
from cartnet.limits import MARKER_SECONDS
from cartnet.replica.driver import Outdated
from cartnet.replica.scrubber import Scrubber, condemns_file, is_disk_trouble
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


class OverloadedLeader:
    """As much of a driver as a scrubber sees, with no room for another proposal."""

    raft = SimpleNamespace(may_serve=True, log=SimpleNamespace(last_index=1))
    asked = 0

    def propose(self, _: object) -> NoReturn:
        self.asked += 1
        raise Refused("overloaded", "too many writes wait")


class MarkerTests(SynchronousTestCase):
    """The entries at which digests are compared."""

    def test_overloaded(self) -> None:
        """A leader without room for a marker goes on, and tries again later."""
        clock, driver, failures = Clock(), OverloadedLeader(), list[Failure]()
        scrubber = Scrubber(
            cast("Any", driver), lambda: Deferred(), clock, failures.append
        )
        scrubber.start()

        clock.advance(MARKER_SECONDS)
        driver.raft.log.last_index = 10
        clock.advance(MARKER_SECONDS)

        self.assertEqual((driver.asked, failures), (2, []))
        scrubber.stop()
