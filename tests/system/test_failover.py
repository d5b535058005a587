"""Leaders that are killed while people shop."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.system.clusters import Cluster, running
from tests.system.customers import Customer
from tests.system.lines import Line, Refused

ONE_SHARD = {"lb": 3, "s1": 3, "it": 3}


class FailoverTests(SynchronousTestCase):
    """What was acknowledged stays, whoever is killed (S1, S6 to S8, L1, L2, L4)."""

    def test_each_leader_is_killed(self) -> None:
        """A kill of any group's leader loses no acknowledged write and repeats none;
        shopping goes on, and the killed one catches up and leads again."""
        with running(Path(self.mktemp())) as cluster:
            cluster.start_all()
            with cluster.crowd(6) as crowd:
                for group in cluster.groups:
                    leader = cluster.wait_for_leader(group)
                    self.assertEqual(cluster.do(f"kill {leader}"), f"killed {leader}\n")
                    cluster.wait_for_leader(group, other_than=leader)
                    crowd.shop_on()
                    started = cluster.do(f"start {leader}")
                    self.assertEqual(started, f"started {leader}\n")
                for group in cluster.groups:
                    cluster.wait_until_leads(cluster.members(group)[0])
                crowd.verify()
            for group in cluster.groups:
                cluster.wait_until_caught_up(group)
            cluster.stop()

    def test_acknowledged_before_a_majority_has_it(self) -> None:
        """A leader without a majority acknowledges no write, and answers no read but a
        stale one; the key tells later what became of the write."""
        unsure = {"timeout", "unavailable", "not_leader"}
        with running(Path(self.mktemp()), ONE_SHARD) as cluster:
            cluster.start_all()
            with Customer("ada", cluster.balancers) as ada:
                ada.enter()
                ada.call("add_to_cart", {"item": "A", "quantity": 1})
                leader = cluster.wait_for_leader("s1")
                followers = [n for n in cluster.members("s1") if n != leader]
                with Line(cluster.addresses[leader]) as line:
                    for name in followers:
                        cluster.do(f"kill {name}")
                    with self.assertRaises(Refused) as caught:
                        line.call(
                            "add_to_cart",
                            {"item": "A", "quantity": 2},
                            session=ada.session,
                            key="in-doubt",
                        )
                    self.assertIn(caught.exception.code, unsure)
                    with self.assertRaises(Refused) as caught:
                        line.call("get_cart", session=ada.session)
                    self.assertIn(caught.exception.code, unsure)
                    stale = line.call("get_cart", session=ada.session, stale=True)
                    self.assertIs(stale["stale"], True)
                    self.assertEqual(stale["items"][0]["quantity"], 1)
                for name in followers:
                    cluster.do(f"start {name}")
                for _ in range(2):
                    cart = ada.call(
                        "add_to_cart", {"item": "A", "quantity": 2}, key="in-doubt"
                    )
                    self.assertEqual(cart["items"][0]["quantity"], 3)
            cluster.stop()

    def test_restarted_follower_applies_its_log_twice(self) -> None:
        """After restarts every replica has the same stock, each order taken once."""
        with running(Path(self.mktemp()), ONE_SHARD) as cluster:
            cluster.start_all()
            with Customer("ada", cluster.balancers) as ada:
                ada.enter()
                ada.call("add_to_cart", {"item": "A", "quantity": 10})
                ada.call("checkout")
            for name in cluster.members("it"):
                cluster.do(f"restart {name}")
                cluster.wait_for_leader("it")
            cluster.wait_until_caught_up("it")
            for name in cluster.members("it"):
                self.assertEqual(self._stock_at(cluster, name), 90)
            cluster.stop()

    def _stock_at(self, cluster: Cluster, name: str) -> int:
        with Line(cluster.addresses[name]) as line:
            items = line.call("get_inventory", stale=True)["items"]
        return int(items[0]["stock"])
