"""The log's tables against a list."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.messages import Entry, HardState
from cartnet.storage import journal
from cartnet.storage.journal import Damaged, State
from tests.storage.doubles import entry, numbered

COMMANDS = st.integers(0, 10**20).map(lambda number: str(number).encode())


def fresh() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    journal.create(connection.cursor())
    return connection


class JournalModel(RuleBasedStateMachine):
    """Appends, contradictions, commits and restarts, on tables and on a list."""

    def __init__(self) -> None:
        super().__init__()
        self.connection = fresh()
        self.cursor: Any = self.connection.cursor()
        self.log: list[Entry] = []
        self.state = State(HardState(), 0, 0)

    def teardown(self) -> None:
        self.connection.close()

    def _append(self, first: int, rises: list[int], commands: list[bytes]) -> None:
        del self.log[first - 1 :]
        term = self.log[-1].term if self.log else 1
        new: list[Entry] = []
        for rise, command in zip(rises, commands, strict=False):
            term += rise
            new.append(Entry(first + len(new), term, msgspec.Raw(command)))
        journal.append(self.cursor, new, self.state.commit_index)
        self.log += new

    rises = st.lists(st.sampled_from((0, 0, 0, 1, 5)), min_size=1, max_size=30)
    commands = st.lists(COMMANDS, min_size=1, max_size=30)

    @rule(rises=rises, commands=commands)
    def append(self, rises: list[int], commands: list[bytes]) -> None:
        self._append(len(self.log) + 1, rises, commands)

    @precondition(lambda self: len(self.log) > self.state.commit_index)
    @rule(data=st.data(), rises=rises, commands=commands)
    def contradict(self, data: Any, rises: list[int], commands: list[bytes]) -> None:
        first = data.draw(st.integers(self.state.commit_index + 1, len(self.log)))
        self._append(first, rises, commands)

    @rule(data=st.data(), term=st.integers(0, 9), vote=st.none() | st.text())
    def save(self, data: Any, term: int, vote: str | None) -> None:
        commit = data.draw(st.integers(self.state.commit_index, len(self.log)))
        applied = data.draw(st.integers(self.state.applied_index, commit))
        self.state = State(HardState(term, vote), commit, applied)
        journal.save(self.cursor, self.state)

    @rule()
    def restart(self) -> None:
        image = self.connection.serialize()
        self.connection.close()
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.connection.deserialize(image)
        self.cursor = self.connection.cursor()

    @rule(data=st.data(), bytes_max=st.integers(0, 200))
    def read(self, data: Any, bytes_max: int) -> None:
        first = data.draw(st.integers(1, len(self.log) + 1))
        last = data.draw(st.integers(first - 1, len(self.log)))
        found = journal.entries(self.cursor, first, last, bytes_max)
        wanted = self.log[first - 1 : last]
        assert list(found) == wanted[: len(found)]
        assert bool(found) == bool(wanted)
        sizes = [len(bytes(entry.command)) for entry in wanted]
        assert len(found) == 1 or sum(sizes[: len(found)]) <= bytes_max
        if len(found) < len(wanted):
            assert sum(sizes[: len(found) + 1]) > bytes_max

    @rule(entries_max=st.integers(0, 40), bytes_max=st.integers(0, 200))
    def tail(self, entries_max: int, bytes_max: int) -> None:
        found = list(journal.tail(self.cursor, entries_max, bytes_max))
        assert len(found) <= entries_max
        assert sum(len(bytes(entry.command)) for entry in found) <= bytes_max
        assert found == self.log[len(self.log) - len(found) :]

    @invariant()
    def equal(self) -> None:
        last = self.log[-1] if self.log else None
        assert journal.last(self.cursor) == (
            (last.index, last.term) if last else (0, 0)
        )
        assert journal.state(self.cursor) == self.state
        runs: list[tuple[int, int]] = []
        for item in self.log:
            if not runs or runs[-1][1] != item.term:
                runs.append((item.index, item.term))
        assert journal.term_runs(self.cursor) == tuple(runs)
        everything = journal.entries(self.cursor, 1, len(self.log), 2**31)
        assert list(everything) == self.log


class JournalTests(SynchronousTestCase):
    def setUp(self) -> None:
        connection = fresh()
        self.addCleanup(connection.close)
        self.cursor: Any = connection.cursor()

    def test_equals_a_list(self) -> None:
        """Whatever is appended, contradicted, committed and reloaded reads back."""
        run_state_machine_as_test(
            JournalModel,
            settings=settings(max_examples=60, stateful_step_count=25, deadline=None),
        )

    def test_a_committed_entry_stays(self) -> None:
        """Dropping a committed entry is our own mistake, and stops the replica."""
        journal.append(self.cursor, numbered(1, 5), 0)

        self.assertRaises(AssertionError, journal.append, self.cursor, [entry(3, 2)], 3)

        journal.append(self.cursor, [entry(4, 2)], 3)
        self.assertEqual(journal.last(self.cursor), (4, 2))

    def test_no_holes(self) -> None:
        """Entries that do not join on are never written."""
        journal.append(self.cursor, numbered(1, 2), 0)

        for wrong in ([entry(4)], [entry(3), entry(5)], [entry(3, term=0)]):
            self.assertRaises(AssertionError, journal.append, self.cursor, wrong, 0)

        self.assertEqual(journal.last(self.cursor), (2, 1))

    def test_damage_is_noticed(self) -> None:
        """A changed command, term or position is refused with the entry's index."""
        for damage in (
            "UPDATE log SET command = X'30' WHERE idx = 2",
            "UPDATE log SET term = 2 WHERE idx = 2",
            "UPDATE log SET checksum = checksum + 1 WHERE idx = 2",
            "DELETE FROM log WHERE idx = 2",
            "UPDATE log SET idx = CASE idx WHEN 2 THEN 4 ELSE idx END",
        ):
            self.cursor.execute("DELETE FROM log")
            journal.append(self.cursor, numbered(1, 3), 0)
            self.cursor.execute(damage)

            error = self.assertRaises(Damaged, journal.entries, self.cursor, 1, 3, 1000)

            self.assertIn("log entry 2 ", str(error))
            self.assertEqual(len(journal.entries(self.cursor, 1, 1, 1000)), 1)

    def test_a_damaged_tail_is_noticed(self) -> None:
        """What goes into the cache at start is checked too."""
        journal.append(self.cursor, numbered(1, 3), 0)
        self.cursor.execute("UPDATE log SET command = X'30' WHERE idx = 3")

        self.assertRaises(Damaged, journal.tail, self.cursor, 10, 1000)

    def test_the_checksum_covers_the_position(self) -> None:
        """The same command at another index or in another term sums differently."""
        sums = {
            journal.checksum(index, term, b"null")
            for index in range(20)
            for term in range(20)
        }

        self.assertEqual(len(sums), 400)
