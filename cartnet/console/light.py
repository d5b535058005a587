"""The light that says whether stock is conserved (S7): the inventory's word."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from twisted.internet import defer

from cartnet.console.report import Conservation
from cartnet.errors import Refused
from cartnet.limits import CONSERVATION_SECONDS, OBSERVE_PATIENCE_SECONDS

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime
    from twisted.logger import Logger

    from cartnet.supervisor.cluster import GroupCalls


class ConservationLight:
    """Asks now and then, one question at a time, and remembers the answer.

    :ivar last: the last answer; unknown where there was none.
    """

    def __init__(self, inventory: GroupCalls, clock: IReactorTime, log: Logger) -> None:
        self.last = Conservation()
        self._inventory = inventory
        self._clock = clock
        self._log = log
        self._asked_at = float("-inf")
        self._asking = False
        self._waiting: list[defer.Deferred[None]] = []

    def ask(self) -> None:
        """Ask, unless the last answer is new or still to come."""
        now = self._clock.seconds()
        if self._asking or now - self._asked_at < CONSERVATION_SECONDS:
            return
        self._asked_at = now
        self._asking = True
        asking = defer.Deferred.fromCoroutine(self._ask())
        asking.addErrback(
            lambda failure: self._log.failure("no word of the stock", failure)
        )
        asking.addCallback(self._answered)

    async def renewed(self) -> None:
        """Ask, and wait a little while for the answer."""
        self.ask()
        if self._asking:
            answered: defer.Deferred[None] = defer.Deferred()
            self._waiting.append(answered)
            answered.addTimeout(OBSERVE_PATIENCE_SECONDS, self._clock)
            answered.addErrback(lambda failure: failure.trap(defer.TimeoutError))
            await answered

    async def _ask(self) -> None:
        try:
            answer = await self._inventory.call("conservation", {}, resend=True)
        except Refused:
            self.last = Conservation()
        else:
            self.last = msgspec.json.decode(answer, type=Conservation)

    def _answered(self, _: object) -> None:
        self._asking = False
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.called:
                each.callback(None)
