"""WebSockets: who may come in, what may be said, who does not read, who leaves."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from cartnet.limits import (
    CLOSE_SECONDS_MAX,
    IDLE_SECONDS_MAX,
    REQUESTS_PER_WEBSOCKET_MAX,
    SEND_BUFFER_BYTES_MAX,
    UNFINISHED_LINE_SECONDS_MAX,
    WATCHES_PER_WEBSOCKET_MAX,
    WEBSOCKET_FRAME_BYTES_MAX,
    WEBSOCKET_PING_SECONDS,
    WEBSOCKET_PONG_SECONDS_MAX,
    WEBSOCKETS_MAX,
    WEBSOCKETS_PER_ADDRESS_MAX,
    WEBSOCKETS_PER_SESSION_MAX,
    WEBSOCKETS_UNREAD_BYTES_MAX,
)
from cartnet.replica.ports import Watching
from tests.console.visiting import (
    BINARY,
    CLOSE,
    HOST,
    PING,
    PONG,
    Visiting,
    frame,
)
from tests.replica.listening import REQUEST_TIMEOUT, Source, refuse
from tests.wire.garbage import lines_like
from tests.wire.test_requests import SAMPLES

FILLER = b'{"filler":"' + b"x" * 60_000 + b'"}'
COOKIE = "cartnet_session=s1.mine"


class SocketTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.visiting = Visiting()
        self.calls = self.visiting.calls
        self.source = Source()
        for call in ("watch_inventory", "watch_cart", "watch_cluster"):
            self.calls.answers[call] = lambda _: Watching(self.source.subscribe)
        self.calls.answers["whoami"] = lambda r: {"user": r.session}


class HandshakeTests(SocketTestCase):
    """Who may come in."""

    def refusal(self, **headers: str | None) -> tuple[int, str]:
        return self.visiting.knock(**headers).refusal()

    def test_origins(self) -> None:
        """The console's own pages may come, and programs, which have none."""
        for origin in (f"http://{HOST}", f"HTTP://{HOST.upper()}", None):
            self.visiting.visit(Origin=origin)

        for origin in (
            "null",
            "http://evil.example",
            f"https://{HOST}",
            "http://shop.example",
            f"http://{HOST}.evil.example",
            "file://",
        ):
            self.assertEqual(self.refusal(Origin=origin), (403, "forbidden"), origin)
        self.assertEqual(self.calls.asked, [])

    def test_no_websocket(self) -> None:
        """What is no WebSocket of this version is refused, and told what would be."""
        visitor = self.visiting.knock(Upgrade=None, Connection=None)
        self.assertEqual(visitor.refusal(), (426, "bad_request"))
        self.assertIn(b"\r\nUpgrade: websocket", visitor.answer)

        for version in ("12", "99", "x", None):
            refusal = self.refusal(Sec_WebSocket_Version=version)
            self.assertEqual(refusal, (400, "bad_request"), version)
        visitor = self.visiting.knock(Sec_WebSocket_Key="short")
        self.assertEqual(visitor.refusal(), (400, "bad_request"))
        self.assertIn(b"\r\nContent-Security-Policy: default-src", visitor.answer)

    def test_cookie(self) -> None:
        """The cookie's session is that of the requests without one of their own."""
        visitor = self.visiting.visit(Cookie=f"theme=dark; {COOKIE}; x=y")

        visitor.ask(1, "whoami")
        visitor.ask(2, "whoami", session="s2.other")

        self.assertEqual(
            [reply["ok"]["user"] for reply in visitor.heard()], ["s1.mine", "s2.other"]
        )

    def test_bad_cookies(self) -> None:
        """What is no cookie of ours opens nothing."""
        secure_name = "__Host-cartnet_session=s1.mine"
        for cookie in (
            "cartnet_session",
            f"x{COOKIE}",
            secure_name,
            COOKIE + "x" * 300,
        ):
            visitor = self.visiting.visit(Cookie=cookie)
            visitor.ask(1, "whoami")
            self.assertEqual(visitor.heard()[0]["ok"]["user"], None, cookie)

    def test_sockets_of_a_session(self) -> None:
        """A session has so many sockets; one that goes makes room."""
        mine = [
            self.visiting.visit(Cookie=COOKIE)
            for _ in range(WEBSOCKETS_PER_SESSION_MAX)
        ]
        visitor = self.visiting.knock(Cookie=COOKIE)
        self.assertEqual(visitor.refusal(), (429, "rate_limited"))
        self.assertIn(b"\r\nRetry-After: ", visitor.answer)
        self.visiting.visit(Cookie="cartnet_session=s1.other")

        mine[0].lose()

        self.visiting.visit(Cookie=COOKIE)

    def test_sockets_of_an_address(self) -> None:
        """An address has so many sockets; this machine is spared."""
        for _ in range(WEBSOCKETS_PER_ADDRESS_MAX):
            self.visiting.visit()
        self.assertEqual(self.refusal(), (429, "rate_limited"))
        self.assertEqual(self.visiting.knock("192.0.2.2").status(), 101)

        for _ in range(WEBSOCKETS_MAX - WEBSOCKETS_PER_ADDRESS_MAX):
            visitor = self.visiting.knock("127.0.0.1")
        self.assertEqual(visitor.refusal(), (503, "overloaded"))
        self.assertIn(b"\r\nRetry-After: ", visitor.answer)

    def test_refused_and_not_gone(self) -> None:
        """One that was refused and does not hang up is cut off, and counts no more."""
        visitor = self.visiting.knock(Sec_WebSocket_Key="short")
        self.assertEqual(self.visiting.sockets.count, 1)

        self.visiting.pass_time(CLOSE_SECONDS_MAX + 1)

        self.assertTrue(visitor.transport.aborted)
        visitor.lose()
        self.assertEqual(self.visiting.sockets.count, 0)
        self.assertEqual(self.visiting.load.websockets, 0)


