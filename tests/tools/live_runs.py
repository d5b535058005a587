"""Runs of a live check written by hand: what customers asked, and what they heard."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from typing import Any

from cartnet.errors import Refused
from cartnet.tools.live.judge import judge
from cartnet.tools.live.options import Options
from cartnet.tools.live.seen import Seen
from cartnet.workload.history import History, Operation
from cartnet.workload.share import Share

SHARE = Share.corner("check-1-", " a secret ending")
A, B, C, D = SHARE.items
USER = "check-1-user0"
DEVICE = "check-1-user0.0"


class HandmadeRun:
    """A run of one user and the operator; each thing that is done takes 0.1 s.

    :ivar stock: what is there, by item, as the shop knows it.
    """

    def __init__(self, *, chaos: bool = False) -> None:
        self.now = 100.0
        self.history = History(clock=lambda: self.now)
        self.seen = Seen(
            Options(seconds=10, users=1, chaos=chaos),
            "test",
            ("lb", "s1", "it"),
            SHARE,
            self.history,
            began=100.0,
            stopped=110.0,
        )
        self.stock: dict[str, int] = {}
        self.revision = 0
        self.orders: list[Any] = []

    def did(
        self, user: str, call: str, came: Any = None, by: str = "", **args: Any
    ) -> Operation:
        """An operation that came to this: an answer, a refusal, or nobody knows."""
        operation = self.ask(user, call, by, **args)
        self.now += 0.1
        self.answer(operation, came)
        return operation

    def ask(self, user: str, call: str, by: str = "", **args: Any) -> Operation:
        """An operation that begins now."""
        key = f"{by or user}-{len(self.history.operations)}"
        by = by or {USER: DEVICE, "": DEVICE}.get(user, f"check-1-{user}")
        operation = self.history.begin(user, call, args, key, by)
        operation.sendings = 1
        return operation

    def answer(self, operation: Operation, came: Any) -> None:
        """It comes to this now; None for nothing that is certain."""
        if isinstance(came, Refused):
            operation.refused = came
            self.history.end(operation, "refused")
        elif came is not None:
            operation.answer = came
            self.history.end(operation, "ok")

    def inventory(self) -> dict[str, Any]:
        items = [
            {"id": item, "name": item, "price": 100, "stock": stock}
            for item, stock in sorted(self.stock.items())
        ]
        return {"revision": self.revision, "items": items}

    def put(self, item: str, stock: int) -> None:
        self.stock[item] = stock
        self.revision += 1
        args: dict[str, Any] = {"item": item, "name": item, "price": 100}
        self.did("operator", "put_item", self.inventory(), stock=stock, **args)

    def add(self, item: str, quantity: int, version: int) -> None:
        lines = [{"item": item, "quantity": quantity}]
        cart = {"version": version, "items": lines}
        self.did(USER, "add_to_cart", cart, item=item, quantity=quantity)

    def buy(self, item: str, quantity: int) -> Operation:
        """Check out a cart that holds just that."""
        self.stock[item] -= quantity
        self.revision += 1
        line = {"item": item, "name": item, "quantity": quantity, "price": 100}
        order = {
            "id": f"s1-{len(self.orders) + 1}",
            "status": "placed",
            "lines": [line],
            "total": 100 * quantity,
            "placed_at": 1,
        }
        self.orders.append(order)
        return self.did(USER, "checkout", order)

    def look(self) -> Operation:
        return self.did("", "get_inventory", self.inventory())

    def shop(self) -> None:
        """A good run: an account, an order, and what is left in the end."""
        password = SHARE.password("user0.0")
        for item in (A, B):
            self.put(item, 50)
        account = {"username": USER, "password": password}
        self.did(USER, "create_account", {"user": USER, "shard": "s1"}, **account)
        self.did(USER, "login", {"user": USER, "session": "s1.token"}, **account)
        self.add(A, 2, 1)
        self.buy(A, 2)
        self.look()
        self.end()

    def end(self) -> None:
        """Take the last look."""
        self.seen.orders = {USER: list(self.orders)}
        self.seen.stock = dict(self.stock)

    def wrong(self) -> dict[str, list[str]]:
        """What the verdict finds wrong, by guarantee."""
        # The findings of a verdict are the run's: each gets its own.
        seen = replace(self.seen, findings=deepcopy(self.seen.findings))
        chapters = judge(seen).chapters.items()
        return {name: chapter.wrong for name, chapter in chapters if chapter.wrong}
