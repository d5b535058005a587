"""Read-index (6.4): linearizable reads for a round of heartbeats, without an entry."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True)
class ConfirmedRead:
    """A read that may run once the replica has applied ``read_index``."""

    ticket: int
    read_index: int


class Reads:
    """The leader's reads that wait for a majority to say that it still leads.

    A read takes part in the first round that starts after it came. One round is under
    way at a time, so that many reads share it.
    """

    def __init__(self) -> None:
        self._waiting: list[int] = []
        self._asked: deque[tuple[int, int, list[int]]] = deque()

    def __bool__(self) -> bool:
        """Whether reads wait for a round to start."""
        return bool(self._waiting)

    @property
    def round_under_way(self) -> bool:
        return bool(self._asked)

    def add(self, ticket: int) -> None:
        self._waiting.append(ticket)

    def ask(self, round_: int, commit_index: int) -> None:
        """Heartbeats of ``round_`` leave now, and ask for all reads that waited."""
        if self._waiting:
            self._asked.append((round_, commit_index, self._waiting))
            self._waiting = []

    def confirmed(self, round_: int) -> list[ConfirmedRead]:
        """A majority has answered heartbeats of ``round_`` or later."""
        ready: list[ConfirmedRead] = []
        while self._asked and self._asked[0][0] <= round_:
            _, read_index, tickets = self._asked.popleft()
            ready += (ConfirmedRead(ticket, read_index) for ticket in tickets)
        return ready
