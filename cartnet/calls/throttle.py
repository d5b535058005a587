"""Delays for those who try too often: logins an account, registrations an address."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cartnet.errors import Refused
from cartnet.limits import (
    LOGIN_DELAY_SECONDS_MAX,
    LOGIN_FAILURES_ACCOUNTS_MAX,
    LOGIN_FAILURES_FREE,
    LOGIN_FAILURES_SECONDS_MAX,
)

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime


def _rate_limited(message: str, seconds: float) -> Refused:
    # Rounded up, so that whoever waits that long is let through.
    retry_after = max(1, math.ceil(seconds))
    return Refused("rate_limited", message, {"retry_after": retry_after})


class RateLimit:
    """At most so many a window of time, for each key apart.

    :ivar count_max: what is admitted in any window of ``seconds``.
    :ivar keys_max: keys remembered; the one that came least lately is forgotten first.
    """

    def __init__(
        self, clock: IReactorTime, *, count_max: int, seconds: float, keys_max: int
    ) -> None:
        assert count_max > 0
        assert keys_max > 0
        self.count_max = count_max
        self.seconds = seconds
        self.keys_max = keys_max
        self._clock = clock
        self._admitted: OrderedDict[str, deque[float]] = OrderedDict()

    def admit(self, key: str) -> None:
        """Count one more for ``key``, or raise ``rate_limited`` and count nothing."""
        now = self._clock.seconds()
        times = self._admitted.setdefault(key, deque())
        self._admitted.move_to_end(key)
        while times and times[0] <= now - self.seconds:
            times.popleft()
        if len(times) >= self.count_max:
            raise _rate_limited(
                f"more than {self.count_max} in {self.seconds:g} seconds: try later",
                times[0] + self.seconds - now,
            )
        times.append(now)
        if len(self._admitted) > self.keys_max:
            self._admitted.popitem(last=False)


@dataclass
class _Failures:
    count: int
    last: float


class LoginFailures:
    """Makes an account's next attempts wait, the longer the more of them have failed.

    Nothing is locked for good: the delay doubles from one second to
    ``LOGIN_DELAY_SECONDS_MAX``, and all is forgotten ``LOGIN_FAILURES_SECONDS_MAX``
    after the last failure or at the first success. Names without an account count
    alike, so that the delay does not tell them apart.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def check(self, username: str) -> None:
        """Raise ``rate_limited`` while the account's next attempt is delayed."""
        failures = self._failures.get(username)
        if failures is None or failures.count < LOGIN_FAILURES_FREE:
            return
        now = self._clock.seconds()
        if now >= failures.last + LOGIN_FAILURES_SECONDS_MAX:
            del self._failures[username]
            return
        doublings = min(failures.count - LOGIN_FAILURES_FREE, 16)
        wait = failures.last + min(2.0**doublings, LOGIN_DELAY_SECONDS_MAX) - now
        if wait > 0:
            raise _rate_limited("too many failed logins of this account", wait)

    def failed(self, username: str) -> None:
        """Count a wrong password."""
        now = self._clock.seconds()
        failures = self._failures.setdefault(username, _Failures(0, now))
        if now >= failures.last + LOGIN_FAILURES_SECONDS_MAX:
            failures.count = 0
        failures.count += 1
        failures.last = now
        self._failures.move_to_end(username)
        if len(self._failures) > LOGIN_FAILURES_ACCOUNTS_MAX:
            self._failures.popitem(last=False)

    def succeeded(self, username: str) -> None:
        """Forget an account's failures: its owner is back."""
        self._failures.pop(username, None)
