"""W4: many want the same item, and there is little of it, while leaders crash."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.simulator.running import assert_clean


class SaleTests(SynchronousTestCase):
    """A flash sale, from its first customer to the last one who gets nothing."""

    def test_leaders_crash(self) -> None:
        """All that there is gets sold, and not one piece more."""
        outcome = assert_clean(
            2,
            minutes=0.1,
            sizes={"lb": 3, "s1": 3, "it": 3},
            target=None,
            faults=("crash leader",),
            pause_seconds=0.5,
            users=15,
            think_seconds=0.05,
            sale=20,
        )

        tally = outcome.tally
        self.assertGreater(tally.faults["crash leader"], 2)
        self.assertEqual(tally.checks["W4 a flash sale ends with nothing left"], 1)
