"""One WebSocket: the messages of the replica ports as text frames, for browsers."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from autobahn.twisted.websocket import WebSocketServerProtocol
from twisted.internet.interfaces import IPushProducer, ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.protocols.tls import TLSMemoryBIOProtocol
from typing_extensions import override
from zope.interface import implementer

from cartnet.console.answers import raw_refusal
from cartnet.console.browser import session_in
from cartnet.console.errors import Unfit
from cartnet.errors import Refused
from cartnet.limits import (
    CLOSE_SECONDS_MAX,
    IDLE_SECONDS_MAX,
    REQUESTS_PER_WEBSOCKET_MAX,
    UNFINISHED_LINE_SECONDS_MAX,
    WATCHES_PER_WEBSOCKET_MAX,
    WEBSOCKET_FRAME_BYTES_MAX,
    WEBSOCKET_PING_SECONDS,
    WEBSOCKET_PONG_SECONDS_MAX,
)
from cartnet.replica.serving import Bounds, Serving

if TYPE_CHECKING:
    from autobahn.websocket.types import ConnectionRequest
    from twisted.python.failure import Failure

    from cartnet.console.sockets import WebSockets

TEXT_ALONE: Final = 1003
LOGGED_OUT: Final = 4401
IDLE: Final = 4408
"""Why a WebSocket is closed (RFC 6455, 7.4; from 4000 on they are our own)."""

_BOUNDS: Final = Bounds(REQUESTS_PER_WEBSOCKET_MAX, WATCHES_PER_WEBSOCKET_MAX)

_OF_A_SESSION: Final = frozenset({"watch_cart", "watch_cluster"})
"""Watches that end with the session that they were begun with."""


class _Errors:
    """Autobahn's log: errors alone; what strangers cause is a line of our own."""

    error = Logger(namespace="autobahn").error

    def debug(self, *_: object, **__: object) -> None:
        pass

    info = warn = debug


