"""Real replicas that are started on old copies of their files (S1)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from cartnet.simulator.cluster import SimulatedCluster
from cartnet.simulator.faults.links import MESSAGE
from tests.simulator.running import assert_clean
from tests.simulator.shopper import Shopper

NAMES = ("s1r0", "s1r1", "s1r2")


class OldCopyTests(SynchronousTestCase):
    """The shard's replica s1r2 has an old copy put in place of its file."""

    def setUp(self) -> None:
        self.cluster = SimulatedCluster(seed=3)
        self.cluster.start()
        self.cluster.run_until_serving()
        self.host = self.cluster.world.host("client")
        self.disk = self.cluster.world.hosts["s1r2"].disk
        self.cluster.run_for(1)
        self.cluster.kill("s1r2")
        self.copy = self.disk.copy()
        self.cluster.start("s1r2")
        self.cluster.run_for(2)

    def said(self, name: str, part: str) -> list[str]:
        return [
            line
            for line in self.cluster.logs.lines
            if f" {name} term=" in line and part in line
        ]

    def assert_taken_back(self) -> None:
        """It begins anew, and counts again in the end."""
        self.cluster.run_until(
            lambda: bool(self.said("s1r2", "the new file of s1r2 is admitted")),
            seconds_max=10,
        )
        (line,) = self.said("s1r2", "begins anew")
        self.assertIn("old copy", line)

    def test_all_have_restarted(self) -> None:
        """It is noticed though no memory has outlived what it has acknowledged."""
        self.cluster.kill(*NAMES)
        self.disk.restore(self.copy)
        self.cluster.start(*NAMES)

        self.assert_taken_back()

    def test_one_has_met_it(self) -> None:
        """One of the others is enough: the copy's vote does not make it a leader
        without what was acknowledged while it was away."""
        self.cluster.kill("s1r1")
        shopper = Shopper("ada", self.cluster.client(), self.host.seams)
        account = {"username": "ada", "password": "password1"}
        self.cluster.do(shopper.surely("create_account", account))
        self.cluster.kill("s1r0", "s1r2")
        self.disk.restore(self.copy)
        self.cluster.start("s1r1", "s1r2")
        self.cluster.run_for(10)

        self.assertIsNone(self.cluster.leader("s1"))
        self.assertEqual(len(self.said("s1r2", "begins anew")), 1)
        self.cluster.start("s1r0")
        self.assert_taken_back()
        self.cluster.do(shopper.log_in())

    def test_copy_of_a_file_that_was_replaced(self) -> None:
        """A file in whose place another one was let in never counts again: else one
        who remembers its later starts would have the replica begin anew then."""
        remembering = self.cluster.world.hosts["s1r0"].disk
        self.cluster.kill("s1r0")
        copy = remembering.copy()
        self.cluster.start("s1r0")
        self.cluster.kill("s1r2")
        self.disk.wipe()
        self.cluster.start("s1r2")
        self.run_until_admitted()
        self.cluster.kill("s1r2")
        self.disk.restore(self.copy)
        self.cluster.start("s1r2")
        self.cluster.run_for(5)
        self.run_until_admitted()
        self.cluster.kill("s1r0")
        remembering.restore(copy)
        self.cluster.start("s1r0")
        self.cluster.run_for(10)

        (line,) = self.said("s1r2", "begins anew")
        self.assertIn("another file has taken its place", line)
        self.assertEqual(self.said("s1r1", "has stopped"), [])
        self.assertIsNotNone(self.cluster.leader("s1"))

    def test_who_believes_in_it(self) -> None:
        """A copy of a file that was replaced does not count, whatever its replica
        believes that has not heard of it yet."""
        self.cluster.kill("s1r2")
        self.disk.wipe()
        self.cluster.start("s1r2")
        self.run_until_admitted()
        self.assertTrue(self.cluster.all_count("s1"))
        self.cluster.kill("s1r2")
        self.disk.restore(self.copy)
        for other in ("s1r0", "s1r1"):
            link = self.cluster.world.network.link(other, "s1r2")
            link.loss, link.lost = 1.0, MESSAGE
        self.cluster.start("s1r2")
        self.cluster.run_for(2)

        raft = self.cluster.replicas["s1r2"].raft
        assert raft is not None
        self.assertTrue(raft.admitted)
        self.assertFalse(self.cluster.all_count("s1"))

    def run_until_admitted(self) -> None:
        def admitted() -> bool:
            raft = self.cluster.replicas["s1r2"].raft
            return raft is not None and raft.admitted

        self.cluster.run_until(admitted, seconds_max=10)
        self.cluster.run_for(1)

    def test_all_files_together(self) -> None:
        """A backup of the whole group that is put back is no old copy to anybody."""
        self.cluster.kill(*NAMES)
        disks = [self.cluster.world.hosts[name].disk for name in NAMES]
        copies = [disk.copy() for disk in disks]
        self.cluster.start(*NAMES)
        self.cluster.run_until_serving()
        self.cluster.run_for(2)
        self.cluster.kill(*NAMES)
        for disk, copy in zip(disks, copies, strict=True):
            disk.restore(copy)

        self.cluster.start(*NAMES)
        self.cluster.run_until_serving()
        self.cluster.run_for(2)

        for name in NAMES:
            self.assertEqual(self.said(name, "begins anew"), [])

    def test_restarts(self) -> None:
        """Whoever starts again and again, or loses its power, has no old copy."""
        for number in range(5):
            self.cluster.kill("s1r2", power_lost=number % 2 == 0)
            self.cluster.start("s1r2")
            self.cluster.run_for(number / 10)

        self.cluster.run_for(2)
        self.assertEqual(self.said("s1r2", "begins anew"), [])
        role = self.cluster.replicas["s1r2"].status().role
        self.assertEqual(role, "follower")

    def test_among_other_troubles(self) -> None:
        """Troubled runs put old copies back among other faults, and nothing is lost."""
        restored = 0
        for seed in range(3):
            outcome = assert_clean(
                seed,
                faults=("old copy", "wiped disk", "crash", "power cut", "partition"),
                sizes={"lb": 3, "s1": 3, "it": 3},
                target=None,
            )
            restored += outcome.tally.faults["old copy"]
        self.assertGreater(restored, 0)
