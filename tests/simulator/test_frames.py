"""Lines that arrive altered, cut short or too long, between any two processes."""

from __future__ import annotations

from collections import Counter
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from tests.simulator.running import assert_clean

SEEDS: Final = 3

MARKS = (
    "a line arrived corrupt",
    "a line arrived cut short",
    "a line arrived too long",
    "a bad message: ",
    "a line may have at most",
)


class FrameTests(SynchronousTestCase):
    """The connection ends, the reason is logged, and the peer calls again."""

    def test_spoiled_lines(self) -> None:
        """No spoiled line is believed, and none brings a replica down."""
        faults = ("corrupt line", "cut line", "long line")
        reached: Counter[str] = Counter()
        for seed in range(SEEDS):
            outcome = assert_clean(seed, faults=faults, pause_seconds=0.3, target=None)
            reached += outcome.tally.reached

        for mark in MARKS:
            self.assertTrue(reached[mark], mark)
