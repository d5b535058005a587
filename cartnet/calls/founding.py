"""What a group's first leader does: it gives the group its random id, and more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet.defer import CancelledError, Deferred

from cartnet.checkout.waiting import Backoff, pause, within
from cartnet.errors import Refused
from cartnet.limits import DUTY_RETRY_SECONDS_MAX, DUTY_RETRY_SECONDS_MIN
from cartnet.shop.commands import Found
from cartnet.shop.machine import group_id

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from twisted.logger import Logger
    from twisted.python.failure import Failure

    from cartnet.replica.ports import Log
    from cartnet.seams import Seams

GROUP_ID_BYTES: Final = 8


class Founding:
    """Gives a new group its random id, and does what else a first leader has to do.

    From :meth:`led` to :meth:`deposed` each step is tried until it succeeds. Steps
    find out for themselves whether they are done already, by a former leader say.

    :param before: steps that come before the group has its id, and calls are served.
    :param broken: told of a failure that must not be: the replica is to stop.
    """

    def __init__(
        self,
        log: Log,
        seams: Seams,
        request_timeout: float,
        logger: Logger,
        broken: Callable[[Failure], None],
        before: tuple[Callable[[], Awaitable[None]], ...] = (),
    ) -> None:
        self._log = log
        self._seams = seams
        self._request_timeout = request_timeout
        self._logger = logger
        self._broken = broken
        self._steps = (*before, self._found)
        self._work: Deferred[None] | None = None

    def led(self) -> None:
        """Begin."""
        assert self._work is None, "a leader is deposed before it leads again"
        self._work = Deferred.fromCoroutine(self._do_all())
        self._work.addErrback(self._failed)

    def deposed(self) -> None:
        """Stop; the next leader goes on."""
        work, self._work = self._work, None
        if work is not None:
            work.cancel()

    async def _do_all(self) -> None:
        for step in self._steps:
            backoff = Backoff(
                self._seams.random,
                seconds_min=DUTY_RETRY_SECONDS_MIN,
                seconds_max=DUTY_RETRY_SECONDS_MAX,
            )
            while not await self._done(step):
                await pause(self._seams.clock, backoff.next())

    async def _done(self, step: Callable[[], Awaitable[None]]) -> bool:
        try:
            await step()
        except Refused as refused:
            self._logger.info(
                "founding the group waits: {message}", message=refused.message
            )
            return False
        return True

    async def _found(self) -> None:
        clock, seconds = self._seams.clock, self._request_timeout
        known = await within(clock, seconds, self._log.read(group_id), _late)
        if known is None:
            # Were another leader's proposal applied first, its id would stand.
            drawn = self._seams.token_bytes(GROUP_ID_BYTES).hex()
            proposed = self._log.propose(Found(group_id=drawn))
            await within(clock, seconds, proposed, _late)

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        self._logger.failure("founding the group broke", failure)
        self._broken(failure)


def _late() -> Refused:
    return Refused("timeout", "no answer in time")
