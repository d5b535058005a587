"""Real replicas whose tables differ, and what a majority of them makes of it (S4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from cartnet.errors import Refused
from cartnet.simulator.cluster import SMALL, SimulatedCluster
from cartnet.storage import journal

GROUP_OF_TWO = SMALL.replace(" 10.0.2.3:7105", "")


class DisputeCase(SynchronousTestCase):
    """A cluster whose inventory's files are altered so that no digest shows it."""

    configuration = SMALL

    def setUp(self) -> None:
        self.cluster = SimulatedCluster(seed=5, configuration=self.configuration)
        self.cluster.start()
        self.cluster.run_until_serving()
        self.cluster.run_for(3)
        self.client = self.cluster.client("it")
        self.names = self.cluster.topology.group("it").names
        self.cluster.kill(*self.names)

    def alter(self, name: str) -> None:
        cursor = self.cluster.cursor(name)
        cursor.execute("UPDATE items SET name = ?", (f"{name}'s own",))
        cursor.execute("DROP TABLE digest")

    def stopped(self, name: str) -> str | None:
        return self.cluster.replicas[name].status().stopped

    def run_until_stopped(self, *names: str) -> None:
        self.cluster.run_until(
            lambda: all(self.stopped(name) for name in names), seconds_max=10
        )

    def said(self, part: str) -> list[str]:
        """The replicas that have logged a line with this, one for each line."""
        return sorted(
            line.split()[1] for line in self.cluster.logs.lines if part in line
        )

    def assert_refused(self, ask: Callable[[], Any]) -> None:
        refused = self.assertRaises(Refused, self.cluster.do, ask())
        self.assertEqual(refused.code, "unavailable")
        self.assertIn("different tables", refused.message)

    def get(self, **more: Any) -> Any:
        return self.client.call("get_inventory", {}, resend=True, **more)

    def assert_serves_nobody(self, *names: str) -> None:
        self.assertIsNone(self.cluster.leader("it"))
        self.assert_refused(self.get)
        for name in names:
            replica = self.cluster.replicas[name]
            with self.assertRaises(Refused) as caught:
                replica.read(lambda cursor: None, stale=True)
            self.assertEqual(caught.exception.code, "unavailable")
            self.assertIn("different tables", caught.exception.message)


class DisputeTests(DisputeCase):
    """A group of three."""

    def test_three_tables(self) -> None:
        """Where all three differ the group stops, and each says why, once."""
        self.alter("it1")
        self.alter("it2")
        self.cluster.start(*self.names)

        self.run_until_stopped(*self.names)
        self.cluster.run_until(
            lambda: len(self.said("the group has stopped")) == 3, seconds_max=5
        )
        self.assert_serves_nobody(*self.names)
        self.cluster.run_for(30)

        self.assertEqual(self.said("the group has stopped"), [*self.names])
        (line, *_) = [each for each in self.cluster.logs.lines if "stopped:" in each]
        for name in self.names:
            self.assertRegex(line, f"{name} has [0-9a-f]{{16}}")
        self.assertIn("docs/operations.md", line)
        self.assertEqual(self.said("begins anew"), [])

    def test_new_leader(self) -> None:
        """Another leader finds the same, and nobody says it twice."""
        self.alter("it1")
        self.alter("it2")
        self.cluster.start(*self.names)
        self.run_until_stopped(*self.names)

        self.cluster.kill("it0")
        self.cluster.run_for(10)

        self.assert_serves_nobody("it1", "it2")
        self.assertEqual(len(self.said("the group has stopped")), 3)

    def test_one_is_away(self) -> None:
        """Two that differ stop; the third's return decides, and who is wrong begins
        anew."""
        self.alter("it0")
        self.cluster.start("it0", "it1")
        self.run_until_stopped("it0", "it1")
        self.assert_serves_nobody("it0", "it1")

        self.cluster.start("it2")
        self.cluster.run_until(lambda: bool(self.said("begins anew")), seconds_max=5)
        self.assertEqual(self.said("begins anew"), ["it0"])
        self.cluster.run_until(
            lambda: self.said("the new file of it0 is admitted") == [*self.names],
            seconds_max=10,
        )
        self.cluster.run_until_serving()
        self.cluster.do(self.get())
        self.assertEqual([self.stopped(name) for name in self.names], [None] * 3)

    def test_minority_is_no_dispute(self) -> None:
        """Where two agree they go on serving without the third, and nothing stops."""
        self.alter("it0")
        self.cluster.start(*self.names)
        self.cluster.run_until(lambda: bool(self.said("begins anew")), seconds_max=5)
        self.cluster.run_until_serving()

        self.assertEqual(self.said("begins anew"), ["it0"])
        self.assertEqual(self.said("the group has stopped"), [])

    def test_copied_tables_decide_nothing(self) -> None:
        """Who needs a snapshot gets none from a leader whose tables are disputed."""
        self.alter("it0")
        self.cluster.world.hosts["it2"].disk.wipe()
        for name in ("it0", "it1"):
            self.compact(name)
        self.cluster.start("it0", "it1")
        self.run_until_stopped("it0", "it1")

        self.cluster.start("it2")
        self.cluster.run_for(20)

        self.assert_serves_nobody("it0", "it1")
        self.assertEqual(self.said("installed a snapshot"), [])
        self.assertEqual(self.said("begins anew"), [])

    def compact(self, name: str) -> None:
        """Drop what is applied from a log."""
        cursor = self.cluster.cursor(name)
        state = journal.state(cursor)
        journal.compact(cursor, state.applied_index)


class TwoTests(DisputeCase):
    """A group of two."""

    configuration = GROUP_OF_TWO

    def test_two_tables(self) -> None:
        """Two that differ stop for good, with a restart too."""
        self.alter("it1")
        self.cluster.start(*self.names)
        self.run_until_stopped(*self.names)
        self.assert_serves_nobody(*self.names)

        self.cluster.kill(*self.names)
        self.cluster.start(*self.names)
        self.run_until_stopped(*self.names)
        self.assert_serves_nobody(*self.names)
        self.assertEqual(self.said("begins anew"), [])
