"""The books of an inventory, balanced by SQL of their own."""

from __future__ import annotations

from cartnet.seams import Cursor


def assert_conserved(cursor: Cursor) -> None:
    """Fail unless stock is conserved for every item ever known (S7)."""
    cursor.execute(
        "SELECT i.item, i.stock, i.removed, i.initial_stock + i.operator_changes"
        " - i.stock, (SELECT COALESCE(SUM(t.quantity), 0) FROM taking_lines t"
        " WHERE t.item = i.item) FROM items i ORDER BY i.item"
    )
    for item, stock, removed, gone, sold in cursor.fetchall():
        assert stock >= 0, f"the stock of {item} is {stock}"
        assert not (removed and stock), f"{item} is removed and has stock"
        assert gone == sold, f"{gone} of {item} are gone and {sold} are sold"
    cursor.execute(
        "SELECT COUNT(*) FROM taking_lines WHERE item NOT IN (SELECT item FROM items)"
    )
    assert cursor.fetchone()[0] == 0, "what was taken is known"
