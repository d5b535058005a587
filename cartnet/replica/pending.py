"""Proposals and reads that wait for the log, and what they are told in the end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from cartnet.errors import Refused
from cartnet.limits import PROPOSALS_WAITING_MAX, READS_WAITING_MAX
from cartnet.observability.latencies import Latencies

if TYPE_CHECKING:
    from msgspec import Raw
    from twisted.internet.interfaces import IReactorTime

    from cartnet.seams import Cursor


class Proposals:
    """Commands from the moment they are asked for to the machine's answer (S10).

    :ivar answered: how many have had the machine's answer, and
    :ivar latencies: how long that took.
    """

    def __init__(self, clock: IReactorTime, timeout: float) -> None:
        self._clock = clock
        self._timeout = timeout
        self.answered = 0
        self.latencies = Latencies()
        # Each with the instant at which it was asked for.
        self.waiting: list[tuple[Raw, Deferred[Any], float]] = []
        self._in_log: dict[int, tuple[int, Deferred[Any], float]] = {}
        self._of_lost_office: dict[int, list[tuple[int, Deferred[Any], float]]] = {}
        self._deadlines: deque[tuple[float, Deferred[Any]]] = deque()

    def __len__(self) -> int:
        return len(self.waiting) + len(self._in_log) + len(self._of_lost_office)

    def add(self, payload: Raw) -> Deferred[Any]:
        """Take a command that the next drain will propose.

        :raises Refused: ``overloaded``.
        """
        if len(self) >= PROPOSALS_WAITING_MAX:
            raise Refused(
                "overloaded",
                f"{PROPOSALS_WAITING_MAX} writes wait already; try again shortly",
            )
        answered: Deferred[Any] = Deferred()
        now = self._clock.seconds()
        self.waiting.append((payload, answered, now))
        self._deadlines.append((now + self._timeout, answered))
        return answered

    def payloads(self) -> list[Raw]:
        """What waits to be proposed now; whoever was answered meanwhile does not."""
        self.waiting = [each for each in self.waiting if not each[1].called]
        return [payload for payload, _, _ in self.waiting]

    def proposed(self, first_index: int, term: int) -> None:
        """All that waited are in the log now, from ``first_index`` on."""
        for index, (_, answered, since) in enumerate(self.waiting, first_index):
            former = self._in_log.get(index)
            if former is not None:
                # Proposed here in an office that was lost, and gone from this log.
                # Another replica may still have it: only what is applied decides.
                self._of_lost_office.setdefault(index, []).append(former)
            self._in_log[index] = (term, answered, since)
        self.waiting.clear()

    def applied(self, index: int, term: int, answer: Any) -> None:
        """The entry at ``index`` has been applied: tell whoever proposed for there."""
        proposed = self._of_lost_office.pop(index, [])
        if index in self._in_log:
            proposed.append(self._in_log.pop(index))
        for proposed_term, answered, since in proposed:
            if answered.called:
                continue
            if proposed_term == term:
                now = self._clock.seconds()
                self.answered += 1
                self.latencies.add(now, now - since)
                answered.callback(answer)
            else:
                # Another term's entry is there: this one never will be.
                lost = "the leader changed before it was replicated"
                answered.errback(Failure(Refused("unavailable", lost)))

    def passed(self, last_index: int) -> None:
        """A snapshot holds what became of the entries up to an index, not who asked."""
        for index in [index for index in self._in_log if index <= last_index]:
            proposed = [*self._of_lost_office.pop(index, ()), self._in_log.pop(index)]
            for _, answered, _ in proposed:
                if not answered.called:
                    answered.errback(Failure(self._outcome_unknown()))

    def _outcome_unknown(self) -> Refused:
        return Refused(
            "timeout",
            "whether it was done is not known here; the same key finds out",
        )

    def refuse_waiting(self, not_leader: Callable[[], Refused]) -> None:
        """The office is lost: what is in no log was not done."""
        waiting, self.waiting = self.waiting, []
        for _, answered, _ in waiting:
            if not answered.called:
                answered.errback(Failure(not_leader()))

    def expire(self) -> None:
        """Answer what has waited for too long: it may still be done, or be done."""
        now = self._clock.seconds()
        while self._deadlines and self._deadlines[0][0] <= now:
            _, answered = self._deadlines.popleft()
            if answered.called:
                continue
            answered.errback(Failure(self._outcome_unknown()))
        self._forget_answered()

    def _forget_answered(self) -> None:
        while self._deadlines and self._deadlines[0][1].called:
            self._deadlines.popleft()


@dataclass
class _Read:
    query: Callable[[Cursor], Any]
    answered: Deferred[Any]


@dataclass
class Queries:
    """Reads that run together, in one job and over one moment of the file."""

    reads: list[_Read]
    results: list[Any] = field(default_factory=list)

    def run(self, cursor: Cursor) -> None:
        """In the reader's thread: one failing query fails its own read alone."""
        for read in self.reads:
            try:
                self.results.append(read.query(cursor))
            except Exception:
                self.results.append(Failure())

    def answer(self, _: None) -> None:
        for read, result in zip(self.reads, self.results, strict=True):
            if not read.answered.called:
                read.answered.callback(result)


