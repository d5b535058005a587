"""Real replicas, all of them, in a simulated world."""

from __future__ import annotations

from sqlite3 import OperationalError
from typing import Any

import msgspec
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from cartnet.errors import Refused
from cartnet.simulator.cluster import SimulatedCluster
from tests.simulator.shopper import Shopper


class ClusterTests(SynchronousTestCase):
    """A cluster of three groups of three."""

    def setUp(self) -> None:
        self.cluster = SimulatedCluster(seed=1)
        self.cluster.start()
        self.formed = self.cluster.run_until_serving()
        seams = self.cluster.world.host("client").seams
        self.shopper = Shopper("ada", self.cluster.client(), seams)

    def leaders(self) -> list[str | None]:
        return [self.cluster.leader(group) for group in ("lb", "s1", "it")]

    def order(self) -> Any:
        """Put something into the cart and check out."""
        self.cluster.do(
            self.shopper.surely("add_to_cart", {"item": "A", "quantity": 2})
        )
        return self.cluster.do(self.shopper.surely("checkout", {}))

    def sign_up(self) -> None:
        account = {"username": "ada", "password": "password1"}
        self.cluster.do(self.shopper.surely("create_account", account))
        self.cluster.do(self.shopper.log_in())

    def test_first_election(self) -> None:
        """The smallest address of each group leads, well within a second."""
        self.assertEqual(self.leaders(), ["lb0", "s1r0", "it0"])
        self.assertLess(self.formed, 0.5)

    def test_leaders_crash(self) -> None:
        """The next in the order take over at once, and what was acknowledged stays."""
        self.sign_up()
        order = self.order()

        self.cluster.kill("lb0", "s1r0", "it0")
        took = self.cluster.run_until_serving()

        self.assertLess(took, 0.1)
        self.assertEqual(self.leaders(), ["lb1", "s1r1", "it1"])
        found = self.cluster.do(
            self.shopper.surely("get_order", {"order": order["id"]})
        )
        self.assertEqual(found, order)

    def test_killed_while_it_stops(self) -> None:
        """Who stops for its disk is looked at, unless it is killed in the act."""
        stopped: list[str] = []
        self.cluster.stopped = lambda replica: stopped.append(replica.name)
        trouble = Failure(OperationalError("disk I/O error"))
        replicas = self.cluster.replicas
        killed = replicas["s1r1"]
        self.cluster.kill("s1r1")

        killed.failed_by(trouble)
        replicas["s1r2"].failed_by(trouble)

        self.assertEqual(stopped, ["s1r2"])

    def test_preferred_return(self) -> None:
        """The preferred lead again a few seconds after their return, and go on."""
        self.cluster.kill("lb0", "s1r0", "it0")
        self.cluster.run_until_serving()

        self.cluster.start("lb0", "s1r0", "it0")
        self.cluster.run_until(
            lambda: self.leaders() == ["lb0", "s1r0", "it0"], seconds_max=5
        )
        self.cluster.run_for(30)

        self.assertEqual(self.leaders(), ["lb0", "s1r0", "it0"])

    def test_power_cut(self) -> None:
        """A power cut everywhere at once loses nothing that was acknowledged (S1)."""
        self.sign_up()
        orders = [self.order() for _ in range(5)]

        names = self.cluster.topology.names
        self.cluster.kill(*names, power_lost=True)
        self.cluster.start()
        self.cluster.run_until_serving()

        listed = self.cluster.do(self.shopper.surely("list_orders", {}))["orders"]
        self.assertEqual(listed, orders[::-1])

    def test_wall_clock_that_jumps(self) -> None:
        """A wall clock that jumps by a year ends no session and forgets no key."""
        self.sign_up()
        args = {"item": "A", "quantity": 2}
        self.cluster.do(self.shopper.surely("add_to_cart", args))
        client, session = self.cluster.client(), self.shopper.session

        def check_out() -> Any:
            checkout = client.call("checkout", session=session, key="k", resend=True)
            return msgspec.json.decode(self.cluster.do(checkout))

        order = check_out()
        for name in self.cluster.topology.names:
            self.cluster.world.hosts[name].wall_offset += 366 * 86_400

        listed = self.cluster.do(self.shopper.surely("list_orders", {}))["orders"]
        self.assertEqual(listed, [order])
        self.assertEqual(check_out(), order)

    def test_minority(self) -> None:
        """A leader that is cut off serves neither writes nor reads; a majority does."""
        self.sign_up()
        network = self.cluster.world.network
        direct = self.cluster.client("s1")

        network.partition(["s1r0", "client"], ["s1r1", "s1r2"])
        cut_off = direct.call("get_cart", {}, session=self.shopper.session, resend=True)
        refused = self.assertRaises(Refused, self.cluster.do, cut_off)
        self.assertEqual(refused.code, "unavailable")
        self.assertEqual(self.cluster.leader("s1"), "s1r1")
        self.assertFalse(self.cluster.replicas["s1r0"].leads)

        network.heal()
        self.cluster.run_for(3)
        self.assertEqual(self.order()["status"], "placed")

    def test_wiped_replica(self) -> None:
        """A replica that lost its file neither votes nor counts towards a majority."""
        self.cluster.kill("s1r1", "s1r2")
        self.cluster.world.hosts["s1r1"].disk.wipe()
        self.cluster.start("s1r1")

        self.cluster.run_for(5)
        self.assertIsNone(self.cluster.leader("s1"))
        self.assertEqual(self.cluster.replicas["s1r1"].status().role, "learner")

        self.cluster.start("s1r2")
        self.cluster.run_until_serving()
        self.assertEqual(self.cluster.replicas["s1r1"].status().role, "learner")
