"""A replica's outside world behind its gate: what comes from it is held, or lost.

The code that is handed these seams knows nothing of it. Only the connections to the
replica's own port are not here: the listener, which tells a supervisor's line from any
other, puts them to the gate itself.
"""

# ruff: noqa: N802, N803, A002 - the names are those of Twisted's interfaces.

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import (
    IDelayedCall,
    IReactorTime,
    IStreamClientEndpoint,
)
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from typing_extensions import override
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IProtocolFactory, IStreamServerEndpoint
    from twisted.python.failure import Failure

    from cartnet.replica.gate import Gate
    from cartnet.seams import Disk, Network, Seams, Worker


def gated(seams: Seams, gate: Gate) -> Seams:
    """Put ``gate`` before everything that these seams let happen."""

    def in_thread(function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        return seams.in_thread(function, *args).addBoth(gate.held)

    return replace(
        seams,
        clock=GatedClock(seams.clock, gate),
        network=GatedNetwork(seams.network, gate),
        disk=GatedDisk(seams.disk, gate),
        in_thread=in_thread,
    )


# --- time ----------------------------------------------------------------------------


@implementer(IDelayedCall)
class _Timer:
    """A delayed call that, once it is due, waits for the gate."""

    __slots__ = ("_act", "_clock", "_due", "_inner", "_over")

    def __init__(
        self, clock: GatedClock, delay: float, act: Callable[[], object]
    ) -> None:
        self._clock = clock
        self._act = act
        self._over: type[AlreadyCalled] | type[AlreadyCancelled] | None = None
        self._schedule(delay)

    def _schedule(self, delay: float) -> None:
        inner = self._clock.inner
        self._due = inner.seconds() + delay
        self._inner: IDelayedCall | None = inner.callLater(delay, self._is_due)

    def _is_due(self) -> None:
        if self._clock.gate.frozen:
            self._inner = None
            self._clock.held.append(self)
            return
        self._over = AlreadyCalled
        self._act()

    def rearm(self) -> None:
        """The replica goes on: what was due meanwhile is due now."""
        if self.active():
            self._inner = self._clock.inner.callLater(
                max(0.0, self._due - self._clock.inner.seconds()), self._is_due
            )

    def getTime(self) -> float:
        return self._due

    def cancel(self) -> None:
        self._require_active()
        self._over = AlreadyCancelled
        if self._inner is not None:
            self._inner.cancel()

    def delay(self, secondsLater: float) -> None:
        self.reset(self._due + secondsLater - self._clock.inner.seconds())

    def reset(self, secondsFromNow: float) -> None:
        self._require_active()
        if self._inner is None:
            self._due = self._clock.inner.seconds() + secondsFromNow
        else:
            self._inner.cancel()
            self._schedule(secondsFromNow)

    def active(self) -> bool:
        return self._over is None

    def _require_active(self) -> None:
        if self._over is not None:
            raise self._over


@implementer(IReactorTime)
class GatedClock:
    """Time that goes on for a paused replica, while its timers wait.

    :ivar held: timers that fell due meanwhile.
    """

    def __init__(self, inner: IReactorTime, gate: Gate) -> None:
        self.inner = inner
        self.gate = gate
        self.held: list[_Timer] = []
        gate.on_resume(self._rearm)

    def seconds(self) -> float:
        return self.inner.seconds()

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: object, **kw: object
    ) -> IDelayedCall:
        if args or kw:
            return _Timer(self, delay, lambda: callable(*args, **kw))
        return _Timer(self, delay, callable)

    def getDelayedCalls(self) -> Sequence[IDelayedCall]:
        raise NotImplementedError("nobody here asks for other people's timers")

    def _rearm(self) -> None:
        held, self.held = self.held, []
        for timer in sorted(held, key=_Timer.getTime):
            timer.rearm()


# --- disk ----------------------------------------------------------------------------


class GatedDisk:
    """Files whose writers and readers are heard through the gate.

    The job in hand goes on, as what the kernel has in hand does; nothing follows it.
    """

    def __init__(self, disk: Disk, gate: Gate) -> None:
        self._disk = disk
        self._gate = gate

    def open(self, path: Path, *, read_only: bool) -> Worker:
        return _GatedWorker(self._disk.open(path, read_only=read_only), self._gate)