class Reads:
    """Reads from the moment they are asked for to their rows (read-index, 6.4).

    One job reads at a time; what is asked for meanwhile shares the next.
    """

    def __init__(self, clock: IReactorTime, timeout: float) -> None:
        self._clock = clock
        self._timeout = timeout
        self._ticket = 0
        self._unconfirmed: dict[int, _Read] = {}
        self._confirmed: list[tuple[int, int, _Read]] = []
        self._runnable: list[_Read] = []
        self._running = 0
        self._deadlines: deque[tuple[float, Deferred[Any]]] = deque()

    def __len__(self) -> int:
        return (
            len(self._unconfirmed)
            + len(self._confirmed)
            + len(self._runnable)
            + self._running
        )

    def add(self, query: Callable[[Cursor], Any]) -> tuple[int, Deferred[Any]]:
        """Take a query; return the ticket to confirm it by.

        :raises Refused: ``overloaded``.
        """
        if len(self) >= READS_WAITING_MAX:
            raise Refused(
                "overloaded",
                f"{READS_WAITING_MAX} reads wait already; try again shortly",
            )
        self._ticket += 1
        answered: Deferred[Any] = Deferred()
        self._unconfirmed[self._ticket] = _Read(query, answered)
        self._deadlines.append((self._clock.seconds() + self._timeout, answered))
        return self._ticket, answered

    def confirmed(self, ticket: int, read_index: int) -> None:
        """The replica led when the read came; the read may see ``read_index``."""
        read = self._unconfirmed.pop(ticket, None)
        if read is not None:
            heappush(self._confirmed, (read_index, ticket, read))

    def applied(self, index: int) -> None:
        while self._confirmed and self._confirmed[0][0] <= index:
            self._runnable.append(heappop(self._confirmed)[2])

    def take_runnable(self) -> Queries | None:
        """The reads to run now, None where there are none or others run."""
        if self._running or not self._runnable:
            return None
        queries = Queries([read for read in self._runnable if not read.answered.called])
        self._runnable = []
        self._running = len(queries.reads)
        return queries if queries.reads else None

    def finished(self) -> None:
        self._running = 0

    def refuse_unconfirmed(self, not_leader: Callable[[], Refused]) -> None:
        """The office is lost: whether it was held when these came is not known."""
        unconfirmed, self._unconfirmed = self._unconfirmed, {}
        for read in unconfirmed.values():
            if not read.answered.called:
                read.answered.errback(Failure(not_leader()))

    def refuse_all(self, why: Callable[[], Refused]) -> None:
        """Nothing may be read any more: refuse all that does not run already."""
        self.refuse_unconfirmed(why)
        refused = [read for _, _, read in self._confirmed] + self._runnable
        self._confirmed, self._runnable = [], []
        for read in refused:
            if not read.answered.called:
                read.answered.errback(Failure(why()))

    def expire(self) -> None:
        """Answer what has waited for too long; a read does nothing, so: refused."""
        now = self._clock.seconds()
        while self._deadlines and (
            self._deadlines[0][0] <= now or self._deadlines[0][1].called
        ):
            _, answered = self._deadlines.popleft()
            if not answered.called:
                answered.errback(
                    Failure(Refused("unavailable", "no majority confirmed the leader"))
                )
        for ticket in [t for t, r in self._unconfirmed.items() if r.answered.called]:
            del self._unconfirmed[ticket]