class MessageTests(SocketTestCase):
    """Requests and their answers, in frames."""

    def test_answers_in_any_order(self) -> None:
        """Requests are in flight together, and answered as they are done."""
        visitor = self.visiting.visit()

        visitor.ask(1, "get_cart")
        visitor.ask("x", "whoami")
        visitor.ask(3, "ping")

        self.assertEqual(visitor.codes(), [("x", "ok"), (3, "ok")])
        self.calls.waiting[0].callback({"version": 1})
        self.assertEqual(visitor.heard(), [{"id": 1, "ok": {"version": 1}}])

    def test_bad_messages_do_no_harm(self) -> None:
        """Each bad message gets one error, and the socket lives."""
        visitor = self.visiting.visit()
        for line in lines_like(SAMPLES, count=2_000):
            try:
                line.decode()
            except UnicodeDecodeError:
                continue
            visitor.say(line)
        self.visiting.pass_time(REQUEST_TIMEOUT + 1)
        visitor.say(b"")
        visitor.say(b"[1]")

        self.assertEqual(visitor.codes()[-2:], [(None, "bad_request")] * 2)
        visitor.ask("last", "ping")
        self.assertEqual(visitor.codes(), [("last", "ok")])

    def test_garbage(self) -> None:
        """Whatever bytes come, a socket answers or closes, and the next one lives."""
        random = Random(4)
        for _ in range(100):
            visitor = self.visiting.visit()
            for _ in range(random.randrange(1, 8)):
                visitor.say_bytes(self.garbage(random))
            self.visiting.pass_time(CLOSE_SECONDS_MAX + 0.5)
            visitor.heard()
            visitor.lose()
        self.assertEqual(self.visiting.sockets.count, 0)
        failures = [e for e in self.visiting.events if "log_failure" in e]
        self.assertEqual(failures, [])

    def garbage(self, random: Random) -> bytes:
        """Bytes that begin as a frame does, more or less."""
        data = bytearray(frame(random.randbytes(random.randrange(200))))
        for _ in range(random.randrange(4)):
            data[random.randrange(min(8, len(data)))] = random.randrange(256)
        return bytes(data[: random.randrange(1, len(data) + 1)])

    def test_frames_that_close(self) -> None:
        """What is no text in frames of ours closes the socket, and says why."""
        large = b" " * (WEBSOCKET_FRAME_BYTES_MAX + 1)
        ask = b'{"id":1,"call":"whoami"}'
        for name, data, code in (
            ("binary", frame(ask, BINARY), 1003),
            ("unmasked", frame(ask, masked=False), 1002),
            ("no UTF-8", frame(b'"\xff"'), 1007),
            ("large", frame(large), 1009),
            ("large in parts", frame(large[:-2], fin=False) + frame(b"  ", 0), 1009),
            ("a reserved bit", bytes([frame(ask)[0] | 0x40]) + frame(ask)[1:], 1002),
            ("a reserved opcode", frame(ask, 3), 1002),
            ("a part of nothing", frame(ask, 0), 1002),
        ):
            visitor = self.visiting.visit()
            visitor.say_bytes(data)
            visitor.ask(2, "whoami")
            self.visiting.pass_time(CLOSE_SECONDS_MAX + 1)

            self.assertEqual((visitor.farewell(), visitor.is_gone), (code, True), name)
            visitor.lose()
        self.assertEqual(self.calls.asked, [])
        self.assertEqual(self.visiting.sockets.count, 0)

    def test_log_of_frames(self) -> None:
        """One who breaks the rules again and again is one line of our log, no more."""
        others: list[LogEvent] = []
        globalLogPublisher.addObserver(others.append)  # type: ignore[arg-type]
        self.addCleanup(globalLogPublisher.removeObserver, others.append)
        for _ in range(3):
            visitor = self.visiting.visit()
            visitor.say_bytes(frame(b"{}", masked=False))
            self.visiting.pass_time(CLOSE_SECONDS_MAX + 1)
            visitor.lose()

        (line,) = self.visiting.warnings()
        self.assertIn("turned 192.0.2.1 away: ", line)
        self.assertIn("mask", line)
        self.assertEqual([e for e in others if "autobahn" in e["log_namespace"]], [])

    def test_largest_message(self) -> None:
        """A message of the largest size is taken, in one frame or in several."""
        ask = b'{"id":1,"call":"whoami"}'.ljust(WEBSOCKET_FRAME_BYTES_MAX)
        visitor = self.visiting.visit()

        visitor.say(ask)
        visitor.say(ask[:9], fin=False)
        visitor.say(b"are you there?", PING)
        visitor.say(ask[9:], 0)

        self.assertIn((PONG, b"are you there?"), visitor.frames())
        self.assertEqual(len(self.calls.asked), 2)

    def test_large_answers(self) -> None:
        """An answer of any size arrives whole, in frames of bounded size."""
        items = ["x" * 100] * 5_000
        self.calls.answers["get_inventory"] = lambda _: {"items": items}
        visitor = self.visiting.visit()

        visitor.ask(1, "get_inventory")

        frames = visitor.frames()
        sizes = [len(payload) for _, payload in frames]
        self.assertLessEqual(max(sizes), WEBSOCKET_FRAME_BYTES_MAX)
        whole = msgspec.json.decode(b"".join(payload for _, payload in frames))
        self.assertEqual(whole, {"id": 1, "ok": {"items": items}})
        visitor.ask(2, "whoami")
        self.assertEqual(visitor.codes(), [(2, "ok")])

    def test_too_much_in_flight(self) -> None:
        """One request too many is refused, and may be sent again later."""
        visitor = self.visiting.visit()
        for number in range(REQUESTS_PER_WEBSOCKET_MAX):
            visitor.ask(number, "get_cart")
        visitor.ask("more", "get_cart")
        self.assertEqual(visitor.codes(), [("more", "overloaded")])

        self.calls.waiting[0].callback({})
        visitor.ask("again", "get_cart")

        self.assertEqual(visitor.codes(), [(0, "ok")])

    def test_too_many_watches(self) -> None:
        """One watch too many is refused."""
        visitor = self.visiting.visit()
        for number in range(WATCHES_PER_WEBSOCKET_MAX + 1):
            visitor.ask(number, "watch_inventory")

        self.assertEqual(visitor.codes()[-1], (number, "overloaded"))
        self.assertEqual(len(self.source.subscriptions), WATCHES_PER_WEBSOCKET_MAX)

    def test_honest_timeout(self) -> None:
        """A request without an answer is said to have an unknown outcome."""
        visitor = self.visiting.visit()
        visitor.ask(1, "checkout")
        self.visiting.pass_time(REQUEST_TIMEOUT + 1)

        self.assertEqual(visitor.codes(), [(1, "timeout")])
        self.calls.waiting[0].callback({})
        self.assertEqual(visitor.codes(), [])

    def test_watch_and_cancel(self) -> None:
        """A watch's events come with its id until it is cancelled."""
        visitor = self.visiting.visit()
        visitor.ask(1, "watch_inventory")
        self.source.subscriptions[0].sink.send(b'{"revision":2}')
        visitor.ask(2, "cancel", args={"id": 1})

        self.assertEqual(
            visitor.heard(),
            [
                {"id": 1, "ok": {}},
                {"id": 1, "event": {"revision": 1}},
                {"id": 1, "event": {"revision": 2}},
                {"id": 2, "ok": {}},
            ],
        )
        self.assertEqual(self.source.subscriptions, [])

    def test_errors_are_told(self) -> None:
        """A refusal is told; what broke is logged, and nothing of it is told."""
        self.calls.answers["whoami"] = refuse("unauthenticated")
        visitor = self.visiting.visit()
        visitor.ask(1, "whoami")
        visitor.ask(2, "get_cart")
        self.calls.waiting[0].errback(ZeroDivisionError("a secret"))

        self.assertEqual(visitor.codes(), [(1, "unauthenticated"), (2, "internal")])
        broken = [e for e in self.visiting.events if "log_failure" in e]
        self.assertEqual(len(broken), 1)


