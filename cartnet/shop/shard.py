"""A shard: its users' accounts, sessions, carts and orders.

Of a user's call the session is looked at first, then the key, then the cart: a
remembered key is answered whatever has become of the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

import msgspec

from cartnet.shop import accounts, answers, carts, group, keys, orders, users
from cartnet.shop.answers import Answer, CheckoutBegun, Frozen, Nothing, Order, Refusal
from cartnet.shop.commands import (
    AddToCart,
    BeginCheckout,
    CloseSession,
    CreateAccount,
    FinishCheckout,
    Found,
    Lapsed,
    OpenSession,
    OutOfStock,
    PriceChanged,
    RemoveFromCart,
    SetQuantity,
    ShardCommand,
    Stamped,
    Taken,
)

if TYPE_CHECKING:
    from cartnet.seams import Cursor

UserCommand = AddToCart | SetQuantity | RemoveFromCart | BeginCheckout
"""What a logged-in user does, perhaps under a key."""

UNKNOWN_ITEM: Final = Refusal("not_found", "There is no such item in the catalogue.")
EMPTY_CART: Final = Refusal("empty_cart", "The cart is empty; add an item first.")

_DECODER = msgspec.json.Decoder(Stamped[ShardCommand])


class Shard:
    """The machine of a shard's group."""

    def create(self, cursor: Cursor) -> None:
        """Make the machine's tables where they are missing."""
        users.create_tables(cursor)
        carts.create_tables(cursor)
        orders.create_tables(cursor)

    def apply(self, cursor: Cursor, index: int, payload: msgspec.Raw | bytes) -> Answer:
        """Apply one command, as :class:`~cartnet.shop.machine.Machine` says."""
        stamped = _DECODER.decode(payload)
        now = users.advance(cursor, stamped.time)
        command = stamped.command
        match command:
            case AddToCart() | SetQuantity() | RemoveFromCart() | BeginCheckout():
                return _do_once(cursor, index, now, command)
            case FinishCheckout():
                return _finish(cursor, command)
            case Found():
                group.found(cursor, command.group_id)
                return Nothing()
            case CreateAccount():
                return accounts.create_account(
                    cursor, now, command.username, command.password_hash, command.key
                )
            case OpenSession():
                return accounts.open_session(cursor, index, now, command)
            case CloseSession():
                return accounts.close_session(cursor, now, command.session)
            case _:
                assert_never(command)


def remembered(cursor: Cursor, command: UserCommand, now: int) -> Answer | None:
    """Return the answer that the log would give without doing anything new.

    That is ``unauthenticated``, or what the command's key came to before; ``None``
    where the command has no key, or a new one. A read: ``now`` is in Unix seconds.
    """
    username = accounts.session_user(cursor, command.session, now)
    if username is None:
        return accounts.UNAUTHENTICATED
    keyed = _keyed(username, command)
    return None if keyed is None else _recall(cursor, keyed, now)


def _keyed(username: str, command: UserCommand) -> keys.KeyedCall | None:
    """Return the call that the command stands for, by its public name."""
    key = command.key
    match command:
        case AddToCart():
            arguments = (command.item, command.quantity)
            return keys.keyed_call(username, key, "add_to_cart", arguments)
        case SetQuantity():
            arguments = (command.item, command.quantity)
            return keys.keyed_call(username, key, "set_quantity", arguments)
        case RemoveFromCart():
            return keys.keyed_call(username, key, "remove_from_cart", (command.item,))
        case BeginCheckout():
            return keys.keyed_call(username, key, "checkout", (command.expected_total,))
        case _:
            assert_never(command)


def _recall(cursor: Cursor, keyed: keys.KeyedCall, now: int) -> Answer | None:
    """Return what the key's call came to, as things are now; ``None`` for a new key."""
    recalled = keys.recall(cursor, keyed, now)
    if recalled is None or isinstance(recalled, Refusal):
        return recalled
    if recalled.refusal is not None:
        return recalled.refusal
    if recalled.order_index is None:
        return carts.read(cursor, keyed.username)
    row = orders.row_at(cursor, recalled.order_index)
    assert row is not None, "a refused checkout's key answers with its refusal"
    if row.placed_at is None:
        return orders.begun(cursor, row)
    return orders.shown(cursor, row)


def _do_once(cursor: Cursor, index: int, now: int, command: UserCommand) -> Answer:
    """Do a user's command, unless its key tells what it came to before."""
    username = accounts.session_user(cursor, command.session, now)
    if username is None:
        return accounts.UNAUTHENTICATED
    keyed = _keyed(username, command)
    if keyed is None:
        return _do(cursor, index, username, command)
    recalled = _recall(cursor, keyed, now)
    if recalled is not None:
        return recalled
    answer = _do(cursor, index, username, command)
    match answer:
        case Frozen() | Refusal(code="unavailable"):
            # Nothing was decided: the same key may try again once that has passed.
            pass
        case Refusal():
            keys.remember(cursor, index, now, keyed, answer)
        case CheckoutBegun():
            keys.remember(cursor, index, now, keyed, answer.index)
        case _:
            keys.remember(cursor, index, now, keyed, None)
    return answer


def _do(cursor: Cursor, index: int, username: str, command: UserCommand) -> Answer:
    match command:
        case AddToCart():
            if command.unknown_item:
                return UNKNOWN_ITEM
            return carts.add(cursor, index, username, command.item, command.quantity)
        case SetQuantity():
            # What has left the catalogue may still be taken out of a cart.
            if command.unknown_item and command.quantity > 0:
                return UNKNOWN_ITEM
            return carts.set_quantity(
                cursor, index, username, command.item, command.quantity
            )
        case RemoveFromCart():
            return carts.set_quantity(cursor, index, username, command.item, 0)
        case BeginCheckout():
            return _begin(cursor, index, username, command)
        case _:
            assert_never(command)


def _begin(
    cursor: Cursor, index: int, username: str, command: BeginCheckout
) -> CheckoutBegun | Frozen | Refusal:
    cart = carts.read(cursor, username)
    if cart.pending is not None:
        return Frozen(cart.pending)
    if not cart.items:
        return EMPTY_CART
    group_id = group.group_id(cursor)
    if group_id is None:
        return group.FORMING
    begun = orders.begin(
        cursor, index, group_id, username, command.key, command.expected_total
    )
    carts.freeze(cursor, username, begun.order)
    return begun


def _finish(cursor: Cursor, command: FinishCheckout) -> Order | Refusal | Nothing:
    """End a pending order as the inventory decided; others stay what they are."""
    row = orders.row_by_id(cursor, command.order)
    if row is None:
        return Nothing()
    if row.placed_at is not None:
        return orders.shown(cursor, row)
    decision = command.decision
    match decision:
        case Taken():
            order = orders.place(cursor, row, decision)
            carts.empty(cursor, row.username)
            return order
        case OutOfStock():
            refusal = answers.out_of_stock(decision)
        case PriceChanged():
            refusal = answers.price_changed(decision)
        case Lapsed():
            # Takings are kept for ever, so this order was not taken and cannot be.
            refusal = answers.lapsed()
        case _:
            assert_never(decision)
    orders.forget(cursor, row)
    carts.unfreeze(cursor, row.username)
    if row.key is not None:
        keys.refuse(cursor, row.username, row.key, row.index, refusal)
    return refusal
