"""Simulated time."""

from __future__ import annotations

from twisted.internet.task import LoopingCall
from twisted.trial.unittest import SynchronousTestCase

from cartnet.simulator.clock import HostClock, SimulatedClock
from cartnet.simulator.process import Process


class SimulatedClockTests(SynchronousTestCase):
    """Calls run when they are due, one after another."""

    def setUp(self) -> None:
        self.clock = SimulatedClock()
        self.ran: list[tuple[float, str]] = []

    def note(self, what: str) -> None:
        self.ran.append((self.clock.seconds(), what))

    def test_order(self) -> None:
        """Calls run by time, and those of one time in the order of scheduling."""
        for delay, what in ((2, "c"), (1, "a"), (1, "b"), (3, "d")):
            self.clock.callLater(delay, self.note, what)

        self.clock.run_until(2.5)

        self.assertEqual(self.ran, [(1, "a"), (1, "b"), (2, "c")])
        self.assertEqual(self.clock.seconds(), 2.5)

    def test_looping_call(self) -> None:
        """A repeated call sees every one of its times."""
        loop = LoopingCall(self.note, "tick")
        loop.clock = self.clock
        loop.start(0.5)

        self.clock.run_for(10)

        self.assertEqual(len(self.ran), 21)
        self.assertEqual(self.ran[-1], (10.0, "tick"))
        loop.stop()

    def test_endless_instant(self) -> None:
        """Calls that are due again at once, without end, are an error and no hang."""

        def again() -> None:
            self.clock.callLater(0, again)

        again()

        with self.assertRaisesRegex(AssertionError, "again and again"):
            self.clock.run_for(1)

    def test_cancelled(self) -> None:
        """A cancelled call does not run and is not pending."""
        self.clock.callLater(1, self.note, "no").cancel()

        self.assertEqual(self.clock.getDelayedCalls(), ())
        self.assertFalse(self.clock.step())
        self.assertEqual(self.ran, [])

    def test_moved(self) -> None:
        """A call that is moved, back and forth, runs once at its last time."""
        call = self.clock.callLater(5, self.note, "moved")
        call.delay(5)
        self.clock.run_until(7)
        call.reset(2)
        self.assertEqual(self.clock.getDelayedCalls(), (call,))

        self.clock.run_until(20)

        self.assertEqual(self.ran, [(9, "moved")])

    def test_moved_to_earlier(self) -> None:
        """A call that is moved to an earlier time runs then, and not again."""
        self.clock.callLater(5, self.note, "moved").reset(1)

        self.clock.run_until(20)

        self.assertEqual(self.ran, [(1, "moved")])

    def test_run_while(self) -> None:
        """Running stops with the event that ends the condition, or with the time."""
        loop = LoopingCall(self.note, "tick")
        loop.clock = self.clock
        loop.start(1)

        ended = self.clock.run_while(lambda: len(self.ran) < 4, seconds_max=60)
        in_vain = self.clock.run_while(lambda: True, seconds_max=10.5)

        self.assertTrue(ended)
        self.assertFalse(in_vain)
        self.assertEqual(self.clock.seconds(), 13.5)

    def test_error_goes_through(self) -> None:
        """What a call raises ends the run: it is a bug that nobody may miss."""
        self.clock.callLater(1, [].pop)

        self.assertRaises(IndexError, self.clock.run_until, 2)

    def test_host_drift(self) -> None:
        """A clock that is too fast calls early by the true time, never by its own."""
        host = HostClock(self.clock, Process(), rate=1.01)
        called: list[tuple[float, float]] = []
        for delay in (1.01, 101.0):
            host.callLater(
                delay, lambda: called.append((host.seconds(), self.clock.seconds()))
            )

        self.clock.run_until(200)

        for (own, true), due in zip(called, (1.01, 101.0), strict=True):
            self.assertGreaterEqual(own, due)
            self.assertAlmostEqual(true, due / 1.01)

    def test_host_crash(self) -> None:
        """A crashed host's calls never run; others' do."""
        process = Process()
        host = HostClock(self.clock, process)
        host.callLater(1, self.note, "host")
        self.clock.callLater(1, self.note, "world")
        self.assertEqual(len(host.getDelayedCalls()), 1)

        process.end()
        self.clock.run_until(2)

        self.assertEqual(self.ran, [(1, "world")])
        self.assertEqual(host.getDelayedCalls(), ())
