"""What a leader does for a follower that needs entries older than its memory, or its
log."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.messages import (
    AppendEntries,
    AppendEntriesReply,
    InstallSnapshot,
    InstallSnapshotReply,
    PeerMessage,
    PreVoteReply,
)
from tests.consensus.replicas import entries, leader, settle, told


class SnapshotTests(SynchronousTestCase):
    """The leader a has eleven entries, compacted; b has all of them, c has ten."""

    def setUp(self) -> None:
        self.replica = leader("b", "c")
        self.raft = self.replica.raft
        settle(self.replica)
        told(self.replica, "b", AppendEntriesReply(2, match_index=11))
        told(self.replica, "c", AppendEntriesReply(2, match_index=10))
        self.raft.peer_connected("c")
        settle(self.replica)
        self.raft.compact(11)

    def reject(self) -> None:
        rejection = AppendEntriesReply(2, rejected_index=10, conflict_index=1)
        told(self.replica, "c", rejection)

    def part(self, term: int) -> InstallSnapshot:
        return InstallSnapshot(term, 11, 2, part=0, rows=msgspec.Raw(b"[]"))

    def test_late_rejection(self) -> None:
        """Who has lost what it had, and says so once that is compacted away, gets a
        snapshot: of which term it was nobody knows any more."""
        self.reject()

        self.assertEqual(self.raft.snapshots, ["c"])

    def test_parts(self) -> None:
        """A part leaves in the term it was read for, and its answer is handed on."""
        self.reject()
        self.raft.send_snapshot_part("c", self.part(term=1))
        self.raft.send_snapshot_part("c", self.part(term=2))

        said = settle(self.replica)
        reply = InstallSnapshotReply(2, 11, next_part=1)
        told(self.replica, "c", reply)

        self.assertEqual(said, [("c", self.part(term=2))])
        self.assertEqual(self.raft.snapshot_replies, [("c", reply)])

    def test_no_office(self) -> None:
        """Who does not lead any more sends nothing of what it has begun to read."""
        self.reject()
        self.raft.step("b", PreVoteReply(3, granted=False))
        settle(self.replica)

        self.raft.send_snapshot_part("c", self.part(term=2))

        self.assertFalse(self.raft.leads)
        self.assertEqual(settle(self.replica), [])


class FetchTests(SynchronousTestCase):
    """The leader a has ten entries and remembers the last two; b has one."""

    def setUp(self) -> None:
        self.replica = leader("b", tail_entries_max=2)
        self.log = entries(*[1] * 10)
        self.raft = self.replica.raft
        self.settle()
        self.raft.step("b", AppendEntriesReply(2, rejected_index=10, conflict_index=2))

    def settle(self) -> list[PeerMessage]:
        return [message for _, message in settle(self.replica)]

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

    def test_compacted_meanwhile(self) -> None:
        """Where just that was compacted meanwhile, a snapshot follows instead."""
        self.settle()
        self.raft.compact(2)

        self.raft.fetched("b", self.log[1:5])

        self.assertEqual(self.settle(), [])
        self.assertEqual(self.raft.snapshots, ["b"])

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
