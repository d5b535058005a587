from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import msgspec
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import LogEvent, LogLevel
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from cartnet.consensus.messages import AppendEntries, Entry, Heartbeat, PeerMessage
from cartnet.limits import (
    HELLO_SECONDS_MAX,
    RECONNECT_SECONDS_MAX,
    SEND_BUFFER_BYTES_MAX,
)
from cartnet.replica.listener import Listener
from cartnet.replica.peers import Peers
from cartnet.simulator.world import World
from cartnet.topology.groups import Group, group_of_addresses
from cartnet.wire.hello import Identity, NotYet, peer_mismatch
from tests.replica.listening import REQUEST_TIMEOUT, SECRET, identity, logger

GROUP = group_of_addresses(
    "s1", "shard", ("10.0.0.1:5005", "10.0.0.2:5005", "10.0.0.3:5005")
)
A_WHILE = 0.1


class Member:
    """A member's listener, and whatever it was told."""

    secret = SECRET

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name = world, name
        self.group = GROUP
        self.fields: dict[str, Any] = {}
        self.says_no: str | None = None
        self.is_ready = True
        self.messages: list[PeerMessage] = []
        self.met: list[str] = []
        self.events: list[LogEvent] = []
        self.port: IListeningPort | None = None
        self.address = GROUP.member(name).address
        self.seams = world.host(name, self.address).seams
        self.listener: Listener

    def start(self) -> Member:
        self.listener = Listener(
            self, self.seams, logger(self.events), request_timeout=REQUEST_TIMEOUT
        )
        self.serve(self.listener.factory)
        return self

    def serve(self, factory: Factory) -> None:
        listening = self.seams.network.server(self.address).listen(factory)
        listening.addCallback(self._listens)

    def _listens(self, port: IListeningPort) -> None:
        self.port = port

    def kill(self) -> None:
        """Go without a farewell, the port too."""
        assert self.port is not None
        self.port.stopListening()
        self.listener.abort()

    def identity(self) -> Identity:
        return identity(self.name, members=GROUP.members_hash, **self.fields)

    def unwelcome(self, theirs: Identity) -> str | None:
        if not self.is_ready:
            raise NotYet(f"{self.name} is still reading its file")
        return self.says_no or peer_mismatch(self.identity(), theirs, None)

    def peer_connected(self, theirs: Identity) -> None:
        self.met.append(theirs.replica)

    def peer_message(self, sender: str, message: PeerMessage) -> None:
        assert sender == "s1r0"
        self.messages.append(message)

    def call(self, request: Any, caller: Any) -> Any:
        raise AssertionError("nobody asks")


class Mute(Protocol):
    """Takes connections and says nothing."""

    @override
    def connectionMade(self) -> None:
        cast("Any", self.transport).pauseProducing()


class Dialling:
    """The peers of ``s1r0``, and what they tell."""

    secret = SECRET

    def __init__(self, world: World, group: Group = GROUP) -> None:
        self.told: list[tuple[str, str]] = []
        self.identities: list[Identity] = []
        self.events: list[LogEvent] = []
        self.peers = Peers(
            self,
            group,
            "s1r0",
            world.host("s1r0", GROUP.members[0].address).seams,
            logger(self.events),
        )

    def identity(self) -> Identity:
        return identity("s1r0", members=GROUP.members_hash)

    def peer_up(self, name: str, theirs: Identity) -> None:
        self.told.append(("up", name))
        self.identities.append(theirs)

    def peer_lost(self, name: str) -> None:
        self.told.append(("lost", name))

    def peer_absent(self, name: str) -> None:
        self.told.append(("absent", name))

    def logged(self) -> list[str]:
        return [str(e["log_format"]).format(**e) for e in self.events]


class PeersTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World(1)
        self.members = {name: Member(self.world, name) for name in ("s1r1", "s1r2")}
        self.dialling = Dialling(self.world)
        self.peers = self.dialling.peers

    def run_for(self, seconds: float = A_WHILE) -> None:
        self.world.clock.run_for(seconds)

    def told(self) -> list[tuple[str, str]]:
        """What was told since this was asked last."""
        told = self.dialling.told[:]
        self.dialling.told.clear()
        return told

    def connect(self) -> None:
        """Connect to ``s1r1``, as the leader."""
        self.members["s1r1"].fields["leads"] = True
        self.members["s1r1"].start()
        self.peers.start()
        self.run_for()
        self.assertEqual(self.told(), [("up", "s1r1")])


