"""The replicated log, as much of it as decisions need: terms of all, newest entries."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from cartnet.consensus.messages import Entry
from cartnet.limits import CACHE_BYTES_MAX, CACHE_ENTRIES_MAX

ENTRY_BYTES: int = 64
"""What an entry costs on the wire and in memory beside its command, roughly."""


def size(entry: Entry) -> int:
    """An entry's size in bytes, for windows and batches."""
    return ENTRY_BYTES + len(memoryview(entry.command))


class Log:
    """Indexes count from 1. The terms of all entries behind :attr:`base_index` are
    known, as runs of equal terms; the entries themselves only from
    :attr:`cached_from` on, the older ones are on disk alone.

    :ivar base_index: entries through it are compacted away: the machine's tables
        hold their effects, or a snapshot brought them (5.1).
    :ivar base_term: the term of the entry at ``base_index``.
    """

    def __init__(
        self,
        runs: Sequence[tuple[int, int]] = (),
        last_index: int = 0,
        tail: Sequence[Entry] = (),
        base_index: int = 0,
        base_term: int = 0,
    ) -> None:
        """Take up what is on disk.

        :param runs: ``(first index, term)`` of each run of equal terms, ascending.
        :param last_index: the newest entry's index, ``base_index`` for an empty log.
        :param tail: the newest entries, without a hole up to ``last_index``.
        """
        self.base_index = base_index
        self.base_term = base_term
        self._run_starts = [first for first, _ in runs]
        self._run_terms = [term for _, term in runs]
        self.last_index = last_index
        self._cache: list[Entry] = list(tail)
        self._cache_bytes = sum(size(entry) for entry in tail)
        assert self._run_terms == sorted(self._run_terms), "terms never decrease"
        assert (last_index > base_index) == bool(self._run_starts)
        assert not runs or runs[0][0] == base_index + 1
        assert not tail or tail[-1].index == last_index
        assert self.cached_from > base_index

    @property
    def cached_from(self) -> int:
        """The first index whose entry is in memory."""
        return self.last_index - len(self._cache) + 1

    @property
    def last_term(self) -> int:
        return self._run_terms[-1] if self._run_terms else self.base_term

    def term(self, index: int) -> int | None:
        """The term at ``index``, None where that is not known: after the last entry,
        and before the base."""
        assert index >= 0
        if index == self.base_index:
            return self.base_term
        if not self.base_index < index <= self.last_index:
            return None
        return self._run_terms[bisect_right(self._run_starts, index) - 1]

    def first_index_of_run(self, index: int) -> int:
        """The first index of the run of equal terms that ``index`` stands in."""
        assert self.base_index < index <= self.last_index
        return self._run_starts[bisect_right(self._run_starts, index) - 1]

    def last_index_of_term(self, term: int) -> int | None:
        """The last index with ``term``, None where no entry has it."""
        after = bisect_right(self._run_terms, term)
        if after == 0 or self._run_terms[after - 1] != term:
            return self.base_index if 0 < term == self.base_term else None
        return self._run_end(after - 1)

    def _run_end(self, run: int) -> int:
        """The last index of a run, counted from the oldest."""
        if run + 1 == len(self._run_starts):
            return self.last_index
        return self._run_starts[run + 1] - 1

    def is_up_to_date(self, last_index: int, last_term: int) -> bool:
        """Whether a log that ends there is as up to date as this one (3.6.1)."""
        return (last_term, last_index) >= (self.last_term, self.last_index)

    def lacks(self, index: int, term: int) -> bool:
        """Whether the entry of ``term`` at ``index`` is neither here nor compacted."""
        return index > self.base_index and self.term(index) != term

    def append(self, entry: Entry) -> None:
        assert entry.index == self.last_index + 1
        assert entry.term >= self.last_term
        if not self._run_terms or entry.term > self._run_terms[-1]:
            self._run_starts.append(entry.index)
            self._run_terms.append(entry.term)
        self._cache.append(entry)
        self._cache_bytes += size(entry)
        self.last_index = entry.index

    def truncate_after(self, index: int) -> None:
        """Drop the entries after ``index``, which a leader has contradicted (3.5)."""
        assert self.base_index <= index <= self.last_index
        keep = max(0, index - self.cached_from + 1)
        self._cache_bytes -= sum(size(entry) for entry in self._cache[keep:])
        del self._cache[keep:]
        while self._run_starts and self._run_starts[-1] > index:
            self._run_starts.pop()
            self._run_terms.pop()
        self.last_index = index

    def slice(
        self, first: int, entries_max: int, bytes_max: int
    ) -> tuple[Entry, ...] | None:
        """The entries from ``first`` on, at least one where there is one.

        None where ``first`` is older than what is in memory.
        """
        assert first > self.base_index
        start = first - self.cached_from
        if start < 0:
            return None
        taken: list[Entry] = []
        room = bytes_max
        for entry in self._cache[start : start + entries_max]:
            room -= size(entry)
            if room < 0 and taken:
                break
            taken.append(entry)
        return tuple(taken)

    def compact(self, through: int) -> None:
        """Let the entries up to ``through`` go: the tables hold their effects."""
        assert self.base_index <= through <= self.last_index
        term = self.term(through)
        assert term is not None
        gone = through - self.cached_from + 1
        if gone > 0:
            self._cache_bytes -= sum(size(entry) for entry in self._cache[:gone])
            del self._cache[:gone]
        # Runs that end at or before ``through`` go; the one it cuts begins behind it.
        while self._run_starts and self._run_end(0) <= through:
            del self._run_starts[0], self._run_terms[0]
        if self._run_starts:
            self._run_starts[0] = max(self._run_starts[0], through + 1)
        self.base_index, self.base_term = through, term

    def replace(self, base_index: int, base_term: int) -> None:
        """Begin anew behind a snapshot, which holds all effects through its index."""
        self._cache.clear()
        self._cache_bytes = 0
        self._run_starts.clear()
        self._run_terms.clear()
        self.base_index = self.last_index = base_index
        self.base_term = base_term

    def forget(self, through: int) -> None:
        """Let go of entries up to ``through``, oldest first, beyond the cache's bounds.

        In large steps, since each moves the rest.
        """
        entries = len(self._cache)
        if entries <= CACHE_ENTRIES_MAX and self._cache_bytes <= CACHE_BYTES_MAX:
            return
        allowed = min(through - self.cached_from + 1, entries // 2)
        if allowed > 0:
            self._cache_bytes -= sum(size(entry) for entry in self._cache[:allowed])
            del self._cache[:allowed]
