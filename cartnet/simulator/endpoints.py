"""How a simulated host connects and listens (:class:`cartnet.seams.Network`)."""

# ruff: noqa: N802, N803 - the names are those of Twisted's interfaces.

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet import error
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, execute, succeed
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from cartnet import limits
from cartnet.simulator.transport import Transport
from cartnet.topology.address import split

if TYPE_CHECKING:
    from cartnet.simulator.network import SimulatedNetwork


class HostNetwork:
    """The network as one host's process uses it (:class:`cartnet.seams.Network`)."""

    def __init__(self, network: SimulatedNetwork, host: str) -> None:
        self.host = host
        self._network = network
        self.alive = True

    def client(self, address: str) -> IStreamClientEndpoint:
        return SimulatedClientEndpoint(self._network, self, address)

    def server(self, address: str) -> IStreamServerEndpoint:
        return SimulatedServerEndpoint(self._network, self.host, address)

    def crash(self) -> None:
        """Make nothing of the attempts that are under way: their process is gone."""
        self.alive = False


@implementer(IListeningPort)
class SimulatedPort:
    """A listening port; connections outlive it."""

    def __init__(
        self,
        network: SimulatedNetwork,
        host: str,
        address: str,
        factory: IProtocolFactory,
    ) -> None:
        self.host = host
        self.address = address
        self.factory = factory
        self._network = network

    def startListening(self) -> None:
        self._network.open_port(self)
        self.factory.doStart()

    def stopListening(self) -> Deferred[None]:
        self._network.close_port(self)
        self.factory.doStop()
        return succeed(None)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", *split(self.address))


@implementer(IStreamServerEndpoint)
class SimulatedServerEndpoint:
    def __init__(self, network: SimulatedNetwork, host: str, address: str) -> None:
        self._network, self._host, self._address = network, host, address

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        def start() -> IListeningPort:
            port = SimulatedPort(
                self._network, self._host, self._address, protocolFactory
            )
            port.startListening()
            return port

        return execute(start)


@implementer(IStreamClientEndpoint)
class SimulatedClientEndpoint:
    """Connects within ``CONNECT_SECONDS_MAX``, or fails with ``TimeoutError``."""

    def __init__(
        self, network: SimulatedNetwork, process: HostNetwork, address: str
    ) -> None:
        self._network, self._process, self._address = network, process, address

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        attempt = Attempt(self._network, self._process, self._address, protocolFactory)
        return attempt.start()


class Attempt:
    """One connection being made: there and back, then both ends are established."""

    def __init__(
        self,
        network: SimulatedNetwork,
        process: HostNetwork,
        address: str,
        factory: IProtocolFactory,
    ) -> None:
        self._network, self._process = network, process
        self._address, self._factory = address, factory
        self._source, self._target = process.host, network.home(address)
        self._made: Deferred[IProtocol] = Deferred(self._cancelled)
        self._over = False

    def start(self) -> Deferred[IProtocol]:
        self._patience = self._network.clock.callLater(
            limits.CONNECT_SECONDS_MAX, self._fail, error.TimeoutError
        )
        self._factory.doStart()
        self._carry(self._source, self._target, self._reach)
        return self._made

    def _reach(self) -> None:
        """The other host hears of it."""
        if self._over:
            return
        port = self._network.port(self._address)
        if port is None:
            self._carry(
                self._target,
                self._source,
                lambda: self._fail(error.ConnectionRefusedError),
            )
            return
        ip = self._network.ip(self._source)
        here = IPv4Address("TCP", ip, self._network.ephemeral_port())
        there = port.getHost()
        near = Transport(self._network, self._source, self._target, here, there)
        far = Transport(self._network, self._target, self._source, there, here)
        near.other, far.other = far, near
        near.dialled = True
        self._carry(self._target, self._source, lambda: self._establish(near))
        protocol = port.factory.buildProtocol(here)
        if protocol is None:
            far.vanish()
        else:
            far.establish(protocol)

    def _establish(self, near: Transport) -> None:
        """The answer is back."""
        if self._over or not self._process.alive:
            near.vanish()
            return
        if self._network.asleep(self._source):
            self._network.processes[self._source].enter(self._establish, near)
            return
        if near.disconnected:
            self._fail(error.ConnectionLost)
            return
        self._end()
        protocol = self._factory.buildProtocol(near.getPeer())
        if protocol is None:
            near.vanish()
            self._finish(Failure(error.NoProtocol()))
            return
        near.establish(protocol)
        self._finish(protocol)

    def _fail(self, why: type[Exception]) -> None:
        if self._over:
            return
        if self._network.asleep(self._source):
            self._network.processes[self._source].enter(self._fail, why)
            return
        self._end()
        self._finish(Failure(why()))

    def _end(self) -> None:
        self._over = True
        # A process may have slept until after it was over.
        if self._patience.active():
            self._patience.cancel()

    def _finish(self, result: IProtocol | Failure) -> None:
        if self._process.alive and not self._made.called:
            self._made.callback(result)

    def _cancelled(self, made: Deferred[IProtocol]) -> None:
        self._end()
        address = IPv4Address("TCP", *split(self._address))
        made.errback(error.ConnectingCancelledError(address))

    def _carry(self, source: str, target: str, arrive: Callable[[], None]) -> None:
        if not self._network.loses(source, target):
            self._network.carry(source, target, arrive)