class ConnectionTests(PeersTestCase):
    """Connections come, and come again."""

    def test_everybody_meets(self) -> None:
        """Each other member is dialled, and both sides learn who the other is."""
        for member in self.members.values():
            member.start()
        self.peers.start()
        self.run_for()

        self.assertEqual(sorted(self.told()), [("up", "s1r1"), ("up", "s1r2")])
        self.assertEqual(self.members["s1r1"].met, ["s1r0"])
        self.assertEqual(
            sorted(theirs.replica for theirs in self.dialling.identities),
            ["s1r1", "s1r2"],
        )

    def test_member_that_comes_late(self) -> None:
        """A member that is not there yet is found within the longest pause."""
        self.peers.start()
        self.run_for(10)
        self.assertEqual(self.told(), [])
        self.members["s1r1"].start()
        self.run_for(RECONNECT_SECONDS_MAX + A_WHILE)

        self.assertEqual(self.told(), [("up", "s1r1")])

    def test_pauses_grow(self) -> None:
        """A member that stays away is not dialled often."""
        dials = 0
        seams = self.world.host("s1r0").seams
        client: Callable[[str], Any] = seams.network.client

        def counted(address: str) -> Any:
            nonlocal dials
            dials += 1
            return client(address)

        self.patch(seams.network, "client", counted)
        self.peers.start()
        self.run_for(10)

        # Two members, and pauses of half to the whole of the longest.
        self.assertLess(dials, 2 * (10 / (RECONNECT_SECONDS_MAX / 2) + 8))
        self.assertGreater(dials, 2 * 10 / RECONNECT_SECONDS_MAX)

    def test_member_that_calls(self) -> None:
        """A member that dials us is dialled at once."""
        self.peers.start()
        self.run_for(10)
        self.members["s1r1"].start()
        self.peers.peer_called("s1r1")
        self.run_for(RECONNECT_SECONDS_MAX / 10)

        self.assertEqual(self.told(), [("up", "s1r1")])

    def test_messages(self) -> None:
        """Messages arrive in order; without a connection they are dropped."""
        self.assertFalse(self.peers.send("s1r1", Heartbeat(1, 0, 0)))
        self.connect()
        messages = [Heartbeat(1, 0, at) for at in range(3)]

        self.assertTrue(all(self.peers.send("s1r1", m) for m in messages))
        self.assertFalse(self.peers.send("s1r2", messages[0]))
        self.run_for()

        self.assertEqual(self.members["s1r1"].messages, messages)

    def test_member_that_hangs(self) -> None:
        """What a member does not read is bounded; then messages are dropped."""
        self.connect()
        command = b'"' + b"x" * 100_000 + b'"'
        append = AppendEntries(1, 0, 0, 0, (Entry(1, 1, msgspec.Raw(command)),))
        # No time passes, and so nothing is read.
        sent = 0
        while self.peers.send("s1r1", append):
            sent += len(command)
            self.assertLess(sent, 2 * SEND_BUFFER_BYTES_MAX)
        self.assertGreater(sent, SEND_BUFFER_BYTES_MAX / 2)

    def assert_ended(self) -> None:
        self.assertFalse(self.peers.send("s1r1", Heartbeat(1, 0, 0)))
        self.peers.peer_called("s1r1")
        self.run_for(5)
        self.assertEqual(self.told(), [])
        self.assertEqual(self.members["s1r1"].listener.connections, 0)

    def test_close(self) -> None:
        """What was sent before the end arrives; after it nothing is told or dialled."""
        self.connect()
        self.peers.send("s1r1", Heartbeat(1, 0, 0))
        self.peers.close()

        self.assert_ended()
        self.assertEqual(len(self.members["s1r1"].messages), 1)

    def test_abort(self) -> None:
        """A crash ends the attempts under way as well."""
        self.connect()
        self.members["s1r2"].start()
        self.peers.abort()

        self.assert_ended()


