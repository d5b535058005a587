"""WebSockets: the messages of the replica ports as text frames, for browsers."""

from __future__ import annotations

from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.defer import Deferred, succeed
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.interfaces import IPushProducer, ISSLTransport
from twisted.internet.protocol import connectionDone
from typing_extensions import override
from zope.interface import implementer

from cartnet.console.browser import is_foreign, session_in
from cartnet.console.channel import headers_for
from cartnet.console.errors import Unfit, body_of, headers_of, status_of
from cartnet.errors import Refused
from cartnet.limits import (
    ANSWER_BACKSTOP_SECONDS,
    CLOSE_SECONDS_MAX,
    DRAIN_SECONDS_MAX,
    IDLE_SECONDS_MAX,
    LISTENER_SWEEP_SECONDS,
    REQUESTS_OF_WEBSOCKETS_MAX,
    REQUESTS_PER_WEBSOCKET_MAX,
    SEND_BUFFER_BYTES_MAX,
    WATCHES_PER_WEBSOCKET_MAX,
    WEBSOCKET_FRAME_BYTES_MAX,
    WEBSOCKET_PING_SECONDS,
    WEBSOCKET_PONG_SECONDS_MAX,
    WEBSOCKETS_MAX,
    WEBSOCKETS_PER_ADDRESS_MAX,
    WEBSOCKETS_PER_SESSION_MAX,
    WEBSOCKETS_UNREAD_BYTES_MAX,
)
from cartnet.replica.refusals import Refusals
from cartnet.replica.serving import Bounds, Serving
from cartnet.topology.address import is_loopback

if TYPE_CHECKING:
    from autobahn.websocket.types import ConnectionRequest
    from twisted.internet.interfaces import IDelayedCall
    from twisted.logger import Logger
    from twisted.python.failure import Failure
    from twisted.web.resource import IResource
    from twisted.web.server import Request as HttpRequest

    from cartnet.console.calls import ConsoleCalls
    from cartnet.console.load import Load
    from cartnet.replica.ports import Caller
    from cartnet.seams import Seams
    from cartnet.wire.requests import Request

GOING_AWAY: Final = 1001
TEXT_ALONE: Final = 1003
LOGGED_OUT: Final = 4401
IDLE: Final = 4408
"""Why a WebSocket is closed (RFC 6455, 7.4; from 4000 on they are our own)."""

REQUEST_ID_BYTES: Final = 8

_BOUNDS: Final = Bounds(REQUESTS_PER_WEBSOCKET_MAX, WATCHES_PER_WEBSOCKET_MAX)

_OF_A_SESSION: Final = frozenset({"watch_cart", "watch_cluster"})
"""Watches that end with the session that they were begun with."""


