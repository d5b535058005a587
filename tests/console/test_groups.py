from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from cartnet.console.groups import Groups, replica_reports
from cartnet.console.report import GroupReport
from cartnet.limits import COMMIT_WINDOW_SECONDS, DIGESTS_SEEN_MAX
from cartnet.replica.status import Status
from cartnet.topology.groups import group_of_addresses

GROUP = group_of_addresses("s1", "shard", ("h:1", "h:2", "h:3"))
A, B, C = GROUP.names


def status(name: str, state: Any = "alive", **more: Any) -> Status:
    return Status(name, GROUP.member(name).address, "s1", state, **more)


class GroupsTests(SynchronousTestCase):
    """A group of three, put together from what its members say."""

    def setUp(self) -> None:
        self.groups = Groups([GROUP])
        self.now = 100.0

    def look(self, *statuses: Status, seconds: float = 0.25) -> GroupReport:
        self.now += seconds
        (group,) = self.groups.look(statuses, self.now)
        return group

    def test_everyone_is_well(self) -> None:
        """The leader's word counts for what only it knows."""
        group = self.look(
            status(
                A,
                role="leader",
                leader=A,
                term=4,
                commit=120,
                write_p50_ms=2.0,
                write_p99_ms=8.5,
            ),
            status(B, role="follower", leader=A, term=4, commit=118),
            status(C, role="follower", leader=A, term=4, commit=119),
        )

        self.assertEqual(
            group,
            GroupReport(
                name="s1",
                kind="shard",
                leader=A,
                term=4,
                members=(A, B, C),
                alive=3,
                majority=2,
                quorum="full",
                commit=120,
                writes_per_second=0.0,
                write_p50_ms=2.0,
                write_p99_ms=8.5,
                digests="unknown",
                digest_index=0,
            ),
        )

    def test_quorum(self) -> None:
        """A majority goes on with less, and a minority does not."""
        dead, paused = status(A, "dead"), status(B, "paused")
        for statuses, alive, quorum in (
            ((dead, status(B), status(C)), 2, "reduced"),
            ((dead, paused, status(C)), 1, "lost"),
            ((), 0, "lost"),
        ):
            group = self.look(*statuses)
            self.assertEqual((group.alive, group.quorum), (alive, quorum))

    def test_leader(self) -> None:
        """Who leads is told by itself, or by others while only we cannot reach it."""
        follower = status(B, leader=A, term=4)
        for first, leader in (
            (status(A, role="leader", leader=A, term=4), A),
            (status(A, "unreachable"), A),
            (status(A, "paused"), None),
            (status(A, "dead"), None),
        ):
            group = self.look(first, follower, status(C, role="candidate", term=4))
            self.assertEqual((group.leader, group.term), (leader, 4))

    def test_term(self) -> None:
        """The term is the leader's; without one, the highest that is heard of."""
        follower = status(B, leader=A, term=4)
        candidate = status(C, role="candidate", term=9)
        leader = status(A, role="leader", leader=A, term=4)

        self.assertEqual(self.look(leader, follower, candidate).term, 4)
        self.assertEqual(self.look(status(A, "dead"), follower, candidate).term, 9)

    def test_commit_outlives_those_who_told_it(self) -> None:
        """While nobody is there the last commit index stays the last that is known."""
        self.look(status(A, commit=120))

        self.assertEqual(self.look(status(A, "dead")).commit, 120)

    def test_writes_per_second(self) -> None:
        """Writes are counted by the growth of the log in the last seconds."""
        commit = 1000
        for _ in range(100):
            commit += 5
            rate = self.look(status(A, commit=commit)).writes_per_second
        self.assertEqual(rate, 20.0)

        self.look(status(A, commit=commit), seconds=COMMIT_WINDOW_SECONDS)
        rate = self.look(status(A, commit=commit)).writes_per_second

        self.assertEqual(rate, 0.0)

    def test_group_that_begins_anew(self) -> None:
        """A commit index that falls is a beginning, and no rate below zero."""
        self.look(status(A, commit=1000))

        self.assertEqual(self.look(status(A, commit=3)).writes_per_second, 0.0)
        self.assertEqual(self.look(status(A, commit=4)).writes_per_second, 4.0)

    def test_equal_digests(self) -> None:
        """Equal digests at one index are found, although not all have the newest."""
        group = self.look(
            status(A, digest="x", digest_index=10),
            status(B, digest="x", digest_index=10),
            status(C),
        )
        self.assertEqual((group.digests, group.digest_index), ("equal", 10))

        group = self.look(
            status(A, digest="y", digest_index=20),
            status(B, digest="x", digest_index=10),
            status(C, digest="y", digest_index=20),
        )
        self.assertEqual((group.digests, group.digest_index), ("equal", 20))
        group = self.look(
            status(A, digest="z", digest_index=30),
            status(B, digest="x", digest_index=10),
            status(C, digest="y", digest_index=20),
        )
        self.assertEqual((group.digests, group.digest_index), ("equal", 20))

    def test_unknown_digests(self) -> None:
        """A minority's digests tell nothing."""
        group = self.look(status(A, digest="x", digest_index=10), status(B), status(C))

        self.assertEqual((group.digests, group.digest_index), ("unknown", 0))

    def test_differing_digests(self) -> None:
        """Two that differ show, until one of them has begun anew."""
        others = [
            status(A, digest="x", digest_index=10, uptime_seconds=90.0),
            status(C, digest="x", digest_index=10, uptime_seconds=90.0),
        ]
        wrong = status(B, digest="o", digest_index=10, uptime_seconds=90.0)
        group = self.look(*others, wrong)
        self.assertEqual((group.digests, group.digest_index), ("differ", 10))
        newer = status(B, digest="p", digest_index=20, uptime_seconds=91.0)
        self.assertEqual(self.look(*others, newer).digests, "differ")

        group = self.look(*others, status(B, uptime_seconds=0.1))

        self.assertEqual((group.digests, group.digest_index), ("equal", 10))

    def test_dead_ones_digest(self) -> None:
        """What a dead replica has said is not held against the others."""
        self.look(*[status(name, digest="x", digest_index=10) for name in (A, B)])

        group = self.look(status(A, digest="y", digest_index=20), status(B, "dead"))

        self.assertEqual(group.digests, "unknown")

    def test_stopped_group(self) -> None:
        """A group that has stopped over its tables says why: they differ."""
        self.assertEqual(self.look(status(A, stopped="because")).digests, "differ")

    def test_digests_are_forgotten(self) -> None:
        """Of digests long past nothing is kept."""
        self.look(status(A, digest="x", digest_index=1))
        for index in range(2, DIGESTS_SEEN_MAX + 3):
            self.look(status(A, digest="y", digest_index=index))

        group = self.look(
            status(A, digest="y", digest_index=99),
            status(B, digest="o", digest_index=1),
        )

        self.assertEqual(group.digests, "unknown")

    def test_replicas(self) -> None:
        """Of a replica it is told how far behind it is, and whether it is ours."""
        statuses = [
            status(A, role="leader", commit=120, applied=120),
            status(B, commit=110, applied=100),
            status(C, "dead"),
        ]
        reports = replica_reports(statuses, [self.look(*statuses)], (A, C))

        self.assertEqual([report.lag for report in reports], [0, 20, None])
        self.assertEqual([report.here for report in reports], [True, False, True])
        self.assertEqual(
            [(each.name, each.state, each.commit) for each in reports],
            [(A, "alive", 120), (B, "alive", 110), (C, "dead", 0)],
        )
