"""What a leader does whose disk does not finish a transaction (L3)."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.messages import (
    AppendEntriesReply,
    HeartbeatReply,
    TimeoutNow,
)
from tests.consensus.replicas import TICKS, leader, settle


class StalledDiskTests(SynchronousTestCase):
    """The leader a of a, b and c; the others acknowledge whatever they are sent."""

    def setUp(self) -> None:
        self.replica = leader("b", "c")
        self.raft = self.replica.raft
        settle(self.replica)
        self.acknowledge()
        settle(self.replica)
        self.handed_to: list[str] = []

    def acknowledge(self) -> None:
        for voter in "bc":
            last_index = self.raft.log.last_index
            self.raft.step(voter, AppendEntriesReply(2, match_index=last_index))
            self.raft.step(voter, HeartbeatReply(2, round=0))

    def pass_time(self, ticks: int) -> None:
        for _ in range(ticks):
            self.raft.tick()
            for voter, message in self.replica.speak():
                if isinstance(message, TimeoutNow):
                    self.handed_to.append(voter)
            self.acknowledge()

    def test_hands_over(self) -> None:
        """After two seconds of one transaction another caught-up voter is to lead."""
        self.raft.propose([msgspec.Raw(b'"x"')])
        self.replica.speak()
        self.replica.begin_write()

        self.pass_time(TICKS.disk_stall - 1)
        self.assertEqual(self.handed_to, [])
        self.pass_time(3)

        self.assertEqual(self.handed_to, ["b"])

    def test_a_disk_that_works(self) -> None:
        """A leader whose transactions end keeps its office, however many there are."""
        for _ in range(TICKS.disk_stall):
            self.raft.propose([msgspec.Raw(b'"x"')])
            settle(self.replica)
            self.pass_time(2)

        self.assertEqual(self.handed_to, [])
