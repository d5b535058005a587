"""A digest of the state tables, kept row by row: replicas with equal ones are equal.

It is the sum modulo 2^256 of a hash of every row, so neither the order of rows nor how
entries were batched into transactions matters. State tables are all those that are not
storage's own: whatever a machine makes is covered. What a machine changes is heard from
triggers, which are storage's affair: machines stay within the SQL that SQLite and
PostgreSQL share. They are temporary triggers, made anew for each connection of the
writer: the file holds none, and stays readable, and writable, for any other program.

A sum kept by triggers does not see what was changed behind its back, by another
program or by a failing disk: :func:`recount` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

import msgspec

from cartnet.limits import DIGEST_ENTRIES, DIGESTS_KEPT_MAX, RECOUNT_ROWS_AT_ONCE
from cartnet.storage import journal
from cartnet.storage.snapshot import tables as state_tables

if TYPE_CHECKING:
    from cartnet.seams import Connection, Cursor

HASH_BYTES: Final = 32
DIGITS_SHOWN_MIN: Final = 16
"""Of digests that people are shown; of hexadecimal ones, 64 bits."""

_MODULUS: Final = 1 << (8 * HASH_BYTES)

# MessagePack tells integers, text, null and blobs apart, each in its shortest form.
_encode = msgspec.msgpack.Encoder().encode


class StateDamaged(journal.Damaged):
    """The tables are not what was applied: this replica must not serve from them.

    The log may be sound; a snapshot of another replica makes the tables right.
    """


def row_hash(row: tuple[object, ...]) -> int:
    """Return the hash of a row: the name of its table, then all its columns."""
    return int.from_bytes(blake2b(_encode(row), digest_size=HASH_BYTES).digest())


def told_apart(*digests: str) -> list[str]:
    """Shorten digests for people, but leave those that differ different."""
    digits = DIGITS_SHOWN_MIN
    longest = max(map(len, digests), default=0)
    while digits < longest and len({d[:digits] for d in digests}) < len(set(digests)):
        digits *= 2
    return [d if len(d) <= digits else f"{d[:digits]}..." for d in digests]


# --- Kept ----------------------------------------------------------------------------


class DigestKeeper:
    """What the writer's triggers report; of one connection, in its thread.

    A transaction is :meth:`begin`, any changes, :meth:`save`. One that is rolled back
    leaves nothing: the sum so far is in the table alone. Where only a part of it is,
    :meth:`rolled_back` says so.
    """

    def __init__(self) -> None:
        self._change = 0
        self._connection: Connection | None = None

    def begin(self, connection: Connection) -> None:
        """Count from here what a transaction changes."""
        if connection is not self._connection:
            for name, function in (
                ("cartnet_inserted", self._inserted),
                ("cartnet_deleted", self._deleted),
                ("cartnet_updated", self._updated),
            ):
                connection.create_function(name, -1, function)
            self._connection = connection
        self._change = 0

    def value(self, cursor: Cursor) -> str:
        """Return the digest as it is at this point of the transaction, in hex."""
        kept = 0 if (stored := _stored(cursor)) is None else int(stored, 16)
        return _hex(kept + self._change)

    def record(self, cursor: Cursor, index: int) -> str:
        """Remember the digest for comparison: entry ``index`` has just been applied."""
        value = self.value(cursor)
        cursor.execute(
            "INSERT INTO digests (idx, digest, checksum) VALUES (?, ?, ?)"
            " ON CONFLICT (idx) DO UPDATE"
            " SET digest = excluded.digest, checksum = excluded.checksum",
            (index, value, journal.checksum(index, value)),
        )
        cursor.execute(
            "DELETE FROM digests WHERE idx <="
            " (SELECT idx FROM digests ORDER BY idx DESC LIMIT 1 OFFSET ?)",
            (DIGESTS_KEPT_MAX,),
        )
        return value

    def save(self, cursor: Cursor) -> None:
        """Keep what the transaction has changed; the last thing before its COMMIT."""
        if self._change:
            keep(cursor, self.value(cursor))
            self._change = 0

    def rolled_back(self) -> None:
        """All changes of state tables since :meth:`begin` have been taken back."""
        self._change = 0

    def clear(self, cursor: Cursor) -> None:
        """Empty every state table, for rows that replace them all.

        The digest then counts from nothing, whatever was kept before: what
        :meth:`value` gives once the new rows are in place is theirs. Recorded digests
        are forgotten.
        """
        # Without triggers SQLite drops all rows of a table at once.
        unwatch(cursor)
        for table in state_tables(cursor):
            cursor.execute(f"DELETE FROM {_quoted(table)}")  # noqa: S608 (a name from the schema, quoted)
        watch(cursor)
        cursor.execute("DELETE FROM digests")
        keep(cursor, _hex(0))
        self._change = 0

    def _inserted(self, *row: object) -> None:
        self._change += row_hash(row)

    def _deleted(self, *row: object) -> None:
        self._change -= row_hash(row)

    def _updated(self, *rows: object) -> None:
        half = len(rows) >> 1
        self._change += row_hash(rows[half:]) - row_hash(rows[:half])


def due(index: int, command: bytes) -> bool:
    """Say whether the digest after this entry is one to record.

    Besides every ``DIGEST_ENTRIES`` that is so for entries without a command: a
    leader's first, and the markers by which slow traffic is compared too.
    """
    return index % DIGEST_ENTRIES == 0 or command == journal.NULL_COMMAND


def open_tables(cursor: Cursor) -> None:
    """Make what keeps the digest, and hold what is kept against the tables.

    Call it once the machine has made its tables, in a transaction that a
    :class:`DigestKeeper` has begun.

    :raises StateDamaged: they differ.
    :raises cartnet.storage.journal.Damaged: a recorded digest is not what was written.
    """
    fresh = not _has_table(cursor, "digest")
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS digest (one INTEGER PRIMARY KEY"
        " CHECK (one = 1), digest TEXT NOT NULL)"
    )
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS digests (idx INTEGER PRIMARY KEY,"
        " digest TEXT NOT NULL, checksum INTEGER NOT NULL)"
    )
    recorded(cursor)
    if fresh:
        keep(cursor, recount(cursor))
    else:
        difference = compare(cursor).difference
        if difference is not None:
            raise StateDamaged(difference)
    watch(cursor)


def watch(cursor: Cursor) -> None:
    """Make the triggers that report every change of a row, on this connection."""
    unwatch(cursor)
    # So that a row which an INSERT OR REPLACE drops is reported too.
    cursor.execute("PRAGMA recursive_triggers = ON")
    for table in state_tables(cursor):
        columns = _columns(cursor, table)
        name = _literal(table)
        old = ", ".join([name, *(f"OLD.{_quoted(each)}" for each in columns)])
        new = ", ".join([name, *(f"NEW.{_quoted(each)}" for each in columns)])
        for event, arguments in (
            ("insert", new),
            ("delete", old),
            ("update", f"{old}, {new}"),
        ):
            trigger = _quoted(f"{_TRIGGERS}{event}_{table}")
            verb = "inserted" if event == "insert" else f"{event}d"
            cursor.execute(
                f"CREATE TEMP TRIGGER {trigger} AFTER {event} ON main.{_quoted(table)}"
                f" BEGIN SELECT cartnet_{verb}({arguments}); END"
            )


def unwatch(cursor: Cursor) -> None:
    """Take the triggers away."""
    cursor.execute(
        "SELECT name FROM sqlite_temp_master WHERE type = 'trigger' ORDER BY name"
    )
    for (trigger,) in cursor.fetchall():
        if trigger.startswith(_TRIGGERS):
            cursor.execute(f"DROP TRIGGER temp.{_quoted(trigger)}")


_TRIGGERS: Final = "cartnet_digest_"


# --- Read ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """What was kept, and what is there, at one moment of the file; digests in hex.

    :ivar kept: None where the row that holds it is missing.
    :ivar damage: what SQLite found wrong with the file, or None.
    """

    applied_index: int
    kept: str | None
    counted: str
    damage: str | None = None

    @property
    def difference(self) -> str | None:
        """What is wrong, in words, or None."""
        if self.damage is not None:
            return f"the tables are damaged: {self.damage}"
        if self.kept is None:
            return "the digest of the tables is missing"
        if self.kept != self.counted:
            counted, kept = told_apart(self.counted, self.kept)
            return (
                f"the tables differ from what was applied up to index"
                f" {self.applied_index}: their digest is {counted}, not {kept}"
            )
        return None


def digest_at(cursor: Cursor) -> tuple[int, str]:
    """Return the applied index and the digest kept for it, in hex.

    :raises StateDamaged: the row that holds it is missing.
    """
    stored = _stored(cursor)
    if stored is None:
        raise StateDamaged("the digest of the tables is missing")
    return journal.state(cursor).applied_index, stored


def recorded(cursor: Cursor, from_index: int = 0) -> tuple[tuple[int, str], ...]:
    """Return the digests recorded at ``from_index`` and after, oldest first.

    :raises cartnet.storage.journal.Damaged: one is not what was written.
    """
    cursor.execute(
        "SELECT idx, digest, checksum FROM digests WHERE idx >= ? ORDER BY idx",
        (from_index,),
    )
    rows = cursor.fetchall()
    for index, digest, expected in rows:
        if journal.checksum(index, digest) != expected:
            raise journal.Damaged.unlike_its_checksum(f"the digest at index {index}")
    return tuple((index, digest) for index, digest, _ in rows)


def recount(cursor: Cursor, check: Callable[[], None] = lambda: None) -> str:
    """Return the digest of the tables as they are, in hex, from every row.

    In chunks, between which ``check`` is called; what that raises ends the count. Run
    it in a transaction.
    """
    total = 0
    for table in state_tables(cursor):
        for chunk in _chunks(cursor, table):
            check()
            for row in chunk:
                total += row_hash((table, *row))
    return _hex(total)


def compare(cursor: Cursor, check: Callable[[], None] = lambda: None) -> Comparison:
    """Hold the kept digest against a recount, in the caller's transaction.

    SQLite looks whether pages, indexes and the list of free pages are sound first: a
    query may miss a row by a damaged index, or a free page be one that holds rows,
    although every row is right.
    """
    kept = _stored(cursor)
    index = journal.state(cursor).applied_index
    try:
        damage = _unsound(cursor)
        counted = "" if damage else recount(cursor, check)
    except Exception as error:
        if not is_corruption(error):
            raise
        damage, counted = str(error), ""
    return Comparison(index, kept, counted, damage)


def is_damage(error: BaseException | None) -> bool:
    """Say whether a failure's cause tells that a file is not what was written.

    By its checksums, or by SQLite's word.
    """
    return isinstance(error, journal.Damaged) or is_corruption(error)


def is_corruption(error: BaseException | None) -> bool:
    """Say whether a driver's error tells of a damaged file (not of a full one, say).

    DB-API drivers are chosen when the process starts, so this goes by PEP 249's names.
    """
    kind = type(error).__name__
    return kind == "DatabaseError" or (
        kind == "OperationalError" and "decode to UTF-8" in str(error)
    )


# --- Below ---------------------------------------------------------------------------


def _unsound(cursor: Cursor) -> str | None:
    """Return the first thing that SQLite finds wrong with the file, or None."""
    cursor.execute("PRAGMA integrity_check(1)")
    (found,) = cursor.fetchone()
    return None if found == "ok" else found


def _chunks(cursor: Cursor, table: str) -> Iterator[list[tuple[object, ...]]]:
    columns = ", ".join(_quoted(each) for each in _columns(cursor, table))
    # NOT INDEXED: the rows themselves, never a copy of theirs in an index.
    cursor.execute(f"SELECT {columns} FROM {_quoted(table)} NOT INDEXED")  # noqa: S608 (names from the schema, quoted)
    while chunk := cursor.fetchmany(RECOUNT_ROWS_AT_ONCE):
        yield chunk


def _stored(cursor: Cursor) -> str | None:
    cursor.execute("SELECT digest FROM digest WHERE one = 1")
    row = cursor.fetchone()
    return None if row is None else str(row[0])


def keep(cursor: Cursor, digest: str) -> None:
    """Write the one row that holds the digest."""
    cursor.execute(
        "INSERT INTO digest (one, digest) VALUES (1, ?)"
        " ON CONFLICT (one) DO UPDATE SET digest = excluded.digest",
        (digest,),
    )


def _has_table(cursor: Cursor, name: str) -> bool:
    cursor.execute(
        "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)
    )
    return cursor.fetchone() is not None


def _columns(cursor: Cursor, table: str) -> list[str]:
    cursor.execute(f"PRAGMA table_info({_quoted(table)})")
    return [row[1] for row in cursor.fetchall()]


def _hex(total: int) -> str:
    return f"{total % _MODULUS:0{2 * HASH_BYTES}x}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
