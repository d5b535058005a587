from __future__ import annotations

from typing import Any

import msgspec
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.testing import AccumulatingProtocol
from twisted.test import iosim
from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.messages import Heartbeat, HeartbeatReply
from cartnet.errors import Refused
from cartnet.limits import (
    ANSWERS_BYTES_MAX,
    CLOSE_SECONDS_MAX,
    CONNECTIONS_MAX,
    CONNECTIONS_PER_ADDRESS_MAX,
    HELLO_SECONDS_MAX,
    IDLE_SECONDS_MAX,
    LINE_BYTES_MAX,
    REQUESTS_PER_CONNECTION_MAX,
    REQUESTS_PER_REPLICA_MAX,
    SEND_BUFFER_BYTES_MAX,
    UNFINISHED_LINE_SECONDS_MAX,
    WATCHES_PER_CONNECTION_MAX,
    WATCHES_PER_TRUSTED_CONNECTION_MAX,
)
from cartnet.replica.ports import Sink, Watching
from cartnet.wire.messages import encode_message
from tests.replica.listening import (
    REQUEST_TIMEOUT,
    Listening,
    Source,
    Visit,
    identity,
    refuse,
)
from tests.wire.garbage import lines_like
from tests.wire.test_requests import SAMPLES

PING = b'{"id":1,"call":"ping"}'


class ListenerTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.listening = Listening()
        self.host = self.listening.host
        self.clock = self.listening.clock
        self.source = Source()
        self.host.answers["watch_inventory"] = lambda _: Watching(self.source.subscribe)


