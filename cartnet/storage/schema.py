"""The tables' definitions, kept beside them: a byte that changes there is damage.

SQLite checks no page. Where a damaged one is the schema's, queries fail for want of a
column, or a table seems to be missing and is made anew, empty.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from cartnet.storage.journal import Damaged

if TYPE_CHECKING:
    from cartnet.seams import Cursor

DISPENSABLE: Final = frozenset({"digest", "digests"})
"""Tables that an operator may drop to repair a group: they are counted anew."""

_decode = msgspec.json.Decoder(dict[str, str]).decode


def check(cursor: Cursor) -> None:
    """Hold the tables' definitions against those that were kept, if any were.

    :raises Damaged: one is another, or missing.
    """
    tables = _tables(cursor)
    if "meta" not in tables:
        return  # A fresh file, or somebody else's.
    cursor.execute("PRAGMA table_info(meta)")
    if [column[1] for column in cursor.fetchall()] != ["key", "value"]:
        raise _damaged("meta")
    cursor.execute("SELECT value FROM meta WHERE key = 'schema'")
    kept = cursor.fetchone()
    if kept is None:
        return  # The file of a former release.
    for table, definition in _decode(kept[0]).items():
        missing = definition if table in DISPENSABLE else None
        if tables.get(table, missing) != definition:
            raise _damaged(table)


def keep(cursor: Cursor) -> None:
    """Keep the definitions as they are now, once all tables are made."""
    cursor.execute(
        "INSERT INTO meta (key, value) VALUES ('schema', ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (msgspec.json.encode(_tables(cursor)).decode(),),
    )


def _tables(cursor: Cursor) -> dict[str, str]:
    cursor.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name"
    )
    return dict(cursor.fetchall())


def _damaged(table: str) -> Damaged:
    return Damaged(
        f"the definition of the table {table} is not what was written: the disk or the"
        " file system has changed it, or another program has"
    )
