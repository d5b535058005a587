from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from cartnet.calls.directory import DirectoryCalls, located_by
from cartnet.errors import Refused
from cartnet.limits import LOCATE_HERE_SECONDS_MAX
from cartnet.shop.commands import AssignShard
from tests.calls.balancing import REQUEST_TIMEOUT, Balancing, Visitor, request_for
from tests.calls.memory import MemoryGroup, quiet
from tests.client.scripted import ok

BALANCER = Visitor(trusted=True)


class DirectoryTests(SynchronousTestCase):
    """Homes out of the balancers' log, and everything else from the router."""

    def setUp(self) -> None:
        self.balancing = Balancing()
        self.addCleanup(self.balancing.stop)
        clock: Any = self.balancing.world.clock
        self.memory = MemoryGroup("lb", "balancer", clock)
        self.broken: list[object] = []
        self.calls = {
            name: DirectoryCalls(
                log,
                self.balancing.router,
                ["s1", "s2"],
                self.balancing.seams,
                REQUEST_TIMEOUT,
                quiet(),
                self.broken.append,
            )
            for name, log in self.memory.members.items()
        }
        for name, log in self.memory.members.items():
            log.calls.append(self.calls[name])
        self.memory.elect("lb0")
        self.addCleanup(self.memory.elect, None)

    def ask(
        self,
        call: str,
        username: str,
        *,
        member: str = "lb0",
        caller: Visitor = BALANCER,
    ) -> Any:
        request = request_for(call, {"username": username})
        return self.successResultOf(self.calls[member].call(request, caller))

    def refused(self, call: str, **options: Any) -> str:
        request = request_for(call, {"username": "ann"})
        member = self.calls[options.get("member", "lb0")]
        failure = self.failureResultOf(
            member.call(request, options.get("caller", BALANCER)), Refused
        )
        return str(failure.value.code)

    def test_assigned_once(self) -> None:
        """A username's home is drawn once and never changes."""
        home = self.ask("assign", "ann")["shard"]

        self.assertIn(home, {"s1", "s2"})
        for _ in range(20):
            self.assertEqual(self.ask("assign", "ann"), {"shard": home})
        self.assertEqual(self.ask("locate", "ann"), {"shard": home})

    def test_homes_spread(self) -> None:
        """Users spread over the shards."""
        homes = {self.ask("assign", f"user{at}")["shard"] for at in range(40)}

        self.assertEqual(homes, {"s1", "s2"})

    def test_unknown(self) -> None:
        """A name without a home has none, and locating does not give it one."""
        self.assertEqual(self.ask("locate", "ann"), {"shard": None})
        self.assertEqual(self.ask("locate", "ann"), {"shard": None})

    def test_follower_says_who_leads(self) -> None:
        """A follower neither locates nor assigns."""
        for call in ("locate", "assign"):
            self.assertEqual(self.refused(call, member="lb1"), "not_leader")

    def test_between_balancers_alone(self) -> None:
        """Who has not proved the secret may not ask for homes."""
        for call in ("locate", "assign"):
            code = self.refused(call, caller=Visitor())
            self.assertEqual(code, "forbidden")

    def test_shop_is_served_by_followers(self) -> None:
        """The shop API is served whatever the replica's role."""
        self.balancing.inventory.answer = lambda request: ok(revision=1, items=[])
        answers: list[object] = []
        for calls in self.calls.values():
            calls.call(request_for("get_inventory"), Visitor()).addCallback(
                answers.append
            )
        self.balancing.world.clock.run_for(0.2)

        self.assertEqual(len(answers), 3)

    def test_located_here(self) -> None:
        """A home that this replica has applied is found without a leader."""
        self.ask("assign", "ann")
        self.memory.elect(None)
        log = self.memory.members["lb2"]
        calls_before = self.balancing.directory.calls

        homes: list[str | None] = []
        located = located_by(log, self.memory.clock)
        Deferred.fromCoroutine(located("ann")).addCallback(homes.append)

        self.assertIn(homes[0], {"s1", "s2"})
        self.assertEqual(self.balancing.directory.calls, calls_before)

    def test_located_in_vain(self) -> None:
        """Where this replica's disk does not answer soon, it is time for the leader."""
        log = self.memory.members["lb2"]
        log.reads_hang = True
        located = located_by(log, self.memory.clock)
        waiting = Deferred.fromCoroutine(located("ann"))
        self.assertNoResult(waiting)

        self.balancing.world.clock.run_for(LOCATE_HERE_SECONDS_MAX)

        refused = self.failureResultOf(waiting, Refused).value
        self.assertEqual(refused.code, "unavailable")

    def test_group_is_founded(self) -> None:
        """The first leader gives the group its id, the next ones keep it."""
        founded = [entry for entry in self.memory.entries if b"found" in entry]
        self.memory.elect("lb1")

        self.assertEqual(len(founded), 1)
        self.assertEqual(
            [entry for entry in self.memory.entries if b"found" in entry], founded
        )

    def test_former_assignment_stands(self) -> None:
        """Two leaders' draws for one name give it one home."""
        self.memory.propose(self.memory.members["lb0"], AssignShard("ann", "s2"))

        self.assertEqual(self.ask("assign", "ann"), {"shard": "s2"})

    def test_stopped(self) -> None:
        """A balancer that stops leaves no call waiting for the log, and no timer."""
        self.memory.holds = True
        asked = self.calls["lb0"].call(
            request_for("assign", {"username": "ann"}), BALANCER
        )
        self.assertNoResult(asked)

        self.calls["lb0"].stop()

        self.assertEqual(self.failureResultOf(asked, Refused).value.code, "timeout")
