"""Faults and hand-overs, here and in other processes."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from cartnet.errors import Refused
from cartnet.limits import STATUS_SECONDS_MAX, TRANSFER_SECONDS_MAX
from cartnet.replica.gate import FAULTS, Fault
from tests.supervisor.replicas import Ports, Process, World, cluster_of


class FaultTests(SynchronousTestCase):
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

    def do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.successResultOf(work)

    def refused(self, work: Coroutine[Any, Any, Any]) -> tuple[str, str]:
        error = self.failureResultOf(work, Refused).value
        return error.code, error.message

    def state(self, name: str) -> str:
        (status,) = self.do(self.cluster.statuses([name]))
        return str(status.state)

    def test_faults(self) -> None:
        """A replica is paused and isolated wherever it runs, and ended likewise."""
        for name in ("lb1", "s1r1", "it0"):
            for begin, end, state in (
                ("pause", "resume", "paused"),
                ("isolate", "heal", "unreachable"),
            ):
                self.inject(begin, name)
                self.assertEqual(self.state(name), state)
                self.inject(end, name)
                self.assertEqual(self.state(name), "alive")

    def inject(self, fault: Any, name: str) -> None:
        self.do(self.cluster.inject(fault, name))

    def test_refused(self) -> None:
        """Unknown and dead replicas have no faults, nor do processes that hang."""
        faults: tuple[Fault, ...] = FAULTS
        self.do(self.cluster.kill("lb1"))
        self.do(self.cluster.kill("s1r1"))
        for fault in faults:
            self.assertEqual(
                self.refused(self.cluster.inject(fault, "s7r7")),
                ("not_found", "no replica is called s7r7"),
            )
            for name in ("lb1", "s1r1"):
                self.assertEqual(
                    self.refused(self.cluster.inject(fault, name)),
                    ("conflict", f"{name} is dead"),
                )
        self.alone.hangs = True
        pausing = Deferred.fromCoroutine(self.cluster.inject("pause", "it0"))
        self.clock.advance(STATUS_SECONDS_MAX)
        error = self.failureResultOf(pausing, Refused).value
        self.assertEqual(error.message, "it0 at 127.0.0.1:7105 does not answer")

    def test_switched_off(self) -> None:
        """Faults are for where they are switched on, here and there; what was paused
        before can go on."""
        cautious = cluster_of(self.clock, self.here, self.ports, chaos=False)
        works: list[Coroutine[Any, Any, Any]] = [
            cautious.inject(fault, "s1r0") for fault in ("pause", "isolate", "heal")
        ]
        for work in (*works, cautious.heal_all()):
            code, message = self.refused(work)
            self.assertEqual(code, "forbidden")
            self.assertIn("chaos = yes", message)
        self.inject("pause", "s1r0")
        self.do(cautious.inject("resume", "s1r0"))

        there = Process(self.world, self.clock, "s1r0", chaos=False)
        self.do(there.start())
        self.assertEqual(
            self.failureResultOf(
                Deferred.fromCoroutine(there.supervisor.call("pause", "s1r0")), Refused
            ).value.code,
            "forbidden",
        )

    def test_heal_all(self) -> None:
        """All that are isolated are healed, paused ones too; the rest is left alone."""
        for name in ("lb0", "s1r1", "it0"):
            self.inject("isolate", name)
        self.inject("pause", "s1r1")
        self.do(self.cluster.kill("s1r2"))

        self.assertEqual(self.do(self.cluster.heal_all()), ["lb0", "s1r1", "it0"])
        self.assertEqual(self.do(self.cluster.heal_all()), [])
        self.assertEqual(self.state("s1r1"), "paused")

    def test_kill_and_restart(self) -> None:
        """Replicas with a fault live: they cannot be started, and can be killed."""
        for name in ("lb1", "s1r1"):
            self.inject("pause", name)
            self.inject("isolate", name)
            self.assertEqual(
                self.refused(self.cluster.start(name)), ("conflict", f"{name} is alive")
            )
            self.do(self.cluster.restart(name))
            self.assertEqual(self.state(name), "alive")
            self.inject("pause", name)
            self.do(self.cluster.kill(name))
            self.assertEqual(self.state(name), "dead")

    def test_transfer(self) -> None:
        """The office of a leader, here or elsewhere, goes to whom it is told to."""
        for group, name in (("lb", "lb1"), ("s1", "s1r2")):
            self.do(self.cluster.transfer(group, name))
            self.assertEqual(self.do(self.cluster.leader(group)), name)

    def test_transfers_that_cannot_be(self) -> None:
        """Each mistake has its own answer, and changes nothing."""
        self.inject("pause", "s1r1")
        self.do(self.cluster.kill("s1r2"))
        for (group, name), answer in {
            ("s9", "s1r1"): (
                "not_found",
                "no group is called s9; there are lb, s1, it",
            ),
            ("s1", "s1r9"): ("not_found", "no replica is called s1r9"),
            ("s1", "lb0"): (
                "bad_request",
                "lb0 is no member of s1; its members are s1r0, s1r1, s1r2",
            ),
            ("s1", "s1r0"): ("conflict", "s1r0 leads s1 already"),
            ("s1", "s1r1"): ("conflict", "s1r1 is paused"),
            ("s1", "s1r2"): ("conflict", "s1r2 is dead"),
        }.items():
            self.assertEqual(self.refused(self.cluster.transfer(group, name)), answer)
        self.inject("resume", "s1r1")
        del self.world.leaders["s1r0"]
        self.assertEqual(
            self.refused(self.cluster.transfer("s1", "s1r1")),
            ("unavailable", "s1 has no leader at the moment"),
        )

    def test_transfer_that_does_not_happen(self) -> None:
        """A hand-over that is not taken up is said to have failed, in time."""
        self.world.stubborn.add("lb1")
        moving = Deferred.fromCoroutine(self.cluster.transfer("lb", "lb1"))
        for _ in range(40):
            self.clock.advance(TRANSFER_SECONDS_MAX / 30)

        error = self.failureResultOf(moving, Refused).value
        self.assertEqual(error.code, "timeout")
        self.assertEqual(error.message, "lb1 did not take over in time; lb0 leads")
