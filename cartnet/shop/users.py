"""What the machines with users keep of them: accounts, sessions and keys, in log time.

The inventory's one user is the operator.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cartnet.shop import accounts, group, keys

if TYPE_CHECKING:
    from cartnet.seams import Cursor


def create_tables(cursor: Cursor) -> None:
    group.create_tables(cursor)
    accounts.create_tables(cursor)
    keys.create_tables(cursor)


def advance(cursor: Cursor, stamped: int) -> int:
    """Move log time on to a command's stamp, and let go of what has ended by then.

    Returns the command's log time.
    """
    now, later = group.advance(cursor, stamped)
    if later:
        accounts.forget_ended(cursor, now)
        keys.forget_lapsed(cursor, now)
    return now
