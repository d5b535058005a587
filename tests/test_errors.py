"""The exception that carries an error to whoever asked."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from cartnet.errors import Refused


class RefusedTests(SynchronousTestCase):
    """What a refusal says."""

    def test_shown(self) -> None:
        """On a terminal and in a log it is its sentence, not its parts."""
        refused = Refused("unavailable", "it1 did not start", {"leader": None})

        self.assertEqual(str(refused), "it1 did not start")
