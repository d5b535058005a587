"""One who calls: again where that is safe, until an outcome is known, or no more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from cartnet.errors import OUTCOME_UNKNOWN, Refused
from cartnet.limits import KEYS_PER_USER_MAX

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

    from cartnet.client.group import GroupClient
    from cartnet.seams import Seams
    from cartnet.workload.findings import Tally
    from cartnet.workload.history import History, Operation
    from cartnet.workload.share import Share

NOT_NOW: Final = frozenset({"unavailable", "overloaded", "not_leader", "rate_limited"})
"""Not done by this sending; the next may do it."""

SENDINGS_MAX: Final = 400
"""So many at most while an outcome is insisted on; that is minutes."""

KEYS_REMEMBERED: Final = KEYS_PER_USER_MAX // 2
"""A key is sent again while its user has used fewer since: half of what is kept."""


@dataclass(frozen=True)
class Means:
    """What a customer has: a host, and what all customers of a run share.

    :ivar clients: of all groups, on that host.
    :ivar seams: what the host has of an outside.
    :ivar random: the customer's wishes.
    :ivar history: where operations are noted.
    :ivar tally: where checks are counted, and broken ones found.
    :ivar share: what of the shop is used.
    """

    clients: Mapping[str, GroupClient]
    seams: Seams
    random: Random
    history: History
    tally: Tally
    share: Share


class Caller:
    """A customer's connection to the shop.

    :ivar session: of the last login.
    :ivar patience: how likely it goes on after a sending that came to nothing.
    """

    def __init__(self, name: str, means: Means) -> None:
        self.name = name
        self.share = means.share
        self.session: str | None = None
        self.patience = 0.9
        self.random = means.random
        self.history = means.history
        self.tally = means.tally
        self._client = means.clients["lb"]
        self._clock = means.seams.clock
        self._keys = 0

    def key(self) -> str:
        """A key that nobody has used."""
        self._keys += 1
        return f"{self.name}-{self._keys}"

    async def do(
        self,
        user: str,
        call: str,
        args: dict[str, Any] | None = None,
        *,
        key: str | None = None,
        anonymous: bool = False,
        insist: bool = False,
        client: GroupClient | None = None,
        stale: bool = False,
    ) -> Operation:
        """Have the shop do something, and write down what came of it."""
        operation = self.history.begin(user, call, args or {}, key, self.name)
        operation.stale = stale
        await self.repeat(operation, anonymous, insist, client)
        self.tally.operations[operation.ending] += 1
        return operation

    async def repeat(
        self,
        operation: Operation,
        anonymous: bool = False,
        insist: bool = False,
        client: GroupClient | None = None,
        once: bool = False,
    ) -> None:
        """Send an operation until its outcome is known, or patience is over.

        :param once: try nothing again, nor let the client do so.
        """
        session = None if anonymous else self.session
        operation.direct = client is not None
        # By an earlier sending, or by one that nobody listens to.
        may_be_done = operation.sendings > 0
        for _ in range(SENDINGS_MAX):
            operation.sendings += 1
            try:
                raw = await (client or self._client).call(
                    operation.call,
                    operation.args,
                    session=session,
                    key=operation.key,
                    stale=operation.stale,
                    resend=not once,
                )
            except Refused as refused:
                operation.refused = refused
                if refused.code in OUTCOME_UNKNOWN:
                    may_be_done = True
                elif refused.code not in NOT_NOW:
                    self.history.end(operation, "refused")
                    return
                if once or (not insist and self.random.random() > self.patience):
                    break
                pause = 1.0 if refused.code == "rate_limited" else 0.05
                await self.pause(pause + self.random.random() / 4)
            else:
                operation.answer = self.share.only(msgspec.json.decode(raw))
                self.history.end(operation, "ok")
                return
        self.history.end(operation, "unknown" if may_be_done else "nothing")

    def send_also(self, operation: Operation) -> None:
        """Send it once more at the same time, and do not listen."""
        operation.sendings += 1
        sending = self._client.call(
            operation.call,
            operation.args,
            session=self.session,
            key=operation.key,
            resend=True,
        )
        Deferred.fromCoroutine(sending).addErrback(lambda f: f.trap(Refused))

    async def log_out(self) -> None:
        """End all sessions that this caller was given.

        :raises Refused: the shop could not be asked to.
        """
        given = [
            each.answer["session"]
            for each in self.history.operations
            if each.by == self.name and each.call == "login" and each.ending == "ok"
        ]
        for session in dict.fromkeys((*given, self.session)):
            try:
                await self._client.call("logout", session=session, resend=True)
            except Refused as refused:
                if refused.code != "unauthenticated":  # It has ended before.
                    raise
        self.session = None

    async def find_out(self) -> None:
        """Find out what has become of what this caller has given up."""
        for operation in list(self.history.operations):
            if (
                operation.by == self.name
                and operation.key is not None
                and operation.ending == "unknown"
                and self._is_remembered(operation)
            ):
                anonymous = operation.call == "create_account"
                await self.repeat(operation, anonymous=anonymous, insist=True)

    def _is_remembered(self, operation: Operation) -> bool:
        """Whether the shop still knows the key, so that nothing is done twice (S6)."""
        keys = {
            each.key
            for each in self.history.operations
            if each.user == operation.user and each.invoked > operation.invoked
        }
        return len(keys) < KEYS_REMEMBERED

    def pause(self, seconds: float) -> Deferred[None]:
        return deferLater(self._clock, seconds, lambda: None)
