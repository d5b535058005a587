"""What the console's port serves: HTTP and WebSockets, and how that ends."""

from __future__ import annotations

import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_to_bytes

from twisted.internet.defer import Deferred
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web import http, server
from twisted.web.resource import Resource
from typing_extensions import override

from cartnet.checkout.waiting import within
from cartnet.console.answers import new_request_id
from cartnet.console.api import Api
from cartnet.console.channel import Channel, HttpRequest
from cartnet.console.monitors import Monitors
from cartnet.console.pages import Pages
from cartnet.errors import Refused
from cartnet.limits import (
    CLOSE_SECONDS_MAX,
    CONNECTIONS_MAX,
    CONNECTIONS_PER_ADDRESS_MAX,
    DRAIN_SECONDS_MAX,
    HTTP_IDLE_SECONDS_MAX,
)
from cartnet.topology.address import is_loopback

if TYPE_CHECKING:
    from pathlib import Path

    from twisted.internet.interfaces import IAddress
    from twisted.logger import Logger
    from twisted.python.failure import Failure
    from twisted.web.resource import IResource

    from cartnet.console.api import Calls
    from cartnet.console.metrics import Meters
    from cartnet.console.monitors import Reporter
    from cartnet.seams import Seams


class _Site(server.Site):
    """Twisted's site, without its log file and its clock that ticks every second."""

    protocol: Any = Channel
    noisy = False

    def __init__(
        self, resource: IResource, seams: Seams, meters: Meters, log: Logger
    ) -> None:
        super().__init__(
            resource,
            requestFactory=HttpRequest,
            timeout=HTTP_IDLE_SECONDS_MAX,
            reactor=seams.clock,
            parsePOSTFormSubmission=False,
        )
        self.count = meters.requested
        self.seconds = seams.clock.seconds
        self._token_bytes = seams.token_bytes
        self._log = log

    def new_id(self) -> str:
        return new_request_id(self._token_bytes)

    def log_failure(self, request_id: str, failure: Failure) -> None:
        self._log.failure("request {id} broke", failure, id=request_id)

    @override
    def startFactory(self) -> None:
        pass

    @override
    def stopFactory(self) -> None:
        pass

    @override
    def log(self, request: http.Request) -> None:
        """A request has its answer."""
        assert isinstance(request, HttpRequest), "they are all made here"
        method = request.method.decode("latin-1")
        seconds = self.seconds() - request.began
        self.count(request.route, method, request.code, seconds)


class _Root(Resource):
    """``/ws`` is the WebSockets'; all else is Klein's."""

    def __init__(self, sockets: IResource, rest: IResource) -> None:
        super().__init__()
        self.putChild(b"ws", sockets)
        self._rest = rest

    @override
    def getChild(self, path: bytes, request: Any) -> IResource:
        # Encoded again: a slash within a segment is none between two; nor is one in
        # front, which Klein would overlook.
        path = request.path[1:]
        if path.startswith(b"/"):
            path = b"%2F" + path[1:]
        request.prepath = []
        request.postpath = [
            quote(unquote_to_bytes(segment), safe="").encode()
            for segment in path.split(b"/")
        ]
        return self._rest


class _Connection(ProtocolWrapper):
    """A connection, whoever speaks on it: WebSockets take them over from HTTP.

    :ivar host: the address of its other end.
    """

    factory: Site
    host = ""

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.factory.left(self)


class Site(WrappingFactory):
    """What the console's port serves, a bounded number of connections at once."""

    protocol = _Connection
    noisy = False

    def __init__(
        self,
        calls: Calls,
        sockets: IResource,
        reporter: Reporter,
        meters: Meters,
        seams: Seams,
        log: Logger,
        folder: Path,
        metrics_token: str | None = None,
    ) -> None:
        """
        :param sockets: serves ``/ws``.
        :param reporter: knows the cluster.
        :param log: the process's.
        :param folder: where the pages are.
        :param metrics_token: opens ``/metrics`` to other machines.
        """
        self._clock = seams.clock
        self._monitors = Monitors(reporter, meters, metrics_token)
        self._api = Api(calls, self._monitors, Pages(folder), seams.clock, log)
        self._by_address: Counter[str] = Counter()
        self._all_gone: Deferred[None] | None = None
        root = _Root(sockets, self._api.resource)
        super().__init__(_Site(root, seams, meters, log))

    @override
    def buildProtocol(self, addr: IAddress | None) -> Any:
        host = getattr(addr, "host", "")
        crowded = self._by_address[host] >= CONNECTIONS_PER_ADDRESS_MAX
        if len(self.protocols) >= CONNECTIONS_MAX:
            return None
        if host and crowded and not is_loopback(host):
            return None
        self._by_address[host] += 1
        connection: Any = super().buildProtocol(addr)
        connection.host = host
        return connection

    def left(self, connection: _Connection) -> None:
        """A connection has ended."""
        self._by_address[connection.host] -= 1
        if not self._by_address[connection.host]:
            del self._by_address[connection.host]
        if self._all_gone is not None and not self._http():
            gone, self._all_gone = self._all_gone, None
            gone.callback(None)

    async def stop(self) -> None:
        """Answer what is in hand, then close every connection.

        The port is closed before. WebSockets say goodbye themselves.
        """
        self._monitors.stopping = True
        for connection in self._http():
            connection.wrappedProtocol.wind_up()
        await self._wait(DRAIN_SECONDS_MAX, self._api.idle())
        for connection in self._http():
            connection.loseConnection()
        if self._http():
            self._all_gone = Deferred()
            await self._wait(CLOSE_SECONDS_MAX, self._all_gone)
        for connection in self._http():
            connection.abortConnection()

    def _http(self) -> list[Any]:
        """The connections that no WebSocket has taken over."""
        return [
            connection
            for connection in self.protocols
            if isinstance(connection.wrappedProtocol, Channel)
        ]

    async def _wait(self, seconds: float, waited: Deferred[None]) -> None:
        with contextlib.suppress(Refused):
            await within(self._clock, seconds, waited, _too_long)


def _too_long() -> Refused:
    return Refused("timeout", "it took too long")
