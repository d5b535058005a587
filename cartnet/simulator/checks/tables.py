"""The product's tables against the books: what its machines have made of their logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cartnet.simulator.checks.inventory_book import InventoryBook
    from cartnet.simulator.checks.shard_book import ShardBook
    from cartnet.workload.findings import Tally


def check_time(book: InventoryBook | ShardBook, cursor: Any, tally: Tally) -> None:
    """Log time is the latest stamp."""
    time = cursor.execute("SELECT log_time FROM machine").fetchone()[0]
    tally.require(
        "S6 log time never goes back", time == book.time, time, " != ", book.time
    )


# --- The inventory -------------------------------------------------------------------


def check_items(book: InventoryBook, cursor: Any, index: int, tally: Tally) -> None:
    """After each entry, ``index`` being its: stock is right, and all accounted for."""
    rows = cursor.execute(
        "SELECT item, price, stock, removed, initial_stock + operator_changes - stock"
        " FROM items ORDER BY item"
    ).fetchall()
    tally.require(
        "S7 I1 stock is never negative, at every index",
        all(stock >= 0 for _, _, stock, _, _ in rows),
        "after ",
        index,
        ": ",
        rows,
    )
    found = {
        item: (price, stock) for item, price, stock, removed, _ in rows if not removed
    }
    tally.require(
        "S7 I1 the inventory is what its log says, at every index",
        found == book.table,
        "after ",
        index,
        ": ",
        found,
        " != ",
        book.table,
    )
    gone = {item: count for item, _, _, _, count in rows if count}
    tally.require(
        "S7 I2 I6 initial + changes - stock = sold, at every index",
        gone == book.sold,
        "after ",
        index,
        ": ",
        gone,
        " gone, by the log ",
        dict(book.sold),
    )


def check_takings(book: InventoryBook, cursor: Any, tally: Tally) -> None:
    """What the log sold is what the takings add up to."""
    taken = dict(
        cursor.execute("SELECT item, SUM(quantity) FROM taking_lines GROUP BY item")
    )
    tally.require(
        "S7 I2 takings add up to what was sold",
        taken == book.sold,
        taken,
        " taken, by the log ",
        dict(book.sold),
    )
