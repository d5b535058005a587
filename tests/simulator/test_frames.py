"""Lines that arrive altered, cut short or too long, between any two processes."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.simulator.running import assert_clean

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
        outcome = assert_clean(3, faults=faults, pause_seconds=0.3, target=None)

        for mark in MARKS:
            self.assertTrue(outcome.tally.reached[mark], mark)
