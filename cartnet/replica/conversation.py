"""One connection to a replica's port: a client's, another process's, or a stranger's.

The first line decides. A hello begins a handshake, and its purpose says whether peer
messages or trusted requests follow; anything else is a client's.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IPushProducer,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from cartnet.errors import Refused
from cartnet.limits import (
    CHALLENGE_BYTES,
    CLOSE_SECONDS_MAX,
    HELLO_SECONDS_MAX,
    IDLE_SECONDS_MAX,
    LINE_BYTES_MAX,
    REQUESTS_PER_CONNECTION_MAX,
    SEND_BUFFER_BYTES_MAX,
    SEND_BUFFER_TRUSTED_BYTES_MAX,
    UNFINISHED_LINE_SECONDS_MAX,
    WATCHES_PER_CONNECTION_MAX,
    WATCHES_PER_TRUSTED_CONNECTION_MAX,
)
from cartnet.replica.serving import Bounds, Serving
from cartnet.wire.framing import LineSplitter, LineTooLong
from cartnet.wire.hello import (
    Handshake,
    HelloRefused,
    NotYet,
    is_hello,
    is_supervisors_hello,
)
from cartnet.wire.messages import BadMessage, decode_message
from cartnet.wire.replies import encode_error

if TYPE_CHECKING:
    from cartnet.replica.listener import Listener
    from cartnet.wire.hello import Identity

_BOUNDS: Final = Bounds(REQUESTS_PER_CONNECTION_MAX, WATCHES_PER_CONNECTION_MAX)
_BOUNDS_OF_TRUSTED: Final = Bounds(
    REQUESTS_PER_CONNECTION_MAX, WATCHES_PER_TRUSTED_CONNECTION_MAX
)

_TOO_LONG: Final = b"\n"
"""Stands behind the last good line where the next was too long; no line is it."""

_HTTP: Final = re.compile(rb"\S+ .*HTTP/\d")
_TLS_HANDSHAKE: Final = b"\x16"


@implementer(IPushProducer, IHalfCloseableProtocol)
class Conversation(Protocol):
    """Lines in, answers out, in any order.

    :ivar trusted: the other side has proved that it knows the cluster's secret.
    :ivar address: the host at the other end.
    :ivar peer: the member whose messages come by it, or None.
    :ivar supervises: it says that it brings a supervisor's commands, and is served
        those alone. The replica's gate is no obstacle to them.
    """

    def __init__(self, listener: Listener, address: str) -> None:
        self.trusted = False
        self.address = address
        self.peer: str | None = None
        self.supervises = False
        self._listener = listener
        self._gate = listener.gate
        self._lost_its_hello = False
        self._lost_a_line = False
        self._splitter = LineSplitter(LINE_BYTES_MAX)
        self._take: Callable[[bytes], None] | None = None
        self._handshake: Handshake | None = None
        self._serving: Serving | None = None
        # Lines that wait until answers are read, or there.
        self._held: deque[bytes] = deque()
        self._holding = False
        self._taking = False
        self._paused = False
        self._bytes_while_paused = 0
        self._said_its_last = False
        self._ended = False
        self._heard_at = listener.clock.seconds()
        self._hello_since: float | None = None
        self._unfinished_since: float | None = None
        self._closing_since: float | None = None

    @property
    def _stream(self) -> Any:
        # A stream's methods are spread over several of Twisted's interfaces.
        return self.transport

    @property
    def ended(self) -> bool:
        """Whether it was cut off or lost; the listener hears of it a moment later."""
        return self._ended

    @property
    def _is_over(self) -> bool:
        return self._ended or self._closing_since is not None

    # --- what the listener and the requests ask of it --------------------------------

    @property
    def writable(self) -> bool:
        """Whether the other side keeps up with what is sent to it."""
        # What a watcher is not sent it gets later, all in one: it must not be lost.
        isolated = self._gate.isolated and not self.supervises
        return not self._paused and not self._is_over and not isolated

    def write(self, line: bytes) -> None:
        """Send a line, given without its end; one who never reads is cut off."""
        if self._gate.paused and not self.supervises:
            self._gate.enter(self._write, line)
        else:
            self._write(line)

    def _write(self, line: bytes) -> None:
        if self._gate.isolated and not self.supervises:
            self._lost_a_line = True
        elif not self._is_over:
            self._send(line)
        if self._held:
            # This may have been an answer that they waited for.
            self._take_held()

    def _send(self, line: bytes) -> None:
        self._stream.write(line + b"\n")
        if self._paused:
            self._bytes_while_paused += len(line) + 1
            bytes_max = (
                SEND_BUFFER_TRUSTED_BYTES_MAX if self.trusted else SEND_BUFFER_BYTES_MAX
            )
            if self._bytes_while_paused > bytes_max:
                self._listener.refused(self.address, "it does not read its answers")
                self.abort()

    def idle(self) -> None:
        """Nothing is in hand: end, if the other side has said its last."""
        if self._said_its_last and not self._held:
            self.close()

    def close(self) -> None:
        """End once what was written has left."""
        if self._is_over:
            return
        self._closing_since = self._listener.clock.seconds()
        self._end_serving()
        # A paused producer would be asked for more instead of the stream's end.
        self._stream.unregisterProducer()
        self._stream.loseConnection()

    def abort(self) -> None:
        """End at once: nothing that comes or is answered from now on counts."""
        if not self._ended:
            self._end()
            self._stream.abortConnection()

    def sweep(self, now: float) -> None:
        """End what has lasted too long."""
        if self._ended:
            return
        if self._closing_since is not None:
            if now - self._closing_since > CLOSE_SECONDS_MAX:
                self.abort()
            return
        if self._serving is not None:
            self._serving.expire(now)
        hello, line = self._hello_since, self._unfinished_since
        if hello is not None and now - hello > HELLO_SECONDS_MAX:
            self._turn_away("its handshake was not finished in time")
        elif line is not None and now - line > UNFINISHED_LINE_SECONDS_MAX:
            self._turn_away("its line was not finished in time")
        elif now - self._heard_at > IDLE_SECONDS_MAX and self._may_idle_out:
            self.close()

    @property
    def _may_idle_out(self) -> bool:
        """Silence is the way of proven processes and of those who watch and read."""
        if self.trusted:
            return False
        return self._paused or self._serving is None or not self._serving.busy

    def mend(self) -> None:
        """Messages pass again: go on where that is possible."""
        if self.supervises:
            return
        # Another process asks again what a connection that ends leaves unanswered, and
        # a leader begins a snapshot anew; on one that goes on they rely.
        owes = self._lost_a_line and self.trusted
        if owes or self._lost_its_hello or self._hello_since is not None:
            self.abort()
        elif self._serving is not None and not self._is_over:
            self._serving.wake()

    # --- what the network does --------------------------------------------------------

    @override
    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self._stream.setTcpNoDelay(True)
            # Proven processes may be silent for ever; a dead host must not last.
            self._stream.setTcpKeepAlive(True)
        self._stream.registerProducer(self, True)

    @override
    def dataReceived(self, data: bytes) -> None:
        if self._gate.paused and not self._may_pass(data.partition(b"\n")[0]):
            # Nothing more is read while the replica hangs.
            self._stream.pauseProducing()
            self._gate.enter(self._read_on, data)
        else:
            self._received(data)

    def _read_on(self, data: bytes) -> None:
        if not self._ended and not self._holding:
            self._stream.resumeProducing()
        self._received(data)

    def _received(self, data: bytes) -> None:
        if self._is_over:
            return
        self._heard_at = self._listener.clock.seconds()
        if self._take is None and data.startswith(_TLS_HANDSHAKE):
            self._turn_away("TLS is not spoken on this port")
            return
        try:
            lines = self._splitter.feed(data)
        except LineTooLong as error:
            lines = [*error.lines, _TOO_LONG]
        if not self._splitter.unfinished:
            self._unfinished_since = None
        elif lines or self._unfinished_since is None:
            self._unfinished_since = self._heard_at
        self._held.extend(lines)
        self._take_held()

    @override
    def connectionLost(self, reason: Failure | None = None) -> None:
        self._happens(self._lost)

    def _lost(self) -> None:
        self._end()
        self._listener.left(self)

    def _happens(self, what: Callable[[], None]) -> None:
        if self.supervises:
            what()
        else:
            self._gate.enter(what)

    def readConnectionLost(self) -> None:  # noqa: N802 # Twisted's name
        """The other side has said its last; it may still wait for answers."""
        self._happens(self._has_said_its_last)

    def _has_said_its_last(self) -> None:
        self._said_its_last = True
        if self._splitter.unfinished and self._handshake is None:
            # A client's last line may lack its end; it gets its answer.
            self._received(b"\n")
        if not self._held and (self._serving is None or not self._serving.in_hand):
            self.close()

    def writeConnectionLost(self) -> None:  # noqa: N802 # Twisted's name
        """Nothing can be answered any more."""
        self._happens(self.abort)

    # --- IPushProducer: the other side's pace -----------------------------------------

    def pauseProducing(self) -> None:  # noqa: N802 # Twisted's name
        """Much is unread: take no more requests until it has been read."""
        self._paused = True

    def resumeProducing(self) -> None:  # noqa: N802 # Twisted's name
        """All has been read: go on with what was held."""
        self._happens(self._go_on)

    def _go_on(self) -> None:
        self._paused = False
        self._bytes_while_paused = 0
        if self._serving is not None:
            self._serving.wake()
        self._take_held()

    def stopProducing(self) -> None:  # noqa: N802 # Twisted's name
        """The connection is gone; :meth:`connectionLost` follows."""

    # --- lines ------------------------------------------------------------------------

    def _take_held(self) -> None:
        """Take the lines that have come, unless they have to wait, and read on."""
        if self._taking:
            return  # What was answered at once is heard of in the middle of it.
        self._taking = True
        try:
            while self._held and not self._has_to_wait:
                self._take_line(self._held.popleft())
        finally:
            self._taking = False
        if self._is_over:
            return
        if self._held:
            self._hold()
        elif self._holding:
            self._read_again()

    @property
    def _has_to_wait(self) -> bool:
        if self._paused:
            return True
        # A connection of the cluster's own processes carries many users' requests.
        serving = self._serving
        return serving is not None and serving.full and not self.trusted

    def _take_line(self, line: bytes) -> None:
        if line is _TOO_LONG:
            self._turn_away(f"a line may have at most {LINE_BYTES_MAX} bytes")
        elif line[:1] != b"{" and _HTTP.match(line):
            # A web page must not be able to make a browser post requests here.
            self._turn_away("this port takes lines of JSON, not HTTP")
        elif self._gate.isolated and not self._may_pass(line):
            self._lost_a_line = True
            self._lost_its_hello |= self._take is None and is_hello(line)
        elif self._take is None:
            self._begin(line)
        else:
            self._take(line)

    def _may_pass(self, line: bytes) -> bool:
        """Whether a line comes through although the gate is shut."""
        if self._take is None and is_supervisors_hello(line):
            self.supervises = True
        return self.supervises

    def _hold(self) -> None:
        # What is not read cannot be finished in time either.
        self._unfinished_since = None
        if not self._holding:
            self._holding = True
            self._stream.pauseProducing()

    def _read_again(self) -> None:
        self._holding = False
        if self._said_its_last:
            self._has_said_its_last()
            return
        if self._splitter.unfinished:
            self._unfinished_since = self._listener.clock.seconds()
        self._stream.resumeProducing()

    def _begin(self, line: bytes) -> None:
        """Take the first line."""
        if not is_hello(line):
            self._serve(line)
            return
        host = self._listener.host
        self.supervises = is_supervisors_hello(line)
        self._hello_since = self._listener.clock.seconds()
        self._handshake = Handshake(
            "listener",
            host.identity,
            self._listener.token_bytes(CHALLENGE_BYTES).hex(),
            host.secret,
            host.unwelcome,
        )
        self._take = self._shake
        self._shake(line)

    def _serve(self, first: bytes | None = None) -> None:
        bounds = _BOUNDS_OF_TRUSTED if self.trusted else _BOUNDS
        self._serving = Serving(self._listener, self, bounds)
        self._take = self._serving.take
        if first is not None:
            self._take(first)

    def _shake(self, line: bytes) -> None:
        handshake = self._handshake
        assert handshake is not None
        try:
            answer = handshake.receive(line)
        except NotYet as refused:
            # It is told, and calls again: nothing for anybody to look into.
            self.write(encode_error(None, Refused("unavailable", str(refused))))
            self.close()
            return
        except HelloRefused as refused:
            self._turn_away(str(refused))
            return
        if answer is not None:
            self.write(answer)
        if handshake.done:
            assert handshake.peer is not None
            self._proven(handshake.peer)

    def _proven(self, identity: Identity) -> None:
        self._hello_since = None
        self.trusted = True
        if identity.purpose == "peer":
            self.peer = identity.replica
            self._take = self._take_message
            self._listener.peer_proven(self, identity)
        else:
            self._serve()

    def _take_message(self, line: bytes) -> None:
        assert self.peer is not None
        try:
            message = decode_message(line)
        except BadMessage as error:
            self._turn_away(f"a bad message: {error}")
            return
        self._listener.host.peer_message(self.peer, message)

    def _turn_away(self, reason: str) -> None:
        """Say why in one line, then close: framing or trust is lost."""
        if self._handshake is None:
            self._listener.refused(self.address, reason)
            refused = Refused("bad_request", reason)
        else:
            theirs = self._handshake.peer
            who = theirs.replica if theirs is not None else self.address
            self._listener.refused(who, reason)
            refused = Refused("forbidden", reason)
        self.write(encode_error(None, refused))
        self.close()

    # --- ends -------------------------------------------------------------------------

    def _end(self) -> None:
        self._ended = True
        self._end_serving()

    def _end_serving(self) -> None:
        self._held.clear()
        if self._serving is not None:
            self._serving.end()
