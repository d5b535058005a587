"""Every named failpoint: a replica dies there, comes back, and nothing is broken."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from cartnet.simulator.cluster import SimulatedCluster
from cartnet.simulator.disk import Speed
from cartnet.simulator.faults.disks import Disks
from cartnet.simulator.faults.failpoints import FAILPOINTS, Failpoint, Failpoints
from cartnet.simulator.faults.victims import Victims
from cartnet.simulator.options import draw
from cartnet.simulator.run import Run
from cartnet.workload.findings import Tally

if TYPE_CHECKING:
    from collections.abc import Callable

REACHED_SECONDS_MAX: Final = 30.0
"""In which a point must be reached, while what leads to it is done again and again."""

ELECTIONS: Final = (
    "writing a term or vote",
    "pre_vote",
    "pre_vote_reply",
    "request_vote",
    "request_vote_reply",
)
NEW_NAMES: Final = ("applying an account", "applying a home")
STARTS: Final = ("hello", "writing what the file says of itself")
NEW_FILES: Final = (
    "making the file",
    "making the tables",
    "staging a part of a snapshot",
    "emptying what was staged",
    "emptying the tables for a snapshot",
    "installing a snapshot's rows",
    "install_snapshot",
    "install_snapshot_reply",
)


class Tour(Run):
    """A run whose only faults are crashes at one point after the other."""

    def __init__(self, points: tuple[Failpoint, ...]) -> None:
        options = replace(
            draw(1),
            sizes={"lb": 3, "s1": 3, "it": 3},
            log_kept=5,
            users=4,
            think_seconds=0.05,
            stock=20,
            target=None,
            faults=("crash",),
            drift=0.0,
            sale=0,
        )
        super().__init__(1, options)
        self.points = points
        victims = Victims(self.cluster, self.cluster.world.random("tour"), None)
        self.failpoints = Failpoints(victims, self.tally, self.cluster.kill)
        self.unreached: list[str] = []
        self.leads_there: dict[str, Callable[[], object]] = {
            **dict.fromkeys(ELECTIONS, self.crash_leader),
            **dict.fromkeys(STARTS, self.crash_follower),
            **dict.fromkeys(NEW_FILES, self.wipe_follower),
            **dict.fromkeys(NEW_NAMES, self.sign_up),
            "timeout_now": self.transfer,
            "taking back from the log": self.cut_leaders_off,
        }

    @override
    def safety(self, seconds: float) -> None:
        cluster = self.cluster
        cluster.start()
        cluster.run_until_serving()
        self.crowd.begin()
        for point in self.points:
            self.reach(point)
            self.crowd.check()

    def reach(self, point: Failpoint) -> None:
        self.failpoints.arm(point, self.cluster.topology.names)
        end = self.cluster.world.clock.seconds() + REACHED_SECONDS_MAX
        while self.failpoints.armed and self.cluster.world.clock.seconds() < end:
            self.leads_there.get(point.what, lambda: None)()
            self.cluster.world.clock.run_while(
                lambda: self.failpoints.armed is not None, seconds_max=2
            )
            self.restart()
        if self.failpoints.armed:
            self.unreached.append(point.name)
            self.failpoints.disarm()

    def restart(self) -> None:
        """Heal all, and let all go on for a while."""
        cluster = self.cluster
        cluster.world.network.heal()
        cluster.run_for(0.01)
        dead = [each for each in cluster.topology.names if each not in cluster.replicas]
        cluster.start(*dead) if dead else None
        cluster.run_for(0.3)

    # --- What leads there ------------------------------------------------------------

    def crash_leader(self) -> None:
        leader = self.cluster.leader("s1")
        if leader is not None:
            self.cluster.kill(leader)

    def follower(self) -> str | None:
        """One of a group whose members all run, and count."""
        leader = self.cluster.leader("s1")
        names = [name for name in ("s1r0", "s1r1", "s1r2") if name != leader]
        running = all(name in self.cluster.replicas for name in names)
        return names[0] if leader is not None and running else None

    def crash_follower(self) -> None:
        follower = self.follower()
        if follower is not None:
            self.cluster.kill(follower)
            self.cluster.start(follower)

    def wipe_follower(self) -> None:
        follower = self.follower()
        if follower is not None and self.cluster.all_count("s1"):
            self.cluster.kill(follower)
            self.cluster.world.hosts[follower].disk.wipe()
            self.cluster.start(follower)

    def sign_up(self) -> None:
        """The names that customers fight for are given away by and by."""
        prober = self.crowd.prober
        key = prober.key()
        args = {"username": f"new{key}", "password": "a password"}
        made = prober.do(args["username"], "create_account", args, key=key)
        Deferred.fromCoroutine(made)

    def transfer(self) -> None:
        leader, follower = self.cluster.leader("s1"), self.follower()
        if leader is not None and follower is not None:
            self.cluster.replicas[leader].transfer(follower)

    def cut_leaders_off(self) -> None:
        """From their followers alone: what they are asked is in no other log."""
        for group in self.cluster.topology.groups:
            leader = self.cluster.leader(group.name)
            if leader is not None:
                others = [name for name in group.names if name != leader]
                self.cluster.world.network.partition([leader], others)
        self.cluster.run_for(2)
        self.cluster.world.network.heal()


class FailpointTests(SynchronousTestCase):
    """Each is reached in any build of the product, or the list is wrong."""

    def tour(self, *points: Any) -> None:
        tour = Tour(points)
        outcome = tour.run(0)

        self.assertEqual(outcome.told, "")
        self.assertEqual(tour.unreached, [])
        for point in points:
            self.assertEqual(outcome.tally.reached[f"died {point.name}"], 1)

    def test_before(self) -> None:
        """A replica dies just before each."""
        self.tour(*(point for point in FAILPOINTS if point.when == "before"))

    def test_after(self) -> None:
        """A replica dies just after each."""
        self.tour(*(point for point in FAILPOINTS if point.when == "after"))

    def test_other_faults(self) -> None:
        """A point stays armed when disks are mended, and a disk full when the point is
        given up."""
        cluster = SimulatedCluster(seed=1)
        victims = Victims(cluster, cluster.world.random("faults"), None)
        failpoints = Failpoints(victims, Tally(), cluster.kill)
        disks = Disks(victims, Speed(), Tally())
        hosts = [cluster.world.hosts[name] for name in victims.names]

        def hooks() -> int:
            return sum(len(host.disk.before) for host in hosts)

        failpoints.arm(Failpoint("before", "writing to the log"), ["s1r0"])
        disks.full()
        self.assertEqual(hooks(), 2)
        disks.mend()
        self.assertEqual(hooks(), 1)
        disks.full()
        failpoints.disarm()
        self.assertEqual(hooks(), 1)
        disks.mend()
        self.assertEqual(hooks(), 0)

    def test_names(self) -> None:
        """No two are alike, and there are more than a few."""
        names = {point.name for point in FAILPOINTS}

        self.assertEqual(len(names), len(FAILPOINTS))
        self.assertGreaterEqual(len(names), 30)
