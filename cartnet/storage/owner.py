"""Whose file it is: the ``meta`` table, written once, compared at every start."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from cartnet.consensus.messages import Life

if TYPE_CHECKING:
    from cartnet.seams import Cursor
    from cartnet.topology.groups import Group

FORMAT_VERSION: Final = 1
"""Raised when an older release could no longer read the tables."""

FILE_ID_BYTES: Final = 16


class StartError(Exception):
    """A replica cannot start; the message is one line that says what to do."""


@dataclass(frozen=True)
class Owner:
    """The replica that a file belongs to.

    :ivar members: name and address of every member of the group.
    :ivar members_hash: the group's own hash over them, which peers compare too.
    """

    cluster: str
    group: str
    replica: str
    members: tuple[tuple[str, str], ...]
    members_hash: str

    @classmethod
    def of(cls, cluster: str, group: Group, replica: str) -> Owner:
        members = tuple((member.name, member.address) for member in group.members)
        return cls(cluster, group.name, replica, members, group.members_hash)


def create(cursor: Cursor, owner: Owner, token_bytes: Callable[[int], bytes]) -> None:
    """Write the file's owner and give it a random id; only where it has none."""
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL)"
    )
    if read(cursor):
        return
    meta = {
        "format": str(FORMAT_VERSION),
        "cluster": owner.cluster,
        "group": owner.group,
        "replica": owner.replica,
        "members": json.dumps(owner.members),
        "members_hash": owner.members_hash,
        "file_id": token_bytes(FILE_ID_BYTES).hex(),
        "founders": "{}",
    }
    cursor.executemany("INSERT INTO meta (key, value) VALUES (?, ?)", meta.items())


def read(cursor: Cursor) -> dict[str, str]:
    """Return every key and value; the table must be there."""
    cursor.execute("SELECT key, value FROM meta ORDER BY key")
    return dict(cursor.fetchall())


def founders(meta: dict[str, str]) -> dict[str, str]:
    """Return the file ids of the group's first members; empty where not yet known."""
    found: dict[str, str] = json.loads(meta["founders"])
    return found


def save_founders(cursor: Cursor, founders: dict[str, str]) -> None:
    """Keep the file ids with which the group was formed."""
    cursor.execute(
        "UPDATE meta SET value = ? WHERE key = 'founders'",
        (json.dumps(founders, sort_keys=True),),
    )


def count_start(cursor: Cursor) -> int:
    """A replica starts on the file: say how often that has been, this time included."""
    starts = int(read(cursor).get("starts", "0")) + 1
    _save(cursor, "starts", str(starts))
    return starts


def lives(meta: dict[str, str]) -> dict[str, Life]:
    """Return the other members' lives, as they were last met."""
    return _decode_lives(meta.get("lives", "{}"))


def save_lives(cursor: Cursor, lives: dict[str, Life]) -> None:
    """Keep which lives of the other members were met."""
    _save(cursor, "lives", msgspec.json.encode(lives).decode())


_decode_lives = msgspec.json.Decoder(dict[str, Life]).decode


def _save(cursor: Cursor, key: str, value: str) -> None:
    cursor.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )


def admit(cursor: Cursor, name: str, file_id: str) -> None:
    """Let a replica's new file take the place of the one it was formed with."""
    save_founders(cursor, {**founders(read(cursor)), name: file_id})


def check(cursor: Cursor, owner: Owner, path: str) -> None:
    """Compare the file with who wants it; a fresh one suits everybody.

    :raises StartError: it is something else's, or another replica's.
    """
    cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    tables = {name for (name,) in cursor.fetchall()}
    if not tables:
        return
    meta = read(cursor) if "meta" in tables else {}
    if "format" not in meta or "replica" not in meta:
        raise StartError(
            f"{path} is a SQLite database, but not one of cartnet's: move it away, or"
            " change `data` in the configuration"
        )
    if meta["format"] != str(FORMAT_VERSION):
        raise StartError(
            f"{path} has format {meta['format']}, this release reads format"
            f" {FORMAT_VERSION}: start it with the release that made it"
        )
    theirs = (meta["replica"], meta["group"], meta["cluster"])
    ours = (owner.replica, owner.group, owner.cluster)
    if theirs != ours:
        raise StartError(
            f"{path} belongs to {_who(*theirs)}, not to {_who(*ours)}: move it away, or"
            " change `data` in the configuration"
        )
    if meta["members_hash"] != owner.members_hash:
        raise StartError(
            f"{path} was made for other members of group {owner.group}:"
            f" {_difference(meta['members'], owner)}; restore the configuration, or"
            " move the databases of the whole group away to begin anew"
        )


def _who(replica: str, group: str, cluster: str) -> str:
    return f"replica {replica} of group {group} in cluster {cluster}"


def _difference(stored: str, owner: Owner) -> str:
    """Say where two lists of members differ, names first."""
    theirs: dict[str, str] = dict(json.loads(stored))
    ours = dict(owner.members)
    parts = []
    for name in sorted(theirs.keys() | ours.keys()):
        if theirs.get(name) != ours.get(name):
            parts.append(
                f"{name} is {theirs.get(name, 'no member')} there and"
                f" {ours.get(name, 'no member')} in the configuration"
            )
    return ", ".join(parts) or "their order or kind differs"
