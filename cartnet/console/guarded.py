"""An operator's watch, which ends soon after the session, wherever that has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from cartnet.errors import Refused
from cartnet.limits import OPERATOR_WATCH_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from twisted.internet.interfaces import IDelayedCall, IReactorTime
    from twisted.logger import Logger
    from twisted.python.failure import Failure

    from cartnet.replica.ports import Sink, Subscription


class Guarded:
    """A subscription of a session that is confirmed again and again.

    A logout is heard of only by the console or balancer that it is made through, and
    no one is told when a session expires: so it is asked for.
    """

    def __init__(
        self,
        sink: Sink,
        subscription: Subscription,
        confirm: Callable[[], Coroutine[Deferred[Any], Any, None]],
        clock: IReactorTime,
        log: Logger,
    ) -> None:
        """
        :param confirm: asks whether the session may go on; raises Refused if not.
        """
        self._sink = sink
        self._subscription = subscription
        self._confirm = confirm
        self._clock = clock
        self._log = log
        self._over = False
        self._timer: IDelayedCall | None = None
        self._ask_later()

    def wake(self) -> None:
        """The sink is writable again: send what has been merged meanwhile."""
        self._subscription.wake()

    def cancel(self) -> None:
        """Nothing is sent after this."""
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._subscription.cancel()

    def _ask_later(self) -> None:
        self._timer = self._clock.callLater(OPERATOR_WATCH_SECONDS, self._ask)

    def _ask(self) -> None:
        self._timer = None
        asking = Deferred.fromCoroutine(self._confirm())
        asking.addCallbacks(self._confirmed, self._refused)

    def _confirmed(self, _: None) -> None:
        if not self._over:
            self._ask_later()

    def _refused(self, failure: Failure) -> None:
        refused = failure.value
        if not isinstance(refused, Refused):
            self._log.failure("a session could not be confirmed", failure)
            refused = Refused("internal", "something broke; the log here says what")
        if not self._over:
            self._sink.end(refused)
