"""One read for all who ask while another is under way.

An answer may be shared by whoever asked before its read was sent, so it is as fresh as
one of their own would be. However many ask at once, two reads are under way or waiting.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from cartnet.errors import Refused

if TYPE_CHECKING:
    import msgspec
    from twisted.internet.interfaces import IReactorTime


class _Waiting:
    """One who asks.

    :ivar tried_until: the deadline of the read that it shared.
    """

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.tried_until = deadline
        self.answer: Deferred[msgspec.Raw] = Deferred()


class SharedRead:
    """A read without arguments, sent for all who have asked by then.

    :param read: sends it, and gives it up at the deadline it is called with.
    """

    def __init__(
        self, clock: IReactorTime, read: Callable[[float], Awaitable[msgspec.Raw]]
    ) -> None:
        self._clock = clock
        self._read = read
        self._waiting: list[_Waiting] = []
        self._under_way = False

    async def ask(self, deadline: float) -> msgspec.Raw:
        """Return an answer that was read after this call.

        :raises Refused: as the read does, for a deadline of one's own.
        """
        while True:
            mine = _Waiting(deadline)
            self._waiting.append(mine)
            if not self._under_way:
                Deferred.fromCoroutine(self._serve())
            try:
                return await mine.answer
            except Refused:
                # Given up for another's sake, who had come earlier?
                if not mine.tried_until <= self._clock.seconds() < deadline:
                    raise

    async def _serve(self) -> None:
        self._under_way = True
        while self._waiting:
            served, self._waiting = self._waiting, []
            deadline = min(waiting.deadline for waiting in served)
            try:
                answer = await self._read(deadline)
            except Exception:
                failure = Failure()
                for waiting in served:
                    waiting.tried_until = deadline
                    waiting.answer.errback(failure)
            else:
                for waiting in served:
                    waiting.answer.callback(answer)
        self._under_way = False
