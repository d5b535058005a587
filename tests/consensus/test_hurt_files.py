"""What a group does about a file that is new, forgets something, or holds other tables
than a majority's."""

from __future__ import annotations

from random import Random

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.leader import Leader
from cartnet.consensus.messages import (
    AppendEntriesReply,
    Dispute,
    Diverged,
    Forgotten,
    HardState,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
)
from tests.consensus.replicas import (
    TICKS,
    Contents,
    Replica,
    entries,
    leader,
    settle,
    told,
)


class LeaderTests(SynchronousTestCase):
    """The leader a of three; b and c have acknowledged its eleven entries."""

    def setUp(self) -> None:
        self.replica = leader("b", "c")
        self.raft = self.replica.raft
        settle(self.replica)
        for voter in "bc":
            told(self.replica, voter, AppendEntriesReply(2, match_index=11))
        self.raft.digests.recorded(11, "x")

    def says(self, voter: str, digest: str) -> list[object]:
        """``voter`` says what it has after the eleventh entry."""
        return [*told(self.replica, voter, HeartbeatReply(2, 0, (), 11, digest))]

    def test_forgotten(self) -> None:
        """Who rejects what it has acknowledged is told which entry it lacks."""
        self.raft.peer_connected("c")
        settle(self.replica)
        rejection = AppendEntriesReply(2, rejected_index=11, conflict_index=5)

        said = told(self.replica, "c", rejection)

        self.assertEqual(said, [("c", Forgotten(2, 11, 2))])

    def test_minority_of_tables(self) -> None:
        """Who differs from a majority is told so, once, and this leader may go on."""
        self.assertEqual(self.says("c", "y"), [])
        self.assertEqual(self.says("b", "x"), [("c", Diverged(2, 11, "x"))])

        self.assertEqual(self.says("b", "x"), [])
        self.assertFalse(self.raft.has_diverged)

    def test_own_tables(self) -> None:
        """A leader that is the minority knows it."""
        self.says("b", "y")
        self.says("c", "y")

        self.assertTrue(self.raft.has_diverged)

    def test_uncounted_tables(self) -> None:
        """Who does not count has no say in whose tables are right."""
        self.raft.count("c", counts=False)
        self.says("b", "y")
        self.says("c", "y")
        self.assertFalse(self.raft.has_diverged)

        self.raft.count("c", counts=True)
        self.says("c", "y")

        self.assertTrue(self.raft.has_diverged)

    def test_tables_in_doubt(self) -> None:
        """While nobody knows whose tables are right, they are copied to nobody."""
        self.raft.compact(11)
        self.says("b", "y")
        self.raft.has_new_file("c")
        settle(self.replica)
        rejection = AppendEntriesReply(2, rejected_index=11, conflict_index=1)

        told(self.replica, "c", rejection)
        self.raft.send_snapshot_part(
            "c", InstallSnapshot(2, 11, 2, part=0, rows=msgspec.Raw(b"[]"))
        )
        self.assertEqual(settle(self.replica), [])
        self.assertEqual(self.raft.snapshots, [])
        self.says("b", "x")

        self.assertEqual(self.raft.snapshots, ["c"])

    def test_disputed_tables(self) -> None:
        """A leader whose group cannot decide serves nobody."""
        self.assertTrue(self.raft.may_serve)
        for _ in range(TICKS.election):
            self.says("b", "y")
            self.raft.tick()

        self.assertFalse(self.raft.may_serve)

    def test_new_file(self) -> None:
        """What was acknowledged in a file that is gone counts for nothing."""
        role = self.raft.role
        assert isinstance(role, Leader)
        self.assertEqual(role.progress["c"].match_index, 11)

        self.raft.has_new_file("c")

        self.assertEqual(role.progress["c"].match_index, 0)


class FollowerTests(SynchronousTestCase):
    """The follower b of a, in term 3, with entries of terms 1, 1, 2, 2, all applied."""

    def setUp(self) -> None:
        self.replica = Replica("b", ("a", "b", "c"), Random(1))
        self.replica.written = Contents(HardState(3), entries(1, 1, 2, 2), 4, 4)
        self.replica.start()
        self.raft = self.replica.raft
        self.raft.digests.recorded(4, "x")

    def test_lacks_what_it_had(self) -> None:
        """An entry that is neither in the log nor compacted has been forgotten."""
        told(self.replica, "a", Forgotten(3, 4, 2))
        self.assertFalse(self.raft.has_forgotten)

        told(self.replica, "a", Forgotten(3, 5, 3))

        self.assertTrue(self.raft.has_forgotten)

    def test_compacted(self) -> None:
        """What was compacted is in the tables, and not forgotten."""
        self.raft.compact(4)

        told(self.replica, "a", Forgotten(3, 3, 3))

        self.assertFalse(self.raft.has_forgotten)

    def test_other_tables(self) -> None:
        """Tables are others' where a majority's digest differs at the same index."""
        told(self.replica, "a", Diverged(3, 4, "x"))
        told(self.replica, "a", Diverged(3, 2, "y"))
        self.assertFalse(self.raft.has_diverged)

        told(self.replica, "a", Diverged(3, 4, "y"))

        self.assertTrue(self.raft.has_diverged)

    def test_dispute(self) -> None:
        """A follower hears from its leader what the group cannot decide."""
        dispute = Dispute(4, {"a": "x", "c": "y"})

        told(self.replica, "a", Heartbeat(3, 4, 1, dispute))

        self.assertTrue(self.raft.digests.in_doubt)
