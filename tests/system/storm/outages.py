"""What the script has done to the replicas, and what that excuses."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from typing import Final, NamedTuple

ELECTION_SECONDS_MAX: Final = 2.0
"""What an election may take, seen by a client, after the leader's trouble has begun or
a majority is back: a follower campaigns after at most 0.9 s without a leader (the
election timeout, two ranks, jitter), a vote that fails costs a round more, and a
balancer takes up to 1 s to give up on a leader that hangs."""

SERVING_SECONDS_MAX: Final = 5.0
"""So long after a majority runs and is reachable again its group accepts writes."""

RETURN_SECONDS_MAX: Final = SERVING_SECONDS_MAX - ELECTION_SECONDS_MAX
"""In which a replica votes whose trouble is over, if its file is what it was: then it
counts whether it does or not. One that has lost its file has to be admitted first."""


class Window(NamedTuple):
    """A time, in seconds of the script's clock."""

    begin: float
    end: float


@dataclass
class Change:
    """Something that the script did.

    :ivar by: by how much the number of the group's replicas in trouble changed.
    :ivar electing: it may have brought about an election by itself.
    :ivar healed_at: of a replica that is back: when its trouble was over, if nothing
        else can have kept it away since.
    """

    at: float
    group: str
    what: str
    by: int
    electing: bool
    healed_at: float | None = None

    def counts_at(self, given: Callable[[float], float]) -> float:
        """From when on it counts, by such a clock."""
        at = given(self.at)
        if self.healed_at is None:
            return at
        return min(at, given(self.healed_at) + RETURN_SECONDS_MAX)


