"""All WebSockets of a console: who may come in, what they may ask, how they end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory
from twisted.internet.defer import Deferred, succeed
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from typing_extensions import override

from cartnet.console.answers import new_request_id
from cartnet.console.browser import is_foreign, session_in
from cartnet.console.errors import Unfit, body_of, headers_of, status_of
from cartnet.console.requests import header
from cartnet.console.socket import Socket
from cartnet.errors import Refused
from cartnet.limits import (
    ANSWER_BACKSTOP_SECONDS,
    CLOSE_SECONDS_MAX,
    DRAIN_SECONDS_MAX,
    LISTENER_SWEEP_SECONDS,
    REQUESTS_OF_WEBSOCKETS_MAX,
    SEND_BUFFER_BYTES_MAX,
    WEBSOCKET_FRAME_BYTES_MAX,
    WEBSOCKETS_MAX,
    WEBSOCKETS_PER_ADDRESS_MAX,
    WEBSOCKETS_PER_SESSION_MAX,
    WEBSOCKETS_UNREAD_BYTES_MAX,
)
from cartnet.replica.refusals import Refusals
from cartnet.topology.address import is_loopback
from cartnet.wire.shown import shown

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall
    from twisted.logger import Logger
    from twisted.web.resource import IResource
    from twisted.web.server import Request as HttpRequest

    from cartnet.console.calls import ConsoleCalls
    from cartnet.console.load import Load
    from cartnet.replica.ports import Caller
    from cartnet.seams import Seams
    from cartnet.wire.requests import Request

GOING_AWAY: Final = 1001
"""Why a WebSocket is closed at the end (RFC 6455, 7.4)."""


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
        return new_request_id(self._token_bytes)

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
        body = body_of(refused, "")
        request.setHeader("Content-Length", str(len(body)))
        return b"" if request.method == b"HEAD" else body

    def _refusal(self, request: HttpRequest, address: str) -> Refused | None:
        secure = request.isSecure()
        origin, host = header(request, "Origin"), header(request, "Host")
        if is_foreign(origin, host, secure=secure):
            return Refused("forbidden", "this page is not the console's own")
        if request.postpath:
            return Refused("not_found", "there is nothing below /ws")
        if request.method != b"GET":
            what = f"/ws takes GET, not {shown(request.method)}"
            return Unfit(405, what, {"Allow": "GET"})
        if header(request, "Upgrade") is None:
            what = "a WebSocket is asked for by an Upgrade header"
            return Unfit(426, what, {"Upgrade": "websocket"})
        session = session_in(header(request, "Cookie"), secure=secure)
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
