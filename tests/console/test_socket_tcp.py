"""WebSockets over TCP, with Autobahn's own client at the other end."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from socket import SO_RCVBUF, SOL_SOCKET
from typing import Any, ClassVar, cast

import msgspec
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet import reactor as global_reactor
from twisted.internet import ssl
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import SSL4ClientEndpoint, TCP4ClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater
from twisted.protocols.basic import LineOnlyReceiver
from twisted.trial.unittest import TestCase
from typing_extensions import override

from cartnet.calls.catalogue import Catalogue, InventoryEvent
from cartnet.calls.catalogue_feed import CatalogueFeed
from cartnet.console.load import Load
from cartnet.console.metrics import Meters
from cartnet.console.site import Site
from cartnet.console.sockets import WebSockets
from cartnet.limits import WEBSOCKET_FRAME_BYTES_MAX
from cartnet.replica.ports import Watching
from cartnet.resources import resource
from cartnet.shop.answers import Item
from tests.console.visiting import Calls
from tests.replica.listening import REQUEST_TIMEOUT, logger, seams

reactor: Any = global_reactor
SECONDS_MAX = 30


class Browser(WebSocketClientProtocol):
    """Keeps what it hears, and a table of the inventory.

    :ivar events: how many events it has heard.
    """

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[dict[str, Any]] = []
        self.table: dict[str, Any] = {}
        self.revision = -1
        self.events = 0
        self.frame_bytes_max = 0
        self.closed: Deferred[tuple[bool, int]] = Deferred()

    @override
    def onMessageFrameBegin(self, length: int) -> None:
        self.frame_bytes_max = max(self.frame_bytes_max, length)
        super().onMessageFrameBegin(length)

    @override
    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        message = msgspec.json.decode(payload)
        event = message.get("event")
        if event is None:
            self.heard.append(message)
            return
        self.events += 1
        assert event["full"] or event["revision"] >= self.revision
        if event["full"]:
            self.table.clear()
        self.table |= {item["id"]: item for item in event["items"]}
        for removed in event["removed"]:
            self.table.pop(removed, None)
        self.revision = event["revision"]

    @override
    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        self.closed.callback((wasClean, code))

    def ask(self, request_id: int, call: str, **more: Any) -> None:
        line = msgspec.json.encode({"id": request_id, "call": call, **more})
        self.sendMessage(line)


class FirstLine(LineOnlyReceiver):
    """Waits for the first line of what comes."""

    def __init__(self) -> None:
        self.heard: Deferred[bytes] = Deferred()

    @override
    def lineReceived(self, line: bytes) -> None:
        if not self.heard.called:
            self.heard.callback(line)


class TcpTestCase(TestCase):
    """A server on a port of its own, over TLS or not."""

    scheme = ""
    headers: ClassVar[dict[str, str]] = {}

    timeout = 2 * SECONDS_MAX

    @override
    def setUp(self) -> None:
        self.calls = Calls()
        self.sockets = WebSockets(
            cast("Any", self.calls),
            seams(reactor),
            REQUEST_TIMEOUT,
            Load(reactor),
            logger([]),
        )
        self.site = Site(
            cast("Any", self.calls),
            self.sockets.resource,
            cast("Any", None),
            Meters(),
            seams(reactor),
            logger([]),
            resource("web_console"),
        )
        self.port = self.listen()
        self.browsers: list[Browser] = []

    @override
    async def tearDown(self) -> None:
        await self.stop()
        await self.port.stopListening()
        for browser in self.browsers:
            await browser.closed

    def listen(self) -> Any:
        return reactor.listenTCP(0, self.site, interface="127.0.0.1")

    def endpoint(self) -> IStreamClientEndpoint:
        return TCP4ClientEndpoint(reactor, "127.0.0.1", self.number)

    @property
    def number(self) -> int:
        number: int = self.port.getHost().port
        return number

    async def stop(self) -> None:
        stopped = [self.sockets.stop(), self.site.stop()]
        await gatherResults([Deferred.fromCoroutine(each) for each in stopped])

    async def browse(self) -> Browser:
        """Open a WebSocket."""
        factory = WebSocketClientFactory(
            f"ws{self.scheme}://127.0.0.1:{self.number}/ws",
            origin=f"http{self.scheme}://127.0.0.1:{self.number}",
            headers=self.headers,
            reactor=reactor,
        )
        factory.protocol = Browser
        factory.noisy = False
        browser: Any = await self.endpoint().connect(factory)
        self.browsers.append(browser)
        await browser.is_open
        return browser

    async def until(self, condition: Callable[[], bool]) -> None:
        deadline = reactor.seconds() + SECONDS_MAX
        while not condition():
            assert reactor.seconds() < deadline, "that does not come about"
            await deferLater(reactor, 0.01)


class TcpTests(TcpTestCase):
    """Over TCP alone."""

    async def test_answers(self) -> None:
        """Calls are answered, large answers in frames that any client takes."""
        items = ["x" * 100] * 5_000
        self.calls.answers["get_inventory"] = lambda _: {"items": items}
        browser = await self.browse()

        browser.ask(1, "ping")
        browser.ask(2, "get_inventory")
        await self.until(lambda: len(browser.heard) == 2)

        self.assertEqual(browser.heard[0], {"id": 1, "ok": {}})
        self.assertEqual(browser.heard[1], {"id": 2, "ok": {"items": items}})
        self.assertEqual(browser.frame_bytes_max, WEBSOCKET_FRAME_BYTES_MAX)

    async def test_closes(self) -> None:
        """A client learns why it is sent away, and may leave itself."""
        large, binary, leaving = [await self.browse() for _ in range(3)]

        large.sendMessage(b" " * (WEBSOCKET_FRAME_BYTES_MAX + 1))
        binary.sendMessage(b"{}", isBinary=True)
        leaving.sendClose(1000)

        self.assertEqual((await large.closed)[1], 1009)
        self.assertEqual((await binary.closed)[1], 1003)
        self.assertEqual(await leaving.closed, (True, 1000))
        await self.until(lambda: self.sockets.count == 0)

    async def test_headers_of_any_bytes(self) -> None:
        """A header need not be UTF-8: it is read as the API reads it, and a request is
        let in or refused for what it says."""
        host = b"127.0.0.1:%d" % self.number
        good = {b"Host": host, b"Upgrade": b"websocket", b"Connection": b"Upgrade"}
        good[b"Sec-WebSocket-Key"] = b"dGhlIHNhbXBsZSBub25jZQ=="
        good[b"Sec-WebSocket-Version"] = b"13"
        for name, status in (
            (b"Cookie", b"101"),
            (b"Origin", b"403"),
            (b"Upgrade", b"400"),
        ):
            answer = await self.opening({**good, name: b"a=\xff\xe9"})
            self.assertEqual(answer.split()[1], status, name)

    async def opening(self, headers: dict[bytes, bytes]) -> bytes:
        """Ask for a WebSocket with these headers; return the answer's first line."""
        raw: Any = await self.endpoint().connect(Factory.forProtocol(FirstLine))
        sent = b"".join(b"%s: %s\r\n" % each for each in headers.items())
        raw.transport.write(b"GET /ws HTTP/1.1\r\n" + sent + b"\r\n")
        line: bytes = await raw.heard.addTimeout(SECONDS_MAX, reactor)
        raw.transport.abortConnection()
        await self.until(lambda: self.sockets.count == 0)
        return line

    async def test_stop(self) -> None:
        """At the end what is in hand is answered, then everybody is told."""
        browser = await self.browse()
        browser.ask(1, "get_cart")
        await self.until(lambda: bool(self.calls.waiting))
        stopped = Deferred.fromCoroutine(self.stop())
        await deferLater(reactor, 0)

        self.calls.waiting[0].callback({"version": 1})
        await stopped

        self.assertEqual((await browser.closed)[1], 1001)
        self.assertEqual(browser.heard, [{"id": 1, "ok": {"version": 1}}])
        self.assertEqual(self.sockets.count, 0)

    async def test_slow_reader(self) -> None:
        """One that stops reading costs the others nothing, and has it all later."""
        catalogue = Catalogue(cast("Any", None))
        feed = CatalogueFeed(catalogue, reactor)
        self.addCleanup(feed.stop)
        self.calls.answers["watch_inventory"] = lambda _: Watching(
            lambda sink: feed.subscribe(sink, None)
        )
        change(catalogue, 1)
        *others, slow = [await self.browse() for _ in range(6)]
        for browser in (*others, slow):
            browser.ask(1, "watch_inventory")
        await self.until(lambda: all(each.events for each in self.browsers))

        slow.transport.socket.setsockopt(SOL_SOCKET, SO_RCVBUF, 64 * 1024)
        slow.transport.pauseProducing()
        unread = 0
        revision = 1
        for _ in range(80):
            revision += 1
            change(catalogue, revision)
            now = revision
            await self.until(
                lambda now=now: all(each.revision == now for each in others)
            )
            unread = max(unread, self.sockets.unread_bytes)
        self.assertEqual([each.events for each in others], [81] * len(others))
        self.assertLess(unread, 1024 * 1024)
        self.assertLess(slow.revision, revision)

        slow.transport.resumeProducing()
        await self.until(lambda: slow.revision == revision)
        self.assertLess(slow.events, 60)
        for browser in others:
            self.assertEqual(browser.table, slow.table)


