"""The simulated network, through the protocols that use it."""

from __future__ import annotations

from typing import Any

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IPushProducer
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override
from zope.interface import implementer

from cartnet.simulator.network import Link
from cartnet.simulator.world import World


class Recorder(Protocol):
    """Keeps all that happens to it."""

    transport: Any

    def __init__(self) -> None:
        self.received = b""
        self.pieces = 0
        self.lost: type[BaseException] | None = None

    @override
    def dataReceived(self, data: bytes) -> None:
        self.received += data
        self.pieces += 1

    @override
    def connectionLost(self, reason: Failure | None = None) -> None:
        assert self.lost is None
        assert reason is not None
        self.lost = reason.type


class RecorderFactory(Factory):
    noisy = False

    def __init__(self) -> None:
        self.made: list[Recorder] = []

    @override
    def buildProtocol(self, addr: IAddress | None) -> Recorder:
        self.made.append(Recorder())
        return self.made[-1]


@implementer(IPushProducer)
class Source:
    """A producer that only notes what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:  # noqa: N802 - Twisted's name
        self.told.append("pause")

    def resumeProducing(self) -> None:  # noqa: N802 - Twisted's name
        self.told.append("resume")

    def stopProducing(self) -> None:  # noqa: N802 - Twisted's name
        self.told.append("stop")


class NetworkTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World(7)
        self.network = self.world.network
        self.a = self.world.host("a", "10.0.0.1:1000")
        self.b = self.world.host("b", "10.0.0.2:2000")
        self.factory = RecorderFactory()
        endpoint = self.b.seams.network.server("10.0.0.2:2000")
        self.port = self.successResultOf(endpoint.listen(self.factory))

    def dial(self) -> Deferred[Any]:
        return self.a.seams.network.client("10.0.0.2:2000").connect(RecorderFactory())

    def connect(self) -> tuple[Recorder, Recorder]:
        """Both ends of a new connection from a to b."""
        dialled = self.dial()
        self.world.clock.run_for(0.1)
        return self.successResultOf(dialled), self.factory.made[-1]


class ConnectionTests(NetworkTestCase):
    """How connections begin and end."""

    def test_bytes_stay_in_order(self) -> None:
        """All bytes arrive, in order, some writes in two pieces."""
        near, far = self.connect()
        sent = [b"%d\n" % number for number in range(1000)]

        for line in sent:
            near.transport.write(line)
        self.world.clock.run_for(1)

        self.assertEqual(far.received, b"".join(sent))
        self.assertGreater(far.pieces, 1000)

    def test_addresses(self) -> None:
        """Either end knows the other's host, and a port of its own."""
        near, far = self.connect()

        self.assertEqual(near.transport.getPeer().host, "10.0.0.2")
        self.assertEqual(near.transport.getPeer().port, 2000)
        self.assertEqual(far.transport.getPeer().host, "10.0.0.1")
        self.assertEqual(far.transport.getPeer(), near.transport.getHost())

    def test_refused(self) -> None:
        """Nobody listens: refused, after a way there and back."""
        self.port.stopListening()

        dialled = self.dial()
        self.assertNoResult(dialled)
        self.world.clock.run_for(0.1)

        self.failureResultOf(dialled, error.ConnectionRefusedError)

    def test_port_in_use(self) -> None:
        """A second listener on one address is an error."""
        second = self.b.seams.network.server("10.0.0.2:2000").listen(self.factory)

        self.failureResultOf(second, error.CannotListenError)

    def test_close(self) -> None:
        """A closed connection delivers what was written, then ends cleanly."""
        near, far = self.connect()

        near.transport.write(b"farewell")
        near.transport.loseConnection()
        self.world.clock.run_for(1)

        self.assertEqual(far.received, b"farewell")
        self.assertEqual(near.lost, error.ConnectionDone)
        self.assertEqual(far.lost, error.ConnectionDone)
        self.assertEqual(self.network.ends(), [])

    def test_abort(self) -> None:
        """An aborted connection is reset at the other end."""
        near, far = self.connect()

        near.transport.abortConnection()
        self.assertIsNone(near.lost)
        self.world.clock.run_for(1)

        self.assertEqual(near.lost, error.ConnectionAborted)
        self.assertEqual(far.lost, error.ConnectionLost)

    def test_asleep_past_its_patience(self) -> None:
        """A process that sleeps while it dials, for longer than it would wait, wakes to
        the connection that was made; or it gives up, where it asks for that first."""
        for gives_up in (False, True):
            dialled = self.dial()
            self.a.pause()
            self.world.clock.run_for(5)
            self.assertNoResult(dialled)

            if gives_up:
                dialled.cancel()
            self.a.resume()

            if gives_up:
                self.failureResultOf(dialled, error.ConnectingCancelledError)
            else:
                self.successResultOf(dialled)

    def test_cancelled(self) -> None:
        """A cancelled attempt fails at once, and the other end is told."""
        dialled = self.dial()
        self.world.clock.run_while(lambda: not self.factory.made, seconds_max=1)

        dialled.cancel()
        self.failureResultOf(dialled, error.ConnectingCancelledError)
        self.world.clock.run_for(1)

        self.assertEqual(self.factory.made[0].lost, error.ConnectionLost)

    def test_crash(self) -> None:
        """A crashed process says nothing; its peers' connections are reset."""
        near, far = self.connect()

        self.b.crash()
        near.transport.write(b"anybody?")
        self.world.clock.run_for(1)

        self.assertIsNone(far.lost)
        self.assertEqual(far.received, b"")
        self.assertEqual(near.lost, error.ConnectionLost)
        self.failureResultOf(self.dialled_to_the_end(), error.ConnectionRefusedError)

    def dialled_to_the_end(self) -> Deferred[Any]:
        dialled = self.dial()
        self.world.clock.run_for(5)
        return dialled


