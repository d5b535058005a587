"""The replicated log and Raft's hard state as tables, pure over a cursor.

Every row has a checksum, and is held against it when it is read. The log's rows are
contiguous in ``idx`` and their terms never fall. Whoever calls holds a transaction;
nothing here begins or ends one. Names are those of the Raft dissertation (Ongaro,
2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace as changed
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import msgspec

from cartnet.consensus.messages import Entry, HardState

if TYPE_CHECKING:
    from cartnet.seams import Cursor

NULL_COMMAND: Final = b"null"
"""The command of a leader's first entry of its term; no machine sees it."""

_CAUSE: Final = (
    "the disk or the file system has lost what was written, or another program has"
    " changed it"
)

# MessagePack tells NULL, integers, text and blobs apart: a flipped bit may make one
# the other.
_encode = msgspec.msgpack.Encoder().encode


class Damaged(Exception):
    """What was read back is not what was written: the replica must stop.

    The message says what it is, and what may have done it.
    """

    @classmethod
    def unlike_its_checksum(cls, what: str) -> Damaged:
        return cls(f"{what} does not match its checksum; {_CAUSE}")

    @classmethod
    def unlike_its_definition(cls, table: str) -> Damaged:
        return cls(f"the table {table} is not defined as it was; {_CAUSE}")


def checksum(*values: object) -> int:
    """Return the CRC-32 over a row's values."""
    return crc32(_encode(values))


@dataclass(frozen=True)
class State:
    """The one row beside the log.

    :ivar commit_index: known to be committed; it may lag behind the truth.
    :ivar applied_index: the last entry whose effects are in the machine's tables.
    """

    hard_state: HardState
    commit_index: int
    applied_index: int


def create(cursor: Cursor) -> None:
    """Make the tables of a fresh file.

    Never those of another: a row that is missing there is damage.
    """
    cursor.execute(
        "CREATE TABLE log (idx INTEGER PRIMARY KEY,"
        " term INTEGER NOT NULL, command BLOB NOT NULL, checksum INTEGER NOT NULL)"
    )
    cursor.execute(
        "CREATE TABLE hard_state (one INTEGER PRIMARY KEY CHECK (one = 1),"
        " term INTEGER NOT NULL, vote TEXT, commit_index INTEGER NOT NULL,"
        " applied_index INTEGER NOT NULL, checksum INTEGER NOT NULL)"
    )
    cursor.execute("INSERT INTO hard_state VALUES (1, 0, NULL, 0, 0, 0)")
    save(cursor, State(HardState(), 0, 0))
    cursor.execute(
        "CREATE TABLE log_base (one INTEGER PRIMARY KEY CHECK (one = 1),"
        " idx INTEGER NOT NULL, term INTEGER NOT NULL, checksum INTEGER NOT NULL)"
    )
    cursor.execute("INSERT INTO log_base VALUES (1, 0, 0, 0)")
    _set_base(cursor, 0, 0)


def state(cursor: Cursor) -> State:
    """Read hard state, commit and applied index.

    :raises Damaged: they are not what was written.
    """
    cursor.execute(
        "SELECT one, term, vote, commit_index, applied_index, checksum FROM hard_state"
    )
    _, term, vote, commit_index, applied_index = _only(cursor, "hard_state")
    return State(HardState(term, vote), commit_index, applied_index)


def save(cursor: Cursor, new: State) -> None:
    """Keep hard state, commit and applied index."""
    assert new.applied_index <= new.commit_index, "only what is committed is applied"
    values = (
        new.hard_state.term,
        new.hard_state.vote,
        new.commit_index,
        new.applied_index,
    )
    cursor.execute(
        "UPDATE hard_state SET term = ?, vote = ?, commit_index = ?, applied_index = ?,"
        " checksum = ?",
        (*values, checksum(1, *values)),
    )


def _only(cursor: Cursor, table: str) -> tuple[Any, ...]:
    """Fetch the values of a table's one row, whose last is its checksum."""
    rows = cursor.fetchall()
    if len(rows) != 1 or checksum(*rows[0][:-1]) != rows[0][-1]:
        raise Damaged.unlike_its_checksum(f"the row of {table}")
    values: tuple[Any, ...] = rows[0][:-1]
    return values


def last(cursor: Cursor) -> tuple[int, int]:
    """Return index and term of the last entry; the base's where the log is empty."""
    cursor.execute("SELECT idx, term FROM log ORDER BY idx DESC LIMIT 1")
    index, term = cursor.fetchone() or base(cursor)
    return index, term


def base(cursor: Cursor) -> tuple[int, int]:
    """Return index and term of the last entry that was compacted away (5.1).

    :raises Damaged: they are not what was written.
    """
    cursor.execute("SELECT one, idx, term, checksum FROM log_base")
    _, index, term = _only(cursor, "log_base")
    return index, term


def compact(cursor: Cursor, through: int) -> None:
    """Delete the entries up to ``through``, whose effects are in the tables."""
    index, _ = base(cursor)
    if through <= index:
        return
    term = term_at(cursor, through)
    cursor.execute("DELETE FROM log WHERE idx <= ?", (through,))
    _set_base(cursor, through, term)


