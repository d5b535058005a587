"""One member of one group, alive: its file, Raft, port, peers and calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import msgspec
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from cartnet.errors import Refused
from cartnet.limits import (
    DRAIN_SECONDS_MAX,
    PROPOSAL_BYTES_MAX,
    TICK_SECONDS,
)
from cartnet.replica.gate import Gate
from cartnet.replica.listener import Listener
from cartnet.replica.log_time import LogTime
from cartnet.replica.recovery import Parts, recover
from cartnet.replica.scrubber import condemns_file, is_disk_trouble
from cartnet.replica.status import Heartbeat, Status
from cartnet.shop.commands import Command, Stamped
from cartnet.storage.digest import is_damage
from cartnet.storage.owner import StartError
from cartnet.wire.arguments import decode_arguments
from cartnet.wire.hello import NotYet

if TYPE_CHECKING:
    from twisted.internet.interfaces import IListeningPort
    from twisted.logger import Logger

    from cartnet.client.group import GroupClient
    from cartnet.consensus.messages import Dispute, PeerMessage
    from cartnet.consensus.raft import Raft
    from cartnet.replica.membership import Membership
    from cartnet.replica.ports import Caller, Calls, Log
    from cartnet.seams import Cursor, Seams
    from cartnet.shop.machine import Answer
    from cartnet.storage.storage import Recovered, Storage
    from cartnet.storage.transaction import Admitted
    from cartnet.wire.arguments import Supervise
    from cartnet.wire.hello import Identity
    from cartnet.wire.requests import Request

T = TypeVar("T")

MakeCalls: TypeAlias = "Callable[[Log, Callable[[Failure], None]], Calls]"
"""Makes a group's calls over its log; the second is told of a broken belief."""


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
        self._identity = membership.identity(seams.token_bytes(8).hex())
        self._log_time = LogTime(seams.clock, seams.wall, log)
        self._port: IListeningPort | None = None
        self._parts: Parts | None = None
        self._ended = False
        self._ticking = LoopingCall.withCount(self._tick)
        self._ticking.clock = seams.clock
        self._calls = make_calls(self, self.failed_by)
        self._listener = Listener(
            self, seams, log, membership.request_timeout, self.gate
        )

    # --- life -----------------------------------------------------------------------

    @property
    def term(self) -> int:
        """For log lines: 0 until the file has been read."""
        return self._parts.driver.raft.term if self._parts is not None else 0

    @property
    def raft(self) -> Raft | None:
        """For whoever looks on; None until the file has been read."""
        return self._parts.driver.raft if self._parts is not None else None

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
        if not is_damage(reason.value):
            return reason
        self.failed_by(reason)
        return None

    def _recovered(self, recovered: Recovered) -> None:
        if self._ended:
            return
        parts = self._parts = recover(
            recovered,
            self.membership,
            self._seams,
            self._storage,
            self,
            self._identity,
            lambda: self._listener.connections,
            self._log,
        )
        self._log.info(
            "recovered: log {first}..{last}, applied {applied}",
            first=recovered.base_index + 1,
            last=recovered.last_index,
            applied=recovered.applied_index,
        )
        parts.driver.resume()
        parts.meeting.start()
        self._ticking.start(TICK_SECONDS, now=False).addErrback(self.failed_by)
        parts.scrubber.start()
        if self._started is not None:
            self._started()

    def crash(self) -> Deferred[None]:
        """End as by SIGKILL: no farewell, no reply, no write after this returns."""
        # Connections first: what ends below must not be able to say so.
        self._listener.abort()
        if self._parts is not None:
            self._parts.meeting.abort()
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

    def stop(self, *, hand_over: bool = True) -> Deferred[None]:
        """End in order: finish what is in hand, hand the office over, close."""
        return Deferred.fromCoroutine(self._stop(hand_over))

    async def _stop(self, hand_over: bool) -> None:
        # Whoever had it drained before has waited for that, too.
        if not self._listener.draining:
            drained = self.drain()
            drained.addTimeout(DRAIN_SECONDS_MAX, self._seams.clock)
            drained.addErrback(lambda failure: failure.trap(DeferredTimeoutError))
            await drained
        if self._parts is not None and hand_over:
            await self._parts.office.leave()
        self._end()
        await self._close_port()
        await self._listener.close()
        if self._parts is not None:
            self._parts.meeting.close()
        await self._storage.close()
        self._log.info("stopped")

    def _end(self) -> None:
        self._ended = True
        if self._parts is not None:
            self._parts.driver.stop()
            self._parts.scrubber.stop()
        if self._ticking.running:
            self._ticking.stop()
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
        parts = self._whole
        parts.driver.tick(count)
        parts.meeting.tick()
        parts.report.note_lags()
        parts.report.note_lost_files(count)

    @property
    def _whole(self) -> Parts:
        assert self._parts is not None, "nothing asks before its file has been read"
        return self._parts

    # --- the log, as its calls see it (ports.Log) -----------------------------------

    @property
    def leads(self) -> bool:
        return self._parts is not None and self._parts.driver.raft.may_serve

    @property
    def leader(self) -> str | None:
        return self._parts.driver.raft.leader if self._parts is not None else None

    def now(self) -> int:
        return self._log_time.now()

    def propose(self, command: Command) -> Deferred[Answer]:
        """See :meth:`cartnet.replica.ports.Log.propose`."""
        stamped = Stamped(self.now(), command)
        payload = msgspec.json.encode(stamped)
        if len(payload) > PROPOSAL_BYTES_MAX:
            raise Refused(
                "too_large",
                f"a command of {len(payload)} bytes; at most {PROPOSAL_BYTES_MAX}",
            )
        return self._running().driver.propose(msgspec.Raw(payload))

    def read(self, query: Callable[[Cursor], T], *, stale: bool = False) -> Deferred[T]:
        """See :meth:`cartnet.replica.ports.Log.read`."""
        driver = self._running().driver
        if not stale:
            return driver.read(query)
        driver.check_undisputed()
        return self._storage.read(query)

    def _running(self) -> Parts:
        if self._parts is None or self._ended:
            raise Refused("unavailable", f"{self.name} is starting or stopping")
        return self._parts

    # --- what the driver tells (driver.Surroundings) --------------------------------

    def send(self, voter: str, message: PeerMessage) -> None:
        self._whole.meeting.send(voter, message)

    def applied(self, index: int) -> None:
        self._calls.applied(index)

    def installed(self, last_index: int, founders: dict[str, str]) -> None:
        self._whole.meeting.installed(last_index, founders)

    def file_admitted(self, admitted: Admitted) -> None:
        self._whole.meeting.file_admitted(admitted)

    def standing(self) -> None:
        self._whole.report.standing()

    def may_serve(self, may: bool) -> None:
        parts = self._whole
        parts.report.may_serve(may)
        if may:
            self._calls.led()
        else:
            self._calls.deposed()
            parts.office.lost()

    def disputed(self, dispute: Dispute | None) -> None:
        self._whole.report.disputed(dispute)

    def not_leader(self) -> Refused:
        return self._whole.office.not_leader()

    def failed_by(self, reason: Failure) -> None:
        """Stop for good: a belief was broken, or the disk failed."""
        if self._ended:
            return
        if condemns_file(reason):
            self.begins_anew = True
            self._log.error("this replica begins anew: {why}", why=reason.value)
        elif is_disk_trouble(reason):
            self._log.error(
                "this replica stops: its disk says {why}; start it once that is mended",
                why=reason.value,
            )
        else:
            self._log.failure("this replica stops: {why}", reason, why=reason.value)
        self._end()
        self.failed.callback(reason)

    # --- what the listener asks (listener.Host) --------------------------------------

    @property
    def secret(self) -> bytes:
        return self.membership.secret

    def identity(self) -> Identity:
        parts = self._parts
        return self._identity if parts is None else parts.meeting.identity()

    def unwelcome(self, identity: Identity) -> str | None:
        """Why whoever says to be ``identity`` must not come in, None if it may.

        :raises NotYet: that is not known yet.
        """
        if identity.purpose != "peer":
            return None
        if self._parts is None:
            raise NotYet(f"{self.name} is still reading its file")
        return self._parts.meeting.unwelcome(identity)

    def peer_connected(self, identity: Identity) -> None:
        self._whole.meeting.peer_connected(identity)

    def peer_message(self, sender: str, message: PeerMessage) -> None:
        self._whole.meeting.peer_message(sender, message)

    def call(self, request: Request, caller: Caller) -> Deferred[object]:
        match request.call:
            case "status" | "heartbeat":
                decode_arguments(request.call, request.args, trusted=caller.trusted)
                known = self.status if request.call == "status" else self._heartbeat
                return succeed(known())
            case "supervise":
                if not caller.trusted:
                    raise Refused("forbidden", "only for members of the cluster")
                asked = decode_arguments("supervise", request.args, trusted=True)
                return self._supervise(cast("Supervise", asked))
            case _:
                self._running()
                return self._calls.call(request, caller)

    def _heartbeat(self) -> Heartbeat:
        if self._parts is None or self.gate.state != "alive":
            return Heartbeat(self.name)
        return self._parts.report.heartbeat()

    # --- what the supervisor asks (hosting.HostedReplica) ----------------------------

    def transfer(self, target: str) -> None:
        """Begin to hand the office over to another member, gracefully (3.10).

        :raises Refused: ``not_leader``, or ``unavailable`` where that cannot begin.
        """
        self._running().office.transfer(target)

    def status(self) -> Status:
        """All that is known of this replica now."""
        state = self.gate.state
        if self._parts is None or state != "alive":
            address = self.membership.address
            return Status(self.name, address, self.group.name, state)
        return self._parts.report.status()
