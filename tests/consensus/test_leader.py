"""What a leader does for a follower that needs entries older than its memory, or its
log."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.messages import (
    AppendEntries,
    AppendEntriesReply,
    HardState,
    PeerMessage,
    RequestVoteReply,
)
from tests.consensus.replicas import Contents, Replica
from tests.consensus.script import TICKS
from tests.consensus.test_follower import entries


def settle(replica: Replica) -> list[PeerMessage]:
    """Write what is ready; return what is said."""
    said = replica.speak()
    while replica.begin_write() is not None:
        said += replica.finish_write()
        said += replica.speak()
    return [message for _, message in said]


class CompactedTests(SynchronousTestCase):
    """The leader a has eleven entries; b has all of them, c has ten."""

    def test_late_rejection(self) -> None:
        """Who has lost what it had, and says so once that is compacted away, gets a
        snapshot: of which term it was nobody knows any more."""
        replica = Replica("a", ("a", "b", "c"), TICKS, Random(1))
        replica.written = Contents(HardState(1), entries(*[1] * 10), 10, 10)
        replica.start()
        raft = replica.raft
        raft.peer_connected("b")
        raft.peer_connected("c")
        raft.become_candidate(handed_over=True)
        settle(replica)
        raft.step("b", RequestVoteReply(2, granted=True))
        settle(replica)
        raft.step("b", AppendEntriesReply(2, match_index=11))
        raft.step("c", AppendEntriesReply(2, match_index=10))
        settle(replica)
        raft.peer_connected("c")
        settle(replica)
        raft.compact(11)

        raft.step("c", AppendEntriesReply(2, rejected_index=10, conflict_index=1))
        settle(replica)

        self.assertEqual(raft.snapshots, ["c"])


class FetchTests(SynchronousTestCase):
    """The leader a has ten entries and remembers the last two; b has one."""

    def setUp(self) -> None:
        self.replica = Replica("a", ("a", "b"), TICKS, Random(1))
        self.log = entries(*[1] * 10)
        self.replica.written = Contents(HardState(1), self.log, 10, 10)
        self.replica.tail_entries_max = 2
        self.replica.start()
        self.raft = self.replica.raft
        self.raft.peer_connected("b")
        self.raft.become_candidate(handed_over=True)
        self.settle()
        self.raft.step("b", RequestVoteReply(2, granted=True))
        self.settle()
        self.raft.step("b", AppendEntriesReply(2, rejected_index=10, conflict_index=2))

    def settle(self) -> list[PeerMessage]:
        return settle(self.replica)

    def test_asks_once(self) -> None:
        """It asks for what it does not remember, and not again before the answer."""
        self.assertEqual(self.settle(), [])
        self.assertEqual(self.raft.fetches, [("b", 2)])

        self.settle()

        self.assertEqual(self.raft.fetches, [("b", 2)])

    def test_sends_what_was_fetched(self) -> None:
        """What comes from disk goes out as an append where it was asked for."""
        self.settle()

        self.raft.fetched("b", self.log[1:5])

        self.assertEqual(self.settle(), [AppendEntries(2, 1, 1, 10, self.log[1:5])])

    def test_other_entries_are_not_sent(self) -> None:
        """Entries for a place that is not the next any more are left."""
        self.settle()
        self.raft.fetches.clear()

        self.raft.fetched("b", self.log[3:5])

        self.assertEqual(self.settle(), [])
        self.assertEqual(self.raft.fetches, [("b", 2)])

    def test_reconnected_meanwhile(self) -> None:
        """What was asked for before a reconnection is asked for anew."""
        self.settle()
        self.raft.peer_connected("b")

        self.raft.fetched("b", self.log[1:5])

        self.assertEqual(self.settle(), [])
        self.assertEqual(self.raft.fetches, [("b", 2), ("b", 2)])

    def test_overwritten_entries_are_not_sent(self) -> None:
        """What was read in an earlier office, and overwritten since, is left."""
        self.settle()

        self.raft.fetched("b", (*self.log[1:4], *entries(2, first=5)))

        self.assertEqual(self.settle(), [])
