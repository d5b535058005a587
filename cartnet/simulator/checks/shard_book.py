"""A shard's log, kept in books of our own: accounts, keys, carts and orders."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass
class CartBook:
    """A user's cart: quantities in the order added.

    :ivar version: how often they have changed.
    :ivar pending: the order that it waits for.
    """

    version: int = 0
    lines: dict[str, int] = field(default_factory=dict)
    pending: str | None = None


@dataclass
class OrderBook:
    """A user's order; ``total`` is None while it is pending."""

    user: str
    key: str | None
    lines: list[tuple[str, int]]
    total: int | None = None
    priced: list[tuple[str, int, int]] = field(default_factory=list)


class ShardBook:
    """What a shard is after the entries so far.

    :ivar time: the latest stamp.
    :ivar accounts: their password hashes, and the keys that they were made under.
    :ivar keys: the call that a user's key was used up by.
    :ivar orders: those that are placed or pending, by id, in the order begun.
    :ivar begun: likewise, with those that were refused.
    """

    def __init__(self) -> None:
        self.time = 0
        self.group_id: str | None = None
        self.accounts: dict[str, tuple[str, str | None]] = {}
        self.carts: dict[str, CartBook] = {}
        self.keys: dict[tuple[str, str], str] = {}
        self.orders: dict[str, OrderBook] = {}
        self.begun: dict[str, OrderBook] = {}
        self._sessions: dict[str, str] = {}

    def apply(self, index: int, payload: bytes) -> None:
        """Apply an entry."""
        stamp, command = msgspec.json.decode(payload)
        self.time = max(self.time, stamp)
        what = command.pop("do")
        match what:
            case "found":
                self.group_id = self.group_id or command["group_id"]
            case "create_account":
                made = command["password_hash"], command["key"]
                self.accounts.setdefault(command["username"], made)
            case "open_session":
                user = command["username"]
                account = self.accounts.get(user)
                if account is not None and account[0] == command["password_hash"]:
                    self._sessions[command["session"]] = user
            case "close_session":
                self._sessions.pop(command["session"], None)
            case "finish_checkout":
                self._finish(**command)
            case _:
                self._once(index, what, command)

    def _once(self, index: int, what: str, command: dict[str, Any]) -> None:
        user = self._sessions.get(command.pop("session"))
        key = command.pop("key")
        if user is None or (key is not None and (user, key) in self.keys):
            return
        if self._do(index, user, key, what, command) and key is not None:
            self.keys[user, key] = "checkout" if what == "begin_checkout" else what

    def _do(
        self, index: int, user: str, key: str | None, what: str, command: dict[str, Any]
    ) -> bool:
        """Do it; say whether that used the key up."""
        cart = self.carts.get(user, CartBook())
        if command.get("unknown_item") and (
            what == "add_to_cart" or command.get("quantity")
        ):
            return True
        if cart.pending is not None:
            return False
        if what == "begin_checkout":
            if cart.lines and self.group_id is None:
                return False
            if cart.lines:
                cart.pending = f"{self.group_id}-{index}"
                order = OrderBook(user, key, [*cart.lines.items()])
                self.orders[cart.pending] = self.begun[cart.pending] = order
            return True
        item, quantity = command["item"], command.get("quantity", 0)
        present = cart.lines.get(item, 0)
        if what == "add_to_cart":
            quantity += present
        if quantity != present:
            cart.version += 1
            cart.lines[item] = quantity
            if quantity == 0:
                del cart.lines[item]
            self.carts[user] = cart
        return True

    def _finish(self, order: str, decision: dict[str, Any]) -> None:
        book = self.orders.get(order)
        if book is None or book.total is not None:
            return
        cart = self.carts[book.user]
        cart.pending = None
        if decision["type"] != "taken":
            del self.orders[order]
            return
        book.total = decision["total"]
        book.priced = [
            (line["item"], line["quantity"], line["price"])
            for line in decision["lines"]
        ]
        cart.lines.clear()
        cart.version += 1
