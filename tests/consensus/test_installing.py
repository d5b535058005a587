"""How a follower takes a snapshot, and what comes while that replaces its log."""

from __future__ import annotations

from random import Random

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.messages import (
    AppendEntries,
    AppendEntriesReply,
    HardState,
    Heartbeat,
    InstallSnapshot,
    PeerMessage,
)
from tests.consensus.replicas import Contents, Replica, entries, settle, told


class InstallingTests(SynchronousTestCase):
    """A follower of three that has nothing; its leader has ten entries."""

    def setUp(self) -> None:
        self.replica = Replica("b", ("a", "b", "c"), Random(1))
        self.replica.written = Contents(HardState(1))
        self.replica.start()
        self.raft = self.replica.raft

    def told(self, message: PeerMessage) -> list[PeerMessage]:
        """Give it a message of a; return all that it says."""
        return [message for _, message in told(self.replica, "a", message)]

    def test_part(self) -> None:
        """A part of what is not here is kept for whoever puts them together."""
        part = InstallSnapshot(1, 5, 1, part=0, rows=msgspec.Raw(b"[]"))

        self.assertEqual(self.told(part), [])

        self.assertEqual(self.raft.snapshot_parts, [("a", part)])
        self.assertEqual(self.raft.leader, "a")

    def test_part_of_what_is_here(self) -> None:
        """A log that holds what a snapshot ends with commits it, and needs no part."""
        self.told(AppendEntries(1, 0, 0, 0, entries(1, 1, 1, 1, 1, 1)))
        part = InstallSnapshot(1, 5, 1, part=0, rows=msgspec.Raw(b"[]"))

        self.assertEqual(self.told(part), [AppendEntriesReply(1, match_index=5)])

        self.assertEqual(self.raft.snapshot_parts, [])
        self.assertEqual((self.raft.log.last_index, self.raft.commit_index), (6, 5))

    def test_entries_meanwhile(self) -> None:
        """Entries and commits that come during an installation wait for their next
        sending: no ack promises what the installation takes away."""
        raft = self.raft
        self.assertTrue(raft.begins_install(5, 1))
        self.told(AppendEntries(1, 0, 0, 10, entries(*[1] * 10)))
        self.told(Heartbeat(1, 10, 1))
        self.assertEqual((raft.log.last_index, raft.commit_index), (0, 0))

        raft.installed("a", 5, 1)

        ready = raft.ready()
        assert ready is not None
        acks = [m for _, m in ready.messages if isinstance(m, AppendEntriesReply)]
        self.assertEqual([ack.match_index for ack in acks], [5])
        raft.step("a", AppendEntries(1, 5, 1, 10, entries(*[1] * 5, first=6)))
        self.assertEqual((raft.log.last_index, raft.commit_index), (10, 10))

    def test_entries_before(self) -> None:
        """A log that has come to hold all of a snapshot keeps what it has acked."""
        raft = self.raft
        raft.step("a", AppendEntries(1, 0, 0, 0, entries(*[1] * 10)))

        self.assertFalse(raft.begins_install(5, 1))

        self.assertEqual((raft.log.last_index, raft.commit_index), (10, 5))
        settle(self.replica)
        self.assertEqual(len(self.replica.written.log), 10)
