"""Which shard a username lives on: asked of the balancers' log, and remembered."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

import msgspec

from cartnet.errors import Refused
from cartnet.limits import LOCATED_USERS_MAX

if TYPE_CHECKING:
    from cartnet.client.group import GroupClient


Located = Callable[[str], Coroutine[Any, Any, str | None]]


class _Home(msgspec.Struct):
    shard: str | None


_HOME = msgspec.json.Decoder(_Home)


class Homes:
    """The directory as a balancer uses it.

    A home once known is remembered without a doubt, since it never changes; that a
    name has none is asked anew each time.

    :param directory: the balancers' own group.
    :param located: looks a name up in what this balancer itself has applied; that
        may lack a name, but what it has is right.
    """

    def __init__(
        self,
        directory: GroupClient,
        located: Located | None = None,
        users_max: int = LOCATED_USERS_MAX,
    ) -> None:
        self._directory = directory
        self._located = located
        self._users_max = users_max
        self._known: OrderedDict[str, str] = OrderedDict()

    async def locate(self, username: str, deadline: float) -> str | None:
        """Return the shard that ``username`` lives on, or None where it has none."""
        return await self._known_here(username) or await self._ask(
            "locate", username, deadline
        )

    async def assign(self, username: str, deadline: float) -> str:
        """Return the shard that ``username`` lives on, giving it one if need be."""
        shard = await self._known_here(username) or await self._ask(
            "assign", username, deadline
        )
        assert shard is not None, "the directory assigns or refuses"
        return shard

    async def _known_here(self, username: str) -> str | None:
        shard = self._known.get(username)
        if shard is not None:
            self._known.move_to_end(username)
        elif self._located is not None:
            try:
                shard = await self._located(username)
            except Refused:
                return None  # This replica cannot say at the moment: ask the leader.
            if shard is not None:
                self._remember(username, shard)
        return shard

    def _remember(self, username: str, shard: str) -> None:
        self._known[username] = shard
        if len(self._known) > self._users_max:
            self._known.popitem(last=False)

    async def _ask(self, call: str, username: str, deadline: float) -> str | None:
        # Assigning twice is as good as once: the first answer stands.
        answer = await self._directory.call(
            call, {"username": username}, resend=True, deadline=deadline
        )
        shard = _HOME.decode(answer).shard
        if shard is not None:
            self._remember(username, shard)
        return shard
