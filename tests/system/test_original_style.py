"""The original's command line, ``localhost`` and groups of another size."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.system.clusters import Cluster, running
from tests.system.customers import Customer


class OriginalStyleTests(SynchronousTestCase):
    """``--port`` and ``--peers``, a process a replica."""

    def test_three_replicas_by_port_and_peers(self) -> None:
        """Three processes that are told a port, their peers and a file are one shard of
        a shop whose other groups come from the configuration."""
        groups = {"lb": 1, "s1": 3, "it": 1}
        with running(Path(self.mktemp()), groups, host="localhost") as cluster:
            cluster.start("rest", "--role", "balancer", "--role", "inventory")
            cluster.wait_until_says("rest", "admin    telnet")
            for name in cluster.members("s1"):
                cluster.start(name, *self._as_the_original(cluster, name))
            cluster.wait_until_serving()
            for name in cluster.members("s1"):
                self.assertTrue((cluster.folder / "db" / f"{name}.db").exists())
                cluster.wait_until_says(name, "1 replica here")
                self.assertIn("admin    none here: another", cluster.out(name))

            with Customer("ada", cluster.balancers) as ada:
                ada.enter()
                ada.call("add_to_cart", {"item": "C", "quantity": 2})
                leader = cluster.wait_for_leader("s1")
                # Its process runs nothing else, and has no admin port: it ends.
                self.assertEqual(cluster.do(f"kill {leader}"), f"killed {leader}\n")
                self.assertEqual(cluster.processes.pop(leader).wait(), 0)
                self.assertEqual(ada.call("checkout")["total"], 2 * 999)
                started = cluster.do(f"start {leader}")
                self.assertRegex(started, rf"\Aerror: .*twistd .*--replica {leader}")

                cluster.start(leader, *self._as_the_original(cluster, leader))
                cluster.wait_until_caught_up("s1")
                self.assertEqual(len(ada.orders()), 1)
            cluster.stop()

    def _as_the_original(self, cluster: Cluster, name: str) -> list[str]:
        others = [each for each in cluster.members("s1") if each != name]
        peers = ",".join(cluster.addresses[other] for other in others)
        port = cluster.addresses[name].rpartition(":")[2]
        return [
            *("--role", "shard", "--shard", "shard1", "--host", "localhost"),
            *("--port", port, "--peers", peers, "--db", f"db/{name}.db"),
            *("--config", "cartnet.ini"),
        ]

    def test_five_replicas(self) -> None:
        """A group of five serves while any two of them are dead."""
        groups = {"lb": 1, "s1": 5, "it": 1}
        with running(Path(self.mktemp()), groups) as cluster:
            cluster.start_all()
            with Customer("ada", cluster.balancers) as ada:
                ada.enter()
                for quantity in (1, 2):
                    leader = cluster.wait_for_leader("s1")
                    cluster.do(f"kill {leader}")
                    cart = ada.call("add_to_cart", {"item": "A", "quantity": 1})
                    self.assertEqual(cart["items"][0]["quantity"], quantity)
                dead = [n for n in cluster.members("s1") if not cluster.heartbeat(n)]
                self.assertEqual(len(dead), 2)
                for name in dead:
                    self.assertEqual(cluster.do(f"start {name}"), f"started {name}\n")
                cluster.wait_until_caught_up("s1")
                self.assertEqual(ada.call("checkout")["total"], 200)
            cluster.stop()

    def test_one_replica(self) -> None:
        """A group of one serves, and has everything after a crash."""
        with running(Path(self.mktemp()), {"lb": 1, "s1": 1, "it": 1}) as cluster:
            cluster.start_all()
            with Customer("ada", cluster.balancers) as ada:
                ada.enter()
                order = ada.call("add_to_cart", {"item": "A", "quantity": 1})
                order = ada.call("checkout")
                cluster.kill("all")
                cluster.start_all()
                self.assertEqual(ada.orders(), [order])
            cluster.stop()
