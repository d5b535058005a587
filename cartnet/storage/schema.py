"""The tables' definitions, kept beside them: a byte that changes there is damage.

SQLite checks no page. Where a damaged one is the schema's, queries fail for want of a
column, or a table seems to be missing and is made anew, empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from cartnet.storage import owner
from cartnet.storage.journal import Damaged

if TYPE_CHECKING:
    from cartnet.seams import Cursor

DISPENSABLE: Final = frozenset({"digest", "digests"})
"""Tables that an operator may drop to repair a group: they are counted anew."""

_decode = msgspec.json.Decoder(dict[str, str]).decode


def check(cursor: Cursor) -> None:
    """Hold the tables' definitions against those that were kept.

    :raises Damaged: one is another, missing, or too many.
    """
    kept, found = _decode(owner.read(cursor)["schema"]), _tables(cursor)
    for table in DISPENSABLE - found.keys():
        kept.pop(table, None)
    for table in (*kept, *found):
        if found.get(table) != kept.get(table):
            raise Damaged.unlike_its_definition(table)


def keep(cursor: Cursor) -> None:
    """Keep the definitions as they are now, once all tables are made."""
    owner.save(cursor, "schema", msgspec.json.encode(_tables(cursor)).decode())


def _tables(cursor: Cursor) -> dict[str, str]:
    cursor.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name"
    )
    return dict(cursor.fetchall())
