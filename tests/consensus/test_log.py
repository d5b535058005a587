"""The log against a plain list, whatever is appended, cut off and let go."""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.log import Log, size
from cartnet.consensus.messages import Entry
from cartnet.limits import CACHE_BYTES_MAX

COMMANDS = (msgspec.Raw(b"1"), msgspec.Raw(b'"%s"' % (b"x" * (CACHE_BYTES_MAX // 4))))
"""A small one, and one of which memory holds few."""

PLACES = st.floats(0, 1)


class LogModel(RuleBasedStateMachine):
    """:ivar entries: all from index 1 on, those that are compacted too."""

    def __init__(self) -> None:
        super().__init__()
        self.log = Log()
        self.entries: list[Entry] = []
        self.base_index = 0

    def place(self, at: float) -> int:
        """An index from the base to the last."""
        return self.base_index + round(at * (len(self.entries) - self.base_index))

    def term(self, index: int) -> int:
        return self.entries[index - 1].term if index else 0

    @rule(raised=st.integers(0, 2), command=st.sampled_from(COMMANDS))
    def append(self, raised: int, command: msgspec.Raw) -> None:
        last = len(self.entries)
        entry = Entry(last + 1, max(1, self.term(last) + raised), command)
        self.entries.append(entry)
        self.log.append(entry)

    @rule(at=PLACES)
    def truncate_after(self, at: float) -> None:
        index = self.place(at)
        del self.entries[index:]
        self.log.truncate_after(index)

    @rule(at=PLACES)
    def compact(self, at: float) -> None:
        self.base_index = self.place(at)
        self.log.compact(self.base_index)

    @rule(ahead=st.integers(0, 3), raised=st.integers(0, 1))
    def replace(self, ahead: int, raised: int) -> None:
        last = len(self.entries)
        term = max(1, self.term(last) + raised)
        self.entries += [
            Entry(last + n, term, COMMANDS[0]) for n in range(1, ahead + 1)
        ]
        self.base_index = len(self.entries)
        self.log.replace(self.base_index, self.term(self.base_index))

    @rule(at=PLACES)
    def forget(self, at: float) -> None:
        held = self.log.last_index - self.log.cached_from + 1
        self.log.forget(self.place(at))

        assert self.log.last_index - self.log.cached_from + 1 >= held // 2

    @invariant()
    def terms(self) -> None:
        last = len(self.entries)
        assert (self.log.last_index, self.log.last_term) == (last, self.term(last))
        for index in range(self.base_index):
            assert self.log.term(index) is None
        for index in range(self.base_index, last + 1):
            assert self.log.term(index) == self.term(index)
        assert self.log.term(last + 1) is None

    @invariant()
    def runs(self) -> None:
        indexes = range(self.base_index + 1, len(self.entries) + 1)
        base_term = self.term(self.base_index)
        if base_term and all(self.term(index) != base_term for index in indexes):
            assert self.log.last_index_of_term(base_term) == self.base_index
        for index in indexes:
            run = [each for each in indexes if self.term(each) == self.term(index)]
            assert self.log.first_index_of_run(index) == run[0]
            assert self.log.last_index_of_term(self.term(index)) == run[-1]
        absent = max((entry.term for entry in self.entries), default=0) + 1
        assert self.log.last_index_of_term(absent) is None

    @invariant()
    def slices(self) -> None:
        for index in range(self.base_index + 1, len(self.entries) + 1):
            remembered = index >= self.log.cached_from
            rest = tuple(self.entries[index - 1 :]) if remembered else None
            one = tuple(self.entries[index - 1 : index]) if remembered else None
            assert self.log.slice(index, 2**31, 2**31) == rest
            assert self.log.slice(index, 1, 2**31) == one
            assert self.log.slice(index, 2**31, 0) == one


class LogTests(SynchronousTestCase):
    """A log from the first entry on."""

    def test_model(self) -> None:
        """It says of every entry what a list of them would say."""
        run_state_machine_as_test(LogModel)

    def test_forgets(self) -> None:
        """What is beyond the cache's bounds goes, oldest first, by half at most."""
        log = Log()
        for index in range(1, 9):
            log.append(Entry(index, 1, COMMANDS[1]))
        log.forget(3)
        self.assertEqual(log.cached_from, 4)

        log.forget(8)

        self.assertEqual(log.cached_from, 6)
        log.forget(8)
        self.assertEqual(log.cached_from, 6)
        self.assertLess(3 * size(Entry(1, 1, COMMANDS[1])), CACHE_BYTES_MAX)