class CutTests(NetworkTestCase):
    """What a partition does."""

    def test_held(self) -> None:
        """What is sent into a cut link arrives after the heal, in order."""
        near, far = self.connect()
        self.network.partition(["a"], ["b"])

        for number in range(100):
            near.transport.write(b"%d " % number)
        self.world.clock.run_for(60)
        self.assertEqual(far.received, b"")
        self.network.heal()
        near.transport.write(b"last")
        self.world.clock.run_for(1)

        self.assertEqual(
            far.received,
            b"%s last" % b" ".join(b"%d" % number for number in range(100)),
        )

    def test_lost(self) -> None:
        """What is sent into a link that loses is gone; what follows arrives."""
        near, far = self.connect()

        self.network.partition(["a"], ["b"], how="lost")
        near.transport.write(b"gone")
        self.world.clock.run_for(60)
        self.network.heal()
        near.transport.write(b"there")
        self.world.clock.run_for(1)

        self.assertEqual(far.received, b"there")

    def test_user_timeout(self) -> None:
        """Who has dialled does not wait for long for an acknowledgement, whichever way
        is cut; the other end hears of that when it writes."""
        self.network.user_timeout = 2.0
        for cut in (("a", "b"), ("b", "a")):
            near, far = self.connect()
            silent, _ = self.connect()
            self.network.cut([cut[0]], [cut[1]])
            near.transport.write(b"anybody?")

            self.world.clock.run_for(1.9)
            self.assertIsNone(near.lost)
            self.world.clock.run_for(60)
            self.assertIs(near.lost, error.ConnectionLost)
            self.assertIsNone(silent.lost)
            self.network.heal()
            self.world.clock.run_for(1)

            self.assertEqual(far.received, b"anybody?")
            self.assertIsNone(far.lost)
            far.transport.write(b"somebody.")
            self.world.clock.run_for(1)
            self.assertIs(far.lost, error.ConnectionLost)

    def test_user_timeout_of_a_full_window(self) -> None:
        """A full window counts, too, until the other end reads again."""
        self.network.user_timeout = 2.0
        near, far = self.connect()
        far.transport.pauseProducing()
        near.transport.write(b"." * 200_000)

        self.world.clock.run_for(1.9)
        self.assertIsNone(near.lost)
        self.world.clock.run_for(0.2)

        self.assertIs(near.lost, error.ConnectionLost)

    def test_healed_in_time(self) -> None:
        """A cut that is over sooner does no harm, however many follow; a later one that
        stays does."""
        self.network.user_timeout = 2.0
        near, far = self.connect()
        for _ in range(5):
            self.network.partition(["a"], ["b"])
            near.transport.write(b".")
            self.world.clock.run_for(1.9)
            self.network.heal()
            self.world.clock.run_for(0.01)
        self.assertIsNone(near.lost)
        self.assertEqual(far.received, b".....")

        self.network.partition(["a"], ["b"])
        near.transport.write(b".")
        self.world.clock.run_for(5)

        self.assertIs(near.lost, error.ConnectionLost)

    def test_one_way(self) -> None:
        """A link may be cut in one direction alone."""
        near, far = self.connect()
        self.network.cut(["a"], ["b"])

        near.transport.write(b"ping")
        far.transport.write(b"pong")
        self.world.clock.run_for(1)

        self.assertEqual((near.received, far.received), (b"pong", b""))

    def test_connecting_times_out(self) -> None:
        """A connection into a cut link fails by itself, and leaves nothing behind."""
        self.network.partition(["a"], ["b"])

        dialled = self.dial()
        self.world.clock.run_for(5)
        self.failureResultOf(dialled, error.TimeoutError)
        self.network.heal()
        self.world.clock.run_for(5)

        self.assertEqual(self.factory.made, [])

    def test_half_open(self) -> None:
        """A peer that died unheard is noticed by what is written to it later."""
        near, _ = self.connect()
        self.network.partition(["a"], ["b"], how="lost")
        self.b.crash()
        self.world.clock.run_for(60)
        self.network.heal()
        self.assertIsNone(near.lost)

        near.transport.write(b"anybody?")
        self.world.clock.run_for(1)

        self.assertEqual(near.lost, error.ConnectionLost)

    def test_loss(self) -> None:
        """A lossy link loses whole writes."""
        near, far = self.connect()
        self.network.link("a", "b").loss = 0.3

        for _ in range(1000):
            near.transport.write(b"abcdefgh")
        self.world.clock.run_for(1)

        self.assertEqual(far.received, b"abcdefgh" * (len(far.received) // 8))
        self.assertEqual(len(far.received) // 8, 1000 - self.network.writes_lost)
        self.assertTrue(200 < self.network.writes_lost < 400)

    def test_loss_of_some(self) -> None:
        """Or only those that begin in a certain way: no handshake, nor what follows."""
        self.network.link("a", "b").loss = 1.0
        self.network.link("a", "b").lost = b"lost"
        near, far = self.connect()

        for data in (b"hello", b"lost", b"there"):
            near.transport.write(data)
        self.world.clock.run_for(1)

        self.assertEqual(far.received, b"hellothere")


class BackpressureTests(NetworkTestCase):
    """A reader that does not keep up."""

    def test_producer(self) -> None:
        """A producer is paused while too much is unread, and resumed after."""
        near, far = self.connect()
        source = Source()
        near.transport.registerProducer(source, True)
        far.transport.pauseProducing()

        for _ in range(200):
            near.transport.write(b"x" * 1024)
        self.world.clock.run_for(1)
        self.assertEqual(source.told, ["pause"])
        far.transport.resumeProducing()
        self.world.clock.run_for(1)

        self.assertEqual(source.told, ["pause", "resume"])
        self.assertEqual(len(far.received), 200 * 1024)

    def test_producer_is_stopped(self) -> None:
        """The end of a connection stops its producer."""
        near, far = self.connect()
        source = Source()
        near.transport.registerProducer(source, True)

        far.transport.abortConnection()
        self.world.clock.run_for(1)

        self.assertEqual(source.told, ["stop"])

    def test_close_waits(self) -> None:
        """A close waits until the other end has taken what was written."""
        near, far = self.connect()
        far.transport.pauseProducing()
        near.transport.write(b"x" * 500_000)

        near.transport.loseConnection()
        self.world.clock.run_for(1)
        self.assertIsNone(near.lost)
        far.transport.resumeProducing()
        self.world.clock.run_for(1)

        self.assertEqual(near.lost, error.ConnectionDone)
        self.assertEqual(len(far.received), 500_000)
        self.assertEqual(far.lost, error.ConnectionDone)


class DelayTests(SynchronousTestCase):
    """How long things take."""

    def test_delay(self) -> None:
        """A link's delay is the least that each way takes."""
        world = World(1, lambda: Link(delay_min=0.4, delay_mean=0.0))
        factory = RecorderFactory()
        world.host("b").seams.network.server("10.0.0.2:2000").listen(factory)

        dialled = (
            world.host("a")
            .seams.network.client("10.0.0.2:2000")
            .connect(RecorderFactory())
        )
        world.clock.run_until(0.79)
        self.assertNoResult(dialled)
        world.clock.run_until(0.81)

        self.successResultOf(dialled)
        self.assertEqual(len(factory.made), 1)
