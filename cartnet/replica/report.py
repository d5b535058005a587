"""What a replica reports of itself: when it is asked, and to its log."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from cartnet.consensus.candidate import Candidate, PreCandidate
from cartnet.consensus.follower import Follower
from cartnet.consensus.leader import Leader
from cartnet.limits import (
    LAG_NOTED_ENTRIES,
    STOPPED_NOTED_SECONDS,
    TICK_SECONDS,
)
from cartnet.observability.latencies import milliseconds
from cartnet.replica.status import Heartbeat, Lag, Role, Status
from cartnet.storage.digest import told_apart

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime
    from twisted.logger import Logger

    from cartnet.consensus.messages import Dispute
    from cartnet.replica.driver import Driver
    from cartnet.replica.formation import Formation
    from cartnet.replica.membership import Membership

_ROLES: Final[dict[type[Any], Role]] = {
    Follower: "follower",
    PreCandidate: "candidate",
    Candidate: "candidate",
    Leader: "leader",
}

_SEE: Final = "see `Repairing a stopped group` in docs/operations.md"
_STOPPED_TICKS: Final = round(STOPPED_NOTED_SECONDS / TICK_SECONDS)


class Report:
    """One replica's account of itself, from the time that it has read its file."""

    def __init__(
        self,
        membership: Membership,
        driver: Driver,
        formation: Formation,
        file_bytes: Callable[[], int],
        connections: Callable[[], int],
        clock: IReactorTime,
        log: Logger,
    ) -> None:
        """
        :param file_bytes: asks the file system how large the database is.
        :param connections: counts the connections to the replica's port.
        """
        self._membership = membership
        self._driver = driver
        self._raft = driver.raft
        self._formation = formation
        self._file_bytes = file_bytes
        self._connections = connections
        self._clock = clock
        self._began = clock.seconds()
        self._log = log
        self._behind: set[str] = set()
        self._differing: frozenset[str] = frozenset()
        self._ticks_stopped = 0

    # --- asked for ------------------------------------------------------------------

    def status(self) -> Status:
        """All that is known; it costs some calls of the file system."""
        raft = self._raft
        digests, driver = raft.digests, self._driver
        return Status(
            name=self._membership.name,
            address=self._membership.address,
            group=self._membership.group.name,
            state="alive",
            role=self._role,
            term=raft.term,
            commit=raft.commit_index,
            applied=raft.applied_index,
            first=raft.log.base_index + 1,
            last=raft.log.last_index,
            digest=digests.own(digests.last_index),
            digest_index=digests.last_index,
            leader=raft.leader,
            peers=self._lags(),
            uptime_seconds=round(self._clock.seconds() - self._began, 1),
            writes=driver.writes,
            write_p50_ms=milliseconds(driver.write_seconds(0.5)),
            write_p99_ms=milliseconds(driver.write_seconds(0.99)),
            database_bytes=self._file_bytes(),
            connections=self._connections(),
            queue_depth=self._driver.queue_depth,
            stopped=self._stopped,
        )

    def heartbeat(self) -> Heartbeat:
        """Who leads: whoever looks for a leader asks often, so it costs nothing."""
        raft = self._raft
        return Heartbeat(self._membership.name, raft.term, self._role, raft.leader)

    @property
    def _role(self) -> Role:
        return _ROLES[type(self._raft.role)] if self._raft.admitted else "learner"

    def _lags(self) -> tuple[Lag, ...]:
        raft = self._raft
        if not isinstance(raft.role, Leader):
            return ()
        progress = raft.role.progress
        return tuple(
            Lag(
                voter,
                progress[voter].match_index,
                raft.log.last_index - progress[voter].match_index,
            )
            for voter in raft.others
        )

    @property
    def _stopped(self) -> str | None:
        dispute = self._raft.digests.dispute
        return self._formation.stopped if dispute is None else _described(dispute)

    # --- logged ---------------------------------------------------------------------

    def standing(self) -> None:
        """The term, this replica's role or the leader that it knows has changed."""
        match self._raft.role:
            case PreCandidate():
                self._log.info("hears no leader and asks whether it could win")
            case Candidate():
                self._log.info("stands for election")
            case Follower(leader=str(leader)):
                self._log.info("follows {leader}", leader=leader)
            case _:
                pass  # A leader says so once it may serve.
        self._behind.clear()

    def may_serve(self, may: bool) -> None:
        """This replica leads and has applied an entry of its term, or no longer."""
        if may:
            self._log.info("leads")
        elif not self._raft.leads:
            leader = self._raft.leader
            where = f"{leader} leads" if leader else "nobody is known to lead yet"
            self._log.info("leads no longer; {where}", where=where)

    def disputed(self, dispute: Dispute | None) -> None:
        """Nobody knows whose tables are right, or a majority does again (S4)."""
        differing = frozenset(dispute.digests) if dispute is not None else frozenset()
        if dispute is None:
            self._log.info("a majority has equal tables again: the group goes on")
        elif not differing <= self._differing:
            # Once: a new term finds the same again.
            self._log.error(
                "the group has stopped: {why}; the return of a replica that is away may"
                " decide it, otherwise {see}",
                why=_described(dispute),
                see=_SEE,
            )
        self._differing = differing

    def note_lost_files(self, ticks: int) -> None:
        """Log, once, that no majority can come together any more."""
        stopped = self._formation.stopped
        before = self._ticks_stopped
        self._ticks_stopped = before + ticks if stopped is not None else 0
        # Not at once: founders that were heard of last may be news by a moment.
        if before < _STOPPED_TICKS <= self._ticks_stopped:
            self._log.error(
                "the group has stopped: {why}; {see}", why=stopped, see=_SEE
            )

    def note_lags(self) -> None:
        """Log which followers have fallen behind, and which have caught up."""
        for lag in self._lags():
            self._note_lag(lag)

    def _note_lag(self, lag: Lag) -> None:
        if lag.name not in self._behind and lag.lag >= LAG_NOTED_ENTRIES:
            self._behind.add(lag.name)
            self._log.info("{name} is {lag} entries behind", name=lag.name, lag=lag.lag)
        elif lag.name in self._behind and lag.lag < LAG_NOTED_ENTRIES // 2:
            self._behind.discard(lag.name)
            self._log.info("{name} has caught up", name=lag.name)


def _described(dispute: Dispute) -> str:
    voters = sorted(dispute.digests)
    digests = told_apart(*(dispute.digests[voter] for voter in voters))
    holders = ", ".join(map(" has ".join, zip(voters, digests, strict=True)))
    return (
        f"its replicas hold different tables after index {dispute.index}, and no"
        f" majority the same: {holders}"
    )
