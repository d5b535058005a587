"""Runs one Raft on one file: the loop that :mod:`cartnet.consensus.raft` asks for.

Nothing is done inside the event that asks for it: messages, proposals and reads are
put aside, and one drain a turn of the reactor steps them all, sends what may leave,
and hands the next Ready to the storage unless one is there already.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from cartnet.errors import Refused
from cartnet.limits import (
    APPEND_BYTES_MAX,
    APPEND_ENTRIES_MAX,
    COMPACT_ENTRIES_MAX,
    INBOX_MESSAGES_MAX,
    TICKS_CAUGHT_UP_MAX,
)
from cartnet.replica.pending import Proposals, Reads
from cartnet.replica.snapshots import Snapshots
from cartnet.storage.transaction import Write

if TYPE_CHECKING:
    from msgspec import Raw
    from twisted.internet.interfaces import IDelayedCall, IReactorTime
    from twisted.logger import Logger

    from cartnet.consensus.messages import Dispute, Entry, PeerMessage
    from cartnet.consensus.raft import Raft, Ready
    from cartnet.seams import Cursor
    from cartnet.storage.storage import Storage
    from cartnet.storage.transaction import Admitted, Written

T = TypeVar("T")


class Outdated(Exception):
    """The file is not what it was: it is set aside, and the replica begins anew."""


class Surroundings(Protocol):
    """What the driver tells its replica."""

    def send(self, voter: str, message: PeerMessage) -> None:
        """Send a message; it may be lost, Raft repeats itself."""

    def applied(self, index: int) -> None:
        """The state machine has reached ``index``."""

    def installed(self, last_index: int, founders: dict[str, str]) -> None:
        """A snapshot has taken the place of the tables; ``founders`` came with it."""

    def file_admitted(self, admitted: Admitted) -> None:
        """A replica's new file counts from now on."""

    def standing(self) -> None:
        """The term, this replica's role or the leader that it knows has changed."""

    def may_serve(self, may: bool) -> None:
        """This replica leads and has applied an entry of its term, or no longer."""

    def disputed(self, dispute: Dispute | None) -> None:
        """The group's tables differ without a majority, or no longer (S4)."""

    def not_leader(self) -> Refused:
        """Say where to go instead."""

    def failed_by(self, reason: Failure) -> None:
        """A belief was broken or the disk failed: the replica must stop."""


