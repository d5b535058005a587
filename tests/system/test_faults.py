"""Replicas that are paused, isolated and told to hand over, from the admin line."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.system.clusters import Cluster, running
from tests.system.customers import Customer
from tests.system.lines import Line
from tests.system.waiting import eventually

ONE_SHARD = {"lb": 3, "s1": 3, "it": 3}
FEW = {"lb": 1, "s1": 3, "it": 1}
CHAOS = "chaos = yes\n"


class FaultTests(SynchronousTestCase):
    """The shop goes on around one replica that hangs or cannot be reached (L1 to L4),
    and loses nothing (S1, S6 to S8)."""

    def test_faults_while_people_shop(self) -> None:
        """Each leader is paused, then isolated: another one takes over, and gives the
        office back after the fault has ended."""
        with running(Path(self.mktemp()), ONE_SHARD, extra=CHAOS) as cluster:
            cluster.start_all()
            with cluster.crowd(4) as crowd:
                self._faults(cluster, "pause", "paused", "resume")
                self._faults(cluster, "isolate", "unreachable", "heal")
                crowd.shop_on()
                crowd.verify()
            for group in cluster.groups:
                cluster.wait_until_caught_up(group)
            cluster.stop()

    def _faults(self, cluster: Cluster, begin: str, state: str, end: str) -> None:
        """Have every group's leader go, and come back."""
        leaders = {group: cluster.members(group)[0] for group in cluster.groups}
        past = {"pause": "paused", "isolate": "isolated"}[begin]
        for group, name in leaders.items():
            self._wait_until_leads(cluster, group, name)
            self.assertEqual(cluster.do(f"{begin} {name}"), f"{past} {name}\n")
            self.assertRegex(cluster.do("list"), rf"(?m)^{name} +\S+ +{state} +-$")
            self.assertIn("already", cluster.do(f"{begin} {name}"))
        for group, name in leaders.items():
            self._wait_until_replaced(cluster, group, name)
            self.assertEqual(cluster.do(f"{end} {name}").split(), [_past(end), name])
            self.assertIn("error: ", cluster.do(f"{end} {name}"))

    def _wait_until_leads(self, cluster: Cluster, group: str, name: str) -> None:
        eventually(lambda: _leader(cluster, group) == name, f"{name} leads")

    def _wait_until_replaced(self, cluster: Cluster, group: str, name: str) -> None:
        eventually(
            lambda: _leader(cluster, group) not in (None, name), f"{name} is replaced"
        )

    def test_processes_of_one_replica(self) -> None:
        """Admin lines reach a replica that hangs although its process has no other
        port, and the same socket answers again afterwards."""
        with running(Path(self.mktemp()), FEW, extra=CHAOS) as cluster:
            cluster.start("lb0", "--replica", "lb0")
            for name in ("s1r0", "s1r1", "s1r2", "it0"):
                cluster.start_replica(name)
            cluster.wait_until_serving()
            self._all_commands(cluster)
            cluster.stop()

    def test_child_processes(self) -> None:
        """So it is for children of one supervising process."""
        with running(Path(self.mktemp()), FEW, extra=CHAOS) as cluster:
            cluster.start_all("--processes")
            self._all_commands(cluster)
            cluster.stop()

    def _all_commands(self, cluster: Cluster) -> None:
        cluster.wait_until_leads("s1r0")
        with Line(cluster.addresses["s1r2"]) as line:
            line.call("ping")
            self.assertEqual(cluster.do("pause s1r2"), "paused s1r2\n")
            self.assertRegex(cluster.do("status s1r2"), r"^s1r2  \S+  paused\n$")
            asked = line.request("ping", {})
            self.assertEqual(cluster.do("resume s1r2"), "resumed s1r2\n")
            self.assertEqual(line.receive(), {"id": asked, "ok": {}})
            self.assertEqual(cluster.do("isolate s1r2"), "isolated s1r2\n")
            line.request("ping", {})
            self.assertRegex(cluster.do("list"), r"(?m)^s1r2 +\S+ +unreachable +-$")
            self.assertEqual(cluster.do("heal"), "healed s1r2\n")
            self.assertEqual(cluster.do("heal"), "nothing was isolated\n")
            asked = line.request("ping", {})
            self.assertEqual(line.receive(), {"id": asked, "ok": {}})
        self._transfers(cluster)
        for fault in ("pause", "isolate"):
            cluster.do(f"{fault} s1r1")
            self.assertIn("error: s1r1 is alive", cluster.do("start s1r1"))
            self.assertEqual(cluster.do("kill s1r1"), "killed s1r1\n")
            self.assertEqual(cluster.do(f"{fault} s1r1"), "error: s1r1 is dead\n")
            if "started" not in cluster.do("start s1r1"):
                cluster.processes.pop("s1r1").wait()
                cluster.start_replica("s1r1")
            cluster.wait_until_listed("s1r1", "alive")
        with Customer("ada", cluster.balancers) as ada:
            ada.enter()
            ada.call("add_to_cart", {"item": "A", "quantity": 2})
        cluster.wait_until_caught_up("s1")

    def _transfers(self, cluster: Cluster) -> None:
        self._wait_until_leads(cluster, "s1", "s1r0")
        self.assertEqual(cluster.do("transfer s1 s1r2"), "transferred s1 to s1r2\n")
        self.assertEqual(cluster.do("leader s1"), "s1r2\n")
        for command, error in {
            "transfer s9 s1r0": "no group is called s9; there are lb, s1, it",
            "transfer s1 nobody": "no replica is called nobody",
            "transfer s1 it0": (
                "it0 is no member of s1; its members are s1r0, s1r1, s1r2"
            ),
            "transfer s1 s1r2": "s1r2 leads s1 already",
            "transfer s1": "usage: transfer GROUP NAME",
            "pause nobody": "no replica is called nobody",
        }.items():
            self.assertEqual(cluster.do(command), f"error: {error}\n")
        self._wait_until_leads(cluster, "s1", "s1r0")
        cluster.do("pause s1r2")
        self.assertEqual(cluster.do("transfer s1 s1r2"), "error: s1r2 is paused\n")
        cluster.do("resume s1r2")

    def test_switched_off(self) -> None:
        """Without ``chaos`` there are no faults; an office can be handed over."""
        with running(Path(self.mktemp()), {"lb": 1, "s1": 3, "it": 1}) as cluster:
            cluster.start_all()
            for command in ("pause s1r1", "isolate s1r1", "heal s1r1", "heal"):
                said = cluster.do(command)
                self.assertIn("chaos = yes", said)
                self.assertTrue(said.startswith("error: "))
            self.assertEqual(cluster.do("resume s1r1"), "error: s1r1 is not paused\n")
            cluster.wait_until_leads("s1r0")
            self.assertIn("transferred", cluster.do("transfer s1 s1r1"))
            cluster.stop()


def _leader(cluster: Cluster, group: str) -> str | None:
    said = cluster.do(f"leader {group}")
    return None if said.startswith("error") else said.strip()


def _past(end: str) -> str:
    return {"resume": "resumed", "heal": "healed"}[end]
