"""A tool at a console's HTTP API: what is no answer is an error, in bounded time."""

from __future__ import annotations

import socket
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.threads import blockingCallFromThread, deferToThread
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site
from typing_extensions import override

from cartnet.errors import Refused
from cartnet.limits import IMPORT_ATTEMPTS_MAX, IMPORT_WINDOW_ITEMS
from cartnet.tools.catalogue import Item
from cartnet.tools.failure import ToolError
from cartnet.tools.importing import PAUSE_SECONDS, Import
from cartnet.tools.web import Web, WebBalancer

HEAD = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class _Console(Protocol):
    """Answers the first bytes of any request with the same, and stays.

    :ivar gone: fires when the connection has ended.
    """

    def __init__(self, answer: bytes) -> None:
        self.gone: Deferred[None] = Deferred()
        self._answer = answer

    @override
    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(self._answer)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.gone.callback(None)


class _Consoles(Factory):
    noisy = False

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.consoles: list[Any] = []

    @override
    def buildProtocol(self, addr: object) -> _Console:
        self.consoles.append(_Console(self.answer))
        return cast("_Console", self.consoles[-1])

    def hang_up(self) -> Deferred[Any]:
        for console in self.consoles:
            console.transport.abortConnection()
        return gatherResults([console.gone for console in self.consoles])


