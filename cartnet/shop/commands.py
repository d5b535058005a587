"""What the replicated logs hold: each machine's commands, as they stand in an entry.

Times, ids, hashes and random choices are in the command, decided by the leader; form
has been checked before a command is made (:mod:`cartnet.wire.arguments`). Prices and
totals are integer minor units (cents). A ``session`` is the SHA-256 of its token, in
hex; a ``key`` is the caller's idempotency key, or null where none was given.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="do"):
    """The base of every command; the tag names it in the log."""


class Found(Command, frozen=True, forbid_unknown_fields=True, tag="found"):
    """The group's first command: its random id, and what a fresh machine holds."""

    group_id: str


# --- The directory (group lb) --------------------------------------------------------


class AssignShard(Command, frozen=True, forbid_unknown_fields=True, tag="assign_shard"):
    """Give ``username`` a home; the leader drew ``shard``, a former answer stands."""

    username: str
    shard: str


DirectoryCommand = Found | AssignShard


# --- Accounts and sessions (a shard's users; the inventory's operator) ---------------


class CreateAccount(
    Command, frozen=True, forbid_unknown_fields=True, tag="create_account"
):
    """Make an account; one of that name stands as it is, and the answer shows it.

    The shard keeps ``key`` with the account, apart from other keys: whoever repeats the
    call with it is told that the account is theirs.
    """

    username: str
    password_hash: str
    key: str | None


class OpenSession(Command, frozen=True, forbid_unknown_fields=True, tag="open_session"):
    """Log in: the leader verified the password against ``password_hash``.

    Refused where the account's hash is another one by now. ``session`` is the SHA-256
    of the token, in hex.
    """

    username: str
    password_hash: str
    session: str


class CloseSession(
    Command, frozen=True, forbid_unknown_fields=True, tag="close_session"
):
    """Log out; a session that is not there is ``unauthenticated``."""

    session: str


# --- Carts and orders (a shard) ------------------------------------------------------


class AddToCart(Command, frozen=True, forbid_unknown_fields=True, tag="add_to_cart"):
    """Put ``quantity`` more of ``item`` into the cart of the session's user.

    :ivar quantity: 1 to ``QUANTITY_MAX``; what adds up beyond is ``too_large``.
    """

    session: str
    key: str | None
    item: str
    quantity: int
    unknown_item: bool = False
    """The balancer and the inventory know no such item: the answer is a remembered
    one, else ``not_found``."""


class SetQuantity(Command, frozen=True, forbid_unknown_fields=True, tag="set_quantity"):
    """Make it ``quantity`` of ``item`` in the cart; 0 takes it out."""

    session: str
    key: str | None
    item: str
    quantity: int
    unknown_item: bool = False


class RemoveFromCart(
    Command, frozen=True, forbid_unknown_fields=True, tag="remove_from_cart"
):
    """Take ``item`` out of the cart, which need not hold it."""

    session: str
    key: str | None
    item: str


class BeginCheckout(
    Command, frozen=True, forbid_unknown_fields=True, tag="begin_checkout"
):
    """Copy the cart's lines into a pending order under the key, and freeze the cart.

    :ivar expected_total: what the shopper expects to pay; another total is refused.
    """

    session: str
    key: str | None
    expected_total: int | None


class OrderLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of an order that was taken: name and price are those of that instant."""

    item: str
    name: str
    quantity: int
    price: int


class Shortage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line that lacked stock: an item that is not there has ``stock`` 0."""

    item: str
    wanted: int
    stock: int


class Taken(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="taken"):
    """The inventory's decision: all lines were taken from stock.

    :ivar taken_at: when, in Unix seconds of the inventory's log time.
    """

    lines: tuple[OrderLine, ...]
    total: int
    taken_at: int


class OutOfStock(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="out_of_stock"
):
    """The inventory's decision: nothing was taken, these lines lacked stock."""

    shortages: tuple[Shortage, ...]


class PriceChanged(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="price_changed"
):
    """The inventory's decision: nothing was taken, the total is not the expected."""

    total: int
    lines: tuple[OrderLine, ...]


class Lapsed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="lapsed"):
    """The shard has reported this order as finished before: nothing was taken now."""


Decision = Taken | OutOfStock | PriceChanged | Lapsed


class FinishCheckout(
    Command, frozen=True, forbid_unknown_fields=True, tag="finish_checkout"
):
    """Place the order and empty the cart, or unfreeze it; nothing if not pending."""

    order: str
    decision: Decision


ShardCommand = (
    Found
    | CreateAccount
    | OpenSession
    | CloseSession
    | AddToCart
    | SetQuantity
    | RemoveFromCart
    | BeginCheckout
    | FinishCheckout
)


# --- The inventory -------------------------------------------------------------------


class SetOperatorPassword(
    Command, frozen=True, forbid_unknown_fields=True, tag="set_operator_password"
):
    """Make the operator's account; a former one stands unless ``replace``."""

    password_hash: str
    replace: bool = False


class PutItem(Command, frozen=True, forbid_unknown_fields=True, tag="put_item"):
    """Make an item, or set name, price and stock of the one there is.

    :ivar session: the operator's; null where the admin line asks, which needs none, as
        in the commands that follow.
    """

    session: str | None
    key: str | None
    item: str
    name: str
    price: int
    stock: int


class RemoveItem(Command, frozen=True, forbid_unknown_fields=True, tag="remove_item"):
    """Take an item out of the catalogue; what it had in stock is gone."""

    session: str | None
    key: str | None
    item: str


class ChangeStock(Command, frozen=True, forbid_unknown_fields=True, tag="change_stock"):
    """``update_inventory``: add ``quantity_change`` to the stock.

    :ivar quantity_change: may be negative; a stock below zero is a ``conflict``, one
        over ``STOCK_MAX`` is ``too_large``.
    """

    session: str | None
    key: str | None
    item: str
    quantity_change: int


class SetStock(Command, frozen=True, forbid_unknown_fields=True, tag="set_stock"):
    """The admin line's ``stock ITEM QUANTITY``."""

    item: str
    stock: int


class ResetInventory(
    Command, frozen=True, forbid_unknown_fields=True, tag="reset_inventory"
):
    """Go back to what a fresh inventory holds; other items go."""

    session: str | None
    key: str | None


class TakeLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A line of an order that asks for stock."""

    item: str
    quantity: int


class Take(Command, frozen=True, forbid_unknown_fields=True, tag="take"):
    """Decide a checkout: take all lines out of stock, or none.

    :ivar group_id: the shard's random id; with ``index`` it is the order's id.
    :ivar index: the log index of the shard's ``begin_checkout``.
    :ivar finished: every order of this shard at or below this index is finished;
        refusals of those are forgotten.
    """

    group_id: str
    index: int
    lines: tuple[TakeLine, ...]
    expected_total: int | None
    finished: int


InventoryCommand = (
    Found
    | OpenSession
    | CloseSession
    | SetOperatorPassword
    | PutItem
    | RemoveItem
    | ChangeStock
    | SetStock
    | ResetInventory
    | Take
)

C = TypeVar("C")


class Stamped(
    msgspec.Struct, Generic[C], frozen=True, array_like=True, forbid_unknown_fields=True
):
    """A command with its leader's wall clock in Unix seconds: a log entry's payload."""

    time: int
    command: C
