"""Who watches a feed, and the rounds in which it looks for news for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

from twisted.internet.defer import CancelledError, Deferred

from cartnet.limits import WATCH_KEEPALIVE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator
    from typing import Any

    from twisted.internet.interfaces import IDelayedCall, IReactorTime
    from twisted.logger import Logger
    from twisted.python.failure import Failure

    from cartnet.replica.ports import Sink


class Rounds:
    """Has a feed look as soon as it may be, but never twice at once.

    :ivar due: whether there may be news that no round has begun to look for.

    :param look: one round; it returns how many seconds to rest after it. What comes
        while it looks or rests is for the next.
    :param broken: told of a failure that must not be: the replica is to stop.
    """

    def __init__(
        self,
        clock: IReactorTime,
        look: Callable[[], Coroutine[Deferred[Any], Any, float]],
        logger: Logger,
        broken: Callable[[Failure], None],
    ) -> None:
        self.due = False
        self._clock = clock
        self._look = look
        self._logger = logger
        self._broken = broken
        self._in_round = False
        self._round: Deferred[None] | None = None
        self._rest: IDelayedCall | None = None
        self._stopped = False

    def wake(self) -> None:
        """There may be news."""
        self.due = True
        if not self._in_round and self._rest is None:
            self._begin()

    def stop(self) -> None:
        """Look no more."""
        self._stopped = True
        if self._rest is not None:
            self._rest.cancel()
            self._rest = None
        if self._round is not None:
            self._round.cancel()

    def _begin(self) -> None:
        self._rest = None
        if self._stopped or not self.due:
            return
        self.due = False
        self._in_round = True
        self._round = Deferred.fromCoroutine(self._look()).addCallback(self._end)
        self._round.addErrback(self._failed)

    def _end(self, rest: float) -> None:
        self._round = None
        self._in_round = False
        if not self._stopped:
            self._rest = self._clock.callLater(rest, self._begin)

    def _failed(self, failure: Failure) -> None:
        self._round = None
        if failure.check(CancelledError):
            return
        self._logger.failure("a feed broke", failure)
        self._broken(failure)


class Watcher:
    """One who watches: a subscription."""

    def __init__(self, audience: Audience[Any], sink: Sink) -> None:
        self.sink = sink
        self._audience = audience

    def wake(self) -> None:
        """The sink is writable again: send what has been merged meanwhile."""
        self._audience.wake()

    def cancel(self) -> None:
        """Nothing is sent after this."""
        self._audience.leave(self)


W = TypeVar("W", bound=Watcher)


class Audience(Generic[W]):
    """The watchers of one feed, in the order in which they came.

    :param look: one round: brings them what is new, returns the seconds to rest.
    :param keep_alive: tells them that nothing is, or that this is not known.
    :param broken: told of a failure that must not be: the replica is to stop.
    """

    def __init__(
        self,
        clock: IReactorTime,
        look: Callable[[], Coroutine[Deferred[Any], Any, float]],
        keep_alive: Callable[[], None],
        logger: Logger,
        broken: Callable[[Failure], None],
    ) -> None:
        self.rounds = Rounds(clock, look, logger, broken)
        self._clock = clock
        self._keep_alive = keep_alive
        # A dict, since sets have no order.
        self._watchers: dict[Watcher, W] = {}
        self._timer: IDelayedCall | None = None
        self._stopped = False

    def __len__(self) -> int:
        return len(self._watchers)

    def __contains__(self, watcher: W) -> bool:
        return watcher in self._watchers

    def __iter__(self) -> Iterator[W]:
        """Those there are now, whoever comes or goes meanwhile."""
        return iter(tuple(self._watchers.values()))

    def join(self, watcher: W) -> W:
        """Begin to tell it; after the end nobody is told."""
        if not self._stopped:
            self._watchers[watcher] = watcher
            if self._timer is None:
                self._timer = self._clock.callLater(WATCH_KEEPALIVE_SECONDS, self._tick)
            self.wake()
        return watcher

    def leave(self, watcher: Watcher) -> None:
        """Forget a watcher."""
        self._watchers.pop(watcher, None)
        if not self._watchers and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def wake(self) -> None:
        """Look whether anyone lacks anything, as soon as it may be."""
        if self._watchers:
            self.rounds.wake()

    def stop(self) -> None:
        """Forget all watchers; nothing is sent any more."""
        self._stopped = True
        for watcher in self:
            watcher.cancel()
        self.rounds.stop()

    def _tick(self) -> None:
        self._timer = self._clock.callLater(WATCH_KEEPALIVE_SECONDS, self._tick)
        self._keep_alive()
