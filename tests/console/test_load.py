from __future__ import annotations

from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from cartnet.console.load import Load
from cartnet.console.report import LoadReport
from cartnet.limits import LATENCY_WINDOW_SECONDS, LOOP_DELAY_SECONDS


class LoadTests(SynchronousTestCase):
    """What a console has to do."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.load = Load(cast(Any, self.clock))

    def test_idle(self) -> None:
        """A console that nobody asks anything says so."""
        self.assertEqual(self.load.report(), LoadReport())

    def test_calls(self) -> None:
        """Calls count for some seconds, and errors where they are ours."""
        self.clock.advance(100)
        for _ in range(LATENCY_WINDOW_SECONDS):
            for _ in range(8):
                self.load.answered(0.010, None)
            self.load.answered(0.200, "out_of_stock")
            self.load.answered(0.200, "timeout")
            self.clock.advance(0.99)

        report = self.load.report()

        self.assertApproximates(report.requests_per_second, 10, 0.5)
        self.assertApproximates(report.errors_per_second, 1, 0.05)
        self.assertApproximates(report.p50_ms or 0, 10, 0.6)
        self.assertApproximates(report.p99_ms or 0, 200, 12)
        self.clock.advance(LATENCY_WINDOW_SECONDS + 1)
        self.assertEqual(self.load.report(), LoadReport())

    def test_websockets(self) -> None:
        """Open WebSockets are counted."""
        self.load.socket_opened()
        self.load.socket_opened()
        self.load.socket_closed()

        self.assertEqual(self.load.report().websockets, 1)

    def test_late_loop(self) -> None:
        """An event loop that was held shows for a while how long."""
        self.load.start()
        self.clock.advance(LOOP_DELAY_SECONDS)
        self.assertEqual(self.load.report().loop_delay_ms, 0)

        self.clock.advance(LOOP_DELAY_SECONDS + 0.25)

        self.assertEqual(self.load.report().loop_delay_ms, 250)
        self.clock.pump([LOOP_DELAY_SECONDS] * 20)
        self.assertLess(self.load.report().loop_delay_ms, 1)

    def test_stop(self) -> None:
        """A console that has stopped leaves no timer behind."""
        self.load.start()
        self.clock.advance(LOOP_DELAY_SECONDS)

        self.load.stop()

        self.assertEqual(self.clock.getDelayedCalls(), [])
