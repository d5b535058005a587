from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from cartnet.calls.throttle import LoginFailures, RateLimit
from cartnet.errors import Refused
from cartnet.limits import (
    LOGIN_DELAY_SECONDS_MAX,
    LOGIN_FAILURES_ACCOUNTS_MAX,
    LOGIN_FAILURES_FREE,
    LOGIN_FAILURES_SECONDS_MAX,
)


class RateLimitTests(SynchronousTestCase):
    """Registrations an address, and whatever else comes in windows."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.limit = RateLimit(self.clock, count_max=3, seconds=60.0, keys_max=2)

    def _refused(self, key: str) -> Refused:
        refused = self.assertRaises(Refused, self.limit.admit, key)
        assert isinstance(refused, Refused)
        return refused

    def test_no_window_admits_more(self) -> None:
        """Whatever the phase, no sixty seconds admit a fourth."""
        for _ in range(3):
            self.limit.admit("a")
            self.clock.advance(15)

        self.assertEqual(self._refused("a").code, "rate_limited")
        self.clock.advance(15)
        self.limit.admit("a")
        self.assertEqual(self._refused("a").details, {"retry_after": 15})

    def test_retry_after_is_enough(self) -> None:
        """Who waits as long as the refusal says is admitted."""
        for _ in range(3):
            self.limit.admit("a")
            self.clock.advance(0.3)

        self.clock.advance(self._refused("a").details["retry_after"])

        self.limit.admit("a")

    def test_keys_are_apart(self) -> None:
        """One address's registrations do not cost another's."""
        for _ in range(3):
            self.limit.admit("a")

        self.limit.admit("b")

        self._refused("a")

    def test_refusals_do_not_count(self) -> None:
        """Trying while refused does not put off when one is admitted."""
        for _ in range(3):
            self.limit.admit("a")
        for _ in range(59):
            self.clock.advance(1)
            self._refused("a")

        self.clock.advance(1)

        self.limit.admit("a")

    def test_memory_is_bounded(self) -> None:
        """Beyond so many keys the one that came least lately is forgotten."""
        for key in "abc":
            for _ in range(3):
                self.limit.admit(key)

        self.limit.admit("a")
        self._refused("c")


class LoginFailuresTests(SynchronousTestCase):
    """Guessing gets slow; nobody is locked out for good."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.failures = LoginFailures(self.clock)

    def _fail(self, times: int) -> None:
        for _ in range(times):
            self.failures.failed("ada")

    def _wait(self) -> float:
        """How long the next attempt is delayed."""
        try:
            self.failures.check("ada")
        except Refused as refused:
            self.assertEqual(refused.code, "rate_limited")
            return float(refused.details["retry_after"])
        return 0.0

    def test_a_few_failures_are_free(self) -> None:
        """Four wrong passwords delay nothing, the fifth delays what follows it."""
        self._fail(LOGIN_FAILURES_FREE - 1)
        self.assertEqual(self._wait(), 0)

        self._fail(1)

        self.assertEqual(self._wait(), 1)

    def test_delays_grow_to_a_bound(self) -> None:
        """Each failure doubles the delay, up to a minute however many there were."""
        self._fail(LOGIN_FAILURES_FREE)
        waits = []
        for _ in range(100):
            waits.append(self._wait())
            self.clock.advance(waits[-1])
            self.assertEqual(self._wait(), 0)
            self._fail(1)

        self.assertEqual(waits[:7], [1, 2, 4, 8, 16, 32, 60])
        self.assertEqual(set(waits[7:]), {LOGIN_DELAY_SECONDS_MAX})

    def test_success_forgets(self) -> None:
        """The owner's login ends the delays."""
        self._fail(LOGIN_FAILURES_FREE + 3)

        self.failures.succeeded("ada")

        self.assertEqual(self._wait(), 0)
        self._fail(LOGIN_FAILURES_FREE - 1)
        self.assertEqual(self._wait(), 0)

    def test_time_forgets(self) -> None:
        """After a quarter of an hour the free failures are back."""
        self._fail(LOGIN_FAILURES_FREE + 3)

        self.clock.advance(LOGIN_FAILURES_SECONDS_MAX)

        self._fail(LOGIN_FAILURES_FREE - 1)
        self.assertEqual(self._wait(), 0)

    def test_memory_is_bounded(self) -> None:
        """Inventing names forgets the oldest, and takes no more memory."""
        self._fail(LOGIN_FAILURES_FREE)

        for number in range(LOGIN_FAILURES_ACCOUNTS_MAX):
            self.failures.failed(f"nobody{number}")

        self.assertEqual(self._wait(), 0)
