"""A replica's gate: what waits, what is lost, and what passes all the same."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.internet.testing import (
    AccumulatingProtocol,
    MemoryReactorClock,
    StringTransport,
)
from twisted.logger import LogEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from cartnet.errors import Refused
from cartnet.limits import FAULT_SECONDS_MAX
from cartnet.outside import SocketNetwork
from cartnet.replica.gate import Fault, Gate
from cartnet.replica.gated import GatedClock, GatedNetwork
from cartnet.replica.listener import Listener
from cartnet.replica.ports import Sink, Watching
from tests.replica.listening import (
    REQUEST_TIMEOUT,
    Listening,
    Visit,
    identity,
    logger,
    seams,
)


class GateTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.events: list[LogEvent] = []
        self.gate = Gate("s1r0", self.clock, logger(self.events))
        self.done: list[Any] = []

    def did(self, what: Any) -> None:
        self.done.append(what)


class GateTests(GateTestCase):
    """What happens to a replica passes, or waits."""

    def test_order(self) -> None:
        """What came during a pause is let in afterwards, in its order."""
        self.gate.enter(self.did, 1)
        self.gate.inject("pause")
        for number in (2, 3):
            self.gate.enter(self.did, number)
        self.assertEqual(self.done, [1])
        self.gate.inject("resume")
        self.gate.enter(self.did, 4)
        self.assertEqual(self.done, [1])

        self.clock.advance(0)

        self.assertEqual(self.done, [1, 2, 3, 4])
        self.gate.enter(self.did, 5)
        self.assertEqual(self.done[-1], 5)

    def test_what_follows_from_what_waited(self) -> None:
        """What is brought about on the way in comes after what waited before it."""
        self.gate.inject("pause")
        self.gate.enter(lambda: self.gate.enter(self.did, "line"))
        self.gate.enter(self.did, "second")
        self.gate.inject("resume")
        self.clock.advance(0)

        self.assertEqual(self.done, ["second", "line"])

    def test_one_failure(self) -> None:
        """One that fails is logged, and the others are let in."""
        self.gate.inject("pause")
        self.gate.enter(int, "no number")
        self.gate.enter(self.did, 1)
        self.gate.inject("resume")
        self.clock.advance(0)

        self.assertEqual(self.done, [1])
        self.assertEqual(sum("log_failure" in event for event in self.events), 1)

    def test_results(self) -> None:
        """A result, or a failure, that comes during a pause waits."""
        reading: Deferred[Any] = Deferred()
        failing: Deferred[Any] = Deferred()
        reading.addBoth(self.gate.held).addCallback(self.did)
        failing.addBoth(self.gate.held).addErrback(self.did)
        succeed(0).addBoth(self.gate.held).addCallback(self.did)
        self.assertEqual(self.done, [0])
        self.gate.inject("pause")
        reading.callback("rows")
        failing.errback(Failure(ValueError("disk")))
        self.assertEqual(self.done, [0])

        self.gate.inject("resume")
        self.clock.advance(0)

        self.assertEqual(self.done[:2], [0, "rows"])
        self.assertIsInstance(self.done[2].value, ValueError)

    def test_paused_again_at_once(self) -> None:
        """A replica that is paused again before it went on has not gone on."""
        self.gate.inject("pause")
        self.gate.enter(self.did, 1)
        self.gate.inject("resume")
        self.gate.inject("pause")
        self.clock.advance(1)
        self.assertEqual((self.done, self.gate.state), ([], "paused"))

        self.gate.inject("resume")
        self.clock.advance(0)

        self.assertEqual((self.done, self.gate.state), ([1], "alive"))

    def test_states(self) -> None:
        """A fault that has begun does not begin again, nor ends twice."""
        cases: tuple[tuple[Fault, Fault, str, str], ...] = (
            ("pause", "resume", "paused", "paused"),
            ("isolate", "heal", "unreachable", "isolated"),
        )
        for begin, end, state, words in cases:
            self.assert_conflict(end, f"s1r0 is not {words}")
            self.gate.inject(begin)
            self.assertEqual(self.gate.state, state)
            self.assert_conflict(begin, f"s1r0 is {words} already")
            self.gate.inject(end)
            self.assertEqual(self.gate.state, "alive")
            self.clock.advance(0)
            self.assertFalse(self.gate.shut)

    def assert_conflict(self, fault: Fault, message: str) -> None:
        with self.assertRaises(Refused) as caught:
            self.gate.inject(fault)
        self.assertEqual(caught.exception.code, "conflict")
        self.assertEqual(caught.exception.message, message)

    def test_end_by_themselves(self) -> None:
        """Faults do not outlive whoever forgot them; one that ended has no such end."""
        self.gate.inject("pause")
        self.gate.inject("resume")
        self.clock.advance(1)
        self.gate.inject("isolate")
        self.gate.inject("pause")
        self.clock.advance(FAULT_SECONDS_MAX - 1)
        self.assertEqual(self.gate.state, "paused")
        self.clock.advance(1)
        self.clock.advance(0)

        self.assertFalse(self.gate.shut)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_open(self) -> None:
        """A replica that ends lets in at once what waited, and leaves no timer."""
        self.gate.inject("pause")
        self.gate.inject("isolate")
        self.gate.enter(self.did, 1)

        self.gate.open()

        self.assertEqual((self.done, self.gate.shut), ([1], False))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_open_between(self) -> None:
        """So it is for one that was about to go on."""
        self.gate.inject("pause")
        self.gate.enter(self.did, 1)
        self.gate.inject("resume")

        self.gate.open()

        self.assertEqual((self.done, self.gate.shut), ([1], False))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ClockTests(GateTestCase):
    """Timers of a replica that hangs."""

    def setUp(self) -> None:
        super().setUp()
        self.timers = GatedClock(self.clock, self.gate)

    def test_due_meanwhile(self) -> None:
        """Timers that fell due wait, then run by their time; others are not moved."""
        self.timers.callLater(2, self.did, "second")
        self.timers.callLater(1, self.did, "first")
        self.timers.callLater(9, self.did, "later")
        self.gate.inject("pause")
        self.clock.advance(2.5)
        self.clock.advance(2.5)
        self.assertEqual((self.done, self.timers.seconds()), ([], 5))

        self.gate.inject("resume")
        self.clock.advance(0)

        self.assertEqual(self.done, ["first", "second"])
        self.clock.advance(4)
        self.assertEqual(self.done[2:], ["later"])

    def test_timers_before_what_lies_in_the_sockets(self) -> None:
        """As after SIGCONT, due timers come first."""
        self.timers.callLater(1, self.did, "timer")
        self.gate.inject("pause")
        self.gate.enter(self.did, "data")
        self.clock.advance(2)
        self.gate.inject("resume")
        self.clock.advance(0)

        self.assertEqual(self.done, ["timer", "data"])

    def test_like_any_timer(self) -> None:
        """Timers are cancelled, moved and asked, before and after they were due."""
        timer = self.timers.callLater(1, self.did, 1)
        timer.delay(1)
        self.assertEqual((timer.getTime(), timer.active()), (2, True))
        timer.reset(3)
        self.gate.inject("pause")
        self.clock.advance(3)
        self.assertTrue(timer.active())
        timer.reset(1)
        other = self.timers.callLater(0, self.did, "never")
        self.clock.advance(0)
        other.cancel()
        self.gate.inject("resume")
        self.clock.advance(0)
        self.assertEqual(self.done, [])
        self.clock.advance(1)

        self.assertEqual((self.done, timer.active()), ([1], False))
        self.assertRaises(AlreadyCalled, timer.cancel)
        self.assertRaises(AlreadyCancelled, other.reset, 1)


class Socket(StringTransport):
    """Like Twisted's own, it is gone when its connection is."""

    is_gone = False

    def setTcpNoDelay(self, enabled: bool) -> None:  # noqa: N802 # Twisted's name
        assert not self.is_gone, "there is no socket any more"

    setTcpKeepAlive = setTcpNoDelay  # noqa: N815 # Twisted's name


