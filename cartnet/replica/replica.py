"""One member of one group, alive: its file, Raft, port, peers and calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar, cast

import msgspec
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from cartnet.consensus.candidate import Candidate, PreCandidate
from cartnet.consensus.follower import Follower
from cartnet.consensus.leader import Leader
from cartnet.consensus.log import Log as RaftLog
from cartnet.consensus.messages import Admission
from cartnet.consensus.raft import NO_OP, Raft
from cartnet.errors import Refused
from cartnet.limits import (
    DRAIN_SECONDS_MAX,
    HAND_OVER_SECONDS_MAX,
    HELLO_AGAIN_SECONDS,
    LAG_NOTED_ENTRIES,
    MARKER_SECONDS,
    PROPOSAL_BYTES_MAX,
    RECOUNT_SECONDS,
    TICK_SECONDS,
)
from cartnet.replica.driver import Driver, Outdated
from cartnet.replica.formation import Formation
from cartnet.replica.gate import Gate
from cartnet.replica.listener import Listener
from cartnet.replica.log_time import LogTime
from cartnet.replica.peers import Peers
from cartnet.replica.status import Lag, Role, Status
from cartnet.shop.commands import Command, Stamped
from cartnet.storage.digest import is_corruption
from cartnet.storage.journal import Damaged
from cartnet.storage.owner import StartError
from cartnet.storage.transaction import Write
from cartnet.wire.arguments import decode_arguments
from cartnet.wire.hello import Identity, peer_mismatch

if TYPE_CHECKING:
    from twisted.internet.interfaces import IListeningPort
    from twisted.logger import Logger

    from cartnet.client.group import GroupClient
    from cartnet.consensus.messages import PeerMessage
    from cartnet.consensus.timing import Ticks
    from cartnet.replica.ports import Caller, Calls, Log
    from cartnet.seams import Cursor, Seams
    from cartnet.shop.machine import Answer
    from cartnet.storage.digest import Comparison
    from cartnet.storage.storage import Recovered, Storage
    from cartnet.storage.transaction import Admitted
    from cartnet.topology.groups import Group
    from cartnet.wire.arguments import Supervise
    from cartnet.wire.requests import Request

T = TypeVar("T")

_ROLES: Final[dict[type[Any], Role]] = {
    Follower: "follower",
    PreCandidate: "candidate",
    Candidate: "candidate",
    Leader: "leader",
}

MakeCalls: TypeAlias = "Callable[[Log, Callable[[Failure], None]], Calls]"
"""Makes a group's calls over its log; the second is told of a broken belief."""


@dataclass(frozen=True)
class Membership:
    """Which replica of which group this is, and how the group's members behave.

    :ivar secret: the cluster's, empty where there is none.
    :ivar lexical: whether the smallest address is to lead.
    :ivar request_timeout: seconds after which a request's outcome is given up.
    :ivar log_kept: applied entries that the log keeps for followers that are behind.
    """

    cluster: str
    group: Group
    name: str
    secret: bytes
    ticks: Ticks
    lexical: bool
    request_timeout: float
    log_kept: int

    @property
    def address(self) -> str:
        return self.group.member(self.name).address