class _GatedWorker:
    def __init__(self, worker: Worker, gate: Gate) -> None:
        self._worker = worker
        self._gate = gate

    def run(self, job: Callable[[Any], Any]) -> Deferred[Any]:
        return self._worker.run(job).addBoth(self._gate.held)

    def interrupt(self) -> None:
        self._worker.interrupt()

    def close(self) -> Deferred[None]:
        return self._worker.close()


# --- network -------------------------------------------------------------------------


class GatedNetwork:
    """The connections that a replica makes.

    Of a connection that has lost something it cannot be said where a line begins: it
    is cut once the replica is healed, and made anew.
    """

    def __init__(self, network: Network, gate: Gate) -> None:
        self._network = network
        self.gate = gate
        # In the order made, as they are cut in: one seed is one history.
        self.connections: dict[_Connection, None] = {}
        gate.on_heal(self._cut_lossy)

    def client(self, address: str) -> IStreamClientEndpoint:
        return _Endpoint(self._network.client(address), self)

    def server(self, address: str) -> IStreamServerEndpoint:
        return self._network.server(address)

    def _cut_lossy(self) -> None:
        for connection in list(self.connections):
            if connection.lossy:
                connection.abort()


@implementer(IStreamClientEndpoint)
class _Endpoint:
    def __init__(self, endpoint: IStreamClientEndpoint, network: GatedNetwork) -> None:
        self._endpoint = endpoint
        self._network = network

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[Any]:
        gate = self._network.gate
        factory = _Wrapping(protocolFactory, self._network)
        connecting: Deferred[Any] = self._endpoint.connect(factory)
        connecting.addBoth(gate.held)
        return connecting.addCallback(lambda connection: connection.wrappedProtocol)


class _Wrapping(WrappingFactory):
    noisy = False

    def __init__(self, factory: IProtocolFactory, network: GatedNetwork) -> None:
        super().__init__(factory)
        self.network = network

    @override
    def buildProtocol(self, addr: Any) -> _Connection:
        protocol = self.wrappedFactory.buildProtocol(addr)
        assert protocol is not None, "who dials wants the connection"
        return _Connection(self, protocol)


class _Connection(ProtocolWrapper):
    """One connection that the replica has made: its protocol's transport, and between
    the two the gate."""

    def __init__(self, factory: Any, protocol: Any) -> None:
        super().__init__(factory, protocol)
        self.lossy = False
        self._network = factory.network
        self._gate = factory.network.gate
        self._stream: Any = None

    def abort(self) -> None:
        self._stream.abortConnection()

    @override
    def makeConnection(self, transport: Any) -> None:
        self._stream = transport
        self._network.connections[self] = None
        self._gate.enter(super().makeConnection, transport)

    def setTcpNoDelay(self, enabled: bool) -> None:
        # What was made and lost during a pause is heard of when it has no socket.
        if self in self._network.connections:
            self._stream.setTcpNoDelay(enabled)

    def setTcpKeepAlive(self, enabled: bool) -> None:
        if self in self._network.connections:
            self._stream.setTcpKeepAlive(enabled)

    @override
    def dataReceived(self, data: bytes) -> None:
        gate = self._gate
        if not gate.shut:
            self.wrappedProtocol.dataReceived(data)
        elif gate.paused:
            # Nothing more is read while the replica hangs.
            self._stream.pauseProducing()
            gate.enter(self._read_on, data)
        else:
            self.lossy = True

    def _read_on(self, data: bytes) -> None:
        if self in self._network.connections:
            self._stream.resumeProducing()
        if self._gate.isolated:
            self.lossy = True
        else:
            self.wrappedProtocol.dataReceived(data)

    @override
    def write(self, data: bytes) -> None:
        if not self._gate.shut:
            self._stream.write(data)
        else:
            self._gate.enter(self._write, data)

    def _write(self, data: bytes) -> None:
        if self._gate.isolated:
            self.lossy = True
        else:
            self._stream.write(data)

    @override
    def connectionLost(self, reason: Failure | None = None) -> None:
        self._network.connections.pop(self, None)
        self._gate.enter(super().connectionLost, reason)