class RequestTests(ListenerTestCase):
    """Requests and their answers."""

    def test_listener_never_speaks_first(self) -> None:
        """A connection that says nothing hears nothing."""
        visit = self.listening.visit()
        self.listening.pass_time(60)

        self.assertEqual(visit.heard(), [])
        self.assertFalse(visit.is_ending)

    def test_answers_in_any_order(self) -> None:
        """Several lines at once are asked at once, and answered as they are done."""
        self.host.answers["whoami"] = lambda _: {"user": "ann"}
        visit = self.listening.visit()

        visit.say(
            b'{"id":1,"call":"get_cart"}\r', b'{"id":"x","call":"whoami"}', PING[:-1]
        )
        visit.say(b'{"id":3,"call":"ping"}')

        replies = visit.heard()
        self.assertEqual(replies[0], {"id": "x", "ok": {"user": "ann"}})
        self.assertEqual(replies[1]["error"]["code"], "bad_request")
        self.assertEqual(replies[2], {"id": 3, "ok": {}})
        self.host.waiting[0].callback(msgspec.Raw(b'{"version":\n1}'))
        self.assertEqual(visit.heard(), [{"id": 1, "ok": {"version": 1}}])

    def test_bad_lines_do_no_harm(self) -> None:
        """Each bad line gets one error line, and the connection lives."""
        visit = self.listening.visit()
        for line in lines_like(SAMPLES, count=10_000):
            visit.say(line)
        self.listening.pass_time(REQUEST_TIMEOUT + 1)

        self.assertGreaterEqual(len(visit.heard()), 10_000)
        visit.ask("last", "ping")
        self.assertEqual(visit.codes(), [("last", "ok")])
        self.assertFalse(visit.is_ending)

    def test_errors(self) -> None:
        """A refusal is told; what broke is logged, and nothing of it is told."""
        self.host.answers["whoami"] = refuse("unauthenticated")
        self.host.answers["logout"] = lambda _: {"not": object()}
        visit = self.listening.visit()
        visit.ask(1, "whoami")
        visit.ask(2, "logout")
        visit.ask(3, "get_cart")
        self.host.waiting[0].errback(RuntimeError("secret table"))

        replies = visit.heard()
        codes = [reply["error"]["code"] for reply in replies]
        self.assertEqual(codes, ["unauthenticated", "internal", "internal"])
        self.assertNotIn("secret table", str(replies))
        self.assertIn("log_failure", self.listening.events[-1])

    def test_id_in_flight(self) -> None:
        """An id that waits for its answer, a live watch's too, is taken."""
        visit = self.listening.visit()
        visit.ask(1, "get_cart")
        visit.ask(1, "ping")
        visit.ask("1", "ping")
        visit.ask(2, "watch_inventory")
        visit.ask(2, "get_cart")

        self.assertEqual(
            [r for r in visit.codes() if r[1] != "ok"],
            [(1, "bad_request"), (2, "bad_request")],
        )
        self.host.waiting[0].callback({})
        visit.ask(1, "ping")
        self.assertEqual(visit.codes(), [(1, "ok"), (1, "ok")])

    def test_every_request_is_answered_in_time(self) -> None:
        """Who is not answered in time hears ``timeout``, and no late answer."""
        visit = self.listening.visit()
        visit.ask(1, "get_cart")
        self.listening.pass_time(REQUEST_TIMEOUT)
        self.assertEqual(visit.heard(), [])
        self.listening.pass_time(1)
        self.assertEqual(visit.codes(), [(1, "timeout")])

        self.host.waiting[0].callback({})

        self.assertEqual(visit.heard(), [])
        self.assertEqual(self.listening.listener.in_flight, 0)

    def test_session_is_remembered(self) -> None:
        """A connection's last login counts where no session is given."""
        sessions = iter(["s1.a", "s1.b"])
        self.host.answers["login"] = lambda _: {"session": next(sessions), "user": "a"}
        self.host.answers["logout"] = lambda _: {}
        visit = self.listening.visit()
        visit.ask(1, "get_cart")
        for _ in range(2):
            visit.ask(2, "login", {"username": "ann", "password": "hunter22"})
        visit.ask(3, "get_cart")
        visit.ask(4, "get_cart", session="s1.a")
        visit.ask(5, "logout", session="s1.a")
        visit.ask(6, "get_cart")
        visit.ask(7, "logout")
        visit.ask(8, "get_cart")

        given = [r.session for r, _ in self.host.asked if r.call == "get_cart"]
        self.assertEqual(given, [None, "s1.b", "s1.a", "s1.b", None])

    def test_failed_login_is_not_remembered(self) -> None:
        """A refused login leaves the session as it was."""
        self.host.answers["login"] = refuse("unauthenticated")
        visit = self.listening.visit()
        visit.ask(1, "login", {"username": "ann", "password": "hunter22"})
        visit.ask(2, "get_cart")

        self.assertIsNone(self.host.asked[-1][0].session)


