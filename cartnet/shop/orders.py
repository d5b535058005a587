"""Orders: begun with a copy of the cart's lines, then placed or forgotten.

An order's number is the log index of its ``begin_checkout``; its id is the group's
random id and that number. Pending orders are those whose ``placed_at`` is null; a
refused checkout leaves no row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cartnet.errors import Refused
from cartnet.limits import ORDERS_PAGE_BYTES_MAX
from cartnet.shop import group
from cartnet.shop.answers import CheckoutBegun, Order, Orders, ShownLine
from cartnet.shop.commands import TakeLine

if TYPE_CHECKING:
    from cartnet.seams import Cursor
    from cartnet.shop.commands import Taken

_SELECT = (
    "SELECT log_index, order_id, username, key, expected_total, total, placed_at"
    " FROM orders"
)
_INDEX_MAX = 2**63 - 1


class Row(msgspec.Struct, frozen=True):
    """An order as its table has it.

    :ivar key: the idempotency key of its checkout, or ``None``.
    """

    index: int
    order: str
    username: str
    key: str | None
    expected_total: int | None
    total: int | None
    placed_at: int | None


def create_tables(cursor: Cursor) -> None:
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS orders ("
        " log_index INTEGER PRIMARY KEY,"
        " order_id TEXT NOT NULL,"
        " username TEXT NOT NULL,"
        " key TEXT,"
        " expected_total BIGINT,"
        " total BIGINT,"
        " placed_at BIGINT)"
    )
    cursor.execute(
        "CREATE INDEX IF NOT EXISTS orders_of_user ON orders (username, log_index)"
    )
    cursor.execute(
        "CREATE INDEX IF NOT EXISTS orders_pending ON orders (log_index)"
        " WHERE placed_at IS NULL"
    )
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS order_lines ("
        " log_index BIGINT NOT NULL,"
        " position BIGINT NOT NULL,"
        " item TEXT NOT NULL,"
        " quantity BIGINT NOT NULL CHECK (quantity > 0),"
        " name TEXT,"
        " price BIGINT,"
        " PRIMARY KEY (log_index, position))"
    )
    # The last order begun, which outlives the row of a refused one.
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS last_order ("
        " id INTEGER PRIMARY KEY CHECK (id = 1),"
        " log_index BIGINT NOT NULL)"
    )
    cursor.execute(
        "INSERT INTO last_order (id, log_index) VALUES (1, 0)"
        " ON CONFLICT (id) DO NOTHING"
    )


# --- Reads ---------------------------------------------------------------------------


def find(cursor: Cursor, username: str, order: str) -> Order | None:
    """Return the user's order of that id, or ``None`` (also where it is another's)."""
    row = row_by_id(cursor, order)
    if row is None or row.username != username:
        return None
    return shown(cursor, row)


def listing(cursor: Cursor, username: str, limit: int, before: str | None) -> Orders:
    """Return the user's newest orders, at most ``limit`` and as many as fit a line.

    :param before: the ``next`` of the page before, or ``None`` for the first page. That
        order itself may have been refused meanwhile.
    :raises Refused: ``not_found`` where ``before`` cannot be an order's id here.
    """
    assert limit > 0
    below = _INDEX_MAX
    if before is not None:
        index = _index_in(before)
        if index is None or before.rpartition("-")[0] != group.group_id(cursor):
            raise Refused("not_found", "There is no such order to list from.")
        below = index
    cursor.execute(
        _SELECT + " WHERE username = ? AND log_index < ?"
        " ORDER BY log_index DESC LIMIT ?",
        (username, below, limit + 1),
    )
    rows = [Row(*values) for values in cursor.fetchall()]
    page: list[Order] = []
    room = ORDERS_PAGE_BYTES_MAX
    for row in rows[:limit]:
        order = shown(cursor, row)
        room -= len(msgspec.json.encode(order)) + 1
        if room < 0:
            break
        page.append(order)
    assert page or not rows, "one order always fits"
    return Orders(tuple(page), page[-1].id if len(page) < len(rows) else None)


def pending(cursor: Cursor) -> tuple[CheckoutBegun, ...]:
    """Return the orders that wait for the inventory's decision, oldest first."""
    cursor.execute(_SELECT + " WHERE placed_at IS NULL ORDER BY log_index")
    return tuple([begun(cursor, Row(*values)) for values in cursor.fetchall()])


