"""The routes below ``/api/v1``: one table, from which the API and its description come.

A route is a call of the protocol under a method and a path. What the path and the query
hold are arguments of that call; the rest of them are the fields of the JSON body.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from cartnet.calls.pricing import PricedCart
from cartnet.console.report import ClusterReport
from cartnet.errors import Code
from cartnet.shop.answers import Inventory, Order, Orders
from cartnet.wire.arguments import CALLS, CONSOLE_CALLS, READS

PREFIX: Final = "/api/v1"

Asker = Literal["anyone", "shopper", "user", "operator"]
"""Who may ask: shoppers have carts, a user is a shopper or the operator."""


class Account(msgspec.Struct):
    """The account that was made, and the shard it lives on."""

    user: str
    shard: str


class Session(msgspec.Struct):
    """A session's token, for ``Authorization: Bearer``; browsers have a cookie."""

    session: str
    user: str


class Whoami(msgspec.Struct, omit_defaults=True):
    """Whose session it is; ``user`` is null without one, ``shard`` the operator's."""

    user: str | None
    shard: str | None = None
    stale: bool = False


class Done(msgspec.Struct):
    """What was done to the cluster, in words."""

    done: str


class Items(Inventory, omit_defaults=True, frozen=True):
    """All items, by id; ``revision`` grows with every change."""

    stale: bool = False


class PlacedOrder(Order, omit_defaults=True, frozen=True):
    """An order, with the names and prices of the instant its stock was taken."""

    stale: bool = False


class OrdersPage(Orders, omit_defaults=True, frozen=True):
    """Orders, newest first; ``next`` is the next page's ``before``, null at the end."""

    stale: bool = False


@dataclass(frozen=True)
class Route:
    """One method of one path.

    :ivar path: below :data:`PREFIX`; ``{item}`` is the call's argument ``item``, or the
        one that ``renamed`` names.
    :ivar answer: the type of the success body; None: there is none.
    :ivar asker: who may ask.
    :ivar refusals: error codes of its own, besides those that any route may give.
    """

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    call: str
    summary: str
    answer: type[msgspec.Struct] | None
    status: int = 200
    asker: Asker = "shopper"
    refusals: tuple[Code, ...] = ()
    query: tuple[str, ...] = ()
    renamed: dict[str, str] = field(default_factory=dict)

    @property
    def in_path(self) -> dict[str, str]:
        """The placeholders of the path, and which argument each is."""
        names = re.findall(r"{(\w+)}", self.path)
        return {name: self.renamed.get(name, name) for name in names}

    @property
    def arguments(self) -> type[msgspec.Struct]:
        return CALLS.get(self.call) or CONSOLE_CALLS[self.call]

    @property
    def in_body(self) -> tuple[str, ...]:
        """The arguments that stand in the body."""
        if not self.is_write:
            return ()
        elsewhere = {*self.in_path.values(), "unchecked"}
        names = (each.name for each in msgspec.structs.fields(self.arguments))
        return tuple(name for name in names if name not in elsewhere)

    @property
    def is_write(self) -> bool:
        return self.method != "GET"

    @property
    def takes_key(self) -> bool:
        """Whether an ``Idempotency-Key`` makes it one effect, however often sent."""
        keyless = CONSOLE_CALLS.keys() | {"login", "logout"}
        return self.is_write and self.call not in keyless

    @property
    def may_be_stale(self) -> bool:
        return self.call in READS


_SHORT: Final[tuple[Code, ...]] = ("out_of_stock", "price_changed", "empty_cart")

ROUTES: Final[tuple[Route, ...]] = (
    Route(
        "POST",
        "/accounts",
        "create_account",
        "Create an account",
        Account,
        201,
        asker="anyone",
        refusals=("username_taken", "rate_limited", "conflict"),
    ),
    Route(
        "POST",
        "/session",
        "login",
        "Log in: sets the session's cookie, and returns its token",
        Session,
        asker="anyone",
        refusals=("unauthenticated", "rate_limited"),
    ),
    Route("DELETE", "/session", "logout", "Log out", None, 204, asker="user"),
    Route("GET", "/session", "whoami", "Whose session this is", Whoami, asker="anyone"),
    Route(
        "GET",
        "/inventory",
        "get_inventory",
        "All items with their prices and stock",
        Items,
        asker="anyone",
    ),
    Route(
        "PUT",
        "/inventory/{item}",
        "put_item",
        "Add an item, or set its name, price and stock",
        Items,
        asker="operator",
        refusals=("conflict", "too_large"),
    ),
    Route(
        "DELETE",
        "/inventory/{item}",
        "remove_item",
        "Remove an item",
        Items,
        asker="operator",
        refusals=("not_found", "conflict"),
    ),
    Route(
        "POST",
        "/inventory/reset",
        "reset_inventory",
        "Go back to the items A, B and C, 100 of each",
        Items,
        asker="operator",
        refusals=("conflict",),
    ),
    Route("GET", "/cart", "get_cart", "The cart", PricedCart),
    Route(
        "POST",
        "/cart/items",
        "add_to_cart",
        "Add to the cart; an item already there accumulates",
        PricedCart,
        refusals=("not_found", "conflict", "too_large"),
    ),
    Route(
        "PUT",
        "/cart/items/{item}",
        "set_quantity",
        "Set an item's quantity; 0 removes it",
        PricedCart,
        refusals=("not_found", "conflict", "too_large"),
    ),
    Route(
        "DELETE",
        "/cart/items/{item}",
        "remove_from_cart",
        "Remove an item from the cart",
        PricedCart,
        refusals=("not_found", "conflict"),
    ),
    Route(
        "POST",
        "/checkout",
        "checkout",
        "Order what is in the cart: all of it, or nothing",
        PlacedOrder,
        201,
        refusals=(*_SHORT, "conflict"),
    ),
    Route(
        "GET",
        "/orders",
        "list_orders",
        "Orders, newest first",
        OrdersPage,
        refusals=("not_found",),
        query=("limit", "before"),
    ),
    Route(
        "GET",
        "/orders/{id}",
        "get_order",
        "One order",
        PlacedOrder,
        refusals=("not_found",),
        renamed={"id": "order"},
    ),
    Route(
        "GET",
        "/cluster",
        "get_cluster",
        "Every group and replica",
        ClusterReport,
        asker="operator",
    ),
    Route(
        "POST",
        "/cluster/replicas/{name}/{command}",
        "control_replica",
        "Kill, start, restart, pause, resume, isolate or heal a replica",
        Done,
        asker="operator",
        refusals=("not_found", "conflict"),
        renamed={"name": "replica"},
    ),
    Route(
        "POST",
        "/cluster/groups/{group}/transfer",
        "transfer",
        "Have a replica lead its group",
        Done,
        asker="operator",
        refusals=("not_found", "conflict"),
    ),
)