class WebTests(TestCase):
    """One request."""

    def web(self, answer: bytes, seconds_max: float = 30, scheme: str = "http") -> Web:
        network: Any = reactor
        consoles = _Consoles(answer)
        port = network.listenTCP(0, consoles, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        url = f"{scheme}://127.0.0.1:{port.getHost().port}"
        web = Web(reactor, url, seconds_max)
        self.addCleanup(lambda: Deferred.fromCoroutine(web.close()))
        self.addCleanup(consoles.hang_up)
        return web

    async def ask(
        self, answer: bytes, seconds_max: float = 30, scheme: str = "http"
    ) -> object:
        return await self.web(answer, seconds_max, scheme).ask("GET", "/inventory")

    async def test_answers(self) -> None:
        """An answer is its JSON; a refusal is that refusal."""
        self.assertEqual(await self.ask(HEAD % (b"200 OK", 2) + b"{}"), {})
        refusal = b'{"error":{"code":"conflict","message":"no","details":{}}}'
        with self.assertRaises(Refused) as caught:
            await self.ask(HEAD % (b"409 Conflict", len(refusal)) + refusal)
        self.assertEqual(caught.exception.code, "conflict")

    def test_addresses(self) -> None:
        """Of an address, that of the console is taken; what is none is one line, which
        repeats no password."""
        for url in ("http://127.0.0.1:8080", "https://shop.example"):
            for rest in ("", "/", "/operator/?a=b%zz#c"):
                self.assertEqual(Web(reactor, url + rest, 30).url, url)
        for url in (
            "127.0.0.1:8080",
            "ftp://127.0.0.1:8080",
            "http://",
            "http://:8080",
            "http://[::1",
            "http://[::1]:8080",
            "http://h:abc",
            "http://h:",
            "http://h:99999",
            "http://h:-1",
            "http://a..b:1",
            "http://ex ample:80",
            "http://user:secret@h:1",
        ):
            with self.assertRaises(ToolError) as raised:
                Web(reactor, url, 30)
            self.assertRegex(str(raised.exception), r"\A--url.*: expected .*\Z", url)
            self.assertNotIn("secret", str(raised.exception))

    async def test_no_console(self) -> None:
        """What no console says is a failure of the connection."""
        for answer in (
            b"SSH-2.0-server\r\n",
            HEAD % (b"200 OK", 4) + b"<p/>",
            HEAD % (b"404 Not Found", 2) + b"{}",
        ):
            with self.assertRaises(OSError) as caught:
                await self.ask(answer)
            self.assertIn("what answered ", str(caught.exception))

    async def test_no_session(self) -> None:
        """Who knows nothing of sessions is no console."""
        for answer in (b"{}", b"[]", b"null"):
            web = self.web(HEAD % (b"200 OK", len(answer)) + answer)
            with self.assertRaisesRegex(OSError, "what answered is no console"):
                await web.log_in("correct horse")

    async def test_no_tls(self) -> None:
        """A plain port that was asked over TLS is told in words."""
        with self.assertRaises(OSError) as caught:
            await self.ask(HEAD % (b"400 Bad Request", 0), scheme="https")
        self.assertIn("it does not speak TLS", str(caught.exception))

    async def test_too_slow(self) -> None:
        """Neither the head nor the rest of an answer is waited for without an end."""
        for answer in (b"", HEAD % (b"200 OK", 99) + b'{"items":'):
            with self.assertRaises(OSError):
                await self.ask(answer, seconds_max=0.2)


class _Inventory(Resource):
    """Lets anybody in, and takes items until it is to go away in the middle of one.

    :ivar items: by their paths.
    :ivar goes_at: how many items it has taken when it goes away.
    """

    isLeaf = True  # noqa: N815 (Twisted's name)

    def __init__(self) -> None:
        super().__init__()
        self.items: dict[str, str | None] = {}
        self.goes_at: int | None = None
        self.port: Any = None
        self.number = 0

    def listen(self) -> None:
        network: Any = reactor
        site = Site(self)
        site.noisy = False
        self.port = network.listenTCP(self.number, site, interface="127.0.0.1")
        self.number = self.port.getHost().port

    @override
    def render(self, request: Any) -> bytes:
        request.setHeader("Content-Type", "application/json")
        if request.method != b"PUT":
            return b'{"session":"s"}'
        if len(self.items) == self.goes_at:
            self.goes_at = None
            self.port.stopListening()
            request.transport.abortConnection()
            return b""
        key = request.getHeader("Idempotency-Key")
        assert self.items.setdefault(request.path.decode(), key) == key
        return b'{"revision":%d}' % len(self.items)


class ImportTests(TestCase):
    """A catalogue through a console."""

    timeout = 60

    @override
    def setUp(self) -> None:
        self.paused: list[float] = []
        self.inventory = _Inventory()
        self.inventory.listen()
        self.addCleanup(lambda: maybeDeferred(self.inventory.port.stopListening))

    def importing(self, url: str) -> Import:
        return Import(
            addresses=[url],
            password="correct horse",
            run_id="0f",
            connect=lambda address: WebBalancer(reactor, address, 30),
            progress=lambda done: None,
            pause=self.pause,
        )

    def pause(self, seconds: float) -> None:
        self.paused.append(seconds)
        if len(self.paused) == 2:
            blockingCallFromThread(cast("Any", reactor), self.inventory.listen)

    async def test_nobody_listens(self) -> None:
        """Where nobody listens it ends after its attempts, and says who does not."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            url = f"http://127.0.0.1:{server.getsockname()[1]}"
        run = self.importing(url)
        self.paused = [0.0, 0.0]

        with self.assertRaisesRegex(
            ToolError, f"^{url}: Connection was refused.*; 0 of 1 items were imported$"
        ):
            await deferToThread(run.put, [Item(2, "A", "Apples", 1, 1)])

        self.assertEqual(len(self.paused), 2 + IMPORT_ATTEMPTS_MAX - 1)

    async def test_comes_back(self) -> None:
        """A console that goes away midway and comes back gets the rest, and what it
        had taken without saying so under the same keys."""
        self.inventory.goes_at = IMPORT_WINDOW_ITEMS + 3
        count = 2 * IMPORT_WINDOW_ITEMS
        items = [Item(at + 2, f"I{at}", "An item", 1, 1) for at in range(count)]
        run = self.importing(f"http://127.0.0.1:{self.inventory.number}")

        await deferToThread(run.put, items)

        self.assertEqual((run.done, len(self.inventory.items)), (count, count))
        self.assertEqual(self.paused, [PAUSE_SECONDS, PAUSE_SECONDS])
