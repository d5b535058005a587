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

AGAIN_SHARE: Final = 0.1
"""Of the calls whose outcome is known, those that are repeated all the same."""

CHECKOUT_AGAIN_SHARE: Final = 0.3
"""Likewise, of checkouts."""

OTHERWISE_SHARE: Final = 0.05
"""Of them, those whose key is used for something else."""


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
    :ivar ended: the sessions that it has certainly ended.
    """

    def __init__(self, name: str, means: Means) -> None:
        self.name = name
        self.share = means.share
        self.session: str | None = None
        self.patience = 0.9
        self.random = means.random
        self.history = means.history
        self.tally = means.tally
        self.ended: list[str] = []
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
        session: str | None = None,
    ) -> Operation:
        """Have the shop do something, and write down what came of it.

        :param session: not that of the last login, but this one.
        """
        operation = self.history.begin(user, call, args or {}, key, self.name)
        operation.stale = stale
        await self.repeat(operation, anonymous, insist, client, session=session)
        self.tally.operations[operation.ending] += 1
        return operation

    async def repeat(
        self,
        operation: Operation,
        anonymous: bool = False,
        insist: bool = False,
        client: GroupClient | None = None,
        once: bool = False,
        session: str | None = None,
    ) -> None:
        """Send an operation until its outcome is known, or patience is over.

        :param once: try nothing again, nor let the client do so.
        :param session: not that of the last login, but this one.
        """
        session = None if anonymous else session or self.session
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

    async def ask_again(self, operation: Operation) -> Operation:
        """Repeat a call of which it is known how it ended: its key is remembered."""
        again = await self._send_again(operation, operation.args)
        if again.ending in ("ok", "refused"):
            self.tally.require(
                "S6 K3 a repeated call ends as it did",
                _verdict(again) == _verdict(operation),
                operation,
                " but then ",
                again,
            )
        return again

    async def ask_otherwise(self, operation: Operation) -> None:
        """Use the key of such a call once more, with other arguments."""
        args = self._otherwise(operation)
        other = await self._send_again(operation, args)
        if other.ending in ("ok", "refused"):
            self.tally.require(
                "S6 a key that was used otherwise is refused",
                _code(other) == "conflict",
                operation,
                " but then ",
                other,
            )

    async def under_key_of(
        self, operation: Operation, share: float = AGAIN_SHARE
    ) -> Operation | None:
        """Use the key of a call once more, now and then, if its outcome is known.

        :param share: how often to repeat the call.
        """
        if operation.ending not in ("ok", "refused"):
            return None
        chance = self.random.random()
        if chance < share:
            return await self.ask_again(operation)
        if chance < share + OTHERWISE_SHARE:
            await self.ask_otherwise(operation)
        return None

    def _otherwise(self, operation: Operation) -> dict[str, Any]:
        args = operation.args
        for name in ("quantity", "quantity_change", "stock"):
            if name in args:
                return {**args, name: args[name] + 1 or 1}
        if "item" in args:
            return {"item": next(e for e in self.share.items if e != args["item"])}
        return {"expected_total": args.get("expected_total", 0) + 1}

    async def _send_again(
        self, operation: Operation, args: dict[str, Any]
    ) -> Operation:
        again = self.history.begin(
            operation.user, operation.call, args, operation.key, self.name
        )
        again.again = True
        await self.repeat(again)
        return again

    async def end(self, user: str, session: str) -> None:
        """Log out for good."""
        leaving = await self.do(user, "logout", session=session)
        # By an earlier sending whose answer was lost: then it is known no more.
        if leaving.ending == "ok" or _code(leaving) == "unauthenticated":
            self.ended.append(session)

    async def come_back(
        self, user: str, call: str, args: dict[str, Any], client: GroupClient | None
    ) -> None:
        """Ask for something with a session that was ended."""
        key = None if call == "get_cart" else self.key()
        session = self.random.choice(self.ended)
        tried = await self.do(user, call, args, key=key, client=client, session=session)
        self.tally.require(
            "S1 S5 a session that was ended is accepted no more",
            tried.ending in ("nothing", "unknown") or _code(tried) == "unauthenticated",
            tried,
        )

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


def _verdict(operation: Operation) -> object:
    """How it ended, and what it was refused for."""
    if operation.ending != "refused" or operation.refused is None:
        return operation.ending
    return operation.refused.code, operation.refused.details


def _code(operation: Operation) -> str | None:
    """What it was refused with; it may have been refused before it was done, too."""
    refused = operation.refused if operation.ending == "refused" else None
    return None if refused is None else refused.code