class Prompt(AccumulatingProtocol):
    """It sets its socket's options, as whoever dials does."""

    @override
    def connectionMade(self) -> None:
        super().connectionMade()
        stream = cast("Any", self.transport)
        stream.setTcpNoDelay(True)
        stream.setTcpKeepAlive(True)


class DialledTests(GateTestCase):
    """Connections that a replica makes."""

    def setUp(self) -> None:
        super().setUp()
        self.reactor = MemoryReactorClock()
        self.network = GatedNetwork(SocketNetwork(self.reactor), self.gate)
        self.protocol: Any = Prompt()
        factory: Any = Factory.forProtocol(lambda: self.protocol)
        factory.protocolConnectionMade = None
        endpoint = self.network.client("127.0.0.1:5005")
        self.connecting: Deferred[Any] = endpoint.connect(factory)
        dialled = self.reactor.tcpClients[0][2]
        self.outer: Any = dialled.buildProtocol(cast("Any", None))

    def connect(self) -> Socket:
        transport = Socket()
        self.outer.makeConnection(transport)
        return transport

    def test_open(self) -> None:
        """Through an open gate bytes pass, both ways, until the end."""
        transport = self.connect()
        self.assertIs(self.successResultOf(self.connecting), self.protocol)
        self.outer.dataReceived(b"in")
        self.protocol.transport.write(b"out")
        self.assertEqual((self.protocol.data, transport.value()), (b"in", b"out"))

        self.outer.connectionLost(Failure(ConnectionResetError()))

        self.assertTrue(self.protocol.closed)
        self.assertEqual([*self.network.connections], [])

    def test_paused(self) -> None:
        """While paused nothing is read or written, or known of the connection's end."""
        transport = self.connect()
        self.gate.inject("pause")
        self.outer.dataReceived(b"in")
        self.protocol.transport.write(b"out")
        self.assertEqual(transport.producerState, "paused")
        self.outer.connectionLost(Failure(ConnectionResetError()))
        self.assertEqual((self.protocol.data, transport.value()), (b"", b""))
        self.assertFalse(self.protocol.closed)

        self.gate.inject("resume")
        self.clock.advance(0)

        self.assertEqual((self.protocol.data, transport.value()), (b"in", b"out"))
        self.assertTrue(self.protocol.closed)

    def test_connected_while_paused(self) -> None:
        """A connection that comes about during a pause is heard of afterwards."""
        self.gate.inject("pause")
        self.connect()
        self.assertFalse(self.protocol.made)
        self.assertNoResult(self.connecting)

        self.gate.inject("resume")
        self.clock.advance(0)

        self.assertTrue(self.protocol.made)
        self.assertIs(self.successResultOf(self.connecting), self.protocol)

    def test_connected_and_lost_while_paused(self) -> None:
        """One that has ended by then is heard of, too, with its end."""
        self.gate.inject("pause")
        transport = self.connect()
        transport.is_gone = True
        self.outer.connectionLost(Failure(ConnectionResetError()))

        self.gate.inject("resume")
        self.clock.advance(0)

        self.assertFalse(any("log_failure" in event for event in self.events))
        self.assertTrue(self.protocol.made)
        self.assertTrue(self.protocol.closed)

    def test_isolated(self) -> None:
        """Bytes are lost, both ways; the connection stays, and is cut when healed."""
        transport = self.connect()
        self.gate.inject("isolate")
        self.outer.dataReceived(b"in")
        self.protocol.transport.write(b"out")
        self.assertEqual((self.protocol.data, transport.value()), (b"", b""))
        self.assertFalse(transport.disconnecting)

        self.gate.inject("heal")

        self.assertTrue(transport.disconnected)

    def test_isolated_without_a_loss(self) -> None:
        """A connection that nothing was lost on goes on."""
        transport = self.connect()
        self.gate.inject("isolate")
        self.gate.inject("heal")

        self.protocol.transport.write(b"out")
        self.assertEqual((transport.value(), transport.disconnected), (b"out", False))


