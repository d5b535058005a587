"""The inventory's items: what there is, how much of it, and when it last changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cartnet.limits import CATALOGUE_ITEMS_MAX, STOCK_MAX
from cartnet.shop.answers import Changes, Inventory, Item, Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cartnet.seams import Cursor

INITIAL_ITEMS: Final = (
    Item("A", "Item A", 100, 100),
    Item("B", "Item B", 250, 100),
    Item("C", "Item C", 999, 100),
)
"""What a fresh inventory holds, and a reset one again; prices in cents."""

CATALOGUE_FULL: Final = Refusal(
    "too_large", f"The catalogue holds at most {CATALOGUE_ITEMS_MAX} items."
)
STOCK_TOO_LARGE: Final = Refusal(
    "too_large", f"The stock of an item is at most {STOCK_MAX}."
)
STOCK_TOO_SMALL: Final = Refusal(
    "conflict", "The stock of an item cannot fall below zero."
)


def create_tables(cursor: Cursor) -> None:
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS items ("
        " item TEXT PRIMARY KEY,"
        " name TEXT NOT NULL,"
        " price BIGINT NOT NULL CHECK (price >= 0),"
        " stock BIGINT NOT NULL CHECK (stock >= 0),"
        " removed INTEGER NOT NULL,"
        " revision BIGINT NOT NULL,"
        " initial_stock BIGINT NOT NULL,"
        " operator_changes BIGINT NOT NULL)"
    )
    cursor.execute("CREATE INDEX IF NOT EXISTS items_by_revision ON items (revision)")


# --- Reads ---------------------------------------------------------------------------


def revision(cursor: Cursor) -> int:
    """Return the log index of the last change of any item; 0 before the first."""
    cursor.execute("SELECT COALESCE(MAX(revision), 0) FROM items")
    return int(cursor.fetchone()[0])


def items(cursor: Cursor) -> Inventory:
    """Return all items by id, and their revision."""
    cursor.execute(
        "SELECT item, name, price, stock FROM items WHERE removed = 0 ORDER BY item"
    )
    rows = tuple([Item(*row) for row in cursor.fetchall()])
    return Inventory(revision(cursor), rows)


def changes(cursor: Cursor, from_revision: int | None) -> Changes:
    """Return what someone with the items of ``from_revision`` lacks.

    Everything (``full``) where that is ``None`` or lies ahead, or where more has come
    and gone since than a catalogue holds: removed items stay as rows, and all of them
    might not fit a line.
    """
    latest = revision(cursor)
    if from_revision is None or not 0 <= from_revision <= latest:
        return Changes(latest, True, items(cursor).items, ())
    cursor.execute(
        "SELECT item, name, price, stock, removed FROM items WHERE revision > ?"
        " ORDER BY item",
        (from_revision,),
    )
    rows = cursor.fetchall()
    if len(rows) > CATALOGUE_ITEMS_MAX:
        return Changes(latest, True, items(cursor).items, ())
    return Changes(
        latest,
        False,
        tuple([Item(*row[:4]) for row in rows if not row[4]]),
        tuple([row[0] for row in rows if row[4]]),
    )


def find(cursor: Cursor, item: str) -> Item | None:
    """Return the item, or ``None`` where there is none (any more)."""
    cursor.execute(
        "SELECT item, name, price, stock FROM items WHERE item = ? AND removed = 0",
        (item,),
    )
    row = cursor.fetchone()
    return None if row is None else Item(*row)


# --- Writes --------------------------------------------------------------------------


def put(
    cursor: Cursor, index: int, item: str, name: str, price: int, stock: int
) -> Refusal | None:
    """Make an item, or set an existing one's name, price and stock."""
    assert 0 <= stock <= STOCK_MAX, "form is checked before the log"
    new = Item(item, name, price, stock)
    old = find(cursor, item)
    if old == new:
        return None
    if old is None and _count(cursor) >= CATALOGUE_ITEMS_MAX:
        return CATALOGUE_FULL
    _put(cursor, index, new)
    return None


def set_stock(cursor: Cursor, index: int, item: Item, stock: int) -> Refusal | None:
    """Set the stock of an item, as just found, for the operator."""
    if stock < 0:
        return STOCK_TOO_SMALL
    if stock > STOCK_MAX:
        return STOCK_TOO_LARGE
    if stock != item.stock:
        _put(cursor, index, Item(item.id, item.name, item.price, stock))
    return None


def remove(cursor: Cursor, index: int, item: str) -> None:
    """Take an item out of the catalogue; what was in stock is the operator's change."""
    cursor.execute(
        "UPDATE items SET removed = 1, revision = ?,"
        " operator_changes = operator_changes - stock, stock = 0 WHERE item = ?",
        (index, item),
    )


def reset(cursor: Cursor, index: int) -> None:
    """Go back to the initial items; others are removed."""
    initial = {item.id: item for item in INITIAL_ITEMS}
    present = {item.id: item for item in items(cursor).items}
    for item in sorted(present.keys() - initial.keys()):
        remove(cursor, index, item)
    for item in sorted(initial):
        if present.get(item) != initial[item]:
            _put(cursor, index, initial[item])


def sell(cursor: Cursor, index: int, lines: Iterable[tuple[str, int]]) -> None:
    """Take items out of stock, which is known to have them."""
    cursor.executemany(
        "UPDATE items SET stock = stock - ?, revision = ? WHERE item = ?",
        [(quantity, index, item) for item, quantity in lines],
    )


def _put(cursor: Cursor, index: int, item: Item) -> None:
    """Write an item; its first stock ever is its initial one, the rest are changes."""
    cursor.execute(
        "INSERT INTO items (item, name, price, stock, removed, revision,"
        " initial_stock, operator_changes) VALUES (?, ?, ?, ?, 0, ?, ?, 0)"
        " ON CONFLICT (item) DO UPDATE SET name = excluded.name,"
        " price = excluded.price, stock = excluded.stock, removed = 0,"
        " revision = excluded.revision, operator_changes ="
        " items.operator_changes + excluded.stock - items.stock",
        (item.id, item.name, item.price, item.stock, index, item.stock),
    )


def _count(cursor: Cursor) -> int:
    cursor.execute("SELECT COUNT(*) FROM items WHERE removed = 0")
    return int(cursor.fetchone()[0])