class WatchTests(ListenerTestCase):
    """Watches."""

    def test_watch_and_cancel(self) -> None:
        """A watch is answered, then its events follow until it is cancelled."""
        visit = self.listening.visit()
        visit.ask(2, "watch_inventory")
        subscription = self.source.subscriptions[0]
        subscription.sink.send(b'{"revision":2}')
        visit.ask(3, "cancel", {"id": 2})
        subscription.sink.send(b'{"revision":3}')

        self.assertEqual(
            visit.heard(),
            [
                {"id": 2, "ok": {}},
                {"id": 2, "event": {"revision": 1}},
                {"id": 2, "event": {"revision": 2}},
                {"id": 3, "ok": {}},
            ],
        )
        self.assertEqual(self.source.subscriptions, [])
        visit.ask(2, "ping")
        visit.ask(4, "cancel", {"id": 2})
        visit.ask(5, "cancel", {"id": True})
        self.assertEqual(
            visit.codes(), [(2, "ok"), (4, "not_found"), (5, "bad_request")]
        )

    def test_watch_that_has_not_begun_is_cancelled(self) -> None:
        """Nothing follows on the watch's id, whenever its source is found."""
        del self.host.answers["watch_inventory"]
        visit = self.listening.visit()
        visit.ask(2, "watch_inventory")
        visit.ask(3, "cancel", {"id": 2})
        self.host.waiting[0].callback(Watching(self.source.subscribe))

        self.assertEqual(visit.codes(), [(3, "ok")])
        self.assertEqual(self.source.subscriptions, [])

    def test_too_many_watches(self) -> None:
        """One more watch than a connection may have is ``overloaded``."""
        visit = self.listening.visit()
        for request_id in range(WATCHES_PER_CONNECTION_MAX + 1):
            visit.ask(request_id, "watch_inventory")

        self.assertEqual(visit.codes()[-1], (WATCHES_PER_CONNECTION_MAX, "overloaded"))

    def test_too_many_watches_of_a_process(self) -> None:
        """A process of the cluster may have more, since it watches for many users."""
        visit = self.listening.visit().meet(identity("c0", purpose="client"))
        for request_id in range(WATCHES_PER_TRUSTED_CONNECTION_MAX + 1):
            visit.ask(request_id, "watch_inventory")

        self.assertEqual(
            visit.codes()[-1], (WATCHES_PER_TRUSTED_CONNECTION_MAX, "overloaded")
        )

    def test_watch_that_its_source_ends(self) -> None:
        """A source may end a watch, and says why: then its id is free again."""
        visit = self.listening.visit()
        visit.ask(2, "watch_inventory")
        sink = self.source.subscriptions[0].sink
        sink.end(Refused("unauthenticated", "logged out"))
        sink.end(Refused("unauthenticated", "logged out twice"))
        sink.send(b'{"revision":2}')
        visit.ask(2, "ping")

        self.assertEqual(
            visit.codes(), [(2, "ok"), (2, "ok"), (2, "unauthenticated"), (2, "ok")]
        )
        self.assertEqual(self.source.subscriptions, [])

    def test_slow_watcher_is_woken(self) -> None:
        """While a watcher does not read, its sink is not writable; then it is woken."""
        visit = self.listening.visit()
        visit.ask(2, "watch_inventory")
        sink = self.source.subscriptions[0].sink
        assert visit.protocol is not None

        visit.protocol.pauseProducing()
        self.assertFalse(sink.writable)
        self.assertEqual(self.source.woken, 0)
        visit.protocol.resumeProducing()
        self.assertTrue(sink.writable)
        self.assertEqual(self.source.woken, 1)

    def test_end_of_the_connection_ends_its_watches(self) -> None:
        """A watch is cancelled when its connection is lost."""
        visit = self.listening.visit()
        visit.ask(2, "watch_inventory")
        visit.lose()

        self.assertEqual(self.source.subscriptions, [])

    def test_watch_that_breaks(self) -> None:
        """Where nothing can be watched after all, the connection's end says so."""

        def broken(sink: Sink) -> Any:
            raise RuntimeError("no")

        self.host.answers["watch_inventory"] = lambda _: Watching(broken)
        visit = self.listening.visit()
        visit.ask(2, "watch_inventory")

        self.assertTrue(visit.transport.aborted)


