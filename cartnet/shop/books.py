"""Whether stock is conserved (S7): what was put in and what is left, against what sold.

For each item ever known, ``initial + operator's changes - stock`` is the sum of its
quantities over all takings. Takings are only ever added, so that they are added up
once, each time from where the last sum ended.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from cartnet.shop import catalogue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cartnet.seams import Cursor


class Balance(msgspec.Struct, frozen=True):
    """Whether the stock of every item adds up.

    :ivar items: how many there are, the removed ones included.
    :ivar revision: the inventory's, of which this is true.
    """

    conserved: bool
    items: int
    revision: int


@dataclass(frozen=True)
class Sold:
    """How much of each item was taken, by the lines up to a row.

    Rows are numbered anew by a snapshot: no sum is carried over one.
    """

    quantities: Mapping[str, int] = field(default_factory=dict)
    through_row: int = 0


def add_up(cursor: Cursor, sold: Sold) -> Sold:
    """Add what was taken since."""
    cursor.execute("SELECT COALESCE(MAX(rowid), 0) FROM taking_lines")
    last: int = cursor.fetchone()[0]
    if last == sold.through_row:
        return sold
    cursor.execute(
        "SELECT item, SUM(quantity) FROM taking_lines WHERE rowid > ? AND rowid <= ?"
        " GROUP BY item ORDER BY item",
        (sold.through_row, last),
    )
    quantities = dict(sold.quantities)
    for item, quantity in cursor.fetchall():
        quantities[item] = quantities.get(item, 0) + quantity
    return Sold(quantities, last)


def balance(cursor: Cursor, sold: Sold) -> Balance:
    """Hold every item's books against ``sold``, which has all takings there are."""
    cursor.execute(
        "SELECT item, stock, initial_stock + operator_changes - stock FROM items"
        " ORDER BY item"
    )
    rows = cursor.fetchall()
    gone = {item: left for item, _, left in rows if left}
    conserved = gone == dict(sold.quantities) and all(row[1] >= 0 for row in rows)
    return Balance(conserved, len(rows), catalogue.revision(cursor))
