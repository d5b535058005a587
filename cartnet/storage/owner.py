"""Whose file it is, and what else it says of itself: the ``meta`` table.

One of its rows is a checksum over all others.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from cartnet.consensus.messages import Life
from cartnet.storage.journal import Damaged, checksum

if TYPE_CHECKING:
    from cartnet.seams import Cursor
    from cartnet.topology.groups import Group

FORMAT_VERSION: Final = 2
"""Raised when an older release could no longer read the tables."""

FORMAT_WITHOUT_CHECKSUMS: Final = "1"

APPLICATION_ID: Final = int.from_bytes(b"cart")
"""In the head of the file, so that it is known for ours whatever tables it has."""

FILE_ID_BYTES: Final = 16


class Replaced(Exception):
    """Another file has taken this one's place in its group: this is an old copy."""


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


def is_fresh(cursor: Cursor) -> bool:
    """Whether there is nothing in the file yet."""
    return not _tables(cursor) and not _is_marked(cursor)


def create(cursor: Cursor, owner: Owner, token_bytes: Callable[[int], bytes]) -> None:
    """Write a fresh file's owner and give it a random id."""
    cursor.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    # Without an index of its own, whose pages could be damaged where the rows are not.
    cursor.execute(
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID"
    )
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
    _write(cursor, meta, meta)


def read(cursor: Cursor) -> dict[str, str]:
    """Return every key and value; the table must be there.

    :raises Damaged: they are not what was written.
    """
    meta = _unchecked(cursor)
    if meta.pop("checksum", None) != _checksum(meta):
        raise Damaged.unlike_its_checksum("the table meta")
    return meta


def save(cursor: Cursor, key: str, value: str) -> None:
    """Keep ``value`` under ``key``."""
    _write(cursor, {key: value}, {**read(cursor), key: value})


def _unchecked(cursor: Cursor) -> dict[str, str]:
    cursor.execute("SELECT key, value FROM meta")
    return dict(cursor.fetchall())


def _write(cursor: Cursor, changes: dict[str, str], meta: dict[str, str]) -> None:
    """Write what changes, and the checksum over all there will be."""
    cursor.executemany(
        "INSERT INTO meta (key, value) VALUES (?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        {**changes, "checksum": _checksum(meta)}.items(),
    )


def _checksum(meta: dict[str, str]) -> str:
    # Damage may make other types of them.
    return str(checksum(*sorted(meta.items(), key=repr)))


def founders(meta: dict[str, str]) -> dict[str, str]:
    """Return the file ids that count, by replica; empty where not yet known."""
    found: dict[str, str] = json.loads(meta["founders"])
    return found


def save_founders(cursor: Cursor, counted: dict[str, str]) -> None:
    """Keep the file ids that count.

    :raises Replaced: this file's own did, and does not any more. It must not count
        again under its id: others may remember later starts on it, from before.
    """
    meta = read(cursor)
    own = meta["file_id"]
    if own in founders(meta).values() and own not in counted.values():
        raise Replaced(
            "the database is an old copy: another file has taken its place in the group"
        )
    save(cursor, "founders", json.dumps(counted, sort_keys=True))


def count_start(cursor: Cursor) -> int:
    """A replica starts on the file: say how often that has been, this time included."""
    starts = int(read(cursor).get("starts", "0")) + 1
    save(cursor, "starts", str(starts))
    return starts


def lives(meta: dict[str, str]) -> dict[str, Life]:
    """Return the other members' lives, as they were last met."""
    return _decode_lives(meta.get("lives", "{}"))


def save_lives(cursor: Cursor, lives: dict[str, Life]) -> None:
    """Keep which lives of the other members were met."""
    save(cursor, "lives", msgspec.json.encode(lives).decode())


_decode_lives = msgspec.json.Decoder(dict[str, Life]).decode


def admit(cursor: Cursor, name: str, file_id: str) -> None:
    """Let a replica's new file take the place of the one it was formed with."""
    save_founders(cursor, {**founders(read(cursor)), name: file_id})


def check(cursor: Cursor, owner: Owner, path: str) -> None:
    """Compare the file with who wants it; a fresh one suits everybody.

    :raises StartError: it is something else's, or another replica's.
    :raises Damaged: it is ours, and not what was written.
    """
    if is_fresh(cursor):
        return
    meta = _read_ours(cursor, path)
    if meta["format"] != str(FORMAT_VERSION):
        raise _other_format(path, meta["format"])
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


def _read_ours(cursor: Cursor, path: str) -> dict[str, str]:
    """Return ``meta``.

    :raises StartError: it is another program's, or a former release's.
    :raises Damaged: it is ours, and not what was written.
    """
    tables = _tables(cursor)
    if not _is_marked(cursor) and not tables >= {"meta", "log", "hard_state"}:
        raise StartError(
            f"{path} is a SQLite database, but not one of cartnet's: move it away, or"
            " change `data` in the configuration"
        )
    cursor.execute("PRAGMA table_info(meta)")
    if [column[1] for column in cursor.fetchall()] != ["key", "value"]:
        raise Damaged.unlike_its_definition("meta")
    unchecked = _unchecked(cursor)
    if "checksum" not in unchecked and (
        unchecked.get("format") == FORMAT_WITHOUT_CHECKSUMS
    ):
        raise _other_format(path, FORMAT_WITHOUT_CHECKSUMS)
    return read(cursor)


def _is_marked(cursor: Cursor) -> bool:
    cursor.execute("PRAGMA application_id")
    marked: bool = cursor.fetchone()[0] == APPLICATION_ID
    return marked


def _tables(cursor: Cursor) -> set[str]:
    cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {name for (name,) in cursor.fetchall()}


def _other_format(path: str, theirs: str) -> StartError:
    return StartError(
        f"{path} has format {theirs}, this release reads format {FORMAT_VERSION}: start"
        " it with the release that made it"
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