def finished_index(cursor: Cursor) -> int:
    """Return an index such that every order at or below it is decided, and for good."""
    cursor.execute("SELECT MIN(log_index) FROM orders WHERE placed_at IS NULL")
    oldest = cursor.fetchone()[0]
    if oldest is not None:
        return int(oldest) - 1
    cursor.execute("SELECT log_index FROM last_order WHERE id = 1")
    return int(cursor.fetchone()[0])


def row_by_id(cursor: Cursor, order: str) -> Row | None:
    """Return the row of the order of that id, whose ever it is."""
    index = _index_in(order)
    row = None if index is None else row_at(cursor, index)
    return row if row is not None and row.order == order else None


def row_at(cursor: Cursor, index: int) -> Row | None:
    """Return the order begun at that log index, or ``None``."""
    cursor.execute(_SELECT + " WHERE log_index = ?", (index,))
    row = cursor.fetchone()
    return None if row is None else Row(*row)


def shown(cursor: Cursor, row: Row) -> Order:
    """Return the order as its user sees it."""
    cursor.execute(
        "SELECT item, name, quantity, price FROM order_lines WHERE log_index = ?"
        " ORDER BY position",
        (row.index,),
    )
    lines = tuple([ShownLine(*line) for line in cursor.fetchall()])
    status = "pending" if row.placed_at is None else "placed"
    return Order(row.order, status, lines, row.total, row.placed_at)


def begun(cursor: Cursor, row: Row) -> CheckoutBegun:
    """Return the pending order as the checkout's coordinator wants it."""
    assert row.placed_at is None
    lines = _take_lines(cursor, row.index)
    return CheckoutBegun(row.order, row.index, lines, row.expected_total)


# --- Writes --------------------------------------------------------------------------


def begin(
    cursor: Cursor,
    index: int,
    group_id: str,
    username: str,
    key: str | None,
    expected_total: int | None,
) -> CheckoutBegun:
    """Copy the lines of the user's cart, which has some, into a new pending order."""
    order = f"{group_id}-{index}"
    cursor.execute(
        "INSERT INTO orders (log_index, order_id, username, key, expected_total)"
        " VALUES (?, ?, ?, ?, ?)",
        (index, order, username, key, expected_total),
    )
    cursor.execute(
        "INSERT INTO order_lines (log_index, position, item, quantity)"
        " SELECT ?, added_index, item, quantity FROM cart_lines WHERE username = ?",
        (index, username),
    )
    cursor.execute("UPDATE last_order SET log_index = ? WHERE id = 1", (index,))
    lines = _take_lines(cursor, index)
    assert lines, "an empty cart has been refused"
    return CheckoutBegun(order, index, lines, expected_total)


def place(cursor: Cursor, row: Row, taken: Taken) -> Order:
    """Give a pending order the names, prices and total at which it was taken."""
    assert row.placed_at is None
    cursor.execute(
        "SELECT item, quantity, position FROM order_lines WHERE log_index = ?"
        " ORDER BY position",
        (row.index,),
    )
    ordered = cursor.fetchall()
    assert [(item, quantity) for item, quantity, _ in ordered] == [
        (line.item, line.quantity) for line in taken.lines
    ], "what was taken is what was ordered (S8)"
    cursor.executemany(
        "UPDATE order_lines SET name = ?, price = ?"
        " WHERE log_index = ? AND position = ?",
        [
            (line.name, line.price, row.index, position)
            for line, (_, _, position) in zip(taken.lines, ordered, strict=True)
        ],
    )
    cursor.execute(
        "UPDATE orders SET total = ?, placed_at = ? WHERE log_index = ?",
        (taken.total, taken.taken_at, row.index),
    )
    lines = tuple(
        [
            ShownLine(line.item, line.name, line.quantity, line.price)
            for line in taken.lines
        ]
    )
    return Order(row.order, "placed", lines, taken.total, taken.taken_at)


def forget(cursor: Cursor, row: Row) -> None:
    """Drop a pending order whose checkout was refused."""
    assert row.placed_at is None
    cursor.execute("DELETE FROM order_lines WHERE log_index = ?", (row.index,))
    cursor.execute("DELETE FROM orders WHERE log_index = ?", (row.index,))


def _take_lines(cursor: Cursor, index: int) -> tuple[TakeLine, ...]:
    cursor.execute(
        "SELECT item, quantity FROM order_lines WHERE log_index = ? ORDER BY position",
        (index,),
    )
    return tuple([TakeLine(*line) for line in cursor.fetchall()])


def _index_in(order: str) -> int | None:
    """Return the log index that an order's id ends with, if it looks like one."""
    digits = order.rpartition("-")[2]
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 18):
        return None
    return int(digits)
