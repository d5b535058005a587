"""Shoppers of a simulated cluster: they go on until each thing is certainly done."""

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

ITEMS = ("A", "B", "C")


class Shopper:
    """One user, who adds items and checks out, each step under a key of its own.

    :ivar orders: the orders that were acknowledged, by id.
    :ivar refused_count: checkouts that found too little stock.
    :ivar attempts: how many calls were sent.
    """

    def __init__(self, name: str, client: GroupClient, seams: Seams) -> None:
        self.name = name
        self.orders: dict[str, Any] = {}
        self.attempts = 0
        self.refused_count = 0
        self._client = client
        self._seams = seams
        self._random: Random = seams.random
        self._keys = 0
        self.session: str | None = None

    async def shop(self, checkouts: int) -> None:
        """Make an account, log in, then fill the cart and check out."""
        await self.surely(
            "create_account", {"username": self.name, "password": "password1"}
        )
        await self.log_in()
        for _ in range(checkouts):
            for _ in range(self._random.randrange(1, 4)):
                item = self._random.choice(ITEMS)
                quantity = self._random.randrange(1, 6)
                await self.surely("add_to_cart", {"item": item, "quantity": quantity})
            try:
                order = await self.surely("checkout", {})
            except Refused as refused:
                if refused.code != "out_of_stock":
                    raise
                self.refused_count += 1
                for item in ITEMS:
                    await self.surely("remove_from_cart", {"item": item})
            else:
                assert order["id"] not in self.orders, "a new key is a new order"
                self.orders[order["id"]] = order
            await self._pause(self._random.random())

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
            self.attempts += 1
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
