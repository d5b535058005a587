"""Looks for news, round after round while there may be any, with rests in between."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError, Deferred

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from twisted.internet.interfaces import IDelayedCall, IReactorTime
    from twisted.logger import Logger
    from twisted.python.failure import Failure


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
