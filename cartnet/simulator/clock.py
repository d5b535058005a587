"""Simulated time: it stands still while code runs, and moves from event to event."""

# ruff: noqa: N802, A002 - the names are those of Twisted's interfaces.

from __future__ import annotations

import heapq
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.base import DelayedCall
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

if TYPE_CHECKING:
    from cartnet.simulator.process import Process


LATE_SECONDS: Final = 1e-9
"""By which calls are late on a host whose clock drifts: by its own clock, which rounds
in another way, they would otherwise be too early at times, again and again."""

CALLS_AT_ONCE_MAX: Final = 100_000
"""More calls at one instant are a loop that would never end."""


@implementer(IReactorTime)
class SimulatedClock:
    """A heap of delayed calls; those due at one instant run as they were scheduled.

    :class:`twisted.internet.task.Clock` sorts its whole list at every ``callLater`` and
    runs all that an ``advance`` passes over at its end; both are wrong for a simulation
    of hours.

    :ivar events: how many calls have been run.
    """

    def __init__(self) -> None:
        self.events = 0
        self._now = 0.0
        self._at_once = 0
        self._scheduled = 0
        self._heap: list[tuple[float, int, DelayedCall]] = []

    def seconds(self) -> float:
        return self._now

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: Any, **kw: Any
    ) -> DelayedCall:
        assert delay >= 0
        call = DelayedCall(
            self._now + delay, callable, args, kw, _cancelled, self._push, self.seconds
        )
        self._push(call)
        return call

    def getDelayedCalls(self) -> tuple[DelayedCall, ...]:
        return tuple(
            call
            for due, _, call in sorted(self._heap, key=lambda item: item[:2])
            if call.active() and due == call.getTime()
        )

    def again(self, call: DelayedCall) -> None:
        """Have a call that did not happen when it was due happen now."""
        if call.active():
            call.time, call.delayed_time = self._now, 0
            self._push(call)

    def step(self) -> bool:
        """Run the next call; say whether there was one.

        What the call raises goes through: a callback that fails is a bug of ours.
        """
        call = self._next()
        if call is None:
            return False
        heapq.heappop(self._heap)
        due = call.getTime()
        self._at_once = self._at_once + 1 if due == self._now else 0
        assert self._at_once < CALLS_AT_ONCE_MAX, f"{call} is due again and again"
        self._now = due
        self.events += 1
        call.called = 1
        call.func(*call.args, **call.kw)
        return True

    def run_until(self, end: float) -> None:
        """Run every call due at or before ``end`` (in seconds), then stand there."""
        assert end >= self._now
        while (call := self._next()) is not None and call.getTime() <= end:
            self.step()
        self._now = end

    def run_for(self, seconds: float) -> None:
        self.run_until(self._now + seconds)

    def run_while(self, condition: Callable[[], bool], *, seconds_max: float) -> bool:
        """Run as long as ``condition`` holds; say whether it ended within the time."""
        end = self._now + seconds_max
        while condition():
            call = self._next()
            if call is None or call.getTime() > end:
                self._now = end
                return False
            self.step()
        return True

    def _push(self, call: DelayedCall) -> None:
        self._scheduled += 1
        heapq.heappush(self._heap, (call.getTime(), self._scheduled, call))

    def _next(self) -> DelayedCall | None:
        """The call at the heap's head, once those cancelled or moved are gone."""
        heap = self._heap
        while heap:
            due, _, call = heap[0]
            # A call moved to an earlier time has been pushed a second time; one moved
            # to a later time is still where it was.
            if call.cancelled or call.called or due > call.getTime():
                heapq.heappop(heap)
            elif due < call.getTime():
                heapq.heappop(heap)
                call.activate_delay()
                self._push(call)
            else:
                return call
        return None


def _cancelled(call: DelayedCall) -> None:
    """Leave a cancelled call in the heap: finding it there costs more."""


@implementer(IReactorTime)
class HostClock:
    """One process's view of the simulated time: its calls sleep and die with it.

    :ivar rate: its seconds in one true second. (A call that is moved is moved by true
        seconds: the difference is of no account.)
    """

    def __init__(
        self, clock: SimulatedClock, process: Process, rate: float = 1.0
    ) -> None:
        self.rate = rate
        self._clock = clock
        self._process = process

    def seconds(self) -> float:
        return self._clock.seconds() * self.rate

    def callLater(
        self, delay: float, callable: Callable[..., Any], *args: Any, **kw: Any
    ) -> DelayedCall:
        if self.rate != 1 and delay:
            delay = delay / self.rate + LATE_SECONDS
        call = self._clock.callLater(delay, self._due)
        call.args = (call, partial(callable, *args, **kw))
        return call

    def getDelayedCalls(self) -> tuple[DelayedCall, ...]:
        calls = self._clock.getDelayedCalls() if self._process.alive else ()
        return tuple(call for call in calls if call.func == self._due)

    def _due(self, call: DelayedCall, function: Callable[[], object]) -> None:
        if self._process.asleep:
            # It can still be cancelled, by what happens first once the process wakes.
            call.called = 0
            self._process.enter(self._clock.again, call)
        else:
            self._process.enter(function)