class SessionTests(SocketTestCase):
    """Logging in and out."""

    def setUp(self) -> None:
        super().setUp()
        self.calls.answers["login"] = lambda _: {"session": "s1.new", "user": "ann"}
        self.calls.answers["logout"] = self.log_out

    def log_out(self, request: Any) -> dict[str, Any]:
        self.calls.log_out(request.session)
        return {}

    def test_login(self) -> None:
        """A login's session counts from then on."""
        visitor = self.visiting.visit(Cookie=COOKIE)
        visitor.ask(1, "login")
        visitor.ask(2, "whoami")

        self.assertEqual(visitor.heard()[-1]["ok"]["user"], "s1.new")

    def test_logout_elsewhere(self) -> None:
        """A logout closes the sockets that have the session, and no others."""
        mine, my_other = (self.visiting.visit(Cookie=COOKIE) for _ in range(2))
        other = self.visiting.visit(Cookie="cartnet_session=s1.other")
        later = self.visiting.visit()
        later.ask(1, "login")

        self.calls.log_out("s1.mine")
        self.calls.log_out("s1.new")

        for visitor in (mine, my_other, later):
            self.assertEqual(visitor.farewell(), 4401)
        self.assertEqual(other.farewell(), None)
        other.ask(1, "whoami")
        self.assertEqual(other.codes(), [(1, "ok")])

    def test_logout_here(self) -> None:
        """Who logs out on a socket keeps it, without the session or its watches."""
        mine, other = (self.visiting.visit(Cookie=COOKIE) for _ in range(2))
        mine.ask(1, "watch_cart")
        mine.ask(2, "watch_inventory")
        mine.heard()

        mine.ask(3, "logout")
        mine.ask(4, "whoami")

        self.assertEqual(mine.codes(), [(1, "unauthenticated"), (3, "ok"), (4, "ok")])
        self.assertEqual(len(self.source.subscriptions), 1)
        self.assertEqual(self.calls.asked[-1][0].session, None)
        self.assertEqual(other.farewell(), 4401)

    def test_watch_of_another_session(self) -> None:
        """A watch ends with the session that it was begun with."""
        visitor = self.visiting.visit(Cookie=COOKIE)
        visitor.ask(1, "watch_cart", session="s1.other")
        visitor.heard()

        self.calls.log_out("s1.other")

        self.assertEqual(visitor.codes(), [(1, "unauthenticated")])
        self.assertEqual(visitor.farewell(), None)


