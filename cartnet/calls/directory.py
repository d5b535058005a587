"""What a balancer answers: homes out of its group's log, and the shop to everyone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from cartnet.calls.answering import Answering, Asked
from cartnet.calls.founding import Founding
from cartnet.checkout.waiting import within
from cartnet.errors import Refused
from cartnet.limits import LOCATE_HERE_SECONDS_MAX
from cartnet.shop import directory
from cartnet.shop.answers import Assigned
from cartnet.shop.commands import AssignShard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from twisted.internet.interfaces import IReactorTime
    from twisted.logger import Logger
    from twisted.python.failure import Failure

    from cartnet.calls.homes import Located
    from cartnet.calls.router import Router
    from cartnet.replica.ports import Caller, Log
    from cartnet.seams import Seams
    from cartnet.wire.requests import Request


def located_by(log: Log, clock: IReactorTime) -> Located:
    """Look usernames up in what this replica has applied, for its router.

    Raises :class:`~cartnet.errors.Refused` where its file does not answer soon.
    """

    async def located(username: str) -> str | None:
        reading = log.read(
            lambda cursor: directory.locate(cursor, username), stale=True
        )
        return await within(clock, LOCATE_HERE_SECONDS_MAX, reading, _late)

    return located


def _late() -> Refused:
    return Refused("unavailable", "this balancer's file does not answer")


class DirectoryCalls:
    """Answers ``locate`` and ``assign`` from the log, and passes the rest on.

    The shop API is served whatever this replica's Raft role; ``locate`` and ``assign``
    by the leader, to other balancers alone.

    :param shards: the names that a new user's home is drawn from.
    :param broken: told of a failure that must not be: the replica is to stop.
    """

    def __init__(
        self,
        log: Log,
        router: Router,
        shards: Sequence[str],
        seams: Seams,
        request_timeout: float,
        logger: Logger,
        broken: Callable[[Failure], None],
    ) -> None:
        assert shards
        self._router = router
        self._shards = tuple(shards)
        self._random = seams.random
        self._founding = Founding(log, seams, request_timeout, logger, broken)
        self._internal = {"locate": self._locate, "assign": self._assign}
        self._answering = Answering(
            log,
            seams,
            request_timeout,
            logger,
            broken,
            public={},
            internal=self._internal,
        )

    def call(self, request: Request, caller: Caller) -> Deferred[object]:
        """Do one request; fail with :class:`~cartnet.errors.Refused`."""
        if request.call in self._internal:
            return self._answering.answer(request, caller)
        return Deferred.fromCoroutine(self._router.call(request, caller))

    def led(self) -> None:
        """See that the group has an id."""
        self._founding.led()

    def deposed(self) -> None:
        """Leave that to the next leader."""
        self._founding.deposed()

    def applied(self, index: int) -> None:
        """Nobody waits for the directory to change."""

    def stop(self) -> None:
        """Stop what is under way."""
        self.deposed()
        self._answering.stop()
        self._router.stop()

    async def _locate(self, asked: Asked) -> object:
        username = asked.args.username
        shard = await self._answering.read(
            asked, lambda cursor: directory.locate(cursor, username)
        )
        return {"shard": shard}

    async def _assign(self, asked: Asked) -> object:
        # Drawn here, not in the machine; where the name has a home already the answer
        # is that one.
        shard = self._random.choice(self._shards)
        command = AssignShard(username=asked.args.username, shard=shard)
        answer = await self._answering.propose(command, asked.deadline)
        assert isinstance(answer, Assigned)
        return {"shard": answer.shard}
