"""Real replicas whose disks take their time, in simulated time (L3)."""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.timing import DISK_STALL_SECONDS
from cartnet.errors import Refused
from cartnet.limits import HAND_OVER_SECONDS_MAX
from cartnet.simulator.cluster import SMALL, SimulatedCluster
from tests.simulator.running import assert_clean
from tests.simulator.shopper import Shopper

FIVE = SMALL.replace("10.0.1.3:5005", "10.0.1.3:5005 10.0.1.4:5005 10.0.1.5:5005")

STALL_SECONDS = 10.0
NOTICED_SECONDS_MAX = 0.5
"""How much later than it might a leader hands over, and the next one serves."""


class StalledDiskTests(SynchronousTestCase):
    """The disk of the shard's leader s1r0, or of another, takes ten seconds."""

    def setUp(self) -> None:
        self.cluster = SimulatedCluster(seed=4)
        self.cluster.start()
        self.cluster.run_until_serving()
        seams = self.cluster.world.host("client").seams
        self.shopper = Shopper("ada", self.cluster.client(), seams)
        account = {"username": "ada", "password": "password1"}
        self.cluster.do(self.shopper.surely("create_account", account))
        self.cluster.do(self.shopper.log_in())
        self.shard = self.cluster.client("s1", name="client of s1")
        self.cluster.run_for(5)
        self.assertEqual(self.cluster.leader("s1"), "s1r0")

    def stall(self, *names: str) -> None:
        for name in names:
            self.cluster.world.hosts[name].disk.stall(STALL_SECONDS)

    def terms(self) -> list[int]:
        names = self.cluster.topology.group("s1").names
        return [self.cluster.replicas[name].term for name in names]

    async def add(self, key: str) -> Any:
        """Have s1's leader add one A; ask once."""
        args = {"item": "A", "quantity": 1}
        session = self.shopper.session
        answer = await self.shard.call(
            "add_to_cart", args, session=session, key=key, resend=False
        )
        return msgspec.json.decode(answer)

    def begin(self, key: str) -> list[Any]:
        """Begin to add one A: what it comes to will be in the list."""
        outcome: list[Any] = []
        Deferred.fromCoroutine(self.add(key)).addBoth(outcome.append)
        return outcome

    def quantity(self) -> int:
        cart = self.cluster.do(self.shopper.surely("get_cart", {}))
        return sum(line["quantity"] for line in cart["items"])

    def test_hand_over(self) -> None:
        """After two seconds of one sync the leader hands over, by one election that
        nobody's patience has caused, and the next one serves."""
        terms = self.terms()
        self.stall("s1r0")
        self.begin("first")
        self.cluster.run_for(DISK_STALL_SECONDS - 0.1)
        self.assertEqual(self.cluster.leader("s1"), "s1r0")
        self.assertEqual(self.terms(), terms)

        self.cluster.run_until(
            lambda: self.cluster.leader("s1") == "s1r1",
            seconds_max=0.1 + NOTICED_SECONDS_MAX,
        )

        self.assertEqual(self.terms()[1:], [term + 1 for term in terms[1:]])
        self.cluster.do(
            self.shopper.surely("add_to_cart", {"item": "A", "quantity": 1})
        )
        self.assertEqual(self.quantity(), 2)

    def test_calls_in_hand(self) -> None:
        """What the leader had in hand is unknown, not refused: it was done, once; and
        what was acknowledged before, during and after the stall is all there."""
        self.cluster.do(self.add("before"))
        self.stall("s1r0")
        in_hand = [self.begin(f"in hand {n}") for n in range(5)]

        self.cluster.run_until(lambda: all(in_hand), seconds_max=4)
        for (failure,) in in_hand:
            self.assertEqual(failure.trap(Refused), Refused)
            self.assertEqual(failure.value.code, "timeout")
        self.assertEqual(self.cluster.leader("s1"), "s1r1")
        self.assertEqual(self.quantity(), 6)
        for n in range(5):
            self.cluster.do(self.add(f"in hand {n}"))
        self.cluster.do(self.add("after"))
        self.assertEqual(self.quantity(), 7)

        # Its disk goes on, it catches up, and has its office back.
        self.cluster.run_until(
            lambda: self.cluster.leader("s1") == "s1r0", seconds_max=40
        )
        self.assertEqual(self.quantity(), 7)

    def test_followers_disk(self) -> None:
        """A follower whose disk stalls holds nothing up and changes no term."""
        terms = self.terms()
        self.stall("s1r2")
        for n in range(20):
            self.cluster.do(self.add(str(n)))
            self.cluster.run_for(1)

        self.assertEqual(self.terms(), terms)
        self.assertEqual(self.quantity(), 20)

    def test_every_disk(self) -> None:
        """Where all disks stall there is nobody to hand over to: no term changes, and
        nothing is acknowledged until a majority has it on disk."""
        terms = self.terms()
        self.stall("s1r0", "s1r1", "s1r2")
        in_hand = self.begin("first")
        self.cluster.run_for(STALL_SECONDS)

        self.assertEqual(in_hand[0].value.code, "timeout")
        self.assertEqual(self.terms(), terms)
        self.cluster.do(self.add("first"))
        self.assertEqual(self.quantity(), 1)


class LeavingTests(SynchronousTestCase):
    """A leader that is told to stop hands over first."""

    def test_next_of_five(self) -> None:
        """Not to who would be next if its disk did not stall, but to one who can."""
        cluster = SimulatedCluster(1, FIVE)
        cluster.start()
        cluster.run_until_serving()
        cluster.run_for(5)
        self.assertEqual(cluster.leader("s1"), "s1r0")
        cluster.world.hosts["s1r1"].disk.stall(STALL_SECONDS)
        client = cluster.client()
        account = {"username": "ada", "password": "password1"}
        cluster.do(client.call("create_account", account, key="first", resend=True))

        stopping = cluster.replicas["s1r0"].stop()
        seconds = HAND_OVER_SECONDS_MAX / 2
        cluster.run_until(lambda: cluster.leader("s1") == "s1r2", seconds_max=seconds)

        cluster.run_until(lambda: bool(stopping.called), seconds_max=1)


class StallingTests(SynchronousTestCase):
    """Shopping while one disk after another holds its replica up."""

    def test_seeds(self) -> None:
        """No order is lost or doubled, stock is conserved, and all replicas agree."""
        for seed in range(3):
            assert_clean(seed, faults=("stalled disk", "slow disk", "crash leader"))
