"""R11, L2: offices change hands for a reason, and seldom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations, islice, pairwise, permutations
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.trial.unittest import SynchronousTestCase

from cartnet.errors import Refused
from cartnet.simulator.cluster import SimulatedCluster
from cartnet.simulator.options import OPERATOR_PASSWORD

TERMS_A_MINUTE_MAX: Final = 3
"""Of partial cuts that stay: the leader may be on the wrong side of them at first."""

GAP_SECONDS_MAX: Final = 5.0
"""Between two answers, while a majority hears each other: an election, and a call that
waits for an answer that does not come."""


def configuration(replicas: int) -> str:
    hosts = " ".join(f"10.0.2.{number + 1}:7105" for number in range(replicas))
    return (
        "[cluster]\nname = simulated\ndata = nowhere\n"
        "secret = a secret of simulated replicas only\n"
        "[balancer]\nreplicas = 10.0.0.1:8005\n"
        "[shard:s1]\nreplicas = 10.0.1.1:5005\n"
        f"[inventory]\nreplicas = {hosts}\n"
        f"[operator]\npassword = {OPERATOR_PASSWORD}\n"
    )


class Office:
    """One inventory, asked for something twice a second."""

    def __init__(self, replicas: int) -> None:
        self.cluster = SimulatedCluster(11, configuration(replicas))
        self.names = [f"it{number}" for number in range(replicas)]
        self.answered_at: list[float] = []
        self.cluster.start()
        self.cluster.run_until_serving()
        self._client = self.cluster.client("it")
        asking = LoopingCall(self._ask)
        asking.clock = self.cluster.world.clock
        asking.start(0.5)
        self.cluster.run_for(15)

    def _ask(self) -> None:
        # Not waited for: one that hangs must not keep the next from being asked.
        Deferred.fromCoroutine(self._read()).addErrback(lambda f: f.trap(Refused))

    async def _read(self) -> None:
        """Linearizable, so that a majority has to take part."""
        await self._client.call("get_inventory", resend=True)
        self.answered_at.append(self.cluster.world.clock.seconds())

    @property
    def term(self) -> int:
        return max(replica.term for replica in self.cluster.replicas.values())

    def minute(self) -> tuple[int, float]:
        """How much the term has grown in it, and the longest time without answer."""
        clock, term = self.cluster.world.clock, self.term
        start = clock.seconds()
        self.cluster.run_for(60)
        times = [start, *(t for t in self.answered_at if t > start), clock.seconds()]
        gaps = [later - earlier for earlier, later in pairwise(times)]
        return self.term - term, max(gaps)

    def heal(self) -> None:
        self.cluster.world.network.heal()
        self.cluster.run_for(5)


def cuts(names: list[str]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Ways, by which nothing passes, that leave a majority who all hear each other."""
    for one, other in permutations(names, 2):
        yield f"{one} is not heard by {other}", [(one, other)]
    for one, other in combinations(names, 2):
        yield f"{one} and {other} do not hear each other", [(one, other), (other, one)]
    for one in names:
        others = [name for name in names if name != one]
        yield f"{one} is heard by nobody", [(one, other) for other in others]
        yield f"{one} hears nobody", [(other, one) for other in others]


class CalmTests(SynchronousTestCase):
    """How often a term ends, and how long nobody serves."""

    def test_without_faults(self) -> None:
        """Once the preferred replica leads, no term ever ends."""
        office = Office(5)

        for _ in range(3):
            terms, gap = office.minute()

            self.assertEqual(terms, 0)
            self.assertLess(gap, 1)
        self.assertEqual(office.cluster.leader("it"), "it0")

    def test_partial_cuts_of_three(self) -> None:
        """Whoever does not hear whom: no endless elections, and the shop serves."""
        office = Office(3)
        self.assert_calm(office, cuts(office.names))

    def test_partial_cuts_of_five(self) -> None:
        """Likewise, with the leader on one side of some cuts, and far from others."""
        office = Office(5)
        self.assert_calm(office, islice(cuts(office.names), None, None, 5))

    def assert_calm(
        self, office: Office, cut: Iterable[tuple[str, list[tuple[str, str]]]]
    ) -> None:
        for told, ways in cut:
            for source, target in ways:
                office.cluster.world.network.cut([source], [target])

            terms, gap = office.minute()

            self.assertLessEqual(terms, TERMS_A_MINUTE_MAX, told)
            self.assertLess(gap, GAP_SECONDS_MAX, told)
            office.heal()

    def test_hand_overs_back_off(self) -> None:
        """A preferred replica that comes and goes leads less and less often."""
        office = Office(3)
        network = office.cluster.world.network
        took: list[int] = []
        for _ in range(4):
            before = office.term
            end = office.cluster.world.clock.seconds() + 60
            while office.cluster.world.clock.seconds() < end:
                network.partition(["it0"], ["it1", "it2"])
                office.cluster.run_for(2)
                network.heal()
                office.cluster.run_for(4)
            took.append(office.term - before)

        # Each time that it leads costs two terms: to win the office, and to lose it.
        self.assertLessEqual(took[-1], 2 * 2, took)
        self.assertLess(took[-1], took[0], took)