class Replica:
    """One incarnation: claimed, started, then stopped or crashed, once.

    :ivar failed: fires, with the reason, when it has to stop by itself.
    :ivar gate: where it can be paused and isolated.
    """

    def __init__(
        self,
        membership: Membership,
        seams: Seams,
        storage: Storage,
        make_calls: MakeCalls,
        supervise: Callable[[Supervise], Deferred[object]],
        log: Logger,
        clients: tuple[GroupClient, ...] = (),
        started: Callable[[], None] | None = None,
        gate: Gate | None = None,
    ) -> None:
        """
        :param make_calls: makes what this kind of group answers.
        :param supervise: does what another process asks of this one's supervisor.
        :param clients: how it reaches other groups; they end with it.
        :param started: called once it takes part.
        :param gate: what ``seams`` and ``clients`` are behind, if anything.
        """
        self.membership = membership
        self.name = membership.name
        self.group = membership.group
        self.failed: Deferred[Any] = Deferred()
        self.begins_anew = False
        self.gate = gate if gate is not None else Gate(self.name, seams.clock, log)
        self._seams = seams
        self._storage = storage
        self._supervise = supervise
        self._log = log
        self._clients = clients
        self._started = started
        self._incarnation = seams.token_bytes(8).hex()
        self._log_time = LogTime(seams.clock, seams.wall, log)
        self._port: IListeningPort | None = None
        self._driver: Driver | None = None
        self._formation: Formation | None = None
        self._group_id: str | None = None
        self._ended = False
        self._deposed: Deferred[None] | None = None
        self._behind: set[str] = set()
        self._ticks_unfounded = 0
        self._admitting: set[str] = set()
        self._ticking = LoopingCall.withCount(self._tick)
        self._recounting = LoopingCall(self._recount_tables)
        self._marking = LoopingCall(self._mark)
        self._marked_index = 0
        for loop in (self._ticking, self._recounting, self._marking):
            loop.clock = seams.clock
        self._calls = make_calls(self, self.failed_by)
        self._listener = Listener(
            self, seams, log, membership.request_timeout, self.gate
        )
        self._peers = Peers(self, membership.group, self.name, seams, log)

    # --- life -----------------------------------------------------------------------

    @property
    def term(self) -> int:
        """For log lines: 0 until the file has been read."""
        return self._driver.raft.term if self._driver is not None else 0

    def claim(self) -> None:
        """Take the file and the port, at once.

        :raises StartError: one of them cannot be had.
        """
        self._storage.claim()
        try:
            self.listen()
        except StartError:
            self._storage.crash()
            raise

    def listen(self) -> None:
        """Take the port. Endpoints listen at once, whatever their Deferred says.

        :raises StartError: somebody has it.
        """
        outcome: list[IListeningPort | Failure] = []
        address = self.membership.address
        listening = self._seams.network.server(address).listen(self._listener.factory)
        listening.addBoth(outcome.append)
        assert outcome, "an endpoint of this kind listens without waiting"
        if isinstance(outcome[0], Failure):
            reason = outcome[0].value
            cause = getattr(reason, "socketError", reason)
            raise StartError(
                f"{self.name} cannot listen on {address}: {cause};"
                " stop what holds the port, or change the configuration"
            )
        self._port = outcome[0]

    def start(self) -> Deferred[None]:
        """Read the file, meet the peers, take part. Fails where the file is unfit."""
        opened: Deferred[None] = self._storage.open().addCallback(self._recovered)
        return opened.addErrback(self._unfit)

    def _unfit(self, reason: Failure) -> Any:
        """A file that is not what was written is set aside; all else ends the start."""
        if not _is_damage(reason):
            return reason
        self.failed_by(reason)
        return None

    def _recovered(self, recovered: Recovered) -> None:
        if self._ended:
            return
        membership = self.membership
        raft = Raft(
            self.name,
            self.group.preference,
            ticks=membership.ticks,
            random=self._seams.random,
            log=RaftLog(
                recovered.term_runs,
                recovered.last_index,
                recovered.tail,
                recovered.base_index,
                recovered.base_term,
            ),
            hard_state=recovered.hard_state,
            commit_index=recovered.commit_index,
            applied_index=recovered.applied_index,
            admitted=recovered.founders.get(self.name) == recovered.file_id,
            lexical=membership.lexical,
        )
        self._group_id = recovered.group_id
        self._formation = Formation(
            self.name, self.group.names, recovered.file_id, recovered.founders
        )
        self._driver = Driver(
            raft,
            self._storage,
            self._seams.clock,
            self,
            membership.request_timeout,
            membership.log_kept,
        )
        self._log.info(
            "recovered: log {first}..{last}, applied {applied}",
            first=recovered.base_index + 1,
            last=recovered.last_index,
            applied=recovered.applied_index,
        )
        self._driver.resume()
        self._peers.start()
        self._ticking.start(TICK_SECONDS, now=False).addErrback(self.failed_by)
        self._recounting.start(RECOUNT_SECONDS, now=False).addErrback(self.failed_by)
        self._marking.start(MARKER_SECONDS, now=False).addErrback(self.failed_by)
        self._found()
        if self._started is not None:
            self._started()

    def crash(self) -> Deferred[None]:
        """End as by SIGKILL: no farewell, no reply, no write after this returns."""
        # Connections first: what ends below must not be able to say so.
        self._listener.abort()
        self._peers.abort()
        self._end()
        ended = DeferredList([self._close_port(), self._storage.crash()])
        # What waits at the gate finds that all is over.
        self.gate.open()
        return ended.addCallback(self._crashed)

    def _crashed(self, _: object) -> None:
        if self.begins_anew:
            aside = self._storage.set_aside()
            self._log.warn("the database was moved to {path}", path=str(aside))

    def drain(self) -> Deferred[None]:
        """Take no new requests; fire when those in hand have their answers."""
        self.gate.open()
        return self._listener.drain()

    def stop(self) -> Deferred[None]:
        """End in order: hand the office over, finish what is in hand, close."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        # Whoever had it drained before has waited for that, too.
        if not self._listener.draining:
            drained = self.drain()
            drained.addTimeout(DRAIN_SECONDS_MAX, self._seams.clock)
            drained.addErrback(lambda failure: failure.trap(DeferredTimeoutError))
            await drained
        await self._hand_over_before_stop()
        self._end()
        await self._close_port()
        await self._listener.close()
        self._peers.close()
        await self._storage.close()
        self._log.info("stopped")

    async def _hand_over_before_stop(self) -> None:
        driver = self._driver
        if driver is None or self._ended or not driver.raft.leads:
            return
        others = [v for v in self.group.preference if v in driver.raft.connected]
        if not others:
            return
        deposed: Deferred[None] = Deferred()
        self._deposed = deposed
        deposed.addTimeout(HAND_OVER_SECONDS_MAX, self._seams.clock)
        deposed.addErrback(lambda failure: failure.trap(DeferredTimeoutError))
        driver.tell(lambda raft: raft.hand_over(others[0]))
        await deposed

    def _end(self) -> None:
        self._ended = True
        if self._driver is not None:
            self._driver.stop()
        for loop in (self._ticking, self._recounting, self._marking):
            if loop.running:
                loop.stop()
        self._calls.stop()
        for client in self._clients:
            client.stop()

    def _close_port(self) -> Deferred[None]:
        port, self._port = self._port, None
        if port is None:
            return succeed(None)
        stopped = port.stopListening()
        return stopped if stopped is not None else succeed(None)

    def _tick(self, count: int) -> None:
        assert self._driver is not None
        assert self._formation is not None
        self._driver.tick(count)
        if self._driver.raft.may_serve and self._driver.raft.uncounted:
            self._admit_new_files(self._driver)
        if not self._formation.founders:
            self._ask_for_founders()
        for lag in self._lags(self._driver.raft):
            self._note_lag(lag)

    def _ask_for_founders(self) -> None:
        """Say hello again now and then: what the others are may have changed since."""
        self._ticks_unfounded += 1
        if self._ticks_unfounded * TICK_SECONDS >= HELLO_AGAIN_SECONDS:
            self._ticks_unfounded = 0
            self._peers.dial_anew()

    def _mark(self) -> None:
        """Add an entry at which digests are compared, where there was traffic."""
        driver = self._driver
        assert driver is not None
        if driver.raft.may_serve and driver.raft.log.last_index > self._marked_index:
            self._marked_index = driver.raft.log.last_index + 1
            driver.propose(NO_OP).addErrback(lambda failure: failure.trap(Refused))

    def _recount_tables(self) -> Deferred[None]:
        """Find what was changed behind the digest's back; the next waits for this."""
        return self._storage.recount().addCallback(self._recounted)

    def _recounted(self, comparison: Comparison) -> None:
        if comparison.difference is not None:
            self.failed_by(Failure(Outdated(comparison.difference)))

    def _note_lag(self, lag: Lag) -> None:
        """Log when a follower has fallen behind, and when it has caught up."""
        if lag.name not in self._behind and lag.lag >= LAG_NOTED_ENTRIES:
            self._behind.add(lag.name)
            self._log.info("{name} is {lag} entries behind", name=lag.name, lag=lag.lag)
        elif lag.name in self._behind and lag.lag < LAG_NOTED_ENTRIES // 2:
            self._behind.discard(lag.name)
            self._log.info("{name} has caught up", name=lag.name)

    # --- the log, as its calls see it (ports.Log) -----------------------------------

    @property
    def leads(self) -> bool:
        return self._driver is not None and self._driver.raft.may_serve

    @property
    def leader(self) -> str | None:
        return self._driver.raft.leader if self._driver is not None else None

    def propose(self, command: Command) -> Deferred[Answer]:
        """See :meth:`cartnet.replica.ports.Log.propose`."""
        stamped = Stamped(self._log_time.now(), command)
        payload = msgspec.json.encode(stamped)
        if len(payload) > PROPOSAL_BYTES_MAX:
            raise Refused(
                "too_large",
                f"a command of {len(payload)} bytes; at most {PROPOSAL_BYTES_MAX}",
            )
        return self._running().propose(msgspec.Raw(payload))

    def read(self, query: Callable[[Cursor], T], *, stale: bool = False) -> Deferred[T]:
        """See :meth:`cartnet.replica.ports.Log.read`."""
        driver = self._running()
        return self._storage.read(query) if stale else driver.read(query)

    def _running(self) -> Driver:
        if self._driver is None or self._ended:
            raise Refused("unavailable", f"{self.name} is starting or stopping")
        return self._driver

    # --- what the driver tells (driver.Surroundings) --------------------------------

    def send(self, voter: str, message: PeerMessage) -> None:
        self._peers.send(voter, message)

    def applied(self, index: int) -> None:
        self._calls.applied(index)

    def standing(self, raft: Raft) -> None:
        match raft.role:
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
        if may:
            self._log.info("leads")
            self._calls.led()
        else:
            leader = self.leader
            where = f"{leader} leads" if leader else "nobody is known to lead yet"
            self._log.info("leads no longer; {where}", where=where)
            self._calls.deposed()
            if self._deposed is not None and not self._deposed.called:
                self._deposed.callback(None)

    def not_leader(self) -> Refused:
        leader = self.leader
        address = self.group.member(leader).address if leader is not None else None
        where = f"{leader} at {address} leads" if leader else "nobody leads"
        return Refused(
            "not_leader",
            f"{self.name} does not lead group {self.group.name}; {where}",
            {"leader": address},
        )

    def failed_by(self, reason: Failure) -> None:
        """Stop for good: a belief was broken, or the disk failed."""
        if self._ended:
            return
        if reason.check(Outdated) or _is_damage(reason):
            self.begins_anew = True
            self._log.error("this replica begins anew: {why}", why=reason.value)
        else:
            self._log.failure("this replica stops: {why}", reason, why=reason.value)
        self._end()
        self.failed.callback(reason)

    # --- what the listener asks (listener.Host) --------------------------------------

    @property
    def secret(self) -> bytes:
        return self.membership.secret

    def identity(self) -> Identity:
        formation = self._formation
        return Identity(
            cluster=self.membership.cluster,
            group=self.group.name,
            replica=self.name,
            purpose="peer",
            members=self.group.members_hash,
            incarnation=self._incarnation,
            file=formation.file_id if formation is not None else None,
            founders=dict(formation.founders) if formation is not None else {},
            group_id=self._group_id,
            leads=self._driver is not None and self._driver.raft.leads,
        )

    def unwelcome(self, identity: Identity) -> str | None:
        """Why whoever says to be ``identity`` must not come in, None if it may."""
        if identity.purpose != "peer":
            return None
        if self._formation is None:
            return f"{self.name} is still reading its file"
        if identity.replica not in self.group.names:
            return f"{identity.replica} is no member of group {self.group.name}"
        return peer_mismatch(self.identity(), identity, None)

    def peer_connected(self, identity: Identity) -> None:
        """A member has dialled this replica."""
        self._meet(identity)
        self._peers.peer_called(identity.replica)

    def peer_message(self, sender: str, message: PeerMessage) -> None:
        if self._driver is not None:
            self._driver.receive(sender, message)

    def call(self, request: Request, caller: Caller) -> Deferred[object]:
        match request.call:
            case "status" | "heartbeat":
                decode_arguments(request.call, request.args, trusted=caller.trusted)
                known = self.status() if request.call == "status" else self._heartbeat()
                return succeed(known)
            case "supervise":
                if not caller.trusted:
                    raise Refused("forbidden", "only for members of the cluster")
                asked = decode_arguments("supervise", request.args, trusted=True)
                return self._supervise(cast("Supervise", asked))
            case _:
                self._running()
                return self._calls.call(request, caller)

    def _heartbeat(self) -> dict[str, object]:
        status = self.status()
        return {
            "replica": self.name,
            "term": status.term,
            "role": status.role,
            "leader": status.leader,
        }

    def transfer(self, target: str) -> None:
        """Begin to hand the office over to another member, gracefully (3.10).

        :raises Refused: ``not_leader``, or ``unavailable`` where that cannot begin.
        """
        driver = self._running()
        if not driver.raft.leads:
            raise self.not_leader()
        if target not in driver.raft.connected:
            raise Refused("unavailable", f"{self.name} has no connection to {target}")
        self._log.info("hands over to {target}, as it was told to", target=target)
        driver.tell(lambda raft: raft.hand_over(target))

    def status(self) -> Status:
        driver = self._driver
        state = self.gate.state
        if driver is None or state != "alive":
            address = self.membership.address
            return Status(self.name, address, self.group.name, state)
        raft = driver.raft
        role: Role = "learner"
        if raft.admitted:
            role = _ROLES[type(raft.role)]
        return Status(
            name=self.name,
            address=self.membership.address,
            group=self.group.name,
            state="alive",
            role=role,
            term=raft.term,
            commit=raft.commit_index,
            applied=raft.applied_index,
            first=raft.log.base_index + 1,
            last=raft.log.last_index,
            leader=raft.leader,
            peers=self._lags(raft),
            database_bytes=self._storage.file_bytes(),
            connections=self._listener.connections,
            queue_depth=driver.queue_depth,
        )

    def _lags(self, raft: Raft) -> tuple[Lag, ...]:
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

    # --- what the peers tell (peers.PeerEvents) --------------------------------------

    def peer_up(self, name: str, identity: Identity) -> None:
        """This replica's own connection to a member is proven."""
        self._meet(identity)
        if self._driver is not None:
            self._driver.tell(lambda raft: raft.peer_connected(name))

    def peer_lost(self, name: str) -> None:
        if self._formation is not None:
            self._formation.lost(name)
        if self._driver is not None:
            self._driver.tell(lambda raft: raft.peer_disconnected(name))

    def peer_absent(self, name: str) -> None:
        """A member closed its connection and does not lead where it listened."""
        if self._driver is not None:
            if self._driver.raft.leader == name:
                self._log.info("the leader {name} has crashed", name=name)
            self._driver.tell(lambda raft: raft.leader_crashed(name))

    def _meet(self, identity: Identity) -> None:
        if self._formation is not None:
            has_new_file = self._formation.met(identity)
            self._found()
            self._recount()
            if has_new_file and self._driver is not None:
                self._driver.tell(lambda raft: raft.has_new_file(identity.replica))

    def _found(self) -> None:
        """Become one of the group's founders, if it can be known who they are."""
        assert self._formation is not None
        assert self._driver is not None
        raft = self._driver.raft
        is_blank = raft.term == 0 and raft.log.last_index == 0
        founders = self._formation.found(is_blank=is_blank)
        if founders is None:
            return
        self._formation.founders = founders
        kept = self._storage.write(Write(founders=founders))
        kept.addCallback(self._admitted).addErrback(self.failed_by)

    def _admitted(self, _: object) -> None:
        assert self._formation is not None
        if self._driver is None or self._ended:
            return
        if self._formation.admitted:
            self._log.info("the group has formed: all its members have met")
            self._driver.tell(lambda raft: raft.admit())
        else:
            self._log.warn(
                "this file is new in an old group: it does not vote or count until the"
                " others have brought it up to date and admitted it"
            )
        self._recount()

    # --- files that were lost (driver.Surroundings) -----------------------------------

    def _recount(self) -> None:
        """Tell Raft whose words make majorities."""
        formation = self._formation
        assert formation is not None
        if self._driver is not None:
            for name in self.group.names:
                if name != self.name:
                    self._driver.raft.count(name, counts=formation.counts(name))

    def _admit_new_files(self, driver: Driver) -> None:
        """As the leader, have the log admit the new file of who has caught up."""
        assert self._formation is not None
        for name in sorted(driver.raft.uncounted - self._admitting):
            file_id = self._formation.new_file(name)
            if file_id is None or not driver.raft.has_caught_up(name):
                continue
            self._log.info("{name} has caught up: admitting its new file", name=name)
            self._admitting.add(name)
            admission = msgspec.json.encode(Admission(name, file_id))
            admitted = driver.propose(msgspec.Raw(admission))
            # Refused or not, the next tick sees whether it is still to be done.
            admitted.addErrback(lambda failure: failure.trap(Refused))
            admitted.addCallback(self._admission_ended, name).addErrback(self.failed_by)

    def _admission_ended(self, _: object, name: str) -> None:
        self._admitting.discard(name)

    def file_admitted(self, admitted: Admitted) -> None:
        formation, driver = self._formation, self._driver
        assert formation is not None
        assert driver is not None
        formation.founders = {**formation.founders, admitted.name: admitted.file_id}
        self._log.info("the new file of {name} is admitted", name=admitted.name)
        self._recount()
        if admitted.name == self.name and formation.admitted:
            driver.tell(lambda raft: raft.admit(admitted.term))

    def installed(self, last_index: int, founders: dict[str, str]) -> None:
        formation, driver = self._formation, self._driver
        assert formation is not None
        assert driver is not None
        self._log.info("installed a snapshot at {index}", index=last_index)
        if founders:
            was_admitted, formation.founders = formation.admitted, founders
            self._recount()
            if formation.admitted and not was_admitted:
                driver.tell(lambda raft: raft.admit(raft.term))


def _is_damage(reason: Failure) -> bool:
    """Whether a file is not what was written: by its checksums, or by SQLite's word."""
    return reason.check(Damaged) is not None or (
        reason.value is not None and is_corruption(reason.value)
    )
