"""What the calls of every kind of group have in common: dispatch, bounds, sessions."""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from cartnet.checkout.waiting import within
from cartnet.errors import Refused
from cartnet.shop.accounts import UNAUTHENTICATED, session_user
from cartnet.shop.answers import Refusal
from cartnet.shop.group import time_at
from cartnet.wire.arguments import decode_arguments

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from twisted.logger import Logger

    from cartnet.replica.ports import Caller, Log
    from cartnet.seams import Cursor, Seams
    from cartnet.shop.answers import Answer
    from cartnet.shop.commands import Command
    from cartnet.wire.requests import Request

T = TypeVar("T")

TOKEN_BYTES: Final = 32

Method: TypeAlias = "Callable[[Asked], Awaitable[object]]"


class Asked:
    """One request in hand, its arguments decoded.

    :ivar deadline: when it is to be answered, by the injected clock.
    """

    __slots__ = ("args", "caller", "deadline", "request")

    def __init__(
        self, request: Request, caller: Caller, args: Any, deadline: float
    ) -> None:
        self.request = request
        self.caller = caller
        self.args = args
        self.deadline = deadline


class Answering:
    """Decodes a request's arguments and has its method answer it, in bounded time.

    :param broken: told of a failure that must not be: the replica is to stop.
    """

    def __init__(
        self,
        log: Log,
        seams: Seams,
        request_timeout: float,
        logger: Logger,
        broken: Callable[[Failure], None],
        *,
        public: Mapping[str, Method],
        internal: Mapping[str, Method],
    ) -> None:
        self.log = log
        self.seams = seams
        self._request_timeout = request_timeout
        self._logger = logger
        self._broken = broken
        self._methods = {**public, **internal}
        self._internal = frozenset(internal)
        # In the order in which they came; a dict, since sets have none.
        self._in_hand: dict[Deferred[object], None] = {}
        self._stopped = False

    def answer(self, request: Request, caller: Caller) -> Deferred[object]:
        """Do one request; fail with :class:`~cartnet.errors.Refused`."""
        answer = Deferred.fromCoroutine(self._answer(request, caller))
        if not answer.called:
            self._in_hand[answer] = None
            answer.addBoth(self._done, answer)
        return answer

    def stop(self) -> None:
        """Give up what is in hand: whether it has been done is not known here."""
        self._stopped = True
        for answer in list(self._in_hand):
            answer.cancel()

    def _done(self, outcome: object, answer: Deferred[object]) -> object:
        del self._in_hand[answer]
        return outcome

    async def _answer(self, request: Request, caller: Caller) -> object:
        method = self._methods.get(request.call)
        if method is None:
            raise Refused(
                "bad_request",
                f"{self.log.group.name} has no such call; the balancers have them all",
            )
        if request.call in self._internal and not caller.trusted:
            raise Refused("forbidden", "ask a balancer: this call is between replicas")
        args = decode_arguments(request.call, request.args, trusted=caller.trusted)
        deadline = self.seams.clock.seconds() + self._request_timeout
        try:
            return await method(Asked(request, caller, args, deadline))
        except CancelledError:
            if self._stopped:
                raise Refused("timeout", "the replica stops") from None
            raise
        except AssertionError:
            self.failed("a belief was broken by " + request.call)
            raise

    def failed(self, what: str) -> None:
        """Report the exception in hand, and stop the replica."""
        failure = Failure()
        self._logger.failure(what, failure)
        self._broken(failure)

    # --- The log ---------------------------------------------------------------------

    async def propose(self, command: Command, deadline: float) -> Answer:
        """Have the log apply a command; raise what it refused.

        Late is ``timeout``: it may be applied all the same.
        """
        answer = await self.until(deadline, self.log.propose(command), _outcome_unknown)
        if isinstance(answer, Refusal):
            answer.raise_()
        return answer

    async def read(self, asked: Asked, query: Callable[[Cursor], T]) -> T:
        """Read as the request permits: what is true now, or stale."""
        reading = self.log.read(query, stale=asked.request.stale)
        return await self.until(asked.deadline, reading, _not_read)

    async def read_now(self, asked: Asked, query: Callable[[Cursor], T]) -> T:
        """Read what is true now, whatever the request permits."""
        return await self.until(asked.deadline, self.log.read(query), _not_read)

    async def shown(self, asked: Asked, query: Callable[[Cursor], T]) -> object:
        """Read an answer, and mark it where it may be stale."""
        answer = await self.read(asked, query)
        if not asked.request.stale:
            return answer
        plain: dict[str, Any] = msgspec.to_builtins(answer)
        return {**plain, "stale": True}

    def until(
        self, deadline: float, waited: Deferred[T], late: Callable[[], Refused]
    ) -> Deferred[T]:
        """Wait for a Deferred until the deadline, then fail as ``late()``."""
        clock = self.seams.clock
        return within(clock, deadline - clock.seconds(), waited, late)

    # --- Sessions --------------------------------------------------------------------

    def new_token(self) -> str:
        """Draw a session's token; it starts with the name of the group it is for."""
        drawn = base64.urlsafe_b64encode(self.seams.token_bytes(TOKEN_BYTES))
        return f"{self.log.group.name}.{drawn.decode().rstrip('=')}"

    def session(self, asked: Asked) -> str:
        """Return what the log knows the request's session by.

        :raises Refused: ``unauthenticated`` without one, or with another group's.
        """
        token = asked.request.session
        if token is None or token.partition(".")[0] != self.log.group.name:
            UNAUTHENTICATED.raise_()
        return hashed(token)

    def user(self, asked: Asked) -> Callable[[Cursor], str]:
        """Make a query for the session's user; it raises ``unauthenticated``."""
        session = self.session(asked)
        now = self.log.now()

        def query(cursor: Cursor) -> str:
            user = session_user(cursor, session, time_at(cursor, now))
            return user or UNAUTHENTICATED.raise_()

        return query


def hashed(token: str) -> str:
    """Hash a token: it is random, so a fast hash without salt tells nothing."""
    return hashlib.sha256(token.encode()).hexdigest()


def _outcome_unknown() -> Refused:
    return Refused(
        "timeout",
        "not applied in time: it may or may not be done, and asking again with the"
        " same key finds out",
    )


def _not_read() -> Refused:
    return Refused("unavailable", "the read was not confirmed in time: try again")
