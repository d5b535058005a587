"""A shopper for scripts: goes on until each thing is certainly done."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from cartnet.client.group import GroupClient
from cartnet.errors import Refused
from cartnet.seams import Seams

TRY_AGAIN = frozenset({"unavailable", "timeout", "internal", "overloaded"})


class Shopper:
    """One user, who does each thing under a key of its own."""

    def __init__(self, name: str, client: GroupClient, seams: Seams) -> None:
        self.name = name
        self._client = client
        self._seams = seams
        self._random: Random = seams.random
        self._keys = 0
        self.session: str | None = None

    async def log_in(self) -> None:
        answer = await self.surely(
            "login", {"username": self.name, "password": "password1"}
        )
        self.session = answer["session"]

    async def surely(self, call: str, args: dict[str, Any]) -> Any:
        """Call under one key until the outcome is known; raise what refuses it."""
        self._keys += 1
        key = f"{self.name} {self._keys}"
        session = self.session if call not in ("create_account", "login") else None
        while True:
            try:
                raw = await self._client.call(
                    call, args, session=session, key=key, resend=True
                )
            except Refused as refused:
                if refused.code not in TRY_AGAIN:
                    raise
                await self._pause(0.1 + self._random.random() / 5)
            else:
                return msgspec.json.decode(raw)

    def _pause(self, seconds: float) -> Deferred[None]:
        return deferLater(self._seams.clock, seconds, lambda: None)
