from __future__ import annotations

from random import Random
from typing import Any, cast

import msgspec
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.messages import AppendEntriesReply, Dispute, Life
from cartnet.limits import LAG_NOTED_ENTRIES, STOPPED_NOTED_SECONDS, TICK_SECONDS
from cartnet.replica.driver import Driver
from cartnet.replica.formation import Formation
from cartnet.replica.membership import Membership
from cartnet.replica.report import Report
from cartnet.replica.status import Heartbeat, Lag
from cartnet.topology.groups import Group, Member
from cartnet.wire.hello import Identity
from tests.consensus.replicas import TICKS, Replica
from tests.replica.listening import logger

PATIENCE = round(STOPPED_NOTED_SECONDS / TICK_SECONDS)
MEMBERS = (Member("a", "127.0.0.1:1"), Member("b", "127.0.0.1:2"))


class ReportTests(SynchronousTestCase):
    """What the leader a of a and b says of itself."""

    def setUp(self) -> None:
        self.replica = Replica("a", ("a", "b"), Random(1))
        self.replica.start()
        self.raft = self.replica.raft
        self.raft.peer_connected("b")
        self.events: list[LogEvent] = []
        self.looks = 0
        nothing = cast("Any", None)
        self.clock: Any = Clock()
        self.driver = Driver(self.raft, nothing, self.clock, nothing, 3.0, 100, nothing)
        membership = Membership(
            cluster="c",
            group=Group("g", "shard", MEMBERS),
            name="a",
            secret=b"",
            ticks=TICKS,
            lexical=True,
            request_timeout=3.0,
            log_kept=100,
        )
        founders = {"a": "a1", "b": "b1"}
        self.formation = Formation("a", ("a", "b"), Life("a1", 1, "now"), founders, {})
        self.report = Report(
            membership,
            self.driver,
            self.formation,
            self.file_bytes,
            lambda: 3,
            self.clock,
            logger(self.events),
        )

    def file_bytes(self) -> int:
        self.looks += 1
        return 4096

    def lead(self) -> None:
        self.raft.become_candidate(handed_over=True)
        self.write()
        self.raft.become_leader()
        self.write()
        self.acknowledge()

    def write(self) -> None:
        self.replica.speak()
        while self.replica.begin_write() is not None:
            self.replica.finish_write()
            self.replica.speak()

    def acknowledge(self) -> None:
        reply = AppendEntriesReply(self.raft.term, match_index=self.raft.log.last_index)
        self.raft.step("b", reply)
        self.write()

    @property
    def said(self) -> list[str]:
        said = [formatEvent(event) for event in self.events]
        self.events.clear()
        return said

    def test_heartbeat_asks_no_disk(self) -> None:
        """Who leads is told without a look at the file, and as a status has it."""
        self.lead()

        heartbeat = self.report.heartbeat()

        self.assertEqual(self.looks, 0)
        self.assertEqual(heartbeat, Heartbeat("a", self.raft.term, "leader", "a"))
        status = self.report.status()
        self.assertEqual(self.looks, 1)
        self.assertEqual(
            heartbeat,
            Heartbeat(status.name, status.term, status.role, status.leader),
        )
        self.assertEqual((status.database_bytes, status.connections), (4096, 3))

    def test_pace_and_digest(self) -> None:
        """A status tells how long it runs, its newest digest, and of its writes."""
        self.clock.advance(90.04)
        fresh = self.report.status()
        self.assertEqual((fresh.digest, fresh.digest_index), (None, 0))
        self.assertEqual((fresh.uptime_seconds, fresh.writes), (90.0, 0))
        self.assertIsNone(fresh.write_p50_ms)

        self.lead()
        proposals = self.driver._proposals
        proposals.add(msgspec.Raw(b'"x"'))
        proposals.proposed(7, 1)
        self.clock.advance(0.005)
        proposals.applied(7, 1, None)
        self.raft.digests.recorded(7, "d7")

        status = self.report.status()
        self.assertEqual((status.digest, status.digest_index), ("d7", 7))
        self.assertEqual(status.writes, 1)
        self.assertApproximates(status.write_p99_ms, 5, 0.2)

    def test_role_of_a_new_file(self) -> None:
        """A replica whose file does not count yet is a learner, whatever its Raft."""
        self.raft.admitted = False

        self.assertEqual(self.report.heartbeat().role, "learner")
        self.assertEqual(self.report.status().role, "learner")

    def test_lost_majority_is_said_once(self) -> None:
        """Where nobody is left to admit a new file the group has stopped: an error line
        and the status say so, where it is not news of a moment."""
        for file in ("b2", "b1", "b2"):
            self.formation.met(Identity("c", "b", "peer", file=file), answered=True)
            self.report.note_lost_files(PATIENCE - 1)
            self.assertEqual(self.said, [])
        why = "the file of b is not what the group knows"
        self.assertIn(why, self.report.status().stopped or "")

        for _ in range(3):
            self.report.note_lost_files(PATIENCE)
        (line,) = self.said
        self.assertIn(f"the group has stopped: {why}", line)
        self.assertIn("Repairing a stopped group", line)

        self.formation.met(Identity("c", "b", "peer", file="b1"), answered=True)
        self.report.note_lost_files(1)
        self.assertIsNone(self.report.status().stopped)

    def test_dispute_is_said_once(self) -> None:
        """Which replicas hold which tables is an error line, repeated only where
        another one joins in; the status says it as long as it lasts."""
        self.lead()
        two = Dispute(2, {"a": "0123456789abcdef" * 4, "b": "f" * 64})
        for dispute in (two, Dispute(3, two.digests)):
            self.raft.digests.dispute = dispute
            self.report.disputed(dispute)

        (line,) = self.said
        for part in ("index 2,", "a has 0123456789abcdef...", "b has ffff", "operat"):
            self.assertIn(part, line)
        stopped = self.report.status().stopped
        self.assertIn("b has ffff", stopped or "")
        self.assertEqual(self.report.heartbeat().role, "leader")
        self.assertFalse(self.raft.may_serve)

        more = Dispute(3, {**two.digests, "c": "0" * 64})
        self.report.disputed(more)
        self.assertIn("c has 0000", self.said[0])

        self.raft.digests.dispute = None
        self.report.disputed(None)
        self.assertIn("goes on", self.said[0])
        self.assertIsNone(self.report.status().stopped)

    def test_lag_is_noted_once(self) -> None:
        """A follower that falls behind is noted once, and again when it is back."""
        self.lead()
        self.report.note_lags()
        self.assertEqual(self.said, [])

        self.raft.propose([msgspec.Raw(b'"x"')] * LAG_NOTED_ENTRIES)
        self.report.note_lags()
        self.report.note_lags()
        self.assertEqual(self.said, [f"b is {LAG_NOTED_ENTRIES} entries behind"])
        last_index = self.raft.log.last_index
        (lag,) = self.report.status().peers
        self.assertEqual(
            lag, Lag("b", last_index - LAG_NOTED_ENTRIES, LAG_NOTED_ENTRIES)
        )

        self.write()
        self.acknowledge()
        self.report.note_lags()
        self.report.note_lags()
        self.assertEqual(self.said, ["b has caught up"])