class TlsTests(TcpTestCase):
    """Over TLS."""

    scheme = "s"
    headers: ClassVar[dict[str, str]] = {
        "Cookie": "cartnet_session=plain; __Host-cartnet_session=secure"
    }

    @override
    def listen(self) -> Any:
        folder = Path(self.mktemp())
        contexts = ssl.DefaultOpenSSLContextFactory(*make_certificate(folder))
        return reactor.listenSSL(0, self.site, contexts, interface="127.0.0.1")

    @override
    def endpoint(self) -> IStreamClientEndpoint:
        contexts = ssl.ClientContextFactory()
        return SSL4ClientEndpoint(reactor, "127.0.0.1", self.number, contexts)

    async def test_answers(self) -> None:
        """The origin, the cookie and large answers are those of a secure page."""
        items = ["x" * 100] * 5_000
        self.calls.answers["get_inventory"] = lambda _: {"items": items}
        self.calls.answers["whoami"] = lambda request: {"user": request.session}
        browser = await self.browse()

        browser.ask(1, "whoami")
        browser.ask(2, "get_inventory")
        await self.until(lambda: len(browser.heard) == 2)

        self.assertEqual(browser.heard[0], {"id": 1, "ok": {"user": "secure"}})
        self.assertEqual(browser.heard[1], {"id": 2, "ok": {"items": items}})
        browser.sendClose(1000)
        self.assertEqual((await browser.closed), (True, 1000))


def change(catalogue: Catalogue, revision: int) -> None:
    """Change the stock of many items."""
    items = tuple(
        Item(f"item-{number}", f"Item {number}", 100, revision)
        for number in range(2_000)
    )
    catalogue.apply(InventoryEvent(revision, False, items, ()))


def make_certificate(folder: Path) -> tuple[str, str]:
    """Make a key and a certificate that it has signed itself; return their paths."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    began = datetime.now(UTC) - timedelta(days=1)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(began)
        .not_valid_after(began + timedelta(days=2))
        .sign(key, hashes.SHA256())
    )
    folder.mkdir()
    pem = serialization.Encoding.PEM
    written = {
        "key.pem": key.private_bytes(
            pem,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        "certificate.pem": certificate.public_bytes(pem),
    }
    for file, content in written.items():
        (folder / file).write_bytes(content)
    return str(folder / "key.pem"), str(folder / "certificate.pem")