@implementer(IPushProducer)
class Socket(WebSocketServerProtocol):
    """One WebSocket (:class:`cartnet.replica.serving.Line`).

    :ivar address: the host at the other end.
    :ivar unread_bytes: what was sent to it since it stopped to read.
    """

    trusted = False
    supervises = False
    log = _Errors()

    def __init__(self, sockets: WebSockets) -> None:
        super().__init__()
        self.address = ""
        self.unread_bytes = 0
        self._sockets = sockets
        self._serving = Serving(sockets, self, _BOUNDS)
        # Messages that wait until answers are read, or there.
        self._held: deque[bytes] = deque()
        self._holding = False
        self._taking = False
        self._paused = False
        self._pinged = False
        self._unanswered_ping: bytes | None = None
        # When the message that is still to end began, or was read on.
        self._begun_at: float | None = None
        self._heard_at = self._asked_at = sockets.clock.seconds()
        self._closing_since: float | None = None

    @property
    def _stream(self) -> Any:
        # A stream's methods are spread over several of Twisted's interfaces.
        return self.transport

    @property
    def session(self) -> str | None:
        """Whose it is: the last login's, or the cookie's."""
        return self._serving.session

    @property
    def is_live(self) -> bool:
        return bool(self.state == self.STATE_OPEN)

    # --- what its requests ask of it --------------------------------------------------

    @property
    def writable(self) -> bool:
        """Whether the other side keeps up with what is sent to it."""
        return self.is_live and not self._paused

    def write(self, line: bytes) -> None:
        """Send a message; one who never reads is cut off."""
        if self.is_live:
            self._say(line)
        if self._held:
            # This may have been an answer that they waited for.
            self._take_held()

    def _say(self, line: bytes) -> None:
        if len(line) <= WEBSOCKET_FRAME_BYTES_MAX:
            self.sendMessage(line)
        else:
            # sendMessage refuses what would be too large to come in.
            self.beginMessage()
            for at in range(0, len(line), WEBSOCKET_FRAME_BYTES_MAX):
                self.sendMessageFrame(line[at : at + WEBSOCKET_FRAME_BYTES_MAX])
            self.endMessage()
        if self._paused:
            self.unread_bytes += len(line)
            self._sockets.unread_bytes += len(line)
            if self._sockets.is_too_much(self.unread_bytes):
                self._sockets.refused(self.address, "it does not read its answers")
                self.abort()

    def idle(self) -> None:
        """Nothing is in hand any more; the other side may ask again."""

    def abort(self) -> None:
        """End at once."""
        self._end()
        self._stream.abortConnection()

    # --- the handshake, and the end --------------------------------------------------

    @override
    def makeConnection(self, transport: Any) -> None:
        # Autobahn looks for TLS in the transport itself, not behind what wraps it.
        while isinstance(transport, ProtocolWrapper) and not isinstance(
            transport, TLSMemoryBIOProtocol
        ):
            transport = transport.transport
        super().makeConnection(transport)

    @override
    def connectionMade(self) -> None:
        self.address = str(getattr(self._stream.getPeer(), "host", "local socket"))
        # The HTTP channel that it came by still minds the pace.
        self._stream.unregisterProducer()
        self._stream.registerProducer(self, True)
        super().connectionMade()
        self._sockets.came(self)

    @override
    def onConnect(self, request: ConnectionRequest) -> None:
        """It may come in: :class:`_Resource` has seen to that."""
        secure = ISSLTransport.providedBy(self.transport)
        cookies = request.headers.get("cookie")
        self._serving.session = session_in(cookies, secure=secure)

    @override
    def sendHttpErrorResponse(
        self,
        code: int,
        reason: str,
        responseHeaders: list[tuple[str, str]] | None = None,
    ) -> None:
        """Refuse what is no proper handshake (RFC 6455, 4.2.1)."""
        self._sockets.refused(self.address, reason)
        refused = Unfit(code, reason, dict(responseHeaders or []))
        secure = ISSLTransport.providedBy(self.transport)
        self.sendData(raw_refusal(refused, self._sockets.new_id(), secure=secure))

    @override
    def _fail_connection(self, code: int = 1001, reason: str = "going away") -> None:
        """Refuse what is no proper frame: say goodbye, as Autobahn does."""
        self._sockets.refused(self.address, reason)
        super()._fail_connection(code, reason)

    def close(self, code: int, reason: str) -> None:
        """Say goodbye; what was written before leaves first."""
        if self.is_live:
            self._end()
            self.sendCloseFrame(code, reason.encode())

    def logged_out(self, session: str) -> None:
        """A session has ended; whoever logs out here may stay, without one."""
        leaving = any(
            in_hand.request.call == "logout" and in_hand.request.session == session
            for in_hand in self._serving.in_hand.values()
        )
        if session == self.session and not leaving:
            self.close(LOGGED_OUT, "logged out")
            return
        self._serving.end_watches(
            lambda begun: begun.session == session and begun.call in _OF_A_SESSION,
            Refused("unauthenticated", "the session has ended: log in"),
        )

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._end()
        self._sockets.left(self)

    def _end(self) -> None:
        self._held.clear()
        self._serving.end()
        self._sockets.unread_bytes -= self.unread_bytes
        self.unread_bytes = 0

    def sweep(self, now: float) -> None:
        """Ask for a sign of life; end what has lasted too long."""
        if not self.is_live:
            if self._closing_since is None:
                self._closing_since = now
            elif now - self._closing_since > CLOSE_SECONDS_MAX:
                self.abort()
            return
        self._serving.expire(now)
        silent = now - self._heard_at
        if silent > WEBSOCKET_PING_SECONDS + WEBSOCKET_PONG_SECONDS_MAX:
            self._sockets.refused(self.address, "it gives no sign of life")
            self.abort()
        elif silent > WEBSOCKET_PING_SECONDS and not self._pinged:
            self._pinged = True
            self.sendPing()
        elif self._begun_at is not None and (
            now - self._begun_at > UNFINISHED_LINE_SECONDS_MAX and not self._holding
        ):
            self._sockets.refused(self.address, "its message does not end")
            self.abort()
        elif now - self._asked_at > IDLE_SECONDS_MAX and not self._serving.busy:
            self.close(IDLE, "nothing was asked for a long time")

    # --- what comes -------------------------------------------------------------------

    @override
    def dataReceived(self, data: bytes) -> None:
        self._heard_at = self._sockets.clock.seconds()
        self._pinged = False
        super().dataReceived(data)

    @override
    def onPing(self, payload: bytes) -> None:
        if self._paused:
            # One pong will do for all of them (RFC 6455, 5.5.3).
            self._unanswered_ping = payload
        else:
            super().onPing(payload)

    @override
    def onMessageBegin(self, isBinary: bool) -> None:
        super().onMessageBegin(isBinary)
        self._begun_at = self._heard_at

    @override
    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self._begun_at = None
        if not self.is_live:
            return
        if isBinary:
            self.close(TEXT_ALONE, "messages are text")
        else:
            self._asked_at = self._heard_at
            self._held.append(payload)
            self._take_held()

    def _take_held(self) -> None:
        """Take the messages that have come, unless they have to wait, and read on."""
        if self._taking:
            return  # What was answered at once is heard of in the middle of it.
        self._taking = True
        try:
            while self._held and not (self._paused or self._serving.full):
                self._serving.take(self._held.popleft())
        finally:
            self._taking = False
        if self.is_live and self._holding is not bool(self._held):
            self._holding = not self._holding
            if self._holding:
                self._stream.pauseProducing()
            else:
                if self._begun_at is not None:
                    self._begun_at = self._sockets.clock.seconds()
                self._stream.resumeProducing()

    # --- IPushProducer: the other side's pace -----------------------------------------

    def pauseProducing(self) -> None:  # noqa: N802 # Twisted's name
        """Much is unread: take no more requests until it has been read."""
        self._paused = True

    def resumeProducing(self) -> None:  # noqa: N802 # Twisted's name
        """All has been read: go on with what was held."""
        self._paused = False
        self._sockets.unread_bytes -= self.unread_bytes
        self.unread_bytes = 0
        ping, self._unanswered_ping = self._unanswered_ping, None
        if ping is not None:
            self.onPing(ping)
        self._serving.wake()
        self._take_held()

    def stopProducing(self) -> None:  # noqa: N802 # Twisted's name
        """The connection is gone; :meth:`connectionLost` follows."""
