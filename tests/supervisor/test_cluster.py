"""The cluster as one of its processes sees it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from cartnet.errors import Refused
from cartnet.limits import STATUS_SECONDS_MAX, SUPERVISE_REPLY_SECONDS
from tests.supervisor.replicas import Ports, Process, World, cluster_of


class ClusterTests(SynchronousTestCase):
    """Three processes: this one, a neighbour of three replicas, one of a single."""

    def setUp(self) -> None:
        self.world = World()
        self.clock = Clock()
        self.here = Process(self.world, self.clock, "lb0", "lb1")
        self.there = Process(self.world, self.clock, "s1r0", "s1r1", "s1r2")
        self.alone = Process(self.world, self.clock, "it0")
        for process in (self.here, self.there, self.alone):
            self.successResultOf(process.start())
        self.ports = Ports(self.here, self.there, self.alone)
        self.cluster = cluster_of(self.clock, self.here, self.ports)

    def doing(self, work: Coroutine[Any, Any, Any]) -> Deferred[Any]:
        return Deferred.fromCoroutine(work)

    def done(self, work: Coroutine[Any, Any, Any] | Deferred[Any]) -> Any:
        return self.successResultOf(work)

    def refused(self, work: Coroutine[Any, Any, Any]) -> tuple[str, str]:
        error = self.failureResultOf(work, Refused).value
        return error.code, error.message

    def states(self) -> dict[str, str]:
        found = self.done(self.cluster.statuses())
        return {status.name: status.state for status in found}

    def test_statuses_of_all(self) -> None:
        """All replicas are listed, whichever process runs them."""
        self.done(self.there.supervisor.kill("s1r1"))

        self.assertEqual(
            self.states(),
            {
                "lb0": "alive",
                "lb1": "alive",
                "s1r0": "alive",
                "s1r1": "dead",
                "s1r2": "alive",
                "it0": "alive",
            },
        )

    def test_own_replicas_are_not_asked_over_the_network(self) -> None:
        """This process's replicas are known without a call."""
        self.done(self.cluster.statuses())

        self.assertEqual({name for name, _ in self.ports.asked} & {"lb0", "lb1"}, set())

    def test_unreachable(self) -> None:
        """A replica that listens and does not answer is unreachable, not dead."""
        self.there.hangs = True
        asking = self.doing(self.cluster.statuses())
        self.assertNoResult(asking)

        self.clock.advance(STATUS_SECONDS_MAX)

        states = [status.state for status in self.successResultOf(asking)]
        self.assertEqual(states, ["alive"] * 2 + ["unreachable"] * 3 + ["alive"])

    def test_leader_of_the_higher_term(self) -> None:
        """Of two leaders of a group the one with the higher term counts."""
        self.assertEqual(self.done(self.cluster.leader("s1")), "s1r0")
        self.world.leaders["s1r1"] = 4

        self.assertEqual(self.done(self.cluster.leader("s1")), "s1r1")
        roles = [each.role for each in self.done(self.cluster.group_statuses("s1"))]
        self.assertEqual(roles, ["-", "leader", "follower"])

    def test_no_leader(self) -> None:
        """A group without a leader has none; a group that is not is an error."""
        self.done(self.there.supervisor.kill("s1r0"))

        self.assertIsNone(self.done(self.cluster.leader("s1")))
        self.assertEqual(
            self.refused(self.cluster.leader("s9")),
            ("not_found", "no group is called s9; there are lb, s1, it"),
        )

    def test_kill_and_start_elsewhere(self) -> None:
        """A replica of another process is killed and started through a neighbour."""
        self.done(self.cluster.kill("s1r1"))
        self.assertEqual(self.states()["s1r1"], "dead")
        self.assertEqual(
            self.refused(self.cluster.kill("s1r1")),
            ("conflict", "s1r1 is dead already"),
        )

        self.done(self.cluster.start("s1r1"))
        self.assertEqual(self.states()["s1r1"], "alive")
        self.assertEqual(
            self.refused(self.cluster.start("s1r1")), ("conflict", "s1r1 is alive")
        )

        self.done(self.cluster.restart("s1r1"))

    def test_kill_through_its_own_port(self) -> None:
        """The only replica of a process is killed through its own port."""
        killing = self.doing(self.cluster.kill("it0"))
        for _ in range(3):
            self.clock.advance(SUPERVISE_REPLY_SECONDS)

        self.successResultOf(killing)
        self.assertEqual(self.states()["it0"], "dead")
        self.assertEqual(
            self.refused(self.cluster.kill("it0")), ("conflict", "it0 is dead already")
        )

    def test_restart_through_its_own_port(self) -> None:
        """The only replica of a process is restarted through its own port."""
        restarting = self.doing(self.cluster.restart("it0"))
        for _ in range(3):
            self.clock.advance(SUPERVISE_REPLY_SECONDS)

        self.successResultOf(restarting)
        self.assertEqual(self.world.events.count("it0 started"), 2)

    def test_start_without_a_process(self) -> None:
        """Where no process could start a replica the error says what to type."""
        self.ports.processes = (self.here, self.there)
        message = (
            "no process that runs it0 answers; on the host of 127.0.0.1:7105 run:"
            " twistd cartnet --replica it0"
        )

        for work in (self.cluster.start("it0"), self.cluster.restart("it0")):
            self.assertEqual(self.refused(work), ("unavailable", message))

    def test_start_of_a_living_one_alone(self) -> None:
        """A living replica without neighbours cannot be started either."""
        self.assertEqual(
            self.refused(self.cluster.start("it0")), ("conflict", "it0 is alive")
        )

    def test_logs(self) -> None:
        """A replica's log comes from its process, if that answers at all."""
        read = self.cluster.log
        self.assertEqual(self.done(read("lb0", 1)), ["lb0 says 9"])
        self.assertEqual(self.done(read("it0", 2)), ["it0 says 8", "it0 says 9"])
        self.done(self.there.supervisor.kill("s1r1"))
        self.assertEqual(self.done(read("s1r1", 1)), ["s1r1 says 9"])

        self.done(self.alone.supervisor.kill("it0"))

        self.assertEqual(
            self.refused(read("it0", 1)),
            ("unavailable", "no process that runs it0 answers"),
        )
        self.assertEqual(
            self.refused(read("../it0", 1)),
            ("not_found", "no replica is called ../it0"),
        )

    def test_hanging_process(self) -> None:
        """What a process that hangs is asked for ends with an error in time."""
        self.alone.hangs = True
        killing = self.doing(self.cluster.kill("it0"))
        self.clock.advance(STATUS_SECONDS_MAX)

        error = self.failureResultOf(killing, Refused).value
        self.assertEqual(error.message, "it0 at 127.0.0.1:7105 does not answer")

    def test_unknown_names(self) -> None:
        """Names of no replica are refused before anybody is asked."""
        for act in (self.cluster.kill, self.cluster.start, self.cluster.restart):
            self.assertEqual(
                self.refused(act("s7r7")), ("not_found", "no replica is called s7r7")
            )
        self.assertEqual(self.ports.asked, [])

    def test_stop(self) -> None:
        """Stopping closes the connections to every group."""
        self.cluster.stop()

        self.assertEqual(self.ports.stopped, 3)
