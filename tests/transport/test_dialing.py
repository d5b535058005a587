from __future__ import annotations

from typing import Any

from twisted.internet import error, reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from typing_extensions import override

from cartnet.limits import HELLO_SECONDS_MAX
from cartnet.replica.listener import Listener
from cartnet.transport.dialing import Connection, dial
from cartnet.wire.hello import Handshake, HelloRefused
from cartnet.wire.replies import decode_reply
from cartnet.wire.requests import encode_request
from tests.replica.listening import SECRET, Host, Transport, identity, logger, seams


def client_handshake(secret: bytes = SECRET) -> Handshake:
    mine = identity("lb0", group="lb", purpose="client")
    return Handshake("dialer", lambda: mine, "c", secret, lambda theirs: None)


class DialTests(SynchronousTestCase):
    """The dialer's side, byte by byte."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.lines: list[bytes] = []
        self.lost: list[bool] = []
        self.proven: Deferred[Connection] = Deferred()
        self.connection = Connection(
            client_handshake(),
            self.clock,
            self.proven,
            self.lines.append,
            lambda: self.lost.append(True),
        )
        self.transport = Transport()

    def connect(self) -> None:
        self.connection.makeConnection(self.transport)

    def prove(self) -> None:
        """Shake hands as the listener."""
        self.connect()
        listener = Handshake(
            "listener", lambda: identity("s1r0"), "l", SECRET, lambda theirs: None
        )
        for _ in range(2):
            said = self.transport.value().rstrip(b"\n")
            self.transport.clear()
            answer = listener.receive(said)
            assert answer is not None
            self.connection.dataReceived(answer + b"\n")

    def test_proven(self) -> None:
        """Lines after the handshake, in the same bytes too, are told to the owner."""
        self.prove()
        connection = self.successResultOf(self.proven)
        self.assertEqual(connection.peer.replica, "s1r0")
        self.connection.dataReceived(b"a\nb\nc")

        self.assertEqual(self.lines, [b"a", b"b"])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.connection.connectionLost(Failure(error.ConnectionDone()))
        self.assertEqual(self.lost, [True])

    def test_the_others_refusal(self) -> None:
        """What the other side says against it is the failure."""
        self.connect()
        self.connection.dataReceived(
            b'{"id":null,"error":{"code":"forbidden","message":"no\\u001b"}}\n'
        )

        failure = self.failureResultOf(self.proven, HelloRefused)
        self.assertEqual(failure.getErrorMessage(), "it says: no\\u001b")
        self.assertTrue(self.transport.aborted)

    def test_nonsense(self) -> None:
        """What is no handshake fails as one, and is shown escaped."""
        for line in [b"\xff\x00", b"{}", b'{"id":1,"ok":{}}', b"[" * 5_000, b""]:
            self.setUp()
            self.connect()
            self.connection.dataReceived(line + b"\n")

            failure = self.failureResultOf(self.proven, HelloRefused)
            self.assertTrue(failure.getErrorMessage().isprintable())

    def test_hang(self) -> None:
        """One who takes the connection and says nothing is given up in time."""
        self.connect()
        self.clock.advance(HELLO_SECONDS_MAX)

        self.failureResultOf(self.proven, error.TimeoutError)
        self.assertTrue(self.transport.aborted)
        self.connection.connectionLost(Failure(error.ConnectionAborted()))
        self.assertEqual(self.lost, [])

    def test_lost_before(self) -> None:
        """A connection that ends before it is proven is a failure, not a loss."""
        self.connect()
        self.connection.connectionLost(Failure(error.ConnectionDone()))

        self.failureResultOf(self.proven, error.ConnectionDone)
        self.assertEqual(self.lost, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_pace(self) -> None:
        """What is sent while the other side does not read is counted."""
        self.prove()
        self.connection.send(b"x" * 100)
        self.assertEqual(self.connection.unsent_bytes, 0)
        self.connection.pauseProducing()
        self.connection.send(b"x" * 100)
        self.assertEqual(self.connection.unsent_bytes, 100)
        self.connection.resumeProducing()
        self.assertEqual(self.connection.unsent_bytes, 0)

    def test_cancelled(self) -> None:
        """An attempt that is given up leaves nothing behind."""
        memory = MemoryReactorClock()
        endpoint = TCP4ClientEndpoint(memory, "127.0.0.1", 5005)
        attempt = dial(
            endpoint, client_handshake(), memory, self.lines.append, lambda: None
        )
        attempt.addErrback(lambda failure: None)
        attempt.cancel()

        self.assertTrue(memory.connectors[0].stoppedConnecting)
        self.assertEqual(
            [call for call in memory.getDelayedCalls() if call.active()], []
        )


class _Stubborn(Protocol):
    """Proves itself, then reads nothing until it is told to."""

    def __init__(self) -> None:
        self.handshake = Handshake(
            "listener", lambda: identity("s1r0"), "l", SECRET, lambda theirs: None
        )
        self.gone: Deferred[int] = Deferred()
        self.received = 0

    @override
    def dataReceived(self, data: bytes) -> None:
        stream: Any = self.transport
        if self.handshake.done:
            self.received += len(data)
            return
        answer = self.handshake.receive(data.rstrip(b"\n"))
        assert answer is not None
        stream.write(answer + b"\n")
        if self.handshake.done:
            stream.pauseProducing()

    @override
    def connectionLost(self, reason: Failure | None = None) -> None:
        self.gone.callback(self.received)


class SocketTests(TestCase):
    """The same over this machine's sockets."""

    async def listen(self, factory: Factory) -> TCP4ClientEndpoint:
        endpoint = TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1")
        port = await endpoint.listen(factory)
        self.addCleanup(port.stopListening)
        return TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)

    async def connect(
        self, endpoint: TCP4ClientEndpoint, lines: list[bytes], line: Deferred[None]
    ) -> Connection:
        def heard(what: bytes) -> None:
            lines.append(what)
            line.callback(None)

        clock: Any = reactor
        return await dial(endpoint, client_handshake(), clock, heard, lambda: None)

    async def test_request(self) -> None:
        """A proven connection carries requests and answers, and ends in order."""
        host = Host()
        host.answers["whoami"] = lambda request: {"user": "ann"}
        clock: Any = reactor
        listener = Listener(host, seams(clock), logger([]), 3.0)
        endpoint = await self.listen(listener.factory)
        lines: list[bytes] = []
        line: Deferred[None] = Deferred()
        connection = await self.connect(endpoint, lines, line)

        connection.send(encode_request(1, "whoami"))
        await line
        await listener.close()

        ok = decode_reply(lines[0]).ok
        assert ok is not None
        self.assertEqual(bytes(ok), b'{"user":"ann"}')
        self.assertTrue(host.asked[0][1])

    async def test_last_word(self) -> None:
        """Who closes its side after its requests still gets every answer."""
        host = Host()
        clock: Any = reactor
        listener = Listener(host, seams(clock), logger([]), 3.0)
        endpoint = await self.listen(listener.factory)
        heard: list[bytes] = []
        gone: Deferred[None] = Deferred()

        class Hasty(Protocol):
            @override
            def connectionMade(self) -> None:
                stream: Any = self.transport
                stream.write(b'{"id":1,"call":"get_cart"}\n{"id":2,"call":"ping"}\n')
                stream.loseWriteConnection()

            @override
            def dataReceived(self, data: bytes) -> None:
                heard.append(data)
                # The ping's answer says that the host was asked before it.
                if len(host.waiting) == 1 and b'"id":2' in data:
                    clock.callLater(0, host.waiting[0].callback, {"version": 1})

            @override
            def connectionLost(self, reason: Failure | None = None) -> None:
                gone.callback(None)

        await endpoint.connect(Factory.forProtocol(Hasty))
        await gone

        self.assertEqual(
            b"".join(heard), b'{"id":2,"ok":{}}\n{"id":1,"ok":{"version":1}}\n'
        )

    async def test_close_reaches_one_who_reads_late(self) -> None:
        """All that was sent arrives before the end, however late it is read."""
        stubborn = _Stubborn()
        endpoint = await self.listen(Factory.forProtocol(lambda: stubborn))
        connection = await self.connect(endpoint, [], Deferred())
        size = 4 * 1024 * 1024
        for _ in range(64):
            connection.send(b"x" * (size // 64 - 1))
        self.assertGreater(connection.unsent_bytes, 0)
        connection.close()
        stream: Any = stubborn.transport
        stream.resumeProducing()

        self.assertEqual(await stubborn.gone, size)