class CrashTests(PeersTestCase):
    """What a lost connection says of the member."""

    def test_crash(self) -> None:
        """A member that is gone, port and all, is absent at once."""
        self.connect()
        self.members["s1r1"].kill()
        self.run_for(RECONNECT_SECONDS_MAX / 10)

        self.assertEqual(self.told(), [("lost", "s1r1"), ("absent", "s1r1")])

    def test_restart(self) -> None:
        """A member that is back at once, but leads no longer, is absent too."""
        self.connect()
        self.members["s1r1"].kill()
        self.members["s1r1"].fields["leads"] = False
        self.members["s1r1"].start()
        self.run_for()

        self.assertEqual(
            self.told(), [("lost", "s1r1"), ("absent", "s1r1"), ("up", "s1r1")]
        )

    def test_restart_that_is_not_ready(self) -> None:
        """A member that cannot take part yet does not lead either."""
        self.connect()
        self.members["s1r1"].kill()
        self.members["s1r1"].is_ready = False
        self.members["s1r1"].start()
        self.run_for()

        self.assertEqual(self.told(), [("lost", "s1r1"), ("absent", "s1r1")])

    def test_cut_connection(self) -> None:
        """A leader that is still there is not absent."""
        self.connect()
        for end in self.world.network.ends("s1r1"):
            end.reset()
        self.run_for()

        self.assertEqual(self.told(), [("lost", "s1r1"), ("up", "s1r1")])

    def test_hang(self) -> None:
        """Silence says nothing: neither a hang nor a cut is a crash."""
        self.connect()
        member = self.members["s1r1"]
        member.kill()
        member.serve(Factory.forProtocol(Mute))
        self.run_for(HELLO_SECONDS_MAX + 1)

        self.assertEqual(self.told(), [("lost", "s1r1")])

    def test_later_failures_say_nothing(self) -> None:
        """Only the attempt right after the loss counts, and each loss only once."""
        self.connect()
        self.members["s1r1"].kill()
        self.run_for(10)

        self.assertEqual(self.told().count(("absent", "s1r1")), 1)


class MismatchTests(PeersTestCase):
    """Members that do not belong together."""

    def test_reason_is_logged_once(self) -> None:
        """Each side says in one line what differs, and again only when it changes."""
        member = self.members["s1r1"].start()
        member.fields["cluster"] = "shop"
        self.peers.start()
        self.run_for(5)

        self.assertEqual(self.told(), [])
        mine = [line for line in self.dialling.logged() if "not met" in line]
        self.assertEqual(len(mine), 1, mine)
        self.assertIn('cluster "demo", here "shop"', mine[0])
        theirs = [str(e["log_format"]).format(**e) for e in member.events]
        self.assertEqual(len(theirs), 1, theirs)

        member.fields["cluster"] = "other"
        self.run_for(5)
        mine = [line for line in self.dialling.logged() if "not met" in line]
        self.assertEqual(len(mine), 2, mine)

    def test_it_comes_right(self) -> None:
        """What was refused is tried again, and taken once it fits."""
        member = self.members["s1r1"].start()
        member.says_no = "s1r0 is an old copy"
        self.peers.start()
        self.run_for(2)
        member.says_no = None
        self.run_for(RECONNECT_SECONDS_MAX + A_WHILE)

        self.assertEqual(self.told(), [("up", "s1r1")])

    def test_not_ready_yet(self) -> None:
        """A member that is still starting is asked again soon, and said no more of than
        that."""
        member = self.members["s1r1"].start()
        member.is_ready = False
        self.peers.start()
        self.run_for(0.03)
        self.assertEqual(self.told(), [])
        member.is_ready = True
        self.run_for(A_WHILE)

        self.assertEqual(self.told(), [("up", "s1r1")])
        levels = {e["log_level"] for e in self.dialling.events}
        self.assertEqual(levels, {LogLevel.info})
        said = [line for line in self.dialling.logged() if "still reading" in line]
        self.assertEqual(len(said), 1, said)

    def test_another_member_answers(self) -> None:
        """Who answers at a member's address must be that member."""
        other = self.members["s1r1"]
        other.name = "s1r2"
        other.start()
        self.peers.start()
        self.run_for(2)

        self.assertEqual(self.told(), [])
        self.assertIn(
            "s1r2 answers at the address of s1r1", "\n".join(self.dialling.logged())
        )

    def test_other_secret(self) -> None:
        """A member with another secret is not met, and the secret is not shown."""
        member = self.members["s1r1"]
        member.secret = b"quite another"
        member.start()
        self.peers.start()
        self.run_for(2)

        self.assertEqual(self.told(), [])
        logged = "\n".join(self.dialling.logged())
        self.assertIn("the secret differs", logged)
        self.assertNotIn("quite another", logged)
