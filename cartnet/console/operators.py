"""Who is the operator: asked of the inventory, and remembered where it cannot say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cartnet.calls.answering import hashed
from cartnet.errors import Refused
from cartnet.limits import (
    OPERATOR_CONFIRM_SECONDS_MAX,
    OPERATOR_SESSIONS_MAX,
    OPERATOR_TRUSTED_SECONDS,
)
from cartnet.wire.arguments import OPERATOR

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from cartnet.client.group import GroupClient
    from cartnet.topology.groups import Topology


class _User(msgspec.Struct):
    user: str


class Operators:
    """Confirms the operator's sessions.

    The inventory group knows them. An operator must be able to repair that group too:
    while it has no leader, a session that was confirmed lately passes.
    """

    def __init__(
        self, topology: Topology, inventory: GroupClient, clock: IReactorTime
    ) -> None:
        self._shards = frozenset(group.name for group in topology.shards)
        self._inventory = inventory
        self._clock = clock
        # When each session was confirmed last, by the session's hash, oldest first.
        self._confirmed: dict[str, float] = {}

    async def confirm(self, session: str | None, deadline: float) -> str:
        """Return the user of a session, who is an operator.

        :raises Refused: ``unauthenticated``; ``forbidden`` for a shopper;
            ``unavailable`` or ``timeout`` where nobody can tell.
        """
        if session is None:
            raise Refused("unauthenticated", "log in first: this call needs a session")
        group = session.partition(".")[0]
        if group in self._shards:
            raise Refused("forbidden", "this is for the operator")
        if group != self._inventory.group.name:
            raise Refused("unauthenticated", "that is no session: log in")
        key = hashed(session)
        known = self._is_known(key)
        if known:
            # What is asked for has to be done within the deadline, too.
            soon = self._clock.seconds() + OPERATOR_CONFIRM_SECONDS_MAX
            deadline = min(deadline, soon)
        try:
            answer = await self._inventory.call(
                "whoami", session=session, resend=True, deadline=deadline
            )
        except Refused as refused:
            if refused.code in ("unavailable", "timeout", "overloaded") and known:
                return OPERATOR
            if refused.code in ("unauthenticated", "forbidden"):
                self._confirmed.pop(key, None)
            raise
        user = msgspec.json.decode(answer, type=_User).user
        if user != OPERATOR:
            raise Refused("forbidden", "this is for the operator")
        self._remember(key)
        return user

    def forget(self, session: str) -> None:
        """A session has ended."""
        self._confirmed.pop(hashed(session), None)

    def _is_known(self, key: str) -> bool:
        at = self._confirmed.get(key)
        if at is None:
            return False
        return self._clock.seconds() - at <= OPERATOR_TRUSTED_SECONDS

    def _remember(self, key: str) -> None:
        self._confirmed.pop(key, None)
        self._confirmed[key] = self._clock.seconds()
        if len(self._confirmed) > OPERATOR_SESSIONS_MAX:
            del self._confirmed[next(iter(self._confirmed))]