@implementer(IPushProducer)
class Socket(WebSocketServerProtocol):
    """One WebSocket (:class:`cartnet.replica.serving.Line`).

    :ivar address: the host at the other end.
    :ivar unread_bytes: what was sent to it since it stopped to read.
    """

    trusted = False
    supervises = False

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
        body = body_of(Refused("bad_request", reason), "")
        headers = {
            **headers_for(
                self._sockets.new_id(),
                secure=ISSLTransport.providedBy(self.transport),
            ),
            **dict(responseHeaders or []),
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Connection": "close",
        }
        lines = [f"HTTP/1.1 {code} {HTTPStatus(code).phrase}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        self.sendData("\r\n".join([*lines, "", ""]).encode() + body)

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
        elif now - self._asked_at > IDLE_SECONDS_MAX and not self._serving.busy:
            self.close(IDLE, "nothing was asked for a long time")

    # --- what comes -------------------------------------------------------------------

    @override
    def dataReceived(self, data: bytes) -> None:
        self._heard_at = self._sockets.clock.seconds()
        self._pinged = False
        super().dataReceived(data)

    @override
    def onMessage(self, payload: bytes, isBinary: bool) -> None:
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
        self._serving.wake()
        self._take_held()

    def stopProducing(self) -> None:  # noqa: N802 # Twisted's name
        """The connection is gone; :meth:`connectionLost` follows."""


class WebSockets:
    """All WebSockets of a console (:class:`cartnet.replica.serving.Service`).

    :ivar resource: what the site has at ``/ws``.
    :ivar unread_bytes: what piles up for those who do not read.
    """

    def __init__(
        self,
        calls: ConsoleCalls,
        seams: Seams,
        request_timeout: float,
        load: Load,
        log: Logger,
    ) -> None:
        """
        :param request_timeout: after so many seconds, and a grace, a request that has
            no answer is answered with ``timeout``.
        """
        self.clock = seams.clock
        self.log = log
        self.answer_seconds_max = request_timeout + ANSWER_BACKSTOP_SECONDS
        self.unread_bytes = 0
        self.resource: IResource = _Resource(self)
        self._calls = calls
        self._token_bytes = seams.token_bytes
        self._load = load
        self._refusals = Refusals(log)
        # In the order in which they came; a dict, since sets have none.
        self._sockets: dict[Socket, None] = {}
        self._in_flight = 0
        self._stopping = False
        self._drained: list[Deferred[None]] = []
        self._ended: list[Deferred[None]] = []
        self._sweeping: IDelayedCall | None = None
        calls.on_logout(self._logged_out)

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._sockets)

    async def stop(self) -> None:
        """Let no more in; answer what is in hand, then say goodbye, all in bounded
        time."""
        self._stopping = True
        await self._bounded(self._in_flight > 0, self._drained, DRAIN_SECONDS_MAX)
        for socket in list(self._sockets):
            socket.close(GOING_AWAY, "the console stops")
        patience = CLOSE_SECONDS_MAX
        await self._bounded(bool(self._sockets), self._ended, patience)
        for socket in list(self._sockets):
            socket.abort()

    def _bounded(
        self, needed: bool, waiting: list[Deferred[None]], seconds: float
    ) -> Deferred[None]:
        if not needed:
            return succeed(None)
        waited: Deferred[None] = Deferred()
        waiting.append(waited)
        waited.addTimeout(seconds, self.clock)
        return waited.addErrback(lambda failure: failure.trap(DeferredTimeoutError))

    # --- requests ---------------------------------------------------------------------

    def refusal(self, *, trusted: bool) -> Refused | None:
        """Why no request is taken at the moment, None if one is."""
        if self._stopping:
            return Refused("unavailable", "this console is stopping")
        if self._in_flight >= REQUESTS_OF_WEBSOCKETS_MAX:
            many = f"{REQUESTS_OF_WEBSOCKETS_MAX} requests are in flight here already"
            return Refused("overloaded", many)
        return None

    def begin(self, request: Request, caller: Caller) -> Deferred[object]:
        self._in_flight += 1
        return self._calls.call(request, caller)

    def answered(self) -> None:
        self._in_flight -= 1
        if not self._in_flight:
            _fire(self._drained)

    # --- who comes and goes -----------------------------------------------------------

    def came(self, socket: Socket) -> None:
        """A connection asks to become a WebSocket."""
        self._sockets[socket] = None
        self._load.socket_opened()
        if self._sweeping is None:
            self._sweep()

    def unwelcome(self, address: str, session: str | None) -> Refused | None:
        """Why one more may not come in, None if it may."""
        if self._stopping:
            return Refused("unavailable", "this console is stopping")
        if len(self._sockets) >= WEBSOCKETS_MAX:
            return Refused("overloaded", "there are too many WebSockets already")
        if session is not None:
            count = sum(each.session == session for each in self._sockets)
            if count >= WEBSOCKETS_PER_SESSION_MAX:
                many = f"a session may have {WEBSOCKETS_PER_SESSION_MAX} WebSockets"
                return Refused("rate_limited", many)
        count = sum(each.address == address for each in self._sockets)
        if count >= WEBSOCKETS_PER_ADDRESS_MAX and not is_loopback(address):
            return Refused("rate_limited", "there are too many WebSockets from there")
        return None

    def new_id(self) -> str:
        """Draw an id for a refusal, as every HTTP answer has one."""
        return self._token_bytes(REQUEST_ID_BYTES).hex()

    def left(self, socket: Socket) -> None:
        """A connection has ended."""
        del self._sockets[socket]
        self._load.socket_closed()
        if not self._sockets:
            if self._sweeping is not None:
                self._sweeping.cancel()
                self._sweeping = None
            _fire(self._ended)

    def refused(self, who: str, reason: str) -> None:
        """Log that somebody was turned away or cut off."""
        self._refusals.note(who, reason)

    def is_too_much(self, unread_bytes: int) -> bool:
        """Whether one who has let so much pile up unread is to be cut off."""
        return (
            unread_bytes > SEND_BUFFER_BYTES_MAX
            or self.unread_bytes > WEBSOCKETS_UNREAD_BYTES_MAX
        )

    def _logged_out(self, session: str) -> None:
        for socket in list(self._sockets):
            socket.logged_out(session)

    def _sweep(self) -> None:
        """Look at the ages of everything, in place of a timer for each."""
        self._sweeping = self.clock.callLater(LISTENER_SWEEP_SECONDS, self._sweep)
        now = self.clock.seconds()
        for socket in list(self._sockets):
            socket.sweep(now)


class _Resource(WebSocketResource):
    """``/ws``: refuses whom a WebSocket is not for, as HTTP requests are refused."""

    def __init__(self, sockets: WebSockets) -> None:
        super().__init__(_Factory(sockets))
        self._sockets = sockets

    @override
    def render(self, request: HttpRequest) -> bytes | int:
        address = str(getattr(request.getClientAddress(), "host", "local socket"))
        refused = self._refusal(request, address)
        if refused is None:
            answer: bytes | int = super().render(request)
            return answer
        self._sockets.refused(address, refused.message)
        request.setResponseCode(status_of(refused))
        for name, value in headers_of(refused).items():
            request.setHeader(name, value)
        request.setHeader("Content-Type", "application/json")
        return body_of(refused, "")

    def _refusal(self, request: HttpRequest, address: str) -> Refused | None:
        secure = request.isSecure()
        if is_foreign(
            request.getHeader("Origin"), request.getHeader("Host"), secure=secure
        ):
            return Refused("forbidden", "this page is not the console's own")
        if request.getHeader("Upgrade") is None:
            what = "a WebSocket is asked for by an Upgrade header"
            return Unfit(426, what, {"Upgrade": "websocket"})
        session = session_in(request.getHeader("Cookie"), secure=secure)
        return self._sockets.unwelcome(address, session)


class _Factory(WebSocketServerFactory):
    noisy = False

    def __init__(self, sockets: WebSockets) -> None:
        super().__init__(server="cartnet", reactor=sockets.clock)
        # Autobahn's own timers are off: one sweep looks after all.
        self.setProtocolOptions(
            webStatus=False,
            maxFramePayloadSize=WEBSOCKET_FRAME_BYTES_MAX,
            maxMessagePayloadSize=WEBSOCKET_FRAME_BYTES_MAX,
            failByDrop=False,
            openHandshakeTimeout=0,
            closeHandshakeTimeout=0,
            perMessageCompressionAccept=lambda _: None,
        )
        self._sockets = sockets

    @override
    def buildProtocol(self, addr: object) -> Socket:
        socket = Socket(self._sockets)
        socket.factory = self
        return socket


def _fire(waiting: list[Deferred[None]]) -> None:
    while waiting:
        waited = waiting.pop()
        if not waited.called:
            waited.callback(None)
