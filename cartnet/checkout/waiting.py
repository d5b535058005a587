"""Waits that end: a bound for every Deferred, pauses on the injected clock, turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore
from twisted.python.failure import Failure
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from twisted.internet.interfaces import IReactorTime

    from cartnet.errors import Refused

T = TypeVar("T")


def within(
    clock: IReactorTime,
    seconds: float,
    waited: Deferred[T],
    late: Callable[[], Refused],
) -> Deferred[T]:
    """Give up on a Deferred after so many seconds: cancel it, fail as ``late()``."""

    def translate(outcome: T | Failure, _seconds: float) -> T | Failure:
        if isinstance(outcome, Failure) and outcome.check(CancelledError):
            raise late() from None
        return outcome

    return waited.addTimeout(max(0.0, seconds), clock, onTimeoutCancel=translate)


def pause(clock: IReactorTime, seconds: float) -> Deferred[None]:
    """Fire after so many seconds; cancelling it leaves no timer behind."""
    paused: Deferred[None] = Deferred(lambda _: timer.cancel())
    timer = clock.callLater(seconds, paused.callback, None)
    return paused


class Turns(DeferredSemaphore):
    """A semaphore whose waiters may all give their turn up at once.

    Twisted's resumes the next waiter inside the call by which the last one gives its
    turn back. Where each gives up at once, a hundred or so in a row are too deep for
    the stack, and the turn of whoever is there then is lost.
    """

    def __init__(self, tokens: int) -> None:
        super().__init__(tokens)
        self._giving = False

    @override
    def release(self) -> None:
        """Give a turn back: the next waiter has it, as soon as the last has paused."""
        assert self.tokens < self.limit, "who releases has a turn"
        self.tokens += 1
        if self._giving:
            return
        self._giving = True
        while self.tokens and self.waiting:
            self.tokens -= 1
            next_waiter: Deferred[Any] = self.waiting.pop(0)
            next_waiter.callback(self)
        self._giving = False


class Backoff:
    """Pauses that double from one bound to the other, each shortened by chance."""

    def __init__(
        self, random: Random, *, seconds_min: float, seconds_max: float
    ) -> None:
        assert 0 < seconds_min <= seconds_max
        self._random = random
        self._seconds_max = seconds_max
        self._seconds = seconds_min

    def next(self) -> float:
        """Return the next pause in seconds."""
        seconds = self._seconds
        self._seconds = min(2 * seconds, self._seconds_max)
        # Those that failed together do not come back together.
        return seconds * self._random.uniform(0.5, 1.0)
