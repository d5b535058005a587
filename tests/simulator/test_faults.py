"""Real replicas that hang, or are cut off, and come back: in simulated time."""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from cartnet.errors import Refused
from cartnet.limits import FAULT_SECONDS_MAX
from cartnet.replica.gate import Fault
from cartnet.simulator.cluster import SimulatedCluster
from cartnet.simulator.options import OPERATOR_PASSWORD
from tests.simulator.running import assert_clean

FAILOVER_SECONDS_MAX = 0.6 + 2 * 0.1 + 0.1 + 0.3
"""The election timeout, two ranks, the jitter; votes, and an entry of the new term."""

BACK_IN_OFFICE_SECONDS_MAX = 20.0
"""Caught up, steady for a while, and a pause after an earlier hand-over."""


class FaultTests(SynchronousTestCase):
    """One fault after another in a cluster that serves."""

    def setUp(self) -> None:
        self.cluster = SimulatedCluster(seed=7)
        self.cluster.start()
        self.cluster.run_until_serving()
        self.client = self.cluster.client()
        args = {"username": "operator", "password": OPERATOR_PASSWORD}
        self.session = self.cluster.do(self.surely("login", args, resend=True))
        self.run_until_leads("s1r0", "it0", "lb0")
        self.cluster.run_for(3)

    async def surely(self, call: str, args: Any, **more: Any) -> Any:
        answer = await self.client.call(call, args, **more)
        decoded = msgspec.json.decode(answer)
        return decoded.get("session", decoded)

    def run_until_leads(self, *names: str, seconds_max: float = 20.0) -> float:
        def led() -> bool:
            return all(self.cluster.leader(_group(name)) == name for name in names)

        return self.cluster.run_until(led, seconds_max=seconds_max)

    def inject(self, fault: Fault, name: str) -> None:
        self.cluster.replicas[name].gate.inject(fault)

    def deposed(self, name: str) -> bool:
        return self.cluster.leader(_group(name)) not in (None, name)

    def put(self, item: str) -> Any:
        args = {"item": item, "name": item, "price": 1, "stock": 5}
        return self.surely(
            "put_item", args, session=self.session, key=f"put {item}", resend=True
        )

    def terms(self) -> dict[str, int]:
        return {name: r.term for name, r in self.cluster.replicas.items()}

    def assert_equal_tables(self, group: str) -> None:
        names = self.cluster.topology.group(group).names
        first, *others = [self.cluster.tables(name) for name in names]
        for other in others:
            self.assertEqual(other, first)

    def test_paused_leader(self) -> None:
        """A leader that hangs is replaced in time, clients go around it, and after it
        has gone on it follows, catches up, and leads again."""
        old = self.cluster.replicas["it0"]
        self.inject("pause", "it0")
        self.cluster.run_until(
            lambda: self.deposed("it0"), seconds_max=FAILOVER_SECONDS_MAX
        )
        self.assertTrue(old.leads, "it does not know yet")
        self.cluster.do(self.put("X"))
        self.cluster.run_for(5)
        self.assertEqual(old.status().state, "paused")

        self.inject("resume", "it0")

        self.cluster.run_until(lambda: not old.leads, seconds_max=0.2)
        self.run_until_leads("it0", seconds_max=BACK_IN_OFFICE_SECONDS_MAX)
        self.cluster.do(self.put("Y"))
        self.cluster.run_for(1)
        self.assert_equal_tables("it")

    def test_paused_follower(self) -> None:
        """A follower that hangs and goes on changes no term."""
        terms = self.terms()
        self.inject("pause", "it1")
        self.cluster.do(self.put("X"))
        self.cluster.run_for(30)
        self.inject("resume", "it1")
        self.cluster.run_for(5)

        self.assertEqual(self.terms(), terms)
        self.assert_equal_tables("it")

    def test_nothing_leaves_a_paused_replica(self) -> None:
        """What is asked of a replica that hangs is answered once it goes on."""
        self.inject("pause", "lb1")
        asked = self.client.call_member("lb1", "heartbeat", timeout=5)
        answers: list[Any] = []
        Deferred.fromCoroutine(asked).addBoth(answers.append)
        self.cluster.run_for(0.8)
        self.assertEqual(answers, [])

        self.inject("resume", "lb1")

        self.cluster.run_for(0.1)
        self.assertIn(b'"replica":"lb1"', bytes(answers[0]))

    def test_isolated_leader(self) -> None:
        """A leader that is cut off is replaced, lays its office down, serves nothing,
        and leads again when it is healed."""
        old = self.cluster.replicas["it0"]
        self.inject("isolate", "it0")
        self.assertEqual(old.status().state, "unreachable")

        self.cluster.run_until(
            lambda: self.deposed("it0") and not old.leads,
            seconds_max=FAILOVER_SECONDS_MAX,
        )
        self.cluster.do(self.put("X"))
        with self.assertRaises(Refused):
            self.cluster.do(self.client_of("it").call_member("it0", "get_inventory"))
        self.cluster.run_for(5)

        self.inject("heal", "it0")

        self.run_until_leads("it0", seconds_max=BACK_IN_OFFICE_SECONDS_MAX)
        self.cluster.run_for(1)
        self.assert_equal_tables("it")

    def test_isolated_for_a_moment(self) -> None:
        """What a leader loses while it is cut off too shortly to be replaced is asked
        again once it is healed, not when the call's time is up."""
        terms = self.terms()
        self.inject("isolate", "it0")
        put = Deferred.fromCoroutine(self.put("X"))
        self.cluster.run_for(0.2)
        self.assertFalse(put.called)

        self.inject("heal", "it0")
        self.cluster.run_until(lambda: put.called, seconds_max=0.5)

        self.successResultOf(put)
        self.assertEqual(self.terms(), terms)

    def client_of(self, group: str) -> Any:
        return self.cluster.client(group, name=f"client of {group}")

    def test_isolated_follower(self) -> None:
        """A follower that is cut off for long disturbs nobody when it is healed."""
        terms = self.terms()
        self.inject("isolate", "s1r2")
        self.cluster.run_for(30)
        self.inject("heal", "s1r2")
        self.cluster.run_for(5)

        self.assertEqual(self.terms(), terms)

    def test_whole_group_isolated(self) -> None:
        """A group of which every replica was cut off elects again when healed."""
        for name in ("it0", "it1", "it2"):
            self.inject("isolate", name)
        self.cluster.run_for(10)
        self.assertIsNone(self.cluster.leader("it"))
        for name in ("it0", "it1", "it2"):
            self.inject("heal", name)

        self.run_until_leads("it0")
        self.cluster.do(self.put("X"))

    def test_isolated_balancer_catches_up(self) -> None:
        """A balancer's copy of the catalogue misses nothing that changed meanwhile."""
        self.inject("isolate", "lb0")
        self.cluster.do(self.put("X"))
        self.cluster.run_for(1)
        self.inject("heal", "lb0")
        self.cluster.do(self.put("Y"))
        self.cluster.run_for(2)

        answer = self.cluster.do(
            self.client.call_member("lb0", "get_inventory", timeout=3)
        )
        self.assertIn(b'"X"', bytes(answer))

    def test_transfer(self) -> None:
        """A leader hands over as it is told to, and takes its office back later."""
        self.cluster.replicas["s1r0"].transfer("s1r2")

        self.run_until_leads("s1r2", seconds_max=0.5)
        self.run_until_leads("s1r0", seconds_max=BACK_IN_OFFICE_SECONDS_MAX)

    def test_transfer_that_cannot_begin(self) -> None:
        """A follower has no office; a member that is not there takes none."""
        with self.assertRaisesRegex(Refused, "s1r0 .* leads"):
            self.cluster.replicas["s1r1"].transfer("s1r2")
        self.cluster.kill("s1r2")
        self.cluster.run_for(1)
        with self.assertRaisesRegex(Refused, "no connection to s1r2"):
            self.cluster.replicas["s1r0"].transfer("s1r2")

    def test_faults_end_by_themselves(self) -> None:
        """A pause and an isolation last for ten minutes at most."""
        self.inject("pause", "s1r1")
        self.inject("isolate", "s1r2")
        self.cluster.run_for(FAULT_SECONDS_MAX - 1)
        states = [self.cluster.replicas[n].status().state for n in ("s1r1", "s1r2")]
        self.assertEqual(states, ["paused", "unreachable"])

        self.cluster.run_for(2)

        states = [self.cluster.replicas[n].status().state for n in ("s1r1", "s1r2")]
        self.assertEqual(states, ["alive", "alive"])
        self.run_until_leads("s1r0")

    def test_crash_of_a_paused_replica(self) -> None:
        """A replica that hangs can be killed, and its next incarnation takes part."""
        replica = self.cluster.replicas.pop("it0")
        replica.gate.inject("pause")
        self.cluster.run_for(1)

        ended: list[Any] = []
        replica.crash().addBoth(ended.append)
        self.cluster.run_for(0.1)

        self.assertEqual(ended, [None])
        self.cluster.start("it0")
        self.run_until_leads("it0", seconds_max=BACK_IN_OFFICE_SECONDS_MAX)

    def test_stop_of_a_paused_replica(self) -> None:
        """An orderly stop lets a replica that hangs go on first."""
        replica = self.cluster.replicas.pop("it0")
        replica.gate.inject("pause")
        self.cluster.run_for(1)

        stopped: list[Any] = []
        replica.stop().addBoth(stopped.append)
        self.cluster.run_for(5)

        self.assertEqual(stopped, [None])


class PesteredTests(SynchronousTestCase):
    """Shopping while replicas hang, are cut off and change office."""

    def test_seeds(self) -> None:
        """Whatever is done to the replicas, the shop's promises hold."""
        for seed in range(3):
            assert_clean(seed, faults=("product pause", "isolate", "transfer"))


def _group(name: str) -> str:
    return name[:2]
