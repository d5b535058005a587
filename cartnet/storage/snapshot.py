"""The machine's tables as rows: copied out at one index, put in place at once.

A snapshot is state, never identity: term, vote and file id stay whose they are (5.2).
Rows are JSON, so that they fit the wire and any engine that speaks SQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import IO, TYPE_CHECKING, Any, Final
from weakref import finalize

import msgspec

from cartnet.limits import SNAPSHOT_MEMORY_BYTES_MAX, SNAPSHOT_PART_BYTES_MAX
from cartnet.storage import journal, owner

if TYPE_CHECKING:
    from cartnet.seams import Cursor
    from cartnet.storage.digest import DigestKeeper

OWN_TABLES: Final = frozenset(
    {"meta", "log", "log_base", "hard_state", "incoming", "digest", "digests"}
)
"""Storage's tables; every other one is the machine's."""

Rows = list[tuple[str, list[list[Any]]]]
"""Rows of some tables, each table's under its name."""

_decode_rows = msgspec.json.Decoder(Rows).decode


@dataclass
class Snapshot:
    """The tables after one index, in parts; close it when it is not needed any more.

    :ivar founders: the file ids that counted then, by replica name.
    :ivar digest: of the tables.
    """

    last_index: int
    last_term: int
    founders: dict[str, str]
    digest: str
    _file: IO[bytes]
    _ends: list[int]

    def __post_init__(self) -> None:
        # Whoever was to get it may have been killed meanwhile.
        finalize(self, self._file.close)

    @property
    def parts(self) -> int:
        return len(self._ends)

    def part(self, number: int) -> bytes:
        """The rows of a part, as JSON."""
        start = self._ends[number - 1] if number else 0
        self._file.seek(start)
        return self._file.read(self._ends[number] - start)

    def close(self) -> None:
        self._file.close()


def take(cursor: Cursor) -> Snapshot:
    """Copy the tables out; in one read transaction, since it takes many statements."""
    state = journal.state(cursor)
    last_index = state.applied_index
    base_index, base_term = journal.base(cursor)
    last_term = base_term
    if last_index > base_index:
        last_term = journal.term_at(cursor, last_index)
    founders = owner.founders(owner.read(cursor))
    cursor.execute("SELECT digest FROM digest")
    (digest,) = cursor.fetchone()
    file = SpooledTemporaryFile(SNAPSHOT_MEMORY_BYTES_MAX)  # noqa: SIM115 # kept open
    ends: list[int] = []
    try:
        for part in _parts(cursor):
            file.write(msgspec.json.encode(part))
            ends.append(file.tell())
        file.flush()  # A full disk is to be heard of here, not where it is sent.
    except BaseException:
        file.close()
        raise
    return Snapshot(last_index, last_term, founders, digest, file, ends)


def tables(cursor: Cursor) -> list[str]:
    """The names of the machine's tables."""
    cursor.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table'"
        " AND name NOT LIKE 'sqlite~_%' ESCAPE '~' ORDER BY name"
    )
    return [name for (name,) in cursor.fetchall() if name not in OWN_TABLES]


def _parts(cursor: Cursor) -> Iterator[Rows]:
    """All rows, in parts that fit a line; at least one part."""
    part: Rows = []
    room = SNAPSHOT_PART_BYTES_MAX
    for table in tables(cursor):
        rows: list[list[Any]] = []
        part.append((table, rows))
        cursor.execute(f"SELECT * FROM {table}")  # noqa: S608 # our own table's name
        while (row := cursor.fetchone()) is not None:
            assert all(value is None or type(value) in (int, str) for value in row)
            rows.append(list(row))
            room -= len(msgspec.json.encode(rows[-1]))
            if room <= 0:
                yield part
                rows = []
                part = [(table, rows)]
                room = SNAPSHOT_PART_BYTES_MAX
    yield part


def create(cursor: Cursor) -> None:
    """Make the table of parts that have come, in a fresh file."""
    cursor.execute(
        "CREATE TABLE incoming (part INTEGER PRIMARY KEY, rows BLOB NOT NULL,"
        " checksum INTEGER NOT NULL)"
    )


def forget(cursor: Cursor) -> None:
    """Drop the parts that have come for a former try."""
    cursor.execute("DELETE FROM incoming")


def stage(cursor: Cursor, part: int, rows: bytes) -> None:
    """Keep a part that has come; the first one replaces all."""
    if part == 0:
        forget(cursor)
    cursor.execute(
        "INSERT INTO incoming (part, rows, checksum) VALUES (?, ?, ?)",
        (part, rows, journal.checksum(part, rows)),
    )


def install(
    cursor: Cursor,
    last_index: int,
    last_term: int,
    founders: dict[str, str],
    expected_digest: str,
    keeper: DigestKeeper,
) -> bool:
    """Put the parts that have come in place of the tables, and of the log.

    :return: whether they are in place. What differs from its digest was wrong before
        it was sent, or is wrong since: it is dropped, and all else stays as it was.
    :raises cartnet.storage.journal.Damaged: one is not what was staged.
    """
    cursor.execute("SAVEPOINT install")
    sound = _fill(cursor, keeper) and keeper.value(cursor) == expected_digest
    if sound:
        journal.replace(cursor, last_index, last_term)
        if founders:
            owner.save_founders(cursor, founders)
    else:
        cursor.execute("ROLLBACK TO install")
        keeper.rolled_back()
    cursor.execute("RELEASE install")
    forget(cursor)
    return sound


def _fill(cursor: Cursor, keeper: DigestKeeper) -> bool:
    """Replace the tables' rows; say whether they keep to the tables' constraints."""
    keeper.clear(cursor)
    cursor.execute("SELECT count(*) FROM incoming")
    (parts,) = cursor.fetchone()
    for part in range(parts):
        cursor.execute("SELECT rows, checksum FROM incoming WHERE part = ?", (part,))
        row = cursor.fetchone()
        if row is None or journal.checksum(part, row[0]) != row[1]:
            raise journal.Damaged.unlike_its_checksum(f"part {part} of a snapshot")
        for table, rows in _decode_rows(row[0]):
            assert table not in OWN_TABLES
            if rows:
                marks = ", ".join("?" * len(rows[0]))
                try:
                    cursor.executemany(
                        f"INSERT INTO {table} VALUES ({marks})",  # noqa: S608 # likewise
                        rows,
                    )
                except Exception as error:
                    # By PEP 249's name: drivers are chosen when the process starts.
                    if type(error).__name__ != "IntegrityError":
                        raise
                    return False
    return True
