"""Replicas that share this process: killing one is a simulated crash."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, DeferredList, maybeDeferred, succeed
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.python.failure import Failure

from cartnet.errors import Refused
from cartnet.limits import (
    DRAIN_SECONDS_MAX,
    LOG_LINES_DEFAULT,
    STOP_SECONDS_MAX,
    SUPERVISE_REPLY_SECONDS,
)
from cartnet.replica.gate import FAULTS, Fault, require_chaos
from cartnet.replica.status import Status, not_alive
from cartnet.supervisor.hosting import (
    HostedReplica,
    ReadLog,
    observe,
    require_hosted,
)

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime
    from twisted.logger import Logger

    from cartnet.topology.groups import Topology


_FAULTS: Final[dict[str, Fault]] = {fault: fault for fault in FAULTS}


@dataclass
class _Place:
    """Where one replica runs, incarnation after incarnation.

    :ivar replica: the living incarnation, if any.
    :ivar ended: fires with None when the incarnation before has let go of everything.
    :ivar starting: a new incarnation waits for that.
    :ivar started: fires when the living incarnation has started, or is killed before.
    """

    replica: HostedReplica | None
    ended: Deferred[None]
    starting: bool = False
    started: Deferred[None] | None = None


class InProcess:
    """Hosts replicas made by ``make`` in this process.

    :ivar names: the replicas that it hosts, dead or alive.
    """

    def __init__(
        self,
        clock: IReactorTime,
        topology: Topology,
        names: Sequence[str],
        make: Callable[[str], HostedReplica],
        read_log: ReadLog,
        log: Logger,
        emptied: Callable[[str | None], None] | None = None,
        *,
        chaos: bool = False,
    ) -> None:
        """Host ``names``, all of them dead at first.

        :param emptied: called each time the last living replica has been killed, or has
            failed: then with the reason. A process that nobody could reach any more
            ends then.
        :param chaos: whether replicas may be paused and isolated.
        """
        self.names = tuple(names)
        self._clock = clock
        self._topology = topology
        self._make = make
        self._read_log = read_log
        self._log = log
        self._emptied = emptied
        self._chaos = chaos
        self._stopping = False
        self._places = {name: _Place(None, succeed(None)) for name in names}

    # --- The process's start and end -------------------------------------------------

    def claim(self) -> None:
        """Make every replica and claim its lock, file and port.

        :raises cartnet.storage.StartError: for the first that cannot be had; those
            claimed before it are let go.
        """
        try:
            for name in self.names:
                replica = self._places[name].replica = self._make(name)
                replica.claim()
        except Exception:
            for place in self._places.values():
                if place.replica is not None:
                    self._crash(place)
            raise

    async def start_claimed(self) -> None:
        """Start all replicas that :meth:`claim` claimed, side by side.

        :raises Exception: what the first of them to fail raised; all are started.
        """
        claimed = [
            (name, place.replica)
            for name, place in self._places.items()
            if place.replica is not None
        ]
        started = DeferredList(
            [maybeDeferred(self._run, name, replica) for name, replica in claimed],
            consumeErrors=True,
        )
        results: list[tuple[bool, Any]] = await started
        for _, result in results:
            if isinstance(result, Failure):
                result.raiseException()

    def stop(self) -> Deferred[None]:
        """Stop all replicas in order; those that take too long are cut off."""
        self._stopping = True
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        # A request in one replica's hand may need all the others: none stops before.
        deadline = self._clock.seconds() + STOP_SECONDS_MAX
        living = [p.replica for p in self._places.values() if p.replica is not None]
        drained = DeferredList(
            [replica.drain() for replica in living], consumeErrors=True
        )
        drained.addTimeout(DRAIN_SECONDS_MAX, self._clock)
        drained.addErrback(lambda failure: failure.trap(DeferredTimeoutError))
        await drained
        stopped = [
            self._stop_one(name, place, deadline)
            for name, place in self._places.items()
        ]
        await DeferredList([Deferred.fromCoroutine(each) for each in stopped])

    async def _stop_one(self, name: str, place: _Place, deadline: float) -> None:
        replica, place.replica = place.replica, None
        try:
            if replica is None:
                waited: Deferred[None] = observe(place.ended)
            else:
                waited = maybeDeferred(replica.stop, hand_over=self._shared(name))
            seconds = max(0, deadline - self._clock.seconds())
            await waited.addTimeout(seconds, self._clock)
        except Exception:
            self._log.failure("{name} did not stop in order", name=name)
            if replica is not None:
                maybeDeferred(replica.crash).addErrback(self._unexpected)

    def _shared(self, name: str) -> bool:
        """Whether some member of a replica's group is another process's."""
        return not {*self._topology.group_of(name).names} <= {*self.names}

    # --- One replica -----------------------------------------------------------------

    def status(self, name: str) -> Status | None:
        require_hosted(name, self.names)
        replica = self._places[name].replica
        if replica is None:
            return not_alive(self._topology, name, "dead")
        return replica.status()

    def kill(self, name: str) -> Deferred[None]:
        return Deferred.fromCoroutine(self._kill(name))

    async def _kill(self, name: str) -> None:
        place = self._alive(name)
        self._log.info("{name} is killed", name=name)
        self._crash(place)
        self._tell_if_emptied()
        await observe(place.ended)

    def start(self, name: str) -> Deferred[None]:
        return Deferred.fromCoroutine(self._start(name))

    async def _start(self, name: str) -> None:
        require_hosted(name, self.names)
        place = self._places[name]
        if place.replica is not None:
            raise Refused("conflict", f"{name} is alive")
        if place.starting:
            raise Refused("conflict", f"{name} is being started already")
        if self._stopping:
            raise Refused("unavailable", "this process is stopping")
        place.starting = True
        try:
            # Two incarnations must never have one file open.
            await observe(place.ended)
            if self._stopping:
                raise Refused("unavailable", "this process is stopping")
        finally:
            place.starting = False
        replica: HostedReplica | None = None
        try:
            replica = place.replica = self._make(name)
            replica.claim()
            await self._until_started(place, replica, name)
        except Exception as error:
            if place.replica is replica:
                if replica is not None:
                    self._crash(place)
                self._tell_if_emptied(f"{name} did not start: {error}")
            if isinstance(error, Refused):
                raise
            raise Refused("unavailable", f"{name} did not start: {error}") from error
        self._log.info("{name} is started", name=name)

    def restart(self, name: str) -> Deferred[None]:
        return Deferred.fromCoroutine(self._restart(name))

    async def _restart(self, name: str) -> None:
        require_hosted(name, self.names)
        place = self._places[name]
        if place.replica is not None:
            self._log.info("{name} is killed, to be restarted", name=name)
            self._crash(place)
        await self._start(name)

    def inject(self, fault: Fault, name: str) -> bool:
        require_chaos(self._chaos, fault)
        self._living(name).gate.inject(fault)
        return True

    def transfer(self, name: str, target: str) -> bool:
        replica = self._living(name)
        state = replica.status().state
        if state != "alive":
            raise Refused("conflict", f"{name} is {state}")
        replica.transfer(target)
        return True

    def log(self, name: str, lines: int) -> Deferred[list[str]]:
        require_hosted(name, self.names)
        return self._read_log(name, lines)

    def _living(self, name: str) -> HostedReplica:
        require_hosted(name, self.names)
        replica = self._places[name].replica
        if replica is None:
            raise Refused("conflict", f"{name} is dead")
        return replica

    # --- Asked for by other processes ------------------------------------------------

    async def call(
        self,
        command: str,
        replica: str | None,
        via: str | None = None,
        target: str | None = None,
        lines: int = LOG_LINES_DEFAULT,
    ) -> object:
        """Do what another process asks through a replica port (``supervise``).

        ``kill`` and ``restart`` of the replica whose own port ``via`` it came by happen
        a moment later, since the reply has to leave first.

        :raises Refused: ``bad_request``, or as the command itself is refused.
        """
        if replica is None:
            raise Refused("bad_request", f"supervise {command} needs a replica's name")
        require_hosted(replica, self.names)
        match command:
            case "status":
                return self.status(replica)
            case "log":
                return {"lines": await self.log(replica, lines)}
            case "start":
                await self.start(replica)
            case "kill" if via == replica:
                self._alive(replica)
                self._later(lambda: self.kill(replica))
            case "kill":
                await self.kill(replica)
            case "restart" if via == replica:
                self._alive(replica)
                self._later(lambda: self.restart(replica))
            case "restart":
                await self.restart(replica)
            case "transfer" if target is not None:
                self.transfer(replica, target)
            case _ if (fault := _FAULTS.get(command)) is not None:
                self.inject(fault, replica)
            case _:
                raise Refused("bad_request", f"supervise does not know {command}")
        return {"replica": replica}

    def _later(self, act: Callable[[], Deferred[None]]) -> None:
        async def acted() -> None:
            try:
                await act()
            except Refused as refused:
                self._log.info("{message}", message=refused.message)

        def due() -> None:
            Deferred.fromCoroutine(acted()).addErrback(self._unexpected)

        self._clock.callLater(SUPERVISE_REPLY_SECONDS, due)

    # --- Incarnations ----------------------------------------------------------------

    def _alive(self, name: str) -> _Place:
        require_hosted(name, self.names)
        place = self._places[name]
        if place.replica is None:
            raise Refused("conflict", f"{name} is dead already")
        return place

    def _run(self, name: str, replica: HostedReplica) -> Deferred[None]:
        def has_failed(reason: Any) -> None:
            place = self._places[name]
            if place.replica is replica:
                broken = isinstance(reason, Failure)
                why = reason.getErrorMessage() if broken else reason
                stopped = f"{name} stopped itself: {why}"
                self._log.error("{stopped}", stopped=stopped)
                self._crash(place)
                if replica.begins_anew:
                    self.start(name).addErrback(self._unexpected)
                else:
                    self._tell_if_emptied(stopped)

        replica.failed.addBoth(has_failed)
        return replica.start()

    async def _until_started(
        self, place: _Place, replica: HostedReplica, name: str
    ) -> None:
        """Wait for a start, or for a kill: a start that was killed never ends.

        :raises Refused: ``unavailable``.
        """
        place.started = started = Deferred[None]()

        def done(result: Any) -> None:
            if not started.called:
                started.callback(result)

        self._run(name, replica).addBoth(done)
        await started

    def _crash(self, place: _Place) -> None:
        """End the living incarnation at once; ``ended`` is when it has let go."""
        replica, place.replica = place.replica, None
        assert replica is not None
        place.ended = maybeDeferred(replica.crash).addErrback(self._unexpected)
        # Who waited for the start may start another one at once: after that end.
        if place.started is not None and not place.started.called:
            killed = Refused("unavailable", "it was killed before it had started")
            place.started.errback(Failure(killed))

    def _unexpected(self, failure: Failure) -> None:
        self._log.failure("a replica did not end as it should", failure)

    def _tell_if_emptied(self, why: str | None = None) -> None:
        living = any(place.replica is not None for place in self._places.values())
        if self._emptied is not None and not living and not self._stopping:
            self._emptied(why)
