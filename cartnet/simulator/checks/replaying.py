"""Full replays of a group's log, from its first entry, by the product's machine."""

from __future__ import annotations

import sqlite3
import weakref
from typing import TYPE_CHECKING, Any

import msgspec

from cartnet.consensus.messages import is_admission
from cartnet.shop.machine import machine_for
from cartnet.storage import digest, journal
from cartnet.storage.digest import DigestKeeper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from cartnet.simulator.checks.truth import Truth
    from cartnet.workload.findings import Tally


def commands(truth: Truth) -> Iterator[tuple[int, bytes]]:
    """What the machine has seen, index after index.

    :raises Incorrect: nobody has shown one of them.
    """
    for index in range(1, max(truth.committed, default=0) + 1):
        truth.tally.require(
            "S3 nothing is missing in what is committed",
            index in truth.committed,
            truth.group.name,
            " at ",
            index,
        )
        _, command = truth.committed[index]
        if command != journal.NULL_COMMAND and not is_admission(command):
            yield index, command


def replay(
    truth: Truth,
    tally: Tally,
    applied: Callable[[Any, int, bytes], None] = lambda *_: None,
) -> Any:
    """Hold every digest that any replica has had against a replay's; give its tables.

    Replicas that were brought up by snapshots, restarts or batches have the digests
    that a replica has which applied every entry, one by one (R10).

    :param applied: looks at the tables after each entry, of an index and a command.
    """
    machine = machine_for(truth.group.kind)
    connection = sqlite3.connect(":memory:", isolation_level=None)
    cursor = connection.cursor()
    # SQLite holds the keeper, which holds the connection: nobody collects that.
    weakref.finalize(cursor, connection.close)
    keeper = DigestKeeper()
    cursor.execute("BEGIN")
    keeper.begin(connection)
    journal.create(cursor)
    machine.create(cursor)
    digest.open_tables(cursor)
    last = 0
    for index, command in commands(truth):
        _compare(truth, tally, last, index, keeper.value(cursor))
        machine.apply(cursor, index, msgspec.Raw(command))
        applied(cursor, index, command)
        last = index
    _compare(truth, tally, last, len(truth.committed) + 1, keeper.value(cursor))
    cursor.execute("COMMIT")
    return cursor


def _compare(
    truth: Truth, tally: Tally, first: int, behind: int, expected: str
) -> None:
    """From ``first`` until before ``behind`` nothing has changed the tables."""
    for index in range(max(first, 1), behind):
        if index in truth.digests:
            name, found = truth.digests[index]
            tally.require(
                "R5 R10 R13 digests are those of a full replay",
                found == expected,
                name,
                " at ",
                index,
                ": ",
                found,
                ", replayed ",
                expected,
            )
