"""``--processes``: every replica an operating-system process, supervised by one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.system.clusters import Cluster, running
from tests.system.customers import Customer
from tests.system.waiting import eventually

FEW = {"lb": 1, "s1": 3, "it": 1}


class ProcessesTests(SynchronousTestCase):
    """Children live and die by the admin line and by their supervisor."""

    def test_children(self) -> None:
        """A kill ends the child, a start makes another one, whoever killed it; a clean
        stop ends all, and so does the supervisor's own SIGKILL."""
        with running(Path(self.mktemp()), FEW) as cluster:
            cluster.start_all("--processes")
            first = self._pids(cluster)
            self.assertEqual(len(set(first.values())), len(first))
            self.assertNotIn(cluster.processes["all"].pid, first.values())
            cluster.wait_until_says("all", "serving")
            self.assertEqual(cluster.do("list").count("  alive  "), len(first))

            with Customer("ada", cluster.balancers) as ada:
                ada.enter()
                leader = cluster.wait_for_leader("s1")
                self.assertEqual(cluster.do(f"kill {leader}"), f"killed {leader}\n")
                self.assertIsNone(cluster.pid(leader))
                self.assertRegex(cluster.do("list"), rf"(?m)^{leader} .* dead +-$")
                ada.call("add_to_cart", {"item": "A", "quantity": 3})
                self.assertEqual(cluster.do(f"start {leader}"), f"started {leader}\n")
                self.assertNotEqual(cluster.pid(leader), first[leader])
                cluster.wait_until_caught_up("s1")

                follower = cluster.members("s1")[-1]
                pid = cluster.pid(follower)
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
                cluster.wait_until_listed(follower, "dead")
                self.assertEqual(
                    cluster.do(f"start {follower}"), f"started {follower}\n"
                )
                cluster.wait_until_caught_up("s1")

                cluster.stop()
                self.assertEqual(self._living(cluster), [])
                cluster.start_all("--processes")
                order = ada.call("checkout")
                self.assertEqual(order["total"], 300)
                cluster.kill("all")
                eventually(lambda: not self._living(cluster), "the children end")

    def _pids(self, cluster: Cluster) -> dict[str, int]:
        pids = {name: cluster.pid(name) for name in cluster.addresses}
        return {name: pid for name, pid in pids.items() if pid is not None}

    def _living(self, cluster: Cluster) -> list[str]:
        return [*self._pids(cluster)]
