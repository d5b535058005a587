"""One end of a simulated stream, as Twisted's protocols see a TCP connection."""

# ruff: noqa: N802 - the names are those of Twisted's interfaces.

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IProtocol,
    IPushProducer,
    ITCPTransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

if TYPE_CHECKING:
    from twisted.internet.address import IPv4Address
    from twisted.internet.interfaces import IProducer

    from cartnet.simulator.network import SimulatedNetwork

SOCKET_BUFFER_BYTES: Final = 64 * 1024
"""What the operating systems hold of a stream; the rest waits in the sender."""

PRODUCER_BUFFER_BYTES: Final = 64 * 1024
"""A producer is paused once more than this waits in the sender, as in Twisted."""


@implementer(ITCPTransport, IConsumer, IPushProducer)
class Transport:
    """Bytes arrive in order, each write after its link's delay, until one end closes.

    :ivar local: the host of this end; ``remote`` that of the other.
    :ivar dialled: whether this is the end that dialled.
    :ivar unread: bytes written here that the other end has not yet been given.
    :ivar spoil: what the way does to the next write, in place of carrying it as it is.
    """

    def __init__(
        self,
        network: SimulatedNetwork,
        local: str,
        remote: str,
        host: IPv4Address,
        peer: IPv4Address,
    ) -> None:
        self.local, self.remote = local, remote
        self.dialled = False
        self.unread = 0
        self.disconnecting = self.disconnected = False
        self.other: Transport
        self.spoil: Callable[[Transport, bytes], bytes] | None = None
        self._network = network
        self._host, self._peer = host, peer
        self._protocol: IProtocol | None = None
        # What is under way to this end, in order. An arrival says that one more may be
        # delivered, not which: so a stream stays in order whatever its delays are.
        self._incoming: deque[bytes | type[Exception]] = deque()
        self._arrived = 0
        self._paused = False
        self._producer: IPushProducer | None = None
        self._producer_paused = False
        # How many bytes were taken of this end, and how many heals there had been when
        # it last wrote into a cut.
        self._taken, self._cut_written = 0, -1
        self._unacknowledged: tuple[str, int] | None = None

    def establish(self, protocol: IProtocol) -> None:
        """Begin: what has arrived before this is delivered after it."""
        self._network.add(self)
        self._protocol = protocol
        protocol.makeConnection(self)
        self.deliver()

    # --- Writing -------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        network = self._network
        for hook in tuple(network.before_write.get(self.local, ())):
            if not self.disconnected:
                hook(data)
        if self.disconnected or not data:
            return
        network.writes += 1
        if network.loses(self.local, self.remote, data):
            network.writes_lost += 1
            return
        if self.spoil is not None:
            spoil, self.spoil = self.spoil, None
            data = spoil(self, data)
        split = network.link(self.local, self.remote).split
        if len(data) > 1 and network.random.random() < split:
            middle = network.random.randrange(1, len(data))
            self._send(data[:middle])
            data = data[middle:]
        self._send(data)
        waiting = self.unread - SOCKET_BUFFER_BYTES
        if waiting > PRODUCER_BUFFER_BYTES and not self._producer_paused:
            self._pause_producer()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        assert streaming, "pull producers are not simulated"
        assert self._producer is None
        assert IPushProducer.providedBy(producer)
        if self.disconnected:
            producer.stopProducing()
            return
        self._producer = producer
        self._producer_paused = False

    def unregisterProducer(self) -> None:
        self._producer = None
        self._producer_paused = False

    # --- Reading -------------------------------------------------------------------

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._network.clock.callLater(0, self.deliver)

    def stopProducing(self) -> None:
        self.loseConnection()

    # --- Ending --------------------------------------------------------------------

    def loseConnection(self) -> None:
        if not self.disconnecting:
            self.disconnecting = True
            self._network.clock.callLater(0, self._close)

    def abortConnection(self) -> None:
        self.disconnecting = True
        self._paused = True
        self._network.clock.callLater(0, self._abort)

    def reset(self) -> None:
        """Break the connection from without, as a router on the way would."""
        for end in (self, self.other):
            self._network.clock.callLater(0, end._lose, ConnectionLost)

    def break_off(self) -> None:
        """Lose the connection at this end alone: the other hears of it as late as its
        link lets it, after all that was under way."""
        if not self.disconnected:
            self._say(ConnectionLost)
            self._lose(ConnectionLost)

    def vanish(self) -> None:
        """End without a word to the protocol, whose process is gone; reset the peer."""
        if not self.disconnected:
            self._end()
            self._say(ConnectionLost)

    # --- Facts ---------------------------------------------------------------------

    @property
    def is_established(self) -> bool:
        """Whether a protocol has this end, and it has not ended."""
        return self._protocol is not None and not self.disconnected

    def getPeer(self) -> IPv4Address:
        return self._peer

    def getHost(self) -> IPv4Address:
        return self._host

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing waits for more to be written here."""

    def getTcpNoDelay(self) -> bool:
        return True

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """A dead peer is found by what is written to it alone."""

    def getTcpKeepAlive(self) -> bool:
        return False

    def loseWriteConnection(self) -> None:
        self.loseConnection()

    # --- Inside --------------------------------------------------------------------

    def _send(self, what: bytes | type[Exception]) -> None:
        if isinstance(what, bytes):
            self.unread += len(what)
            if self.dialled and self._network.holds(self.local, self.remote):
                self._cut_written = self._network.heals
            self._wait_for_acknowledgement()
        self.other._incoming.append(what)
        self._network.carry(self.local, self.remote, self.other._arrive)

    def _wait_for_acknowledgement(self) -> None:
        seconds = self._network.user_timeout
        if seconds is None or not self.dialled or self._unacknowledged is not None:
            return
        self._unacknowledged = self._what_is_unacknowledged()
        if self._unacknowledged is not None:
            self._network.clock.callLater(seconds, self._waited)

    def _waited(self) -> None:
        before, self._unacknowledged = self._unacknowledged, None
        if self._what_is_unacknowledged() == before:
            # The other end is told once it writes. What the cut holds arrives there
            # after the heal all the same, which is harsher than TCP.
            self._lose(ConnectionLost)
        elif not self.disconnected:
            self._wait_for_acknowledgement()

    def _what_is_unacknowledged(self) -> tuple[str, int] | None:
        """A mark that changes with each acknowledgement; None where none is awaited."""
        heals = self._network.heals
        if self._cut_written == heals:
            return "cut", heals
        if self.unread > SOCKET_BUFFER_BYTES:
            return "full", self._taken
        return None

    def _say(self, ending: type[Exception]) -> None:
        """Tell the other end that this one has ended, unless the link loses it."""
        if not self.other.disconnected and not self._network.loses(
            self.local, self.remote
        ):
            self._send(ending)

    def _arrive(self) -> None:
        self._arrived += 1
        self.deliver()

    def deliver(self) -> None:
        """Give the protocol what has arrived, if it reads."""
        while self._arrived and (self.disconnected or self._reads):
            self._arrived -= 1
            what = self._incoming.popleft()
            if isinstance(what, bytes):
                self._deliver_bytes(what)
            elif not self.disconnected:
                self._lose(what)

    @property
    def _reads(self) -> bool:
        return (
            self._protocol is not None
            and not self._paused
            and not self._network.asleep(self.local)
        )

    def _deliver_bytes(self, data: bytes) -> None:
        self.other._consumed(len(data))
        if self.disconnected:
            self._say(ConnectionLost)  # As a kernel does for a process that is gone.
            return
        self._network.trace(self.remote, self.local, data)
        assert self._protocol is not None
        self._protocol.dataReceived(data)

    def _consumed(self, count: int) -> None:
        self.unread -= count
        self._taken += count
        waits = self._producer_paused or self.disconnecting
        if waits and not self.disconnected and self.unread <= SOCKET_BUFFER_BYTES:
            self._network.carry(self.remote, self.local, self._drained)

    def _drained(self) -> None:
        if self.disconnected or self.unread > SOCKET_BUFFER_BYTES:
            return
        if self._producer_paused and self._producer is not None:
            self._producer_paused = False
            self._producer.resumeProducing()
        elif self.disconnecting:
            self._close()

    def _pause_producer(self) -> None:
        if self._producer is not None:
            self._producer_paused = True
            self._producer.pauseProducing()

    def _close(self) -> None:
        if self.disconnected or self.unread > SOCKET_BUFFER_BYTES:
            return  # It closes once the rest has been taken: see _drained.
        self._say(ConnectionDone)
        self._lose(ConnectionDone)

    def _abort(self) -> None:
        if not self.disconnected:
            self._say(ConnectionLost)
            self._lose(ConnectionAborted)

    def _lose(self, why: type[Exception]) -> None:
        if self.disconnected:
            return
        if self._network.asleep(self.local):
            self._network.processes[self.local].enter(self._lose, why)
            return
        producer = self._producer
        self._end()
        if producer is not None:
            producer.stopProducing()
        if self._protocol is not None:
            self._protocol.connectionLost(Failure(why()))

    def _end(self) -> None:
        self.disconnected = self.disconnecting = True
        self._producer = None
        self._network.remove(self)
        self.deliver()