class Outages:
    """The script's own knowledge: who is in trouble, from just before it begins until
    the replica has been seen to vote again, or should have been.

    :ivar changes: all that was done, in order.

    :param groups: every group's replicas.
    """

    def __init__(
        self,
        groups: Mapping[str, Sequence[str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.changes: list[Change] = []
        self._groups = groups
        self._group_of = {name: group for group in groups for name in groups[group]}
        self._clock = clock
        self._lock = threading.Lock()
        self._began: dict[str, float] = {}
        self._healed: dict[str, float] = {}
        self._troubles: dict[str, list[Window]] = {name: [] for name in self._group_of}
        self._estranged: list[tuple[frozenset[str], Window]] = []

    # --- what is done -----------------------------------------------------------------

    def begin(self, fault: str, name: str) -> Change:
        """A replica's trouble is about to begin. Unless it turns out not to have led,
        that is an election."""
        with self._lock:
            self._began[name] = self._clock()
            return self._change(name, f"{fault} {name}", by=1, electing=True)

    def heal(self, name: str) -> None:
        """A replica's trouble is over, and its file is what it was before."""
        with self._lock:
            self._healed[name] = self._clock()

    def end(self, name: str) -> Change:
        """A replica votes again."""
        with self._lock:
            window = Window(self._began.pop(name), self._clock())
            self._troubles[name].append(window)
            change = self._change(name, f"{name} is back", by=-1, electing=False)
            change.healed_at = self._healed.pop(name, None)
            return change

    def move(self, group: str, name: str) -> Change:
        """A group's office is about to be moved, or has just been."""
        with self._lock:
            what = f"transfer {group} {name}"
            return self._change(name, what, by=0, electing=True)

    @contextmanager
    def estranged(self, name: str, group: str) -> Iterator[None]:
        """While it is entered one of a group's replicas may be kept from another
        group: what needs both groups may have to wait."""
        mine = self._group_of[name]
        with self._lock:
            what = f"{name} is kept from {group}"
            self._change(name, what, by=0, electing=False)
            window = Window(self._clock(), float("inf"))
            self._estranged.append((frozenset({mine, group}), window))
            at = len(self._estranged) - 1
        yield
        with self._lock:
            self._estranged[at] = (
                frozenset({mine, group}),
                Window(window.begin, self._clock()),
            )
            what = f"{name} finds {group} again"
            self._change(name, what, by=0, electing=False)

    def others(self, group: str) -> list[str]:
        """All groups but one."""
        return [each for each in self._groups if each != group]

    def _change(self, name: str, what: str, *, by: int, electing: bool) -> Change:
        group = self._group_of[name]
        self.changes.append(Change(self._clock(), group, what, by, electing))
        return self.changes[-1]

    # --- what that means --------------------------------------------------------------

    def in_trouble(self, name: str) -> bool:
        return name in self._began

    def was_in_trouble(self, name: str, begin: float, end: float) -> bool:
        """Whether a replica was in trouble at some time between two instants."""
        with self._lock:
            began = self._began.get(name, end)
            return began < end or any(
                window.begin < end and begin < window.end
                for window in self._troubles[name]
            )

    def was_anybody_in_trouble(
        self, groups: Iterable[str], begin: float, end: float
    ) -> bool:
        """Whether a replica of these groups was in trouble between two instants."""
        return any(
            self.was_in_trouble(name, begin, end)
            for group in groups
            for name in self._groups[group]
        )

    def without_majority(
        self, group: str, given: Callable[[float], float] = float
    ) -> list[Window]:
        """When too many of a group's replicas were in trouble.

        :param given: the clock by which replicas have to be back, and which the
            windows are of.
        """
        size = len(self._groups[group])
        windows: list[Window] = []
        troubled = 0
        began: float | None = None
        for at, change in self._changes_of(group, given):
            troubled += change.by
            lacking = size - troubled <= size // 2
            if lacking and began is None:
                began = at
            elif not lacking and began is not None:
                windows.append(Window(began, at))
                began = None
        if began is not None:
            windows.append(Window(began, given(self._clock())))
        return windows

    def returns(self, given: Callable[[float], float] = float) -> list[float]:
        """How long after their trouble replicas voted that still had their files."""
        with self._lock:
            return [
                given(change.at) - given(change.healed_at)
                for change in self.changes
                if change.healed_at is not None
            ]

    def unavailable(
        self, group: str, given: Callable[[float], float] = float
    ) -> list[Window]:
        """When a group may have been without a leader: it had no majority, or was
        electing after that or for another cause. What is done in the middle of an
        election may cost another one.

        :param given: the clock by which elections have to be in time, and which the
            windows are of.
        """
        windows = self.without_majority(group, given)
        regained = {window.end for window in windows}
        elected = 0.0
        for at, change in self._changes_of(group, given):
            if change.electing or at in regained or at < elected:
                elected = at + ELECTION_SECONDS_MAX
                windows.append(Window(at, elected))
        return merged(windows)

    def apart(
        self, groups: Set[str], given: Callable[[float], float] = float
    ) -> list[Window]:
        """When two groups that a call needs could not speak, and had not got over it;
        balancers speak with every group."""
        needed = groups | {"lb"}
        with self._lock:
            return [
                Window(given(window.begin), given(window.end) + ELECTION_SECONDS_MAX)
                for both, window in self._estranged
                if both <= needed
            ]

    def last_changes(self, groups: Iterable[str], before: float) -> list[Change]:
        """The last thing that was done to each group before an instant."""
        latest = {change.group: change for change in self.changes if change.at < before}
        return [latest[group] for group in sorted(groups) if group in latest]

    def _changes_of(
        self, group: str, given: Callable[[float], float]
    ) -> list[tuple[float, Change]]:
        """What was done to a group, by when it counts."""
        with self._lock:
            changes = [
                (change.counts_at(given), change)
                for change in self.changes
                if change.group == group
            ]
        return sorted(changes, key=itemgetter(0))


def merged(windows: Iterable[Window]) -> list[Window]:
    """The same time in windows that neither overlap nor touch, in order."""
    found: list[Window] = []
    for window in sorted(windows):
        if found and window.begin <= found[-1].end:
            last = found.pop()
            window = Window(last.begin, max(last.end, window.end))
        found.append(window)
    return found
