"""What a follower makes of appends and heartbeats that are old, odd or repeated."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.messages import (
    AppendEntries,
    AppendEntriesReply,
    HardState,
    Heartbeat,
    HeartbeatReply,
    PeerMessage,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)
from tests.consensus.replicas import Contents, Replica, entries, told


class FollowerTests(SynchronousTestCase):
    """A follower b of term 3, with entries of terms 1, 1, 2, 2."""

    def setUp(self) -> None:
        self.replica = Replica("b", ("a", "b", "c"), Random(1))
        self.replica.written = Contents(HardState(3), entries(1, 1, 2, 2), 1, 1)
        self.replica.start()
        self.raft = self.replica.raft

    def told(self, message: PeerMessage) -> list[PeerMessage]:
        """Give it a message of a; return all that it says."""
        return [message for _, message in told(self.replica, "a", message)]

    def test_commits_no_further_than_the_append(self) -> None:
        """What follows in its own log may be wrong: it is not committed yet."""
        self.told(AppendEntries(3, 2, 1, commit_index=4))

        self.assertEqual(self.raft.commit_index, 2)
        self.assertEqual(self.raft.log.last_index, 4)

    def test_conflict_is_overwritten(self) -> None:
        """The first entry that differs goes, with all behind it."""
        said = self.told(AppendEntries(3, 2, 1, 1, entries(3, first=3)))

        self.assertEqual([e.term for e in self.replica.written.log], [1, 1, 3])
        self.assertEqual(said, [AppendEntriesReply(3, match_index=3)])

    def test_old_append_takes_nothing_away(self) -> None:
        """A repeated append with less than is there leaves what follows."""
        said = self.told(AppendEntries(3, 1, 1, 1, entries(1, first=2)))

        self.assertEqual(self.raft.log.last_index, 4)
        self.assertEqual(said, [AppendEntriesReply(3, match_index=2)])

    def test_older_term(self) -> None:
        """A leader of an older term is told of the newer one, and nothing else."""
        append = self.told(AppendEntries(2, 4, 2, 4, entries(2, first=5)))
        heartbeat = self.told(Heartbeat(2, commit_index=4, round=7))

        self.assertEqual(append, [HeartbeatReply(3, round=0)])
        self.assertEqual(heartbeat, [HeartbeatReply(3, round=0)])
        self.assertEqual((self.raft.log.last_index, self.raft.commit_index), (4, 1))

    def test_timeout_now_of_a_stranger(self) -> None:
        """Only the leader that it follows can make it campaign."""
        self.assertEqual(self.told(TimeoutNow(3)), [])

        self.assertEqual(self.raft.term, 3)

    def test_gap(self) -> None:
        """Where entries are missing it says from where on, and writes nothing."""
        said = self.told(AppendEntries(3, 9, 3, 1, entries(3, first=10)))

        rejection = AppendEntriesReply(3, rejected_index=9, conflict_index=5)
        self.assertEqual(said, [rejection])
        self.assertEqual(len(self.replica.written.log), 4)

    def test_new_file(self) -> None:
        """Who is not let in yet gives nobody its vote, and then only in later terms:
        what the former file has voted in this one is not known."""
        self.raft.admitted = False
        asked = RequestVote(4, 9, 3, handed_over=True)
        self.assertEqual(self.told(asked), [RequestVoteReply(4, granted=False)])

        self.raft.admit(4)

        self.assertEqual(self.told(asked), [RequestVoteReply(4, granted=False)])
        asked = RequestVote(5, 9, 3, handed_over=True)
        self.assertEqual(self.told(asked), [RequestVoteReply(5, granted=True)])