def replace(cursor: Cursor, last_index: int, last_term: int) -> None:
    """Begin anew behind a snapshot's last entry; the hard state stays (5.2)."""
    cursor.execute("DELETE FROM log")
    _set_base(cursor, last_index, last_term)
    save(
        cursor,
        changed(state(cursor), commit_index=last_index, applied_index=last_index),
    )


def _set_base(cursor: Cursor, index: int, term: int) -> None:
    cursor.execute(
        "UPDATE log_base SET idx = ?, term = ?, checksum = ?",
        (index, term, checksum(1, index, term)),
    )


def append(cursor: Cursor, entries: Sequence[Entry], commit_index: int) -> None:
    """Put ``entries`` behind the entry before their first.

    What stands at their indexes and behind has been contradicted by a leader and is
    dropped (3.5). ``commit_index`` is the stored one: a committed entry is never
    dropped.
    """
    if not entries:
        return
    first_index = entries[0].index
    last_index, last_term = last(cursor)
    assert 1 <= first_index <= last_index + 1, "the log has no holes"
    if first_index <= last_index:
        assert first_index > commit_index, "a committed entry is never dropped"
        cursor.execute("DELETE FROM log WHERE idx >= ?", (first_index,))
        _, last_term = last(cursor)
    rows = []
    for index, entry in enumerate(entries, first_index):
        assert entry.index == index, "entries follow each other"
        assert entry.term >= last_term, "terms never fall along a log"
        last_term = entry.term
        command = bytes(entry.command)
        rows.append((index, entry.term, command, checksum(index, entry.term, command)))
    cursor.executemany(
        "INSERT INTO log (idx, term, command, checksum) VALUES (?, ?, ?, ?)", rows
    )


def entries(
    cursor: Cursor, first_index: int, last_index: int, bytes_max: int
) -> tuple[Entry, ...]:
    """Read the entries from ``first_index`` to ``last_index``, both included.

    Stops before the commands' sizes sum to more than ``bytes_max``, but never before
    the first, so that whoever reads on makes progress. Empty where ``first_index`` is
    compacted away.

    :raises Damaged: an entry is missing or differs from what was written.
    """
    assert first_index >= 1, "indexes count from 1"
    if first_index <= base(cursor)[0]:
        return ()
    cursor.execute(
        "SELECT idx, term, command, checksum FROM log WHERE idx BETWEEN ? AND ?"
        " ORDER BY idx",
        (first_index, last_index),
    )
    found: list[Entry] = []
    bytes_left = bytes_max
    for index in range(first_index, last_index + 1):
        row = cursor.fetchone()
        if row is None or row[0] != index:
            raise Damaged(f"log entry {index} is missing; {_CAUSE}")
        entry = _entry(row)
        bytes_left -= len(row[2])
        if found and bytes_left < 0:
            break
        found.append(entry)
    return tuple(found)


def tail(cursor: Cursor, entries_max: int, bytes_max: int) -> tuple[Entry, ...]:
    """Read the newest entries, oldest first, within both bounds.

    :raises Damaged: an entry differs from what was written.
    """
    cursor.execute(
        "SELECT idx, term, command, checksum FROM log ORDER BY idx DESC LIMIT ?",
        (entries_max,),
    )
    newest: list[Entry] = []
    bytes_left = bytes_max
    while (row := cursor.fetchone()) is not None:
        entry = _entry(row)
        bytes_left -= len(row[2])
        if bytes_left < 0:
            break
        newest.append(entry)
    return tuple(reversed(newest))


def term_runs(cursor: Cursor) -> tuple[tuple[int, int], ...]:
    """Return the first index of every term in the log, with that term.

    Reads the whole log, once a start: elections go by its terms, and would by a
    damaged one.

    :raises Damaged: an entry is missing or differs from what was written.
    """
    index, term = base(cursor)
    runs: list[tuple[int, int]] = []
    cursor.execute("SELECT idx, term, command, checksum FROM log ORDER BY idx")
    while (row := cursor.fetchone()) is not None:
        entry = _entry(row)
        index += 1
        if entry.index != index:
            raise Damaged(f"log entry {index} is missing; {_CAUSE}")
        if entry.term > term or not runs:
            runs.append((index, entry.term))
        term = entry.term
    return tuple(runs)


def term_at(cursor: Cursor, index: int) -> int:
    """Return the term of the entry at ``index``.

    :raises Damaged: it is missing or differs from what was written.
    """
    cursor.execute(
        "SELECT idx, term, command, checksum FROM log WHERE idx = ?", (index,)
    )
    row = cursor.fetchone()
    if row is None:
        raise Damaged(f"log entry {index} is missing; {_CAUSE}")
    return _entry(row).term


def _entry(row: Any) -> Entry:
    index, term, command, expected = row
    if checksum(index, term, command) != expected:
        raise Damaged.unlike_its_checksum(f"log entry {index}")
    return Entry(index, term, msgspec.Raw(command))
