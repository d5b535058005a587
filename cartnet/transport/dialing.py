"""Dials another process of the cluster, and proves on both sides who it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, ITCPTransport
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from cartnet.limits import HELLO_SECONDS_MAX, LINE_BYTES_MAX
from cartnet.wire.framing import LineSplitter, LineTooLong
from cartnet.wire.hello import Handshake, HelloRefused, Identity, NotYet
from cartnet.wire.replies import BadReply, decode_reply
from cartnet.wire.shown import one_line

if TYPE_CHECKING:
    from twisted.internet.interfaces import (
        IDelayedCall,
        IReactorTime,
        IStreamClientEndpoint,
    )


@implementer(IPushProducer)
class Connection(Protocol):
    """A connection that this process has made.

    :ivar peer: who is at the other end, once it is proven.
    """

    peer: Identity

    def __init__(
        self,
        handshake: Handshake,
        clock: IReactorTime,
        proven: Deferred[Connection],
        on_line: Callable[[bytes], None],
        on_lost: Callable[[], None],
    ) -> None:
        """
        :param proven: fires with this connection once it is, or fails.
        :param on_line: told of each line after the handshake.
        :param on_lost: told once when a proven connection has ended.
        """
        self._proven = proven
        self._handshake = handshake
        self._clock = clock
        self._on_line = on_line
        self._on_lost = on_lost
        self._splitter = LineSplitter(LINE_BYTES_MAX)
        self._too_late: IDelayedCall | None = None
        self._ended = False
        self._paused = False
        self._bytes_while_paused = 0

    @property
    def _stream(self) -> Any:
        # A stream's methods are spread over several of Twisted's interfaces.
        return self.transport

    # --- what the owner does ---------------------------------------------------------

    def send(self, line: bytes) -> None:
        """Send a line, given without its end."""
        if not self._ended:
            if self._paused:
                self._bytes_while_paused += len(line)
            self._stream.write(line + b"\n")

    @property
    def unsent_bytes(self) -> int:
        """How much was sent since the other side stopped reading, about."""
        return self._bytes_while_paused

    def abort(self) -> None:
        """Close at once; nothing more is heard of it."""
        self._end()
        if self.connected:
            self._stream.abortConnection()

    def close(self) -> None:
        """Close once all is sent; nothing more is heard of it."""
        self._end()
        if self.connected:
            # A paused producer would be asked for more instead of the stream's end.
            self._stream.unregisterProducer()
            self._stream.loseConnection()

    # --- what the network does -------------------------------------------------------

    @override
    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self._stream.setTcpNoDelay(True)
            # Proven connections may be silent for long; a dead host must not last.
            self._stream.setTcpKeepAlive(True)
        self._stream.registerProducer(self, True)
        self._too_late = self._clock.callLater(HELLO_SECONDS_MAX, self._hangs)
        self.send(self._handshake.start())

    @override
    def dataReceived(self, data: bytes) -> None:
        if self._ended:
            return
        try:
            lines = self._splitter.feed(data)
        except LineTooLong as too_long:
            lines = too_long.lines
            self._stream.abortConnection()
        self._take(lines)

    def _take(self, lines: list[bytes]) -> None:
        for line in lines:
            if self._ended:
                return
            if self._handshake.done:
                self._on_line(line)
            else:
                self._shake(line)

    def _shake(self, line: bytes) -> None:
        try:
            answer = self._handshake.receive(line)
        except HelloRefused as refused:
            self._give_up(_said_by_the_other(line) or refused)
            return
        if answer is not None:
            self.send(answer)
        if self._handshake.done:
            assert self._handshake.peer is not None
            self.peer = self._handshake.peer
            self._cancel_too_late()
            self._proven.callback(self)

    def _hangs(self) -> None:
        self._give_up(error.TimeoutError(string="no answer to the hello"))

    def _give_up(self, why: Exception) -> None:
        self.abort()
        self._fail(Failure(why))

    @override
    def connectionLost(self, reason: Failure | None = None) -> None:
        if self._ended:
            return
        self._end()
        if self._handshake.done:
            self._on_lost()
        else:
            assert reason is not None
            self._fail(reason)

    def _fail(self, reason: Failure) -> None:
        if not self._proven.called:
            self._proven.errback(reason)

    def _end(self) -> None:
        self._ended = True
        self._cancel_too_late()

    def _cancel_too_late(self) -> None:
        if self._too_late is not None and self._too_late.active():
            self._too_late.cancel()

    # --- IPushProducer: the other side's pace ----------------------------------------

    def pauseProducing(self) -> None:  # noqa: N802 # Twisted's name
        self._paused = True

    def resumeProducing(self) -> None:  # noqa: N802 # Twisted's name
        self._paused = False
        self._bytes_while_paused = 0

    def stopProducing(self) -> None:  # noqa: N802 # Twisted's name
        """The connection is gone; :meth:`connectionLost` follows."""


def _said_by_the_other(line: bytes) -> HelloRefused | None:
    """Why the other side has refused, if that is what the line says."""
    try:
        refused = decode_reply(line).error
    except BadReply:
        return None
    if refused is None:
        return None
    kind = NotYet if refused.code == "unavailable" else HelloRefused
    return kind(f"it says: {one_line(refused.message)}")


def dial(
    endpoint: IStreamClientEndpoint,
    handshake: Handshake,
    clock: IReactorTime,
    on_line: Callable[[bytes], None],
    on_lost: Callable[[], None],
) -> Deferred[Connection]:
    """Connect and shake hands; cancelling gives the attempt up.

    Fails with what the network said (``TimeoutError`` where the other side hangs), or
    with :class:`~cartnet.wire.hello.HelloRefused`.
    """

    def give_up(_: object) -> None:
        connecting.cancel()
        connection.abort()

    def failed(reason: Failure) -> None:
        if not proven.called:
            proven.errback(reason)

    proven: Deferred[Connection] = Deferred(give_up)
    connection = Connection(handshake, clock, proven, on_line, on_lost)
    factory = Factory.forProtocol(lambda: connection)
    factory.noisy = False
    connecting: Deferred[Any] = endpoint.connect(factory)
    connecting.addErrback(failed)
    return proven
