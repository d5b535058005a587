"""What a replica makes of a file that fails it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, Logger, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from cartnet.errors import Refused
from cartnet.limits import MARKER_SECONDS, RECOUNT_SECONDS
from cartnet.replica.driver import Outdated
from cartnet.replica.scrubber import Scrubber, condemns_file, is_disk_trouble
from cartnet.storage.journal import Damaged
from cartnet.storage.storage import Closed
from tests.replica.listening import logger
from tests.storage.doubles import InlineDisk, sqlite, storage
from tests.storage.limited import no_descriptors


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
            cast("Any", driver), lambda: Deferred(), clock, failures.append, Logger()
        )
        scrubber.start()

        clock.advance(MARKER_SECONDS)
        driver.raft.log.last_index = 10
        clock.advance(MARKER_SECONDS)

        self.assertEqual((driver.asked, failures), (2, []))
        scrubber.stop()


class RecountTests(SynchronousTestCase):
    """The recount of a file's tables, now and then."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.failures: list[Failure] = []
        self.events: list[LogEvent] = []
        self.path = Path(self.mktemp())
        self.store = storage(self.path, InlineDisk())
        self.successResultOf(self.store.open())

    def tearDown(self) -> None:
        self.successResultOf(self.store.close())

    def scrubber(self, recount: Any) -> Scrubber:
        scrubber = Scrubber(
            cast("Any", OverloadedLeader()),
            recount,
            self.clock,
            self.failures.append,
            logger(self.events),
        )
        scrubber.start()
        self.addCleanup(scrubber.stop)
        return scrubber

    def test_no_descriptors(self) -> None:
        """A replica that cannot open its file once more goes on; what is wrong in it
        is found when it can."""
        self.scrubber(self.store.recount)
        with closing(sqlite.connect(self.path, isolation_level=None)) as connection:
            connection.execute("UPDATE till SET sum = 7")

        with no_descriptors():
            self.clock.advance(RECOUNT_SECONDS)

        self.assertEqual(self.failures, [])
        said = [str(formatEvent(event)) for event in self.events]
        self.assertEqual(len(said), 1, said)
        self.assertIn("the tables cannot be recounted now, but later: ", said[0])
        self.clock.advance(RECOUNT_SECONDS)
        self.assertEqual([bool(each.check(Outdated)) for each in self.failures], [True])

    def test_damaged(self) -> None:
        """Where a checksum is wrong there is nothing to wait for."""
        self.scrubber(self.store.recount)
        with closing(sqlite.connect(self.path, isolation_level=None)) as connection:
            connection.execute("UPDATE hard_state SET commit_index = 7")

        self.clock.advance(RECOUNT_SECONDS)

        self.assertEqual([condemns_file(each) for each in self.failures], [True])
        self.assertEqual(self.events, [])

    def test_stopped(self) -> None:
        """A recount that the replica's end cuts short is not spoken of."""
        recounted: Deferred[Any] = Deferred()
        scrubber = self.scrubber(lambda: recounted)
        self.clock.advance(RECOUNT_SECONDS)
        scrubber.stop()

        recounted.errback(Closed())

        self.assertEqual((self.failures, self.events), ([], []))
