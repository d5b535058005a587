"""A tool at a console's HTTP API: what is no answer is an error, in bounded time."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from typing_extensions import override

from cartnet.errors import Refused
from cartnet.tools.web import Web

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

    async def ask(
        self, answer: bytes, seconds_max: float = 30, scheme: str = "http"
    ) -> object:
        network: Any = reactor
        consoles = _Consoles(answer)
        port = network.listenTCP(0, consoles, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        url = f"{scheme}://127.0.0.1:{port.getHost().port}"
        web = Web(reactor, url, seconds_max)
        self.addCleanup(lambda: Deferred.fromCoroutine(web.close()))
        self.addCleanup(consoles.hang_up)
        return await web.ask("GET", "/inventory")

    async def test_answers(self) -> None:
        """An answer is its JSON; a refusal is that refusal."""
        self.assertEqual(await self.ask(HEAD % (b"200 OK", 2) + b"{}"), {})
        refusal = b'{"error":{"code":"conflict","message":"no","details":{}}}'
        with self.assertRaises(Refused) as caught:
            await self.ask(HEAD % (b"409 Conflict", len(refusal)) + refusal)
        self.assertEqual(caught.exception.code, "conflict")

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