class PaceTests(ListenerTestCase):
    """Who does not read, or asks too much."""

    def test_too_much_in_flight(self) -> None:
        """More requests than a connection may have in hand are ``overloaded``."""
        visit = self.listening.visit()
        lines = [
            b'{"id":%d,"call":"get_cart"}' % at
            for at in range(REQUESTS_PER_CONNECTION_MAX + 2)
        ]
        visit.say(*lines)

        most = REQUESTS_PER_CONNECTION_MAX
        self.assertEqual(
            visit.codes(), [(most, "overloaded"), (most + 1, "overloaded")]
        )
        self.host.waiting[0].callback({})
        visit.ask("next", "get_cart")
        self.assertEqual(visit.codes(), [(0, "ok")])

    def test_too_much_in_the_replica(self) -> None:
        """All connections share a bound, and leaving does not lift it."""
        left = REQUESTS_PER_REPLICA_MAX
        while left:
            visit = self.listening.visit("127.0.0.1")
            for at in range(min(left, REQUESTS_PER_CONNECTION_MAX)):
                visit.ask(at, "get_cart")
                left -= 1
            visit.lose()
        visit = self.listening.visit()
        visit.ask(1, "get_cart")
        visit.ask(2, "ping")
        self.assertEqual(visit.codes(), [(1, "overloaded"), (2, "ok")])

        self.host.waiting[0].callback({})
        visit.ask(1, "get_cart")
        self.assertEqual(visit.codes(), [])

    def test_requests_wait_for_a_client_that_does_not_read(self) -> None:
        """While answers are unread no request is taken; then all are, in order."""
        visit = self.listening.visit()
        assert visit.protocol is not None
        visit.protocol.pauseProducing()
        visit.say(*[b'{"id":%d,"call":"ping"}' % at for at in range(3)])
        self.assertEqual(visit.heard(), [])
        self.assertEqual(visit.transport.producerState, "paused")

        visit.protocol.resumeProducing()

        self.assertEqual([reply["id"] for reply in visit.heard()], [0, 1, 2])
        self.assertEqual(visit.transport.producerState, "producing")

    def test_client_that_never_reads_is_dropped(self) -> None:
        """Answers pile up to a bound."""
        self.host.answers["whoami"] = lambda _: {"user": "x" * 500_000}
        visit = self.listening.visit()
        assert visit.protocol is not None
        for at in range(20):
            visit.ask(at, "get_cart")
        visit.protocol.pauseProducing()
        for waiting in self.host.waiting:
            waiting.callback({"items": "x" * 500_000})

        self.assertTrue(visit.transport.aborted)
        self.assertLess(len(visit.transport.value()), SEND_BUFFER_BYTES_MAX + 600_000)
        self.assertEqual(self.listening.listener.in_flight, 0)

    def test_large_answers_to_one_who_reads(self) -> None:
        """However many requests for large answers come at once, so many are in hand as
        may be left unread; nobody is cut off for asking, and all are answered."""
        visit = self.listening.visit()
        assert visit.protocol is not None
        answer = {"revision": 1, "items": "x" * 300_000}
        visit.say(*[b'{"id":%d,"call":"put_item"}' % at for at in range(100)])
        in_hand = [len(self.host.waiting)]
        heard: list[Any] = []

        while self.host.waiting:
            # It reads what was written, and that takes its while each time.
            visit.protocol.pauseProducing()
            waiting, self.host.waiting = self.host.waiting, []
            for each in waiting:
                each.callback(answer)
            visit.protocol.resumeProducing()
            in_hand.append(len(self.host.waiting))
            heard += visit.heard()

        self.assertEqual([reply["id"] for reply in heard], [*range(100)])
        self.assertFalse(visit.is_ending)
        self.assertEqual(in_hand[0], ANSWERS_BYTES_MAX // LINE_BYTES_MAX)
        self.assertLess(max(in_hand), 2 + ANSWERS_BYTES_MAX / 300_000)
        self.assertGreater(max(in_hand), ANSWERS_BYTES_MAX / 300_000 - 2)
        self.assertEqual(visit.transport.producerState, "producing")

    def test_large_answers_that_wait_no_longer(self) -> None:
        """A request that waited is taken when an answer leaves, to one who reads."""
        visit = self.listening.visit()
        visit.say(*[b'{"id":%d,"call":"get_inventory"}' % at for at in range(9)])
        first = len(self.host.waiting)
        self.assertEqual(visit.transport.producerState, "paused")

        self.host.waiting[0].callback({"items": []})

        self.assertEqual([reply["id"] for reply in visit.heard()], [0])
        self.assertGreater(len(self.host.waiting), first)
        for each in self.host.waiting[1:]:
            each.callback({"items": []})
        self.assertEqual([reply["id"] for reply in visit.heard()], [*range(1, 9)])
        self.assertEqual(visit.transport.producerState, "producing")

    def test_too_many_connections(self) -> None:
        """Connections are bounded, an address's too; loopback's are not. Where all are
        taken the oldest stranger makes room, or members could be kept out."""
        visits = [self.listening.visit() for _ in range(CONNECTIONS_PER_ADDRESS_MAX)]
        self.assertIsNone(self.listening.visit().protocol)
        self.assertIsNone(self.listening.visit().protocol)
        self.assertIsNotNone(self.listening.visit("192.0.2.2").protocol)
        self.assertEqual(len(self.listening.warnings()), 1)
        visits[0].lose()
        self.assertIsNotNone(self.listening.visit().protocol)

        here = self.listening.listener
        while here.connections < CONNECTIONS_MAX:
            self.assertIsNotNone(self.listening.visit("127.0.0.1").protocol)
        self.assertFalse(visits[1].is_ending)
        self.assertIsNotNone(self.listening.visit("127.0.0.1").protocol)
        self.assertTrue(visits[1].is_ending)
        # Many are taken in one turn of the loop, before an end is heard of.
        self.assertFalse(visits[2].is_ending)
        self.assertIsNotNone(self.listening.visit("127.0.0.1").protocol)
        self.assertTrue(visits[2].is_ending)


class TimeTests(ListenerTestCase):
    """What lasts too long."""

    def test_silent_client(self) -> None:
        """A client that says nothing for ten minutes is closed; one who watches not."""
        silent, watcher = self.listening.visit(), self.listening.visit()
        silent.say(PING)
        watcher.ask(1, "watch_inventory")
        self.clock.advance(IDLE_SECONDS_MAX - 1)
        self.assertFalse(silent.is_ending)

        self.clock.advance(2)

        self.assertTrue(silent.transport.disconnecting)
        self.assertFalse(watcher.is_ending)

    def test_watcher_that_reads_nothing_either(self) -> None:
        """Who neither says nor reads anything is closed as well."""
        watcher = self.listening.visit()
        watcher.ask(1, "watch_inventory")
        assert watcher.protocol is not None
        watcher.protocol.pauseProducing()
        self.clock.advance(IDLE_SECONDS_MAX + 1)

        self.assertTrue(watcher.is_ending)

    def test_unfinished_line(self) -> None:
        """A line that drips is closed ten seconds after it began."""
        visit = self.listening.visit()
        visit.say_bytes(PING + b"\n{")
        for _ in range(round(UNFINISHED_LINE_SECONDS_MAX)):
            self.assertFalse(visit.is_ending)
            visit.say_bytes(b'"')
            self.listening.pass_time(1)
        self.listening.pass_time(1)

        self.assertTrue(visit.is_ending)
        self.assertEqual(visit.codes(), [(1, "ok"), (None, "bad_request")])

    def test_line_that_nobody_reads(self) -> None:
        """A line's time does not run while we do not read, and runs on after."""
        visit = self.listening.visit()
        assert visit.protocol is not None
        visit.protocol.pauseProducing()
        visit.say_bytes(PING + b"\n{")
        self.listening.pass_time(UNFINISHED_LINE_SECONDS_MAX * 2)
        self.assertFalse(visit.is_ending)
        visit.protocol.resumeProducing()
        self.listening.pass_time(UNFINISHED_LINE_SECONDS_MAX - 1)
        self.assertFalse(visit.is_ending)
        self.listening.pass_time(2)

        self.assertTrue(visit.is_ending)

    def test_finished_lines_start_anew(self) -> None:
        """Each line has its own ten seconds."""
        visit = self.listening.visit()
        for _ in range(5):
            visit.say_bytes(PING[:5])
            self.listening.pass_time(UNFINISHED_LINE_SECONDS_MAX - 1)
            visit.say_bytes(PING[5:] + b"\n")

        self.assertFalse(visit.is_ending)

    def test_broken_handshake(self) -> None:
        """What is no hello or no proof ends the handshake."""
        visit = self.listening.visit()
        visit.say(b'{"hello":1}')
        self.assertTrue(visit.is_ending)

        visit = self.listening.visit()
        visit.begin_hello(identity())
        visit.say(PING)
        self.assertTrue(visit.is_ending)

        visit = self.listening.visit()
        visit.say(b'{"hello": {}}')
        self.assertTrue(visit.is_ending)

    def test_hello_without_a_proof(self) -> None:
        """Who says hello and then nothing is closed in five seconds."""
        visit = self.listening.visit()
        visit.begin_hello(identity())
        self.listening.pass_time(HELLO_SECONDS_MAX - 0.5)
        visit.say_bytes(b"{")
        self.assertFalse(visit.is_ending)
        self.listening.pass_time(1)

        self.assertTrue(visit.is_ending)


class StrangerTests(ListenerTestCase):
    """Those who speak something else."""

    def test_http(self) -> None:
        """An HTTP request closes the connection before its body is looked at."""
        for first in [
            b"POST /api HTTP/1.1\r",
            b"GET / HTTP/1.0",
            b"PRI * HTTP/2.0\r",
            b"M-SEARCH * HTTP/1.1\r",
        ]:
            visit = self.listening.visit()
            visit.say(first, b"Host: x\r", b"\r", b'{"id":1,"call":"get_cart"}')
            visit.ask(2, "get_cart")

            self.assertEqual(self.host.asked, [])
            self.assertEqual(visit.codes(), [(None, "bad_request")])
            self.assertTrue(visit.transport.disconnecting)

    def test_tls(self) -> None:
        """A TLS ClientHello closes the connection without waiting for a line."""
        visit = self.listening.visit()
        visit.say_bytes(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")

        self.assertTrue(visit.transport.disconnecting)

    def test_line_too_long(self) -> None:
        """A line over the limit is told once, after the lines before it."""
        visit = self.listening.visit()
        visit.say_bytes(PING + b"\n" + b"x" * (LINE_BYTES_MAX + 2))
        visit.say_bytes(b"x\n" + PING + b"\n")

        self.assertEqual(visit.codes(), [(1, "ok"), (None, "bad_request")])
        self.assertTrue(visit.transport.disconnecting)

    def test_refusals_are_logged_once_and_escaped(self) -> None:
        """A stranger's words are escaped, and said again only when they change."""
        for _ in range(3):
            self.listening.visit().say_bytes(b"\x16\x03")
        theirs = identity(cluster="a\nb\x1b[31m")
        for _ in range(2):
            visit = self.listening.visit()
            visit.begin_hello(theirs)

        warnings = self.listening.warnings()
        self.assertEqual(len(warnings), 2)
        self.assertTrue(all(w.isprintable() and w.isascii() for w in warnings))


class ProvenTests(ListenerTestCase):
    """Those who prove that they know the secret."""

    def test_peer_messages(self) -> None:
        """What a proven member says reaches the host with its name."""
        visit = self.listening.visit().meet(identity())
        messages = [Heartbeat(1, 2, 3), HeartbeatReply(1, 3)]
        visit.say(*map(encode_message, messages))

        self.assertEqual(self.host.met, ["s1r1"])
        self.assertEqual(self.host.messages, [("s1r1", m) for m in messages])
        self.assertEqual(visit.heard(), [])

    def test_peer_that_speaks_nonsense(self) -> None:
        """What is no message closes the connection."""
        visit = self.listening.visit().meet(identity())
        visit.say(PING, encode_message(Heartbeat(1, 2, 3)))

        self.assertTrue(visit.is_ending)
        self.assertEqual(self.host.messages, [])

    def test_wrong_secret(self) -> None:
        """Who does not know the secret is not heard."""
        visit = self.listening.visit()
        visit.shake(identity(), b"other")
        visit.say(encode_message(Heartbeat(1, 2, 3)))

        self.assertEqual(visit.codes(), [(None, "forbidden")])
        self.assertTrue(visit.is_ending)
        self.assertEqual((self.host.met, self.host.messages), ([], []))

    def test_unwelcome_member(self) -> None:
        """The host's reason is told to the other side, and logged."""
        self.host.says_no = "s1r1 is an old copy"
        visit = self.listening.visit()
        visit.begin_hello(identity())

        self.assertEqual(visit.heard()[0]["error"]["message"], self.host.says_no)
        self.assertIn(self.host.says_no, self.listening.warnings()[0])

    def test_not_ready_yet(self) -> None:
        """A member that comes too early is told so, which is not worth a warning."""
        self.host.is_ready = False
        visit = self.listening.visit()
        visit.begin_hello(identity())

        self.assertEqual(visit.codes(), [(None, "unavailable")])
        self.assertTrue(visit.is_ending)
        self.assertEqual(self.listening.warnings(), [])
        self.host.is_ready = True
        self.listening.visit().meet(identity())

    def test_messages_need_a_proof(self) -> None:
        """A message without a handshake is a bad request of a client."""
        visit = self.listening.visit()
        visit.say(encode_message(Heartbeat(1, 2, 3)))

        self.assertEqual(visit.codes(), [(None, "bad_request")])
        self.assertEqual(self.host.messages, [])

    def test_later_connection_replaces_the_former(self) -> None:
        """A member that dials again ends what is left of its last connection."""
        former = self.listening.visit().meet(identity())
        later = self.listening.visit().meet(identity())

        self.assertTrue(former.transport.aborted)
        former.say(encode_message(Heartbeat(1, 2, 3)))
        former.lose()
        self.assertEqual(self.host.messages, [])
        later.say(encode_message(Heartbeat(2, 2, 3)))
        self.assertEqual(len(self.host.messages), 1)

    def test_trusted_requests(self) -> None:
        """A proven client's requests are trusted, a stranger's never are."""
        client = identity("lb0", group="lb", purpose="client")
        visit = self.listening.visit().meet(client)
        visit.ask(1, "locate", {"username": "ann"})
        self.listening.visit().ask(1, "locate", {"username": "ann"})

        self.assertEqual([trusted for _, trusted in self.host.asked], [True, False])

    def test_trusted_connection_remembers_no_session(self) -> None:
        """One user's login must not serve another's request of the same balancer."""
        self.host.answers["login"] = lambda _: {"session": "s1.a", "user": "ann"}
        client = identity("lb0", group="lb", purpose="client")
        visit = self.listening.visit().meet(client)
        visit.ask(1, "login", {"username": "ann", "password": "hunter22"})
        visit.ask(2, "get_cart")

        self.assertIsNone(self.host.asked[-1][0].session)

    def test_proven_connections_may_be_silent(self) -> None:
        """Followers have nothing to say to each other for hours."""
        peer = self.listening.visit().meet(identity())
        client = self.listening.visit().meet(identity("lb0", purpose="client"))
        self.clock.advance(IDLE_SECONDS_MAX * 10)

        self.assertFalse(peer.is_ending or client.is_ending)


class EndTests(ListenerTestCase):
    """How it all ends."""

    def test_drain(self) -> None:
        """What is in hand is answered, what is new is refused."""
        visit = self.listening.visit()
        visit.ask(1, "get_cart")
        drained = self.listening.listener.drain()
        visit.ask(2, "get_cart")
        self.assertNoResult(drained)
        self.assertEqual(visit.codes(), [(2, "unavailable")])

        self.host.waiting[0].callback({})

        self.successResultOf(drained)
        self.assertEqual(visit.codes(), [(1, "ok")])

    def test_close(self) -> None:
        """Every connection is closed, and cut off if it does not take that."""
        prompt, slow = self.listening.visit(), self.listening.visit()
        closed = self.listening.listener.close()
        self.assertTrue(prompt.transport.disconnecting)
        prompt.lose()
        self.assertNoResult(closed)
        self.listening.pass_time(CLOSE_SECONDS_MAX + 0.5)
        self.assertTrue(slow.transport.aborted)
        slow.lose()

        self.successResultOf(closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_abort(self) -> None:
        """A crash says nothing more, and hears nothing more."""
        visit, peer = self.listening.visit(), self.listening.visit().meet(identity())
        visit.ask(1, "get_cart")
        self.listening.listener.abort()
        self.host.waiting[0].callback({})
        visit.say(PING)
        peer.say(encode_message(Heartbeat(1, 2, 3)))

        self.assertTrue(visit.transport.aborted and peer.transport.aborted)
        self.assertEqual(visit.heard(), [])
        self.assertEqual(self.host.messages, [])
        self.assertIsNone(self.listening.visit().protocol)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_half_closed(self) -> None:
        """Who has said its last still gets its answers, then the end."""
        visit = self.listening.visit()
        visit.ask(1, "get_cart")
        visit.ask(2, "watch_inventory")
        visit.heard()
        half = IHalfCloseableProtocol(visit.protocol)
        half.readConnectionLost()
        self.assertFalse(visit.is_ending)

        self.host.waiting[0].callback({})

        self.assertEqual(visit.codes(), [(1, "ok")])
        self.assertTrue(visit.transport.disconnecting)

        slow = self.listening.visit()
        assert slow.protocol is not None
        self.host.answers["whoami"] = lambda _: {"user": "ann"}
        slow.protocol.pauseProducing()
        for at in range(3):
            slow.ask(at, "whoami")
        IHalfCloseableProtocol(slow.protocol).readConnectionLost()
        slow.protocol.resumeProducing()
        self.assertEqual(slow.codes(), [(0, "ok"), (1, "ok"), (2, "ok")])
        self.assertTrue(slow.transport.disconnecting)

        idle: Visit = self.listening.visit()
        IHalfCloseableProtocol(idle.protocol).readConnectionLost()
        self.assertTrue(idle.transport.disconnecting)

    def test_last_line_without_its_end(self) -> None:
        """The last line of one who has said its last needs no line feed; what a proven
        process was cut off in is no line."""
        visit = self.listening.visit()
        visit.say_bytes(PING + b"\n" + b'{"id":2,"call":"get_cart"}')
        IHalfCloseableProtocol(visit.protocol).readConnectionLost()
        self.assertFalse(visit.is_ending)

        self.host.waiting[0].callback({})

        self.assertEqual(visit.codes(), [(1, "ok"), (2, "ok")])
        self.assertTrue(visit.transport.disconnecting)

        only = self.listening.visit()
        only.say_bytes(PING)
        IHalfCloseableProtocol(only.protocol).readConnectionLost()
        self.assertEqual(only.codes(), [(1, "ok")])
        self.assertTrue(only.transport.disconnecting)

        bad = self.listening.visit()
        bad.say_bytes(b'{"id":1,"call":"pi')
        IHalfCloseableProtocol(bad.protocol).readConnectionLost()
        self.assertEqual(bad.codes(), [(None, "bad_request")])
        self.assertTrue(bad.transport.disconnecting)

        peer = self.listening.visit().meet(identity())
        peer.say_bytes(encode_message(Heartbeat(1, 2, 3))[:-5])
        IHalfCloseableProtocol(peer.protocol).readConnectionLost()
        self.assertEqual(self.host.messages, [])
        self.assertEqual(self.listening.warnings(), [])

    def test_over_a_pump(self) -> None:
        """A client over Twisted's simulated stream is answered and closed in order."""
        client = AccumulatingProtocol()
        server = self.listening.listener.factory.buildProtocol(None)
        pump = iosim.connect(
            server,
            iosim.FakeTransport(server, isServer=True),
            client,
            iosim.FakeTransport(client, isServer=False),
        )
        client.transport.write(PING + b"\n" + b'{"id":2,"call":"get_cart"}\n')
        pump.flush()
        self.host.waiting[0].callback({"version": 1})
        closed = self.listening.listener.close()
        pump.flush()

        self.successResultOf(closed)
        lines = client.data.split(b"\n")
        self.assertEqual(
            lines, [b'{"id":1,"ok":{}}', b'{"id":2,"ok":{"version":1}}', b""]
        )
        self.assertTrue(client.closed)
