"""The directory: which shard a username lives on, chosen once and for ever (S9).

It knows homes, not accounts: whether an account exists is decided by its shard alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

import msgspec

from cartnet.shop import group
from cartnet.shop.answers import Answer, Assigned, Nothing
from cartnet.shop.commands import AssignShard, DirectoryCommand, Found, Stamped

if TYPE_CHECKING:
    from cartnet.seams import Cursor

_DECODER = msgspec.json.Decoder(Stamped[DirectoryCommand])


def locate(cursor: Cursor, username: str) -> str | None:
    """Return the shard that ``username`` lives on, or ``None`` where it has none."""
    cursor.execute("SELECT shard FROM homes WHERE username = ?", (username,))
    row = cursor.fetchone()
    return None if row is None else row[0]


class Directory:
    """The machine of the balancers' group."""

    def create(self, cursor: Cursor) -> None:
        """Make the machine's tables where they are missing."""
        group.create_tables(cursor)
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS homes ("
            " username TEXT PRIMARY KEY,"
            " shard TEXT NOT NULL)"
        )

    def apply(self, cursor: Cursor, index: int, payload: msgspec.Raw | bytes) -> Answer:
        """Apply one command, as :class:`~cartnet.shop.machine.Machine` says."""
        stamped = _DECODER.decode(payload)
        group.advance(cursor, stamped.time)
        command = stamped.command
        match command:
            case Found():
                group.found(cursor, command.group_id)
                return Nothing()
            case AssignShard():
                return _assign(cursor, command)
            case _:
                assert_never(command)


def _assign(cursor: Cursor, command: AssignShard) -> Assigned:
    home = locate(cursor, command.username)
    if home is None:
        home = command.shard
        cursor.execute(
            "INSERT INTO homes (username, shard) VALUES (?, ?)",
            (command.username, home),
        )
    return Assigned(home)
