"""Replies as text for a person."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from cartnet.admin.format import detailed, listed
from cartnet.replica.status import Status


class StoppedTests(SynchronousTestCase):
    """A group that serves nobody, though one of its replicas has the office."""

    def setUp(self) -> None:
        self.leader = Status(
            *("it0", "10.0.0.1:7105", "it", "alive", "leader"), stopped="tables differ"
        )

    def test_listed(self) -> None:
        """The list says so behind each of its replicas that knows."""
        dead = Status("it1", "10.0.0.1:7106", "it", "dead")

        self.assertEqual(
            listed([self.leader, dead]),
            [
                "it0  10.0.0.1:7105  alive  leader  term=0 commit=0 applied=0  stopped",
                "it1  10.0.0.1:7106  dead   -",
            ],
        )

    def test_detailed(self) -> None:
        """A replica's status says why."""
        self.assertEqual(detailed(self.leader)[-1], "  stopped: tables differ")
