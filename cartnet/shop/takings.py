"""The decision of a checkout: one entry takes all its lines from stock, or none (S8).

A decision is remembered by the order's shard and index, so that asking again, or late,
or twice at once, changes nothing: takings for ever, refusals until the shard reports
the order as finished.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

import msgspec

from cartnet.shop import catalogue
from cartnet.shop.answers import Item, Refusal
from cartnet.shop.commands import (
    Decision,
    Lapsed,
    OrderLine,
    OutOfStock,
    PriceChanged,
    Shortage,
    Taken,
)

if TYPE_CHECKING:
    from cartnet.seams import Cursor
    from cartnet.shop.commands import Take, TakeLine

OTHER_ORDER: Final = Refusal(
    "conflict",
    "Another order of this shard had the same number: the shard's files or the"
    " inventory's are an old copy.",
)

_ENCODER = msgspec.json.Encoder()
_REFUSAL: msgspec.json.Decoder[OutOfStock | PriceChanged] = msgspec.json.Decoder(
    OutOfStock | PriceChanged
)


def create_tables(cursor: Cursor) -> None:
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS takings ("
        " group_id TEXT NOT NULL,"
        " order_index BIGINT NOT NULL,"
        " total BIGINT NOT NULL,"
        " taken_at BIGINT NOT NULL,"
        " PRIMARY KEY (group_id, order_index))"
    )
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS taking_lines ("
        " group_id TEXT NOT NULL,"
        " order_index BIGINT NOT NULL,"
        " position BIGINT NOT NULL,"
        " item TEXT NOT NULL,"
        " name TEXT NOT NULL,"
        " quantity BIGINT NOT NULL CHECK (quantity > 0),"
        " price BIGINT NOT NULL,"
        " PRIMARY KEY (group_id, order_index, position))"
    )
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS refused_takes ("
        " group_id TEXT NOT NULL,"
        " order_index BIGINT NOT NULL,"
        " decision TEXT NOT NULL,"
        " PRIMARY KEY (group_id, order_index))"
    )
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS finished_orders ("
        " group_id TEXT PRIMARY KEY,"
        " finished_index BIGINT NOT NULL)"
    )


def decide(cursor: Cursor, index: int, now: int, take: Take) -> Decision | Refusal:
    """Take an order's lines out of stock, or say why not; or repeat what was said.

    Stock is looked at before prices. An item that is not there has stock 0. What was
    said of other lines is not repeated: the order is refused, and stays undecided.
    """
    assert take.lines, "an order has lines"
    assert all(line.quantity > 0 for line in take.lines), "no line puts stock back"
    assert len({line.item for line in take.lines}) == len(take.lines)
    finished = _finish(cursor, take.group_id, take.finished)
    decided = _decided(cursor, take.group_id, take.index)
    if decided is not None:
        return decided if _is_about(decided, take) else OTHER_ORDER
    if take.index <= finished:
        return Lapsed()
    decision = _judge(cursor, now, take)
    if isinstance(decision, Taken):
        _record(cursor, take, decision)
        catalogue.sell(
            cursor, index, [(line.item, line.quantity) for line in take.lines]
        )
    else:
        cursor.execute(
            "INSERT INTO refused_takes (group_id, order_index, decision)"
            " VALUES (?, ?, ?)",
            (take.group_id, take.index, _ENCODER.encode(decision).decode()),
        )
    return decision


def _finish(cursor: Cursor, group_id: str, reported: int) -> int:
    """Note up to which index a shard's orders are finished; forget their refusals."""
    cursor.execute(
        "SELECT finished_index FROM finished_orders WHERE group_id = ?", (group_id,)
    )
    row = cursor.fetchone()
    known: int = 0 if row is None else row[0]
    if reported <= known:
        return known
    cursor.execute(
        "INSERT INTO finished_orders (group_id, finished_index) VALUES (?, ?)"
        " ON CONFLICT (group_id) DO UPDATE SET"
        " finished_index = excluded.finished_index",
        (group_id, reported),
    )
    cursor.execute(
        "DELETE FROM refused_takes WHERE group_id = ? AND order_index <= ?",
        (group_id, reported),
    )
    return reported


def _is_about(decision: Taken | OutOfStock | PriceChanged, take: Take) -> bool:
    """Say whether an order of these lines can have got this decision."""
    asked = [(line.item, line.quantity) for line in take.lines]
    match decision:
        case Taken() | PriceChanged():
            return [(line.item, line.quantity) for line in decision.lines] == asked
        case OutOfStock():
            short = decision.shortages
            return all((each.item, each.wanted) in asked for each in short)
        case _:
            assert_never(decision)


def _decided(
    cursor: Cursor, group_id: str, order_index: int
) -> Taken | OutOfStock | PriceChanged | None:
    """Return the decision that is remembered for an order."""
    cursor.execute(
        "SELECT total, taken_at FROM takings WHERE group_id = ? AND order_index = ?",
        (group_id, order_index),
    )
    row = cursor.fetchone()
    if row is not None:
        cursor.execute(
            "SELECT item, name, quantity, price FROM taking_lines"
            " WHERE group_id = ? AND order_index = ? ORDER BY position",
            (group_id, order_index),
        )
        lines = tuple([OrderLine(*line) for line in cursor.fetchall()])
        return Taken(lines, *row)
    cursor.execute(
        "SELECT decision FROM refused_takes WHERE group_id = ? AND order_index = ?",
        (group_id, order_index),
    )
    row = cursor.fetchone()
    return None if row is None else _REFUSAL.decode(row[0])


def _judge(cursor: Cursor, now: int, take: Take) -> Taken | OutOfStock | PriceChanged:
    """Decide an order that is new: stock first, then prices."""
    found: list[tuple[TakeLine, Item]] = []
    shortages: list[Shortage] = []
    for line in take.lines:
        item = catalogue.find(cursor, line.item)
        stock = 0 if item is None else item.stock
        if item is None or stock < line.quantity:
            shortages.append(Shortage(line.item, line.quantity, stock))
        else:
            found.append((line, item))
    if shortages:
        return OutOfStock(tuple(shortages))
    lines = tuple(
        [
            OrderLine(line.item, item.name, line.quantity, item.price)
            for line, item in found
        ]
    )
    total = sum(line.quantity * line.price for line in lines)
    if take.expected_total is not None and take.expected_total != total:
        return PriceChanged(total, lines)
    return Taken(lines, total, now)


def _record(cursor: Cursor, take: Take, taken: Taken) -> None:
    cursor.execute(
        "INSERT INTO takings (group_id, order_index, total, taken_at)"
        " VALUES (?, ?, ?, ?)",
        (take.group_id, take.index, taken.total, taken.taken_at),
    )
    cursor.executemany(
        "INSERT INTO taking_lines (group_id, order_index, position, item, name,"
        " quantity, price) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                take.group_id,
                take.index,
                position,
                line.item,
                line.name,
                line.quantity,
                line.price,
            )
            for position, line in enumerate(taken.lines)
        ],
    )
