"""What every machine keeps: its group's id, and the log's time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cartnet.shop.answers import Refusal

if TYPE_CHECKING:
    from cartnet.seams import Cursor

FORMING: Final = Refusal(
    "unavailable", "The group is still being formed; try again in a moment."
)
"""What is answered, and not remembered, before the group's first command."""


def create_tables(cursor: Cursor) -> None:
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS machine ("
        " id INTEGER PRIMARY KEY CHECK (id = 1),"
        " group_id TEXT,"
        " log_time BIGINT NOT NULL)"
    )
    cursor.execute(
        "INSERT INTO machine (id, group_id, log_time) VALUES (1, NULL, 0)"
        " ON CONFLICT (id) DO NOTHING"
    )


def group_id(cursor: Cursor) -> str | None:
    """Return the group's random id, or ``None`` before its first command."""
    cursor.execute("SELECT group_id FROM machine WHERE id = 1")
    found: str | None = cursor.fetchone()[0]
    return found


def found(cursor: Cursor, new_id: str) -> bool:
    """Give the group its id; say whether it had none (a former one stands)."""
    if group_id(cursor) is not None:
        return False
    cursor.execute("UPDATE machine SET group_id = ? WHERE id = 1", (new_id,))
    return True


def log_time(cursor: Cursor) -> int:
    """Return the time of the last command, in Unix seconds; 0 before the first."""
    cursor.execute("SELECT log_time FROM machine WHERE id = 1")
    time: int = cursor.fetchone()[0]
    return time


def time_at(cursor: Cursor, now: int) -> int:
    """Return the time at which a command that is stamped ``now`` would be applied."""
    return max(now, log_time(cursor))


def advance(cursor: Cursor, stamped: int) -> tuple[int, bool]:
    """Move log time on to a command's stamp; it never moves back.

    Leaders' clocks differ, so a stamp may lie before the last one. Returns the
    command's log time, and whether that is later than the last command's.
    """
    last = log_time(cursor)
    if stamped <= last:
        return last, False
    cursor.execute("UPDATE machine SET log_time = ? WHERE id = 1", (stamped,))
    return stamped, True
