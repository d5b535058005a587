"""The replicated log and Raft's hard state as tables, pure over a cursor.

Rows are contiguous in ``idx`` and their terms never fall, which is what makes
:func:`term_runs` fast. Whoever calls holds a transaction; nothing here begins or ends
one. Names are those of the Raft dissertation (Ongaro, 2014).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

import msgspec

from cartnet.consensus.messages import Entry, HardState

if TYPE_CHECKING:
    from cartnet.seams import Cursor

NULL_COMMAND: Final = b"null"
"""The command of a leader's first entry of its term; no machine sees it."""

_POSITION: Final = struct.Struct("<QQ")


class Damaged(Exception):
    """What was read back is not what was written: the replica must stop.

    The message says which entry, and what may have done it.
    """


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
    """Make the tables where they are missing."""
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS log (idx INTEGER PRIMARY KEY,"
        " term INTEGER NOT NULL, command BLOB NOT NULL, checksum INTEGER NOT NULL)"
    )
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS hard_state (one INTEGER PRIMARY KEY"
        " CHECK (one = 1), term INTEGER NOT NULL, vote TEXT,"
        " commit_index INTEGER NOT NULL, applied_index INTEGER NOT NULL)"
    )
    cursor.execute(
        "INSERT INTO hard_state (one, term, vote, commit_index, applied_index)"
        " VALUES (1, 0, NULL, 0, 0) ON CONFLICT (one) DO NOTHING"
    )
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS log_base (one INTEGER PRIMARY KEY"
        " CHECK (one = 1), idx INTEGER NOT NULL, term INTEGER NOT NULL)"
    )
    cursor.execute(
        "INSERT INTO log_base (one, idx, term) VALUES (1, 0, 0)"
        " ON CONFLICT (one) DO NOTHING"
    )


def state(cursor: Cursor) -> State:
    """Read hard state, commit and applied index."""
    cursor.execute("SELECT term, vote, commit_index, applied_index FROM hard_state")
    term, vote, commit_index, applied_index = cursor.fetchone()
    return State(HardState(term, vote), commit_index, applied_index)


def save(cursor: Cursor, new: State) -> None:
    """Keep hard state, commit and applied index."""
    assert new.applied_index <= new.commit_index, "only what is committed is applied"
    cursor.execute(
        "UPDATE hard_state SET term = ?, vote = ?, commit_index = ?, applied_index = ?",
        (
            new.hard_state.term,
            new.hard_state.vote,
            new.commit_index,
            new.applied_index,
        ),
    )


def last(cursor: Cursor) -> tuple[int, int]:
    """Return index and term of the last entry; the base's where the log is empty."""
    cursor.execute("SELECT idx, term FROM log ORDER BY idx DESC LIMIT 1")
    index, term = cursor.fetchone() or base(cursor)
    return index, term


def base(cursor: Cursor) -> tuple[int, int]:
    """Return index and term of the last entry that was compacted away (5.1)."""
    cursor.execute("SELECT idx, term FROM log_base")
    index, term = cursor.fetchone()
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
    cursor.execute(
        "UPDATE hard_state SET commit_index = ?, applied_index = ?",
        (last_index, last_index),
    )


def _set_base(cursor: Cursor, index: int, term: int) -> None:
    cursor.execute("UPDATE log_base SET idx = ?, term = ?", (index, term))


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


def checksum(index: int, term: int, command: bytes) -> int:
    """Return the CRC-32 over an entry's position and command."""
    return crc32(command, crc32(_POSITION.pack(index, term)))


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
        bytes_left -= len(row[2])
        if found and bytes_left < 0:
            break
        found.append(_entry(row))
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
        bytes_left -= len(row[2])
        if bytes_left < 0:
            break
        newest.append(_entry(row))
    return tuple(reversed(newest))


def term_runs(cursor: Cursor) -> tuple[tuple[int, int], ...]:
    """Return the first index of every term in the log, with that term.

    Terms never fall along a log, so a run's end is searched by doubling steps and
    then by halving: a few look-ups an election instead of a walk over the whole log,
    and no second table that could disagree with the first.
    """
    last_index, _ = last(cursor)
    cursor.execute("SELECT idx FROM log ORDER BY idx LIMIT 1")
    (index,) = cursor.fetchone() or (last_index + 1,)
    runs = []
    while index <= last_index:
        term = term_at(cursor, index)
        runs.append((index, term))
        step = 1
        while index + step <= last_index and term_at(cursor, index + step) == term:
            step *= 2
        # The run reaches index + step // 2, but not index + step.
        inside, outside = index + step // 2, min(index + step, last_index + 1)
        while outside - inside > 1:
            middle = (inside + outside) // 2
            if term_at(cursor, middle) == term:
                inside = middle
            else:
                outside = middle
        index = outside
    return tuple(runs)


_CAUSE: Final = (
    "the disk or the file system has lost what was written, or another program has"
    " changed it"
)


def _entry(row: Any) -> Entry:
    index, term, command, expected = row
    if checksum(index, term, command) != expected:
        raise Damaged(f"log entry {index} does not match its checksum; {_CAUSE}")
    return Entry(index, term, msgspec.Raw(command))


def term_at(cursor: Cursor, index: int) -> int:
    """Return the term of the entry at ``index``.

    :raises Damaged: it is missing.
    """
    cursor.execute("SELECT term FROM log WHERE idx = ?", (index,))
    row = cursor.fetchone()
    if row is None:
        raise Damaged(f"log entry {index} is missing; {_CAUSE}")
    term: int = row[0]
    return term