class PaceTests(SocketTestCase):
    """Those who do not read, or say nothing."""

    def test_slow_reader(self) -> None:
        """Watches merge and requests wait until what was sent has been read."""
        visitor = self.visiting.visit()
        visitor.ask(1, "watch_inventory")
        visitor.heard()
        sink = self.source.subscriptions[0].sink
        self.assertTrue(sink.writable)

        visitor.stop_reading()
        visitor.ask(2, "whoami")
        visitor.ask(3, "whoami")

        self.assertFalse(sink.writable)
        self.assertFalse(visitor.is_read)
        self.assertEqual(self.calls.asked[1:], [])
        visitor.read_on()
        self.assertTrue(sink.writable)
        self.assertEqual(self.source.woken, 1)
        self.assertTrue(visitor.is_read)
        self.assertEqual(visitor.codes(), [(2, "ok"), (3, "ok")])

    def test_slow_again(self) -> None:
        """What was held is taken one by one, as far as it is read."""
        visitor = self.visiting.visit()
        visitor.stop_reading()
        for number in range(3):
            visitor.ask(number, "whoami")

        def answer_and_stop(_: Any) -> dict[str, Any]:
            visitor.stop_reading()
            return {}

        self.calls.answers["whoami"] = answer_and_stop
        visitor.read_on()
        self.assertEqual(visitor.codes(), [(0, "ok")])
        self.assertFalse(visitor.is_read)
        self.calls.answers["whoami"] = lambda _: {}
        visitor.read_on()
        self.assertEqual(visitor.codes(), [(1, "ok"), (2, "ok")])
        self.assertTrue(visitor.is_read)

    def test_large_answers_wait(self) -> None:
        """A burst of calls with large answers is taken as fast as these are there."""
        visitor = self.visiting.visit()
        for number in range(REQUESTS_PER_WEBSOCKET_MAX):
            visitor.ask(number, "get_inventory")
        self.assertLess(len(self.calls.waiting), REQUESTS_PER_WEBSOCKET_MAX)
        self.assertFalse(visitor.is_read)

        at = 0
        while at < len(self.calls.waiting):
            self.calls.waiting[at].callback({"items": "x" * 1_000_000})
            at += 1

        every = [(number, "ok") for number in range(REQUESTS_PER_WEBSOCKET_MAX)]
        self.assertEqual(visitor.codes(), every)
        self.assertTrue(visitor.is_read)

    def test_unread_answers(self) -> None:
        """One who leaves too much unread is cut off; others notice nothing."""
        visitor, other = self.visiting.visit(), self.visiting.visit()
        large = {"items": "x" * 1_000_000}
        count = SEND_BUFFER_BYTES_MAX // 1_000_000
        for number in range(count + 1):
            visitor.ask(number, "get_cart")
        visitor.stop_reading()

        for waiting in self.calls.waiting[:-1]:
            waiting.callback(large)
        self.assertFalse(visitor.transport.aborted)
        self.calls.waiting[-1].callback(large)

        self.assertTrue(visitor.transport.aborted)
        self.assertIn("does not read its answers", self.visiting.warnings()[0])
        self.assertEqual(self.visiting.sockets.unread_bytes, 0)
        other.ask(1, "whoami")
        self.assertEqual(other.codes(), [(1, "ok")])

    def test_all_that_is_unread(self) -> None:
        """What all leave unread together is bounded; who reads again counts no more."""
        megabytes = WEBSOCKETS_UNREAD_BYTES_MAX // 1_000_000
        large = {"items": "x" * 1_000_000}
        visitors = [self.visiting.visit() for _ in range(megabytes // 4 + 1)]
        for visitor in visitors:
            for number in range(4):
                visitor.ask(number, "get_cart")
            visitor.stop_reading()
        for waiting in self.calls.waiting[:megabytes]:
            waiting.callback(large)
        self.assertFalse(any(visitor.is_gone for visitor in visitors))

        reads = visitors.pop(0)
        reads.read_on()
        reads.ask("watch", "watch_inventory")
        for waiting in self.calls.waiting[megabytes:]:
            waiting.callback(large)
        self.assertFalse(any(visitor.is_gone for visitor in visitors))
        reads.stop_reading()
        sink = self.source.subscriptions[0].sink
        for _ in range(4_000_000 // len(FILLER) + 1):
            sink.send(FILLER)

        self.assertTrue(reads.is_gone)
        self.assertFalse(any(visitor.is_gone for visitor in visitors))

    def test_pings_of_a_slow_reader(self) -> None:
        """Who does not read its pongs gets but one for all that it pings meanwhile."""
        visitor = self.visiting.visit()
        visitor.stop_reading()
        for number in range(3):
            visitor.say(b"%d" % number, PING)
        self.assertEqual(visitor.frames(), [])

        visitor.read_on()

        self.assertEqual(visitor.frames(), [(PONG, b"2")])

    def test_unfinished_message(self) -> None:
        """A message that does not end is not waited for, however steadily it comes."""
        visitor, fit = self.visiting.visit(), self.visiting.visit()
        for each in (visitor, fit):
            each.say(b'{"id": 1,', fin=False)
        fit.say(b' "call": "whoami"}', opcode=0)
        for _ in range(round(UNFINISHED_LINE_SECONDS_MAX) + 1):
            visitor.say(b"", opcode=0, fin=False)
            self.visiting.pass_time(1)

        self.assertTrue(visitor.transport.aborted)
        self.assertFalse(fit.is_gone)
        self.assertEqual(fit.codes(), [(1, "ok")])

    def test_unfinished_and_unread(self) -> None:
        """A message is not late for the time in which this side did not read it."""
        visitor = self.visiting.visit()
        visitor.stop_reading()
        visitor.ask(1, "whoami")
        visitor.say(b'{"id": 2,', fin=False)
        self.visiting.pass_time(UNFINISHED_LINE_SECONDS_MAX + 1)
        visitor.read_on()
        self.visiting.pass_time(1)
        visitor.say(b' "call": "whoami"}', opcode=0)

        self.assertEqual(visitor.codes(), [(1, "ok"), (2, "ok")])

    def test_silence(self) -> None:
        """A silent one is asked for a sign of life, and is cut off without one."""
        visitor, dead = self.visiting.visit(), self.visiting.visit()
        self.visiting.pass_time(WEBSOCKET_PING_SECONDS + 1)
        self.assertEqual(visitor.frames(), [(PING, b"")])
        visitor.say(b"", PONG)

        self.visiting.pass_time(WEBSOCKET_PONG_SECONDS_MAX)

        self.assertFalse(visitor.is_gone)
        self.assertTrue(dead.transport.aborted)

    def test_idleness(self) -> None:
        """One that asks nothing for long is sent away; who watches may stay."""
        idle, watching = self.visiting.visit(), self.visiting.visit()
        watching.ask(1, "watch_inventory")
        for _ in range(round(IDLE_SECONDS_MAX / 10) + 1):
            self.visiting.pass_time(10)
            idle.say(b"", PONG)
            watching.say(b"", PONG)

        self.assertEqual(idle.farewell(), 4408)
        self.assertFalse(watching.is_gone)

    def test_farewell(self) -> None:
        """A close is answered, and the connection ends even where it is not read."""
        visitor = self.visiting.visit()
        visitor.stop_reading()
        visitor.say(b"\x03\xe8", CLOSE)
        self.assertTrue(visitor.transport.disconnecting)

        self.visiting.pass_time(CLOSE_SECONDS_MAX + 1)

        self.assertTrue(visitor.transport.aborted)


class StopTests(SocketTestCase):
    """The end."""

    def stop(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.visiting.sockets.stop())

    def test_stop(self) -> None:
        """What is in hand is answered, then everybody hears a farewell."""
        visitor, other = self.visiting.visit(), self.visiting.visit()
        visitor.ask(1, "get_cart")
        stopped = self.stop()
        self.assertNoResult(stopped)
        self.assertEqual(self.visiting.knock().refusal(), (503, "unavailable"))
        visitor.ask(2, "get_cart")
        self.assertEqual(visitor.codes(), [(2, "unavailable")])

        self.calls.waiting[0].callback({})

        self.assertEqual(visitor.codes(), [(1, "ok")])
        self.assertEqual((visitor.farewell(), other.farewell()), (1001, 1001))
        visitor.lose()
        other.say(b"\x03\xe9", CLOSE)
        other.lose()
        self.visiting.pass_time(CLOSE_SECONDS_MAX)
        self.successResultOf(stopped)

    def test_stop_is_bounded(self) -> None:
        """Neither a call that takes for ever nor a deaf one holds the end up."""
        visitor = self.visiting.visit()
        visitor.ask(1, "get_cart")
        stopped = self.stop()

        self.visiting.pass_time(4.75)

        self.successResultOf(stopped)
        self.assertTrue(visitor.transport.aborted)

    def test_lost(self) -> None:
        """A lost connection leaves nothing behind."""
        visitor = self.visiting.visit()
        visitor.ask(1, "watch_inventory")
        visitor.ask(2, "get_cart")
        visitor.lose()

        self.calls.waiting[0].callback({})

        self.assertEqual(self.source.subscriptions, [])
        self.assertEqual(self.visiting.sockets.count, 0)
        self.successResultOf(self.stop())
        self.assertEqual(self.visiting.clock.getDelayedCalls(), [])
