"""Connections: their bounds, what every answer carries, and how all of it ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from cartnet.limits import (
    CLOSE_SECONDS_MAX,
    CONNECTIONS_MAX,
    CONNECTIONS_PER_ADDRESS_MAX,
    DRAIN_SECONDS_MAX,
    HTTP_BODY_BYTES_MAX,
    HTTP_HEAD_BYTES_MAX,
    HTTP_HEADERS_MAX,
    HTTP_IDLE_SECONDS_MAX,
    HTTP_LINE_BYTES_MAX,
    HTTP_LINGER_SECONDS_MAX,
    HTTP_REQUEST_SECONDS_MAX,
    HTTP_REQUESTS_MAX,
)
from tests.console.shopping import PASSWORD, Answer, Shopping, Wire, asset_folder

ANN = {"username": "ann", "password": PASSWORD}
SECURITY = {
    "cache-control",
    "content-security-policy",
    "cross-origin-opener-policy",
    "cross-origin-resource-policy",
    "date",
    "permissions-policy",
    "referrer-policy",
    "server",
    "x-content-type-options",
    "x-request-id",
}


class SiteTestCase(SynchronousTestCase):
    """A site over a shop."""

    def setUp(self) -> None:
        self.shopping = Shopping(asset_folder(Path(self.mktemp())))
        self.addCleanup(self.shopping.stop)
        self.clock = self.shopping.clock

    def wait(self, seconds: float) -> None:
        self.clock.pump([0.25] * round(seconds * 4))

    def say(self, data: bytes) -> Answer:
        wire = self.shopping.connect()
        wire.say(data)
        return wire.answer()

    def login(self) -> Wire:
        """A login that waits for its answer."""
        self.shopping.api("POST", "/accounts", ANN)
        self.shopping.calls.holds = "login"
        wire = self.shopping.connect()
        wire.send("POST", "/api/v1/session", ANN)
        return wire


class HeaderTests(SiteTestCase):
    """What every answer carries."""

    def test_every_answer(self) -> None:
        """Pages, files, answers and errors of every kind have the security headers."""
        ask = self.shopping.ask
        self.shopping.calls.broken = True
        answers = [
            ask("GET", "/"),
            ask("GET", "/favicon.ico"),
            ask("GET", "/static/0/a.js"),
            ask("GET", "/nowhere"),
            ask("TRACE", "/"),
            ask("GET", "/healthz"),
            ask("GET", "/api/v1/inventory"),
            ask("POST", "/api/v1/session", b"x" * (HTTP_BODY_BYTES_MAX + 1)),
            ask("GET", "/" + "x" * HTTP_LINE_BYTES_MAX),
            ask("GET", "/ws"),
            ask("OPTIONS", "*"),
            self.say(b"nonsense\r\n\r\n"),
        ]
        for answer in answers:
            self.assertEqual(SECURITY - answer.headers.keys(), set(), answer)
            self.assertEqual(answer.headers["server"], "cartnet")
            self.assertNotIn("unsafe", answer.headers["content-security-policy"])
        ids = {answer.headers["x-request-id"] for answer in answers}
        self.assertEqual(len(ids), len(answers))

    def test_unknown_paths(self) -> None:
        """What is nowhere is not found, however it is spelt."""
        for path in (
            "/nowhere",
            "//",
            "//healthz",
            "/healthz/",
            "/api/v1/cart/",
            "/api/v1//cart",
            "/api%2Fv1/cart",
            "/api/v2/cart",
            "/operator.html",
            "/static/",
            "/ws/",
            "/..%2f..%2fetc/passwd",
            "/../../etc/passwd",
            "/%FF",
            "/%00",
        ):
            answer = self.shopping.ask("GET", path)
            self.assertEqual(answer.refusal, (404, "not_found"), path)
            self.assertNotIn(b"root:", answer.body)

    def test_methods(self) -> None:
        """A method that a path does not take is refused with those that it takes."""
        for method, path, allowed in (
            ("DELETE", "/", "GET, HEAD"),
            ("TRACE", "/api/v1/cart", "GET, HEAD"),
            ("PATCH", "/api/v1/session", "DELETE, GET, HEAD, POST"),
            ("OPTIONS", "/api/v1/checkout", "POST"),
            ("BREW", "/api/v1/inventory/A", "DELETE, PUT"),
            ("GET", "/api/v1/inventory/reset", "POST"),
            ("POST", "/ws", "GET"),
        ):
            answer = self.shopping.ask(method, path, Upgrade="websocket")
            self.assertEqual(answer.refusal, (405, "bad_request"), path)
            self.assertEqual(answer.headers["allow"], allowed)

    def test_head(self) -> None:
        """HEAD answers as GET does, without the body."""
        for path in ("/", "/healthz", "/api/v1/inventory", "/nowhere"):
            got = self.shopping.ask("GET", path)
            head = self.shopping.ask("HEAD", path)
            self.assertEqual(head.status, got.status)
            self.assertEqual(head.body, b"")
            length = head.headers["content-length"]
            self.assertEqual(length, got.headers["content-length"], path)
        websocket = self.shopping.ask("HEAD", "/ws")
        self.assertEqual(websocket.status, 405)
        self.assertGreater(int(websocket.headers["content-length"]), 0)

    def test_spelling(self) -> None:
        """A path's escaped letters are those letters; a proxy's full URL is a path."""
        for target in ("/health%7a", "http://shop.example:8080/healthz"):
            self.assertEqual(self.shopping.ask("GET", target).status, 200, target)
        self.assertEqual(self.shopping.ask("GET", "http://shop.example").status, 200)


class BoundTests(SiteTestCase):
    """What comes in is bounded in size and in time."""

    def test_not_http(self) -> None:
        """What is no HTTP is refused once, and its connection ends."""
        for data in (
            b"nonsense\r\n\r\n",
            b'{"id": 1, "call": "ping"}\r\n\r\n',
            b"GET / HTTP/1.1\r\nno colon\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHo st: a\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: " + b"a" * 64 + b".b\r\n\r\n",
            b"GET nowhere HTTP/1.1\r\nHost: a\r\n\r\n",
            b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n",
            b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            b"GET /" + b"a" * HTTP_LINE_BYTES_MAX + b" HTTP/1.1\r\n",
            b"G" * 2 * HTTP_LINE_BYTES_MAX,
            b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a: b\r\n" * HTTP_HEADERS_MAX + b"\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n"
            + (b"a: " + b"b" * 4_000 + b"\r\n") * (HTTP_HEAD_BYTES_MAX // 4_000 + 1)
            + b"\r\n",
        ):
            wire = self.shopping.connect()
            wire.say(data)
            answer = wire.answer()
            self.assertEqual(answer.refusal, (400, "bad_request"), data[:60])
            self.assertEqual(answer.headers["connection"], "close")
            wire.say(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            self.assertFalse(wire.has_answer)
            self.wait(HTTP_LINGER_SECONDS_MAX)
            self.assertFalse(wire.is_open)
        self.assertEqual(self.shopping.calls.asked, [])

    def test_what_is_wrong(self) -> None:
        """A refusal before there is a request says which rule was broken."""
        post = b"POST / HTTP/1.1\r\nHost: a\r\n"
        length, chunked = b"Content-Length: 1\r\n", b"Transfer-Encoding: chunked\r\n"
        for data, says in (
            (b"\x16\x03\x01\x02\x00\x01", "TLS is not spoken here"),
            (b"GET / HTTP/2.0\r\n\r\n", "not HTTP/2.0"),
            (b"GET / HTTP/0.9\r\n\r\n", "not HTTP/0.9"),
            (b"nonsense\r\n\r\n", "first line or a header is malformed"),
            (post + b"no colon\r\n\r\n", "first line or a header is malformed"),
            (post + b"Content-Length: -1\r\n\r\n", 'must be a number, not "-1"'),
            (post + length + length + b"\r\n", "one Content-Length"),
            (post + length + chunked + b"\r\n", "one Content-Length"),
            (post + chunked + length + b"\r\n", "one Content-Length"),
            (post + b"Transfer-Encoding: gzip\r\n\r\n", 'chunked, not "gzip"'),
            (post + chunked + b"\r\nx\r\n", "chunks"),
            (post + b"a: b\r\n" * HTTP_HEADERS_MAX + b"\r\n", "headers"),
        ):
            message = self.say(data).json["error"]["message"]
            self.assertIn(says, message, data[:60])

    def test_phrases(self) -> None:
        """Newer statuses have their phrases."""
        for path, phrase in (("/ws", b"426 Upgrade Required"), ("/", b"200 OK")):
            wire = self.shopping.connect()
            wire.send("GET", path)
            self.assertIn(b"HTTP/1.1 " + phrase + b"\r\n", wire.transport.value())

    def test_announced_body(self) -> None:
        """A body that is announced too large is refused before it comes."""
        wire = self.shopping.connect()
        wire.send(
            "POST",
            "/api/v1/session",
            Content_Length=str(10**12),
            Expect="100-continue",
        )

        self.assertEqual(wire.answer().refusal, (413, "too_large"))
        self.assertEqual(wire.transport.value(), b"")
        wire.say(b"x" * 100_000)
        self.assertTrue(wire.is_open)
        self.wait(HTTP_LINGER_SECONDS_MAX)
        self.assertFalse(wire.is_open)

    def test_chunked_body(self) -> None:
        """A body of unknown length is read up to the bound."""
        chunk = b"%x\r\n" % 8192 + b" " * 8192 + b"\r\n"
        head = {"Transfer_Encoding": "chunked", "Content_Type": "application/json"}
        fits = self.shopping.connect()
        fits.send("POST", "/api/v1/session", **head)
        fits.say(chunk * 7 + b"2\r\n{}\r\n0\r\n\r\n")
        large = self.shopping.connect()
        large.send("POST", "/api/v1/session", **head)
        large.say(chunk * 9)

        self.assertEqual(fits.answer().refusal, (400, "bad_request"))
        self.assertTrue(fits.is_open)
        self.assertEqual(large.answer().refusal, (413, "too_large"))
        large.say(b"0\r\n\r\n")
        self.assertFalse(large.has_answer)

    def test_slow_request(self) -> None:
        """Who sends a request byte by byte is cut off, however steadily."""
        for start in (
            b"",
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\n\r\n",
        ):
            wire = self.shopping.connect()
            wire.say(start)
            for _ in range(round(HTTP_REQUEST_SECONDS_MAX)):
                self.assertTrue(wire.is_open)
                wire.say(b"x")
                self.wait(1.0)
            self.assertFalse(wire.is_open)

    def test_idle(self) -> None:
        """A connection that asks nothing is closed; one that asks stays."""
        silent, busy = self.shopping.connect(), self.shopping.connect()
        for _ in range(3):
            self.assertEqual(busy.ask("GET", "/healthz").status, 200)
            self.wait(HTTP_IDLE_SECONDS_MAX / 3)

        self.assertFalse(silent.is_open)
        self.assertTrue(busy.is_open)

    def test_one_after_another(self) -> None:
        """Requests that come at once are answered one after another."""
        wire = self.shopping.connect()
        wire.say(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 3)

        self.assertEqual([wire.answer().status for _ in range(3)], [200] * 3)

    def test_unread_answers(self) -> None:
        """Who does not read its answers has its next requests wait, all of them."""
        request = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
        wire = self.login()
        wire.say(request * 2)
        wire.transport.producer.pauseProducing()
        wire.say(request * 2)
        self.shopping.calls.release()
        self.assertEqual(wire.answer().json["user"], "ann")
        self.assertFalse(wire.has_answer)
        self.assertEqual(wire.transport.producerState, "paused")

        wire.transport.producer.resumeProducing()

        self.assertEqual([wire.answer().status for _ in range(4)], [200] * 4)
        self.assertEqual(wire.transport.producerState, "producing")
        wire.transport.producer.pauseProducing()
        wire.say(request)
        self.assertFalse(wire.has_answer)
        wire.transport.producer.resumeProducing()
        self.assertEqual(wire.answer().status, 200)

    def test_requests_of_all(self) -> None:
        """Clients that ask and leave at once cannot have ever more done."""
        self.shopping.calls.holds = "get_inventory"
        for _ in range(HTTP_REQUESTS_MAX):
            wire = self.shopping.connect()
            wire.send("GET", "/api/v1/inventory")
            wire.transport.loseConnection()

        answer = self.shopping.api("GET", "/cart")

        self.assertEqual(answer.refusal, (503, "overloaded"))
        self.assertEqual(self.shopping.ask("GET", "/healthz").status, 200)
        self.shopping.calls.release()
        self.shopping.calls.holds = None
        self.assertEqual(self.shopping.api("GET", "/inventory").status, 200)

    def test_http_1_0(self) -> None:
        """An HTTP/1.0 client needs no Host, and its connection ends with the answer."""
        wire = self.shopping.connect()
        wire.say(b"GET /healthz HTTP/1.0\r\n\r\n")

        answer = wire.answer()
        self.assertEqual((answer.status, answer.json), (200, {"status": "ok"}))
        self.assertFalse(wire.is_open)

    def test_connections_of_an_address(self) -> None:
        """One address has a bounded number of connections; this machine is spared."""
        wires = [
            self.shopping.connect("192.0.2.1")
            for _ in range(CONNECTIONS_PER_ADDRESS_MAX)
        ]

        self.assertTrue(wires[-1].is_open)
        self.assertFalse(self.shopping.connect("192.0.2.1").is_open)
        self.assertTrue(self.shopping.connect("192.0.2.2").is_open)
        for _ in range(CONNECTIONS_PER_ADDRESS_MAX + 1):
            self.assertTrue(self.shopping.connect().is_open)
        wires[0].transport.loseConnection()
        self.assertTrue(self.shopping.connect("192.0.2.1").is_open)

    def test_connections_of_all(self) -> None:
        """All together have a bounded number."""
        for _ in range(CONNECTIONS_MAX):
            self.assertTrue(self.shopping.connect().is_open)

        self.assertFalse(self.shopping.connect().is_open)


class EndTests(SiteTestCase):
    """Clients that leave, and the end of the site."""

    def stop(self) -> Deferred[Any]:
        return Deferred.fromCoroutine(self.shopping.site.stop())

    def test_client_that_leaves(self) -> None:
        """What a client has asked is done to its end though the client has left."""
        old = self.shopping.token()
        self.shopping.calls.holds = "login"
        wire = self.shopping.connect()
        wire.send("POST", "/api/v1/session", ANN, Authorization=f"Bearer {old}")

        wire.transport.loseConnection()
        self.shopping.calls.release()

        # The login went through, and what had to follow it, too.
        self.assertEqual(self.shopping.calls.asked[-1].call, "logout")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_stop_answers_what_is_in_hand(self) -> None:
        """A stop closes idle connections at once, and the others with their answers."""
        idle, busy = self.shopping.connect(), self.login()

        stopping = self.stop()
        self.assertFalse(idle.is_open)
        self.assertTrue(busy.is_open)
        self.assertNoResult(stopping)
        self.shopping.calls.release()

        answer = busy.answer()
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.headers["connection"], "close")
        self.assertFalse(busy.is_open)
        self.successResultOf(stopping)

    def test_stop_ends(self) -> None:
        """A stop waits a bounded time for answers."""
        busy = self.login()

        stopping = self.stop()
        self.wait(DRAIN_SECONDS_MAX + CLOSE_SECONDS_MAX + 0.5)

        self.successResultOf(stopping)
        self.assertFalse(busy.is_open)

    def test_stop_without_anybody(self) -> None:
        """A stop with nothing to wait for is over at once."""
        self.successResultOf(self.stop())