class ConversationTests(SynchronousTestCase):
    """Connections to a replica's own port."""

    def setUp(self) -> None:
        self.listening = Listening()
        self.host, self.clock = self.listening.host, self.listening.clock
        log = logger(self.listening.events)
        self.gate = Gate("s1r0", self.clock, log)
        # The replica hands its listener gated seams.
        outside = seams(self.clock)
        self.listening.listener = Listener(
            self.host, outside, log, REQUEST_TIMEOUT, self.gate
        )
        self.host.answers["whoami"] = lambda _: {"user": "ann"}

    def resume(self) -> None:
        self.gate.inject("resume")
        self.clock.advance(0)

    def supervisor(self) -> Visit:
        return self.listening.visit().meet(
            identity("admin", purpose="supervisor", group="")
        )

    def test_paused(self) -> None:
        """Requests wait unread, answers unsent, and both go on afterwards."""
        visit = self.listening.visit()
        visit.ask(1, "get_cart")
        self.gate.inject("pause")
        visit.ask(2, "whoami")
        self.host.waiting[0].callback({})
        self.assertEqual((visit.heard(), len(self.host.asked)), ([], 1))
        self.assertEqual(visit.transport.producerState, "paused")

        self.resume()

        self.assertEqual(visit.codes(), [(1, "ok"), (2, "ok")])
        self.assertEqual(visit.transport.producerState, "producing")

    def test_new_connection_while_paused(self) -> None:
        """Nobody is greeted during a pause, however trusted."""
        visit = self.listening.visit()
        visit.begin_hello(identity())
        stranger = self.listening.visit()
        self.gate.inject("pause")
        late = self.listening.visit()
        late.begin_hello(identity("s1r2"))
        stranger.ask(1, "ping")
        self.assertEqual((late.heard(), stranger.heard()), ([], []))

        self.resume()

        self.assertIn("hello", late.heard()[0])
        self.assertEqual(stranger.codes(), [(1, "ok")])

    def test_lost_while_paused(self) -> None:
        """That a connection has ended is known afterwards."""
        visit = self.listening.visit()
        self.gate.inject("pause")
        visit.lose()
        self.assertEqual(self.listening.listener.connections, 1)
        self.resume()
        self.assertEqual(self.listening.listener.connections, 0)

    def test_isolated(self) -> None:
        """Lines are lost whole, both ways, and the connection goes on after that."""
        visit = self.listening.visit()
        visit.ask(1, "get_cart")
        visit.say_bytes(b'{"id":2,"call":')
        self.gate.inject("isolate")
        visit.say_bytes(b'"whoami"}\n{"id":3,"ca')
        self.host.waiting[0].callback({})
        self.assertEqual((visit.heard(), visit.is_ending), ([], False))

        self.gate.inject("heal")
        visit.say_bytes(b'll":"whoami"}\n')

        self.assertEqual(visit.codes(), [(3, "ok")])

    def test_isolated_processes(self) -> None:
        """Another process is cut off in the end where a line was lost: it awaits no
        answer for ever, nor a leader what became of a part of a snapshot."""
        asking, awaiting, idle, peer, calm = (self.listening.visit() for _ in range(5))
        for visit in (asking, awaiting, idle):
            visit.meet(identity("lb0", purpose="client", group=""))
        peer.meet(identity("s1r1"))
        calm.meet(identity("s1r2"))
        awaiting.ask(1, "get_cart")
        self.gate.inject("isolate")
        asking.ask(2, "whoami")
        self.host.waiting[0].callback({})
        peer.say(b"{}")
        visits = (asking, awaiting, idle, peer, calm)
        self.assertEqual([visit.is_ending for visit in visits], 5 * [False])

        self.gate.inject("heal")

        ending = [visit.is_ending for visit in visits]
        self.assertEqual(ending, [True, True, False, True, False])

    def test_watch_while_isolated(self) -> None:
        """A watcher is sent nothing that would be lost, and the rest afterwards."""
        sinks: list[Sink] = []
        woken: list[bool] = []

        class Subscription:
            def wake(self) -> None:
                woken.append(sinks[0].writable)

            def cancel(self) -> None: ...

        def subscribe(sink: Sink) -> Subscription:
            sinks.append(sink)
            return Subscription()

        self.host.answers["watch_inventory"] = lambda _: Watching(subscribe)
        visit = self.listening.visit()
        visit.ask(1, "watch_inventory")
        self.gate.inject("isolate")
        self.assertFalse(sinks[0].writable)

        self.gate.inject("heal")

        self.assertEqual(woken, [True])

    def test_lost_hello(self) -> None:
        """Whoever said hello in vain, or heard nothing back, is to dial again."""
        begun = self.listening.visit()
        begun.begin_hello(identity())
        self.gate.inject("isolate")
        vain = self.listening.visit()
        vain.begin_hello(identity("s1r2"))
        client = self.listening.visit()
        client.ask(1, "ping")

        self.gate.inject("heal")

        self.assertEqual(
            [visit.is_ending for visit in (begun, vain, client)], [True, True, False]
        )

    def test_supervisors_pass(self) -> None:
        """A supervisor is heard and answered whatever the gate, old or new."""
        self.host.answers["supervise"] = lambda _: {"replica": "s1r0"}
        self.host.unwelcome = lambda theirs: None  # type: ignore[method-assign] # they are no members
        old = self.supervisor()
        for fault in ("pause", "isolate"):
            self.gate.inject(fault)
            for visit in (old, self.supervisor()):
                visit.ask(fault, "supervise", {"command": "status"})
                self.assertEqual(visit.codes(), [(fault, "ok")])

    def test_supervisors_only_supervise(self) -> None:
        """Nothing else is done for a supervisor's connection."""
        self.host.unwelcome = lambda theirs: None  # type: ignore[method-assign] # they are no members
        visit = self.supervisor()
        visit.ask(1, "whoami")
        self.assertEqual(visit.codes(), [(1, "forbidden")])
