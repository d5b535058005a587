"""What the machines answer, once a command is applied or when they are read.

Fields are those of the public replies where a reply shows them as they are. Amounts
are integer minor units (cents), instants Unix seconds of log time.
"""

from __future__ import annotations

from typing import Any, NoReturn

import msgspec

from cartnet.errors import Code, Refused
from cartnet.shop.commands import (
    Lapsed,
    OutOfStock,
    PriceChanged,
    Shortage,
    TakeLine,
    Taken,
)


class Refusal(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The log decided against it: nothing was done.

    :ivar code: the error code that the caller gets.
    :ivar message: one sentence for a person.
    :ivar details: what a program needs to go on, JSON-encodable.
    """

    code: Code
    message: str
    details: dict[str, Any] = {}

    def refused(self) -> Refused:
        """Return it as the exception that callers get."""
        return Refused(self.code, self.message, dict(self.details))

    def raise_(self) -> NoReturn:
        """Raise it as :class:`~cartnet.errors.Refused`."""
        raise self.refused()


class Nothing(msgspec.Struct, frozen=True):
    """There is nothing to say: the group is founded, or that order is no more."""


# --- The directory -------------------------------------------------------------------


class Assigned(msgspec.Struct, frozen=True):
    """The username's home, for ever."""

    shard: str


# --- Accounts and sessions -----------------------------------------------------------


class AccountCreated(msgspec.Struct, frozen=True):
    """The account is made (or, the operator's, has its new password)."""

    user: str


class AccountExists(msgspec.Struct, frozen=True):
    """The name is taken, by the caller where key and password are the account's.

    :ivar same_key: it was made under the very key of this command.
    """

    user: str
    password_hash: str
    same_key: bool


class SessionOpened(msgspec.Struct, frozen=True):
    """The session stands."""

    user: str


class SessionClosed(msgspec.Struct, frozen=True):
    """The session has ended."""


# --- Carts and orders ----------------------------------------------------------------


class CartLine(msgspec.Struct, frozen=True):
    item: str
    quantity: int


class Cart(msgspec.Struct, frozen=True):
    """A cart as its shard knows it: without names, prices and total.

    :ivar version: counts the changes of the items; 0 before the first.
    :ivar items: in the order added.
    :ivar pending: the id of the undecided order that freezes the cart, or null.
    """

    version: int
    items: tuple[CartLine, ...]
    pending: str | None


class Frozen(msgspec.Struct, frozen=True):
    """Another checkout freezes the cart: nothing was done and nothing is remembered.

    The caller waits for ``order`` to be decided and sends its command again.
    """

    order: str


class CheckoutBegun(msgspec.Struct, frozen=True):
    """An order that waits for the inventory's decision.

    :ivar order: its id.
    :ivar index: the log index of its ``begin_checkout``.
    """

    order: str
    index: int
    lines: tuple[TakeLine, ...]
    expected_total: int | None


class ShownLine(msgspec.Struct, frozen=True):
    """A line of an order; name and price are null until its stock is taken."""

    item: str
    name: str | None
    quantity: int
    price: int | None


class Order(msgspec.Struct, frozen=True):
    """An order: ``placed``, or ``pending`` with ``total`` and ``placed_at`` null."""

    id: str
    status: str
    lines: tuple[ShownLine, ...]
    total: int | None
    placed_at: int | None


class Orders(msgspec.Struct, frozen=True):
    """A page of a user's orders, newest first.

    :ivar next: what to give as ``before`` for the next page, or null at the end.
    """

    orders: tuple[Order, ...]
    next: str | None


# --- The inventory -------------------------------------------------------------------


class Item(msgspec.Struct, frozen=True):
    id: str
    name: str
    price: int
    stock: int


class Inventory(msgspec.Struct, frozen=True):
    """All items, by id, and the log index of the last change of any."""

    revision: int
    items: tuple[Item, ...]


class InventoryChanged(msgspec.Struct, frozen=True):
    """The operator's change is made.

    :ivar revision: the inventory's, with it. The items are for whoever wants them to
        read: they are many, and the same for all changes of one moment.
    """

    revision: int


class Changes(msgspec.Struct, frozen=True):
    """What a watcher lacks to have the inventory of ``revision``.

    :ivar full: ``items`` are all there are, and replace everything.
    :ivar items: new or changed ones, by id.
    :ivar removed: ids of items that are no more.
    """

    revision: int
    full: bool
    items: tuple[Item, ...]
    removed: tuple[str, ...]


Answer = (
    Nothing
    | Refusal
    | Assigned
    | AccountCreated
    | AccountExists
    | SessionOpened
    | SessionClosed
    | Cart
    | Frozen
    | CheckoutBegun
    | Order
    | InventoryChanged
    | Taken
    | OutOfStock
    | PriceChanged
    | Lapsed
)
"""Everything a machine may answer to a command."""


def out_of_stock(decision: OutOfStock) -> Refusal:
    """Return the refusal that a shopper gets for lack of stock."""
    items = ", ".join(shortage.item for shortage in decision.shortages)
    return Refusal(
        "out_of_stock",
        f"There is not enough stock of {items}; nothing was ordered.",
        {"shortages": [_plain(shortage) for shortage in decision.shortages]},
    )


def price_changed(decision: PriceChanged) -> Refusal:
    """Return the refusal that a shopper gets when the total is not the expected one."""
    return Refusal(
        "price_changed",
        f"The total is {decision.total} by now, not what was expected;"
        " nothing was ordered.",
        {
            "total": decision.total,
            "lines": [_plain(line) for line in decision.lines],
        },
    )


def lapsed() -> Refusal:
    """Return the refusal of a checkout that the inventory knows to be over."""
    return Refusal(
        "conflict",
        "This checkout was cut off and has been undone; check out again.",
    )


def _plain(struct: Shortage | msgspec.Struct) -> dict[str, Any]:
    return {name: getattr(struct, name) for name in struct.__struct_fields__}
