"""Carts: items and quantities in the order added, frozen while a checkout is undecided.

A cart neither checks nor reserves stock; it knows no names and no prices.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from cartnet.limits import CART_LINES_MAX, QUANTITY_MAX
from cartnet.shop.answers import Cart, CartLine, Frozen, Refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cartnet.seams import Cursor

LINES_TOO_MANY: Final = Refusal(
    "too_large", f"A cart holds at most {CART_LINES_MAX} different items."
)
QUANTITY_TOO_LARGE: Final = Refusal(
    "too_large", f"A cart holds at most {QUANTITY_MAX} of an item."
)

_AT_ONCE: Final = 500
"""Sessions in one statement, whose parameters are limited."""


def create_tables(cursor: Cursor) -> None:
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS carts ("
        " username TEXT PRIMARY KEY,"
        " version BIGINT NOT NULL,"
        " pending TEXT)"
    )
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS cart_lines ("
        " username TEXT NOT NULL,"
        " item TEXT NOT NULL,"
        " added_index BIGINT NOT NULL,"
        " quantity BIGINT NOT NULL CHECK (quantity > 0),"
        " PRIMARY KEY (username, item))"
    )


def read(cursor: Cursor, username: str) -> Cart:
    """Return the user's cart; one that was never written to is empty, of version 0."""
    cursor.execute("SELECT version, pending FROM carts WHERE username = ?", (username,))
    row = cursor.fetchone()
    if row is None:
        return Cart(0, (), None)
    cursor.execute(
        "SELECT item, quantity FROM cart_lines WHERE username = ? ORDER BY added_index",
        (username,),
    )
    return Cart(row[0], tuple([CartLine(*line) for line in cursor.fetchall()]), row[1])


class State(NamedTuple):
    """Whose cart a session's is, and what tells whether it is another than before."""

    username: str
    version: int
    pending: str | None


def states(cursor: Cursor, sessions: Sequence[str], now: int) -> dict[str, State]:
    """Return the state of each session's cart, of the sessions that stand.

    :param sessions: as :func:`cartnet.shop.accounts.session_user` has them.
    :param now: the instant to judge by, in Unix seconds.
    """
    found: dict[str, State] = {}
    for first in range(0, len(sessions), _AT_ONCE):
        some = sessions[first : first + _AT_ONCE]
        marks = ", ".join("?" * len(some))
        cursor.execute(
            "SELECT s.session, s.username, COALESCE(c.version, 0), c.pending"  # noqa: S608 (nothing but marks is put in)
            " FROM sessions s LEFT JOIN carts c ON c.username = s.username"
            f" WHERE s.session IN ({marks}) AND s.ends_at > ?",
            (*some, now),
        )
        found.update({row[0]: State(*row[1:]) for row in cursor.fetchall()})
    return found


def add(
    cursor: Cursor, index: int, username: str, item: str, quantity: int
) -> Cart | Frozen | Refusal:
    """Put ``quantity`` more of ``item`` into the cart."""
    assert quantity > 0, "form is checked before the log"
    cart = read(cursor, username)
    return _write(
        cursor, index, username, cart, item, _quantity_of(cart, item) + quantity
    )


def set_quantity(
    cursor: Cursor, index: int, username: str, item: str, quantity: int
) -> Cart | Frozen | Refusal:
    """Make it ``quantity`` of ``item``; 0 removes the line, and may find none."""
    assert quantity >= 0, "form is checked before the log"
    return _write(cursor, index, username, read(cursor, username), item, quantity)


def freeze(cursor: Cursor, username: str, order: str) -> None:
    """Let nothing but ``order``'s end change the cart."""
    cursor.execute("UPDATE carts SET pending = ? WHERE username = ?", (order, username))


def unfreeze(cursor: Cursor, username: str) -> None:
    """Undo :func:`freeze`; the cart is as it was before."""
    cursor.execute("UPDATE carts SET pending = NULL WHERE username = ?", (username,))


def empty(cursor: Cursor, username: str) -> None:
    """Take everything out, and unfreeze it: its order is placed."""
    cursor.execute("DELETE FROM cart_lines WHERE username = ?", (username,))
    cursor.execute(
        "UPDATE carts SET version = version + 1, pending = NULL WHERE username = ?",
        (username,),
    )


def _quantity_of(cart: Cart, item: str) -> int:
    return next((line.quantity for line in cart.items if line.item == item), 0)


def _write(
    cursor: Cursor, index: int, username: str, cart: Cart, item: str, quantity: int
) -> Cart | Frozen | Refusal:
    """Set one line of ``cart``, as just read, and return what it has become."""
    if cart.pending is not None:
        return Frozen(cart.pending)
    if quantity > QUANTITY_MAX:
        return QUANTITY_TOO_LARGE
    line = CartLine(item, quantity)
    present = _quantity_of(cart, item)
    if quantity == present:
        return cart
    if quantity == 0:
        lines = tuple([old for old in cart.items if old.item != item])
        cursor.execute(
            "DELETE FROM cart_lines WHERE username = ? AND item = ?", (username, item)
        )
    elif present:
        lines = tuple([line if old.item == item else old for old in cart.items])
        cursor.execute(
            "UPDATE cart_lines SET quantity = ? WHERE username = ? AND item = ?",
            (quantity, username, item),
        )
    elif len(cart.items) == CART_LINES_MAX:
        return LINES_TOO_MANY
    else:
        lines = (*cart.items, line)
        cursor.execute(
            "INSERT INTO cart_lines (username, item, added_index, quantity)"
            " VALUES (?, ?, ?, ?)",
            (username, item, index, quantity),
        )
    cursor.execute(
        "INSERT INTO carts (username, version, pending) VALUES (?, 1, NULL)"
        " ON CONFLICT (username) DO UPDATE SET version = carts.version + 1",
        (username,),
    )
    return Cart(cart.version + 1, lines, None)
