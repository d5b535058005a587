"""Is a history linearizable? Wing and Gong's search (1993), made fast (Lowe, 2017).

Operations are tried in the order of their calls; what has been tried with the same set
of operations and the same state is not tried again.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Final

State = Hashable
Step = Callable[[State], State | None]
"""The state after an operation, None where it cannot have come here."""

TRIES_MAX: Final = 300_000
"""More is given up: neither shown to be right nor wrong."""


@dataclass(frozen=True)
class Timed:
    """An operation as the search sees it.

    :ivar invoked: its place among calls and returns.
    :ivar returned: likewise; None where it may take effect at any time, or never.
    :ivar after: the operation, by its place in the sequence, that it must follow.
    :ivar told: what it is, for people.
    """

    step: Step
    invoked: int
    returned: int | None
    told: object
    after: int | None = None


class _Event:
    """A call (with its return) or a return, in a list that lifts calls out of it."""

    __slots__ = ("after", "before", "match", "number")

    def __init__(self, number: int, match: _Event | None) -> None:
        self.number = number
        self.match = match
        self.before: _Event | None = None
        self.after: _Event | None = None


class Search:
    """One search.

    :ivar furthest: how many operations could be put in order, at most.
    :ivar stuck: the operation that could not follow there.
    """

    def __init__(self, operations: Sequence[Timed], initial: State) -> None:
        self._operations = operations
        self._initial = initial
        self.furthest = 0
        self.stuck: Timed | None = None

    def run(self) -> bool | None:
        """Whether there is an order; None where that was too much to find out."""
        head = self._events()
        required = sum(each.returned is not None for each in self._operations)
        state, done = self._initial, 0
        tried: set[tuple[int, State]] = set()
        path: list[tuple[_Event, State]] = []
        event = head.after
        while required:
            if event is not None and (event.match is not None or self._open(event)):
                operation = self._operations[event.number]
                after = operation.after
                new = None
                if after is None or done >> after & 1:
                    new = operation.step(state)
                bit = 1 << event.number
                if new is not None and (done | bit, new) not in tried:
                    if len(tried) >= TRIES_MAX:
                        return None
                    tried.add((done | bit, new))
                    path.append((event, state))
                    state, done = new, done | bit
                    required -= operation.returned is not None
                    _lift(event)
                    event = head.after
                else:
                    event = event.after
                continue
            # Something must have taken effect before this return, and could not.
            if event is not None and len(path) >= self.furthest:
                self.furthest, self.stuck = len(path), self._operations[event.number]
            if not path:
                return False
            event, state = path.pop()
            done &= ~(1 << event.number)
            required += self._operations[event.number].returned is not None
            _put_back(event)
            event = event.after
        return True

    def _open(self, event: _Event) -> bool:
        return self._operations[event.number].returned is None

    def _events(self) -> _Event:
        places: list[tuple[int, int, _Event]] = []
        for number, operation in enumerate(self._operations):
            back = _Event(number, None)
            if operation.returned is not None:
                places.append((operation.returned, number, back))
            call = _Event(number, back if operation.returned is not None else None)
            places.append((operation.invoked, number, call))
        places.sort(key=lambda each: each[:2])
        head = last = _Event(-1, None)
        for _, _, event in places:
            last.after, event.before = event, last
            last = event
        return head


def _lift(event: _Event) -> None:
    for each in (event, event.match):
        if each is not None:
            assert each.before is not None
            each.before.after = each.after
            if each.after is not None:
                each.after.before = each.before


def _put_back(event: _Event) -> None:
    for each in (event.match, event):
        if each is not None:
            assert each.before is not None
            each.before.after = each
            if each.after is not None:
                each.after.before = each
