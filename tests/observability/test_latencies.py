from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from cartnet.limits import LATENCY_WINDOW_SECONDS
from cartnet.observability.latencies import Latencies, milliseconds


class LatenciesTests(SynchronousTestCase):
    """How long things took lately."""

    def test_nothing(self) -> None:
        """Without anything there is no quantile, and a rate of zero."""
        latencies = Latencies()

        self.assertIsNone(latencies.quantile(100.0, 0.5))
        self.assertEqual(latencies.per_second(100.0), 0.0)

    def test_quantiles(self) -> None:
        """A quantile is right to some percent, from microseconds to minutes."""
        for unit in (1e-5, 1e-3, 1.0):
            latencies = Latencies()
            for each in range(1, 101):
                latencies.add(5.0, each * unit)

            for share in (0.01, 0.5, 0.99, 1.0):
                found = latencies.quantile(5.5, share)
                assert found is not None
                self.assertApproximates(found / (100 * share * unit), 1, 0.06)

    def test_beyond(self) -> None:
        """What took no time at all, or for ever, counts too."""
        latencies = Latencies()
        latencies.add(1.0, 0.0)
        latencies.add(1.0, 1e9)

        self.assertLess(latencies.quantile(1.0, 0.5) or 1, 1e-4)
        self.assertEqual(latencies.quantile(1.0, 1.0), 1000.0)

    def test_forgotten(self) -> None:
        """What is older than the window is forgotten."""
        latencies = Latencies()
        for second in range(100):
            latencies.add(second, 1.0 if second < 50 else 0.001)
        latest = latencies.quantile(99.9, 1.0)
        assert latest is not None
        self.assertApproximates(latest, 0.001, 0.0001)

        self.assertIsNone(latencies.quantile(99.0 + LATENCY_WINDOW_SECONDS, 0.5))

    def test_rate(self) -> None:
        """The rate is that of the window, whatever went before."""
        latencies = Latencies()
        for tenth in range(1000):
            latencies.add(tenth / 10, 0.001)

        self.assertApproximates(latencies.per_second(99.9), 10, 0.2)

    def test_milliseconds(self) -> None:
        """Durations are shown in milliseconds, unknown ones as unknown."""
        self.assertEqual(milliseconds(0.0123456), 12.35)
        self.assertIsNone(milliseconds(None))