class Driver:
    """One replica's Raft, its inbox, and the requests that wait for it.

    :ivar stopped: it does nothing any more.
    """

    def __init__(
        self,
        raft: Raft,
        storage: Storage,
        clock: IReactorTime,
        surroundings: Surroundings,
        request_timeout: float,
        log_kept: int,
        log: Logger,
    ) -> None:
        """
        :param request_timeout: how long, in seconds, a proposal or read may wait.
        :param log_kept: how many applied entries the log keeps for slow followers.
        """
        self.raft = raft
        self._storage = storage
        self._clock = clock
        self._surroundings = surroundings
        self._inbox: deque[tuple[str, PeerMessage]] = deque()
        self._proposals = Proposals(clock, request_timeout)
        self._reads = Reads(clock, request_timeout)
        self._snapshots = Snapshots(raft, storage, self.tell, self._fail, log)
        self._log_kept = log_kept
        self._drain_soon: IDelayedCall | None = None
        self._may_serve = False
        self._dispute: Dispute | None = None
        self._standing = (raft.term, type(raft.role), raft.leader)
        self.stopped = False

    # --- what comes from outside ----------------------------------------------------

    def resume(self) -> None:
        """Go on from what was recovered: entries may wait to be applied."""
        self._wake()

    def receive(self, sender: str, message: PeerMessage) -> None:
        """Take a message of a proven peer."""
        if len(self._inbox) >= INBOX_MESSAGES_MAX:
            return  # Raft repeats itself; memory does not.
        self._inbox.append((sender, message))
        self._wake()

    def tick(self, count: int) -> None:
        """Let ``count`` ticks pass; of many at once most are dropped.

        A process that was held must neither depose a leader that it could not hear
        nor run through its time-outs at once.
        """
        if self.stopped:
            return
        try:
            if count > TICKS_CAUGHT_UP_MAX:
                self.raft.loop_was_held()
            for _ in range(min(count, TICKS_CAUGHT_UP_MAX)):
                self.raft.tick()
                self._snapshots.tick()
            self._proposals.expire()
            self._reads.expire()
        except Exception:
            self._fail(Failure())
            return
        self._drain()

    def tell(self, inform: Callable[[Raft], None]) -> None:
        """Tell Raft what happened to a peer or to this replica."""
        if self.stopped:
            return
        try:
            inform(self.raft)
        except Exception:
            self._fail(Failure())
            return
        self._wake()

    def propose(self, payload: Raw) -> Deferred[Any]:
        """Replicate and apply; fires with the machine's answer.

        Fails with :class:`~cartnet.errors.Refused`: ``not_leader`` and
        ``unavailable`` were not done, ``timeout`` may have been.

        :raises cartnet.errors.Refused: ``not_leader``, ``unavailable`` or
            ``overloaded``.
        """
        self.check_undisputed()
        if not self.raft.leads:
            raise self._surroundings.not_leader()
        answered = self._proposals.add(payload)
        self._wake()
        return answered

    def read(self, query: Callable[[Cursor], T]) -> Deferred[T]:
        """Run ``query`` once this replica is known to lead and has caught up.

        Fails with :class:`~cartnet.errors.Refused`: ``not_leader``, ``unavailable``.

        :raises cartnet.errors.Refused: ``not_leader``, ``unavailable`` or
            ``overloaded``.
        """
        self.check_undisputed()
        if not self.raft.leads:
            raise self._surroundings.not_leader()
        ticket, answered = self._reads.add(query)
        self.raft.read(ticket)
        self._wake()
        return answered

    def check_undisputed(self) -> None:
        """:raises Refused: ``unavailable``, where nobody knows whose tables are right.

        Then these serve nobody: no write, and no read, not even a stale one (S4).
        """
        if self.raft.digests.dispute is not None:
            raise _in_dispute()

    def stop(self) -> None:
        """Do nothing from now on; what waits is never answered."""
        self.stopped = True
        self._snapshots.stop()
        if self._drain_soon is not None:
            self._drain_soon.cancel()
            self._drain_soon = None

    @property
    def in_hand(self) -> int:
        """Proposals and reads that were not answered yet."""
        return len(self._proposals) + len(self._reads)

    @property
    def queue_depth(self) -> int:
        return len(self._inbox) + self.in_hand

    @property
    def writes(self) -> int:
        """How many proposals were answered."""
        return self._proposals.answered

    def write_seconds(self, share: float) -> float | None:
        """How long, at most, ``share`` of the last seconds' proposals took."""
        return self._proposals.latencies.quantile(self._clock.seconds(), share)

    # --- the loop -------------------------------------------------------------------

    def _wake(self) -> None:
        if self._drain_soon is None and not self.stopped:
            self._drain_soon = self._clock.callLater(0, self._drained_soon)

    def _drained_soon(self) -> None:
        self._drain_soon = None
        self._drain()

    def _drain(self) -> None:
        """Step what has come, send what may leave, write what is ready."""
        if self.stopped:
            return
        try:
            while self._inbox:
                self.raft.step(*self._inbox.popleft())
            self._check_file()
            while not self.stopped and self._advance():
                pass
        except Exception:
            self._fail(Failure())

    def _check_file(self) -> None:
        """:raises Outdated: the other replicas know better than this one's file."""
        if self.raft.has_forgotten:
            raise Outdated(
                "the database lacks what this replica has acknowledged: it is an old"
                " copy, or its disk lies about what is synced"
            )
        if self.raft.has_diverged:
            raise Outdated("the tables differ from those of the other replicas")

    def _advance(self) -> bool:
        """Do one round; say whether another is due without waiting for the disk."""
        raft = self.raft
        self._notice_dispute()
        if raft.leads and not raft.handing_over and self._proposals.waiting:
            self._proposals.proposed(
                raft.propose(self._proposals.payloads()), raft.term
            )
        raft.flush()
        for voter, message in raft.take_messages():
            self._surroundings.send(voter, message)
        self._notice_office()
        self._read_confirmed()
        self._fetch()
        self._snapshots.go_on()
        if self._snapshots.installs(self._installed):
            return False
        ready = raft.ready()
        if ready is None:
            return False
        if not ready.must_sync and ready.commit_index <= raft.applied_index:
            self._finish(ready, raft.applied_index)
            return True
        write = Write(
            ready.hard_state,
            ready.entries,
            ready.commit_index,
            ready.must_sync,
            compact_through=self._compact_through(),
        )
        written = self._storage.write(write)
        written.addCallback(partial(self._written, ready, write.compact_through))
        written.addErrback(self._fail)
        return False

    def _compact_through(self) -> int:
        """Up to where the log may go now, 0 where it is short enough (5.1)."""
        base_index, applied_index = self.raft.log.base_index, self.raft.applied_index
        too_many = applied_index - base_index - self._log_kept
        if too_many < min(self._log_kept, COMPACT_ENTRIES_MAX):
            return 0
        return base_index + min(too_many, COMPACT_ENTRIES_MAX)

    def _installed(self, last_index: int, founders: dict[str, str]) -> None:
        """The tables are a snapshot's: what was proposed before it is not known."""
        self._proposals.passed(last_index)
        self._surroundings.installed(last_index, founders)
        self._surroundings.applied(last_index)
        self._drain()

    def _written(self, ready: Ready, compacted: int, written: Written) -> None:
        if self.stopped:
            return
        self._finish(ready, written.applied_index)
        if compacted:
            self.raft.compact(compacted)
        for index, digest in written.digests:
            self.raft.digests.recorded(index, digest)
        for admitted in written.admitted:
            self._surroundings.file_admitted(admitted)
        for applied in written.answers:
            self._proposals.applied(applied.index, applied.term, applied.answer)
        if written.answers:
            self._reads.applied(written.applied_index)
            self._surroundings.applied(written.applied_index)
        self._drain()

    def _finish(self, ready: Ready, applied_index: int) -> None:
        for voter, message in ready.messages:
            if voter != self.raft.name:
                self._surroundings.send(voter, message)
        self.raft.advance(applied_index)

    def _notice_dispute(self) -> None:
        """Tell the replica, and let nobody wait for tables that may be wrong."""
        dispute = self.raft.digests.dispute
        if dispute is not None:
            self._proposals.refuse_waiting(_in_dispute)
            self._proposals.passed(self.raft.log.last_index)
            self._reads.refuse_all(_in_dispute)
        if dispute != self._dispute:
            self._dispute = dispute
            self._surroundings.disputed(dispute)

    def _notice_office(self) -> None:
        """Tell the replica, and those who wait, that an office was won or lost."""
        standing = (self.raft.term, type(self.raft.role), self.raft.leader)
        if standing != self._standing:
            self._standing = standing
            self._surroundings.standing()
        if not self.raft.leads:
            self._proposals.refuse_waiting(self._surroundings.not_leader)
            self._reads.refuse_unconfirmed(self._surroundings.not_leader)
        if self.raft.may_serve != self._may_serve:
            self._may_serve = self.raft.may_serve
            self._surroundings.may_serve(self._may_serve)

    def _read_confirmed(self) -> None:
        confirmed, self.raft.confirmed_reads = self.raft.confirmed_reads, []
        for read in confirmed:
            self._reads.confirmed(read.ticket, read.read_index)
        self._reads.applied(self.raft.applied_index)
        queries = self._reads.take_runnable()
        if queries is not None:
            done = self._storage.read(queries.run)
            done.addCallback(queries.answer).addCallback(self._read_more)
            done.addErrback(self._fail)

    def _read_more(self, _: None) -> None:
        self._reads.finished()
        self._wake()

    def _fetch(self) -> None:
        """Read entries from disk that are too old for memory, for a slow follower."""
        fetches, self.raft.fetches = self.raft.fetches, []
        for voter, first_index in fetches:
            if first_index <= self.raft.log.base_index:
                self.raft.fetched(voter, ())
                continue
            last_index = first_index + APPEND_ENTRIES_MAX - 1
            fetched = self._storage.read_entries(
                first_index,
                min(last_index, self.raft.log.cached_from - 1),
                APPEND_BYTES_MAX,
            )
            fetched.addCallback(partial(self._fetched, voter)).addErrback(self._fail)

    def _fetched(self, voter: str, entries: tuple[Entry, ...]) -> None:
        self.tell(lambda raft: raft.fetched(voter, entries))

    def _fail(self, reason: Failure) -> None:
        """Fail-stop: a replica whose beliefs are broken says nothing more."""
        if not self.stopped:
            self.stop()
            self._surroundings.failed_by(reason)


def _in_dispute() -> Refused:
    return Refused(
        "unavailable",
        "the replicas of this group have different tables, and no majority says whose"
        " are right: an operator must repair it",
    )
