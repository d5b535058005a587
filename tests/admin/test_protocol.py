"""Conversations on the admin port, over a real supervisor of small replicas."""

from __future__ import annotations

import json
import socket
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.logger import Logger, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase, TestCase
from typing_extensions import override

from cartnet.admin.commands import HELP
from cartnet.admin.protocol import AdminFactory, AdminProtocol
from cartnet.errors import Refused
from cartnet.limits import (
    ADMIN_COMMAND_SECONDS_MAX,
    ADMIN_CONNECTIONS_MAX,
    ADMIN_FAILURE_SECONDS,
    ADMIN_FAILURES_FREE,
    ADMIN_LINE_BYTES_MAX,
    ADMIN_LINES_WAITING_MAX,
    ADMIN_UNFINISHED_SECONDS_MAX,
    CLOSE_SECONDS_MAX,
    IDLE_SECONDS_MAX,
)
from tests.supervisor.replicas import Ports, Process, World, cluster_of

GREETING = "cartnet 0.1.0, cluster demo: 6 replicas here; help lists the commands\n> "
LOOPBACK = IPv4Address("TCP", "127.0.0.1", 40_000)
ELSEWHERE = IPv4Address("TCP", "192.0.2.7", 40_000)


class AdminTests(SynchronousTestCase):
    """One process that runs all replicas, and a connection to it."""

    password: str | None = None
    address: IAddress = LOOPBACK

    def setUp(self) -> None:
        self.world = World()
        self.clock = Clock()
        names = self.world.topology.names
        self.process = Process(self.world, self.clock, *names)
        self.successResultOf(self.process.start())
        self.ports = Ports(self.process)
        self.left = 0
        self.factory = AdminFactory(
            self.clock,
            cluster_of(self.clock, self.process, self.ports),
            self.password,
            self.leave,
            Logger(),
        )
        self.connect()

    def leave(self) -> None:
        self.left += 1

    def connect(self) -> None:
        protocol = self.factory.buildProtocol(self.address)
        assert protocol is not None
        self.protocol: AdminProtocol = protocol
        self.transport = StringTransport()
        self.protocol.makeConnection(self.transport)
        self.assertEqual(self.read(), GREETING)

    def read(self) -> str:
        said: str = self.transport.value().decode()
        self.transport.clear()
        return said

    def say(self, data: bytes) -> str:
        self.protocol.dataReceived(data)
        return self.read()

    def type(self, command: str) -> str:
        """Type a command; its reply ends with a prompt."""
        said = self.say(command.encode() + b"\n")
        self.assertTrue(said.endswith("> "), said)
        return said.removesuffix("> ")

    def json(self, command: str) -> Any:
        return json.loads(self.type(f"json {command}"))

    @property
    def closed(self) -> bool:
        return bool(self.transport.disconnecting)


class ReplicaCommands(AdminTests):
    """Commands about replicas."""

    def test_list(self) -> None:
        """A line a replica in aligned columns; a dead one's ends after its role."""
        self.type("kill s1r1")

        self.assertEqual(
            self.type("list"),
            "lb0   127.0.0.1:8005  alive  leader    term=3 commit=120 applied=118\n"
            "lb1   127.0.0.1:8006  alive  follower  term=3 commit=120 applied=118\n"
            "s1r0  127.0.0.1:5005  alive  leader    term=3 commit=120 applied=118\n"
            "s1r1  127.0.0.1:5006  dead   -\n"
            "s1r2  127.0.0.1:5007  alive  follower  term=3 commit=120 applied=118\n"
            "it0   127.0.0.1:7105  alive  leader    term=3 commit=120 applied=118\n",
        )

    def test_kill_start_restart(self) -> None:
        """Each says what it did, and what a replica's state forbids is an error."""
        self.assertEqual(self.type("kill s1r0"), "killed s1r0\n")
        self.assertEqual(self.type("kill s1r0"), "error: s1r0 is dead already\n")
        self.assertEqual(self.type("start s1r0"), "started s1r0\n")
        self.assertEqual(self.type("start s1r0"), "error: s1r0 is alive\n")
        self.assertEqual(self.type("restart s1r0"), "restarted s1r0\n")
        self.assertEqual(self.type("kill s9r9"), "error: no replica is called s9r9\n")

    def test_status(self) -> None:
        """A replica in detail, a group's, or all."""
        self.assertEqual(
            self.type("status s1r0"),
            "s1r0  127.0.0.1:5005  alive\n"
            "  role=leader term=3 leader=s1r0\n"
            "  log first=1 last=121 commit=120 applied=118\n"
            "  digest=5e5e5e5e5e5e5e5e... after 64\n"
            "  up 90 s, writes=12 p50=2.25 ms p99=8 ms\n"
            "  peer s1r1 match=119 lag=2\n"
            "  peer s1r2 match=119 lag=2\n"
            "  database=40960 bytes connections=7 queue=0\n",
        )
        self.type("kill s1r1")
        self.assertEqual(self.type("status s1r1"), "s1r1  127.0.0.1:5006  dead\n")
        self.assertEqual(self.type("status s1").count("127.0.0.1:500"), 3)
        self.assertEqual(self.type("status").count("127.0.0.1:"), 6)
        self.assertEqual(
            self.type("status s9"), "error: no replica or group is called s9\n"
        )

    def test_leader(self) -> None:
        """The leader's name alone, or why there is none."""
        self.assertEqual(self.type("leader s1"), "s1r0\n")
        self.type("kill s1r0")
        self.assertEqual(
            self.type("leader s1"), "error: s1 has no leader at the moment\n"
        )
        self.assertEqual(
            self.type("leader s9"),
            "error: no group is called s9; there are lb, s1, it\n",
        )

    def test_json(self) -> None:
        """The same replies as one line of JSON."""
        self.assertEqual(self.json("kill s1r0"), {"ok": "killed s1r0"})
        self.assertEqual(
            self.json("kill s1r0"),
            {"error": {"code": "conflict", "message": "s1r0 is dead already"}},
        )
        rows = {row["name"]: row for row in self.json("list")["ok"]}
        self.assertEqual(rows["s1r0"]["state"], "dead")
        self.assertEqual(rows["lb0"]["role"], "leader")
        self.assertEqual(self.json("leader it"), {"ok": "it0"})
        self.assertEqual(self.json("stock"), {"ok": {"A": 96, "B": 100}})
        self.assertEqual(self.json("")["error"]["message"], "usage: json COMMAND")
        self.assertEqual(self.json("json list")["error"]["code"], "bad_request")


class FaultCommands(AdminTests):
    """Faults and hand-overs."""

    def test_faults(self) -> None:
        """A fault is begun and ended; a row that is not alive ends after its state."""
        for begun, state in (("paused", "paused"), ("isolated", "unreachable")):
            begin, end = {
                "paused": ("pause", "resume"),
                "isolated": ("isolate", "heal"),
            }[begun]
            self.assertEqual(self.type(f"{begin} s1r1"), f"{begun} s1r1\n")
            row = self.type("list").splitlines()[3]
            self.assertEqual(row.split(), ["s1r1", "127.0.0.1:5006", state, "-"])
            self.assertEqual(
                self.type("status s1r1"), f"s1r1  127.0.0.1:5006  {state}\n"
            )
            self.assertEqual(
                self.type(f"{begin} s1r1"), f"error: s1r1 is {begun} already\n"
            )
            self.assertEqual(self.type(f"{end} s1r1").split()[1], "s1r1")
            self.assertEqual(self.type(f"{end} s1r1"), f"error: s1r1 is not {begun}\n")

    def test_heal_all(self) -> None:
        """Without a name all that are isolated are healed."""
        self.type("isolate s1r1")
        self.type("isolate it0")
        self.assertEqual(self.type("heal"), "healed s1r1 it0\n")
        self.assertEqual(self.type("heal"), "nothing was isolated\n")

    def test_transfer(self) -> None:
        """A transfer says that it has happened, or why it has not."""
        self.assertEqual(self.type("transfer s1 s1r1"), "transferred s1 to s1r1\n")
        self.assertEqual(self.type("leader s1"), "s1r1\n")
        self.assertEqual(
            self.type("transfer s1 it0"),
            "error: it0 is no member of s1; its members are s1r0, s1r1, s1r2\n",
        )
        self.assertEqual(
            self.type("transfer s1"), "error: usage: transfer GROUP NAME\n"
        )


class StockCommands(AdminTests):
    """Commands about what is in stock."""

    def test_stock(self) -> None:
        """All items, one, and an item set."""
        self.assertEqual(self.type("stock"), "A  96\nB  100\n")
        self.assertEqual(self.type("stock A"), "A  96\n")
        self.assertEqual(self.type("stock A 50"), "A  50\n")
        self.assertEqual(self.type("stock A"), "A  50\n")
        self.assertEqual(self.type("stock Z"), "error: no item is called Z\n")

    def test_stock_out_of_form(self) -> None:
        """A stock is a whole number within bounds."""
        for quantity in ("-1", "1.5", "1000000001", "\u0663", "lots"):
            self.assertIn(
                "error: a stock is a whole number from 0 to 1000000000, not ",
                self.type(f"stock A {quantity}"),
            )
        self.assertEqual(self.ports.stock["A"], 96)

    def test_reset(self) -> None:
        """The inventory as it was at first."""
        self.assertEqual(self.type("reset-inventory"), "A  100\nB  100\nC  100\n")

    def test_refusal(self) -> None:
        """What the inventory refuses is an error line."""
        self.ports.refusal = Refused("unavailable", "it has no leader at the moment")

        for command in ("stock", "stock A 5", "reset-inventory"):
            self.assertEqual(
                self.type(command), "error: it has no leader at the moment\n"
            )


class OtherCommands(AdminTests):
    """Help, mistakes, leaving."""

    def test_help(self) -> None:
        """One line a command, and one for one command."""
        lines = self.type("help").splitlines()

        self.assertEqual(len(lines), len(HELP))
        self.assertEqual(
            self.type("help kill"),
            "kill NAME  stops a replica at once, as a crash would\n",
        )

    def test_mistakes(self) -> None:
        """What is no command, or misused, is one error line that helps."""
        self.assertEqual(
            self.type("haunt s1r0"),
            "error: there is no command 'haunt'; help lists the commands\n",
        )
        self.assertEqual(self.type("kill"), "error: usage: kill NAME\n")
        self.assertEqual(self.type("list all"), "error: usage: list\n")
        self.assertEqual(self.type("help me out"), "error: usage: help [COMMAND]\n")
        self.assertIn("there is no command", self.type("help dance"))
        self.assertEqual(self.type("exit now"), "error: usage: exit\n")
        self.assertEqual(self.type(""), "")

    def test_quit(self) -> None:
        """quit closes the connection alone."""
        self.assertEqual(self.say(b"quit\nlist\n"), "bye\n")

        self.assertTrue(self.closed)
        self.clock.advance(1)
        self.assertEqual(self.left, 0)

    def test_exit(self) -> None:
        """exit answers, closes, and then the process is told to stop."""
        self.assertEqual(self.say(b"exit\n"), "stopping\n")

        self.assertTrue(self.closed)
        self.assertEqual(self.left, 0)
        self.clock.advance(0)
        self.assertEqual(self.left, 1)

    def test_failure(self) -> None:
        """A command that breaks is one error line; the log has the rest."""
        self.ports.refusal = RuntimeError("secret")

        self.assertEqual(
            self.type("stock"), "error: that failed for a reason that the log has\n"
        )
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_no_password_is_needed(self) -> None:
        """Where none is set any password will do."""
        self.assertEqual(self.type("password x"), "ok\n")

    def test_audit(self) -> None:
        """Every command is logged with who typed it and what came of it."""
        with capturedLogs() as events:
            self.type("kill s1r0")
            self.type("kill \x1b[31ms1r0")
            self.type("password hunter2hunter2")

        lines = [formatEvent(event) for event in events]
        self.assertIn("admin 127.0.0.1:40000: kill s1r0: ok", lines)
        self.assertIn(
            "admin 127.0.0.1:40000: kill [31ms1r0:"
            " not_found: no replica is called [31ms1r0",
            lines,
        )
        self.assertNotIn("hunter2", "".join(lines))

    def test_audit_of_what_is_no_command(self) -> None:
        """What may be a password with a slip of the finger is not logged either."""
        with capturedLogs() as events:
            for slip in (
                "Password hunter2",
                "pasword hunter2",
                "hunter2",
                "json hunter2",
            ):
                self.type(slip)

        lines = [formatEvent(event) for event in events]
        self.assertEqual(
            lines,
            ["admin 127.0.0.1:40000: no command (not logged): bad_request"] * 4,
        )


class Connections(AdminTests):
    """Bytes, order, bounds, time."""

    def test_crlf_and_cuts(self) -> None:
        """Lines end with LF or CRLF, and come in any pieces."""
        self.assertEqual(self.say(b"leader s1\r\n"), "s1r0\n> ")
        self.assertEqual(self.say(b"lead"), "")
        self.assertEqual(self.say(b"er s1\nleader it\n"), "s1r0\n> it0\n> ")

    def test_telnet(self) -> None:
        """A telnet client's negotiation is skipped, and none is answered."""
        negotiation = b"\xff\xfd\x03\xff\xfb\x18\xff\xfa\x18\x00VT100\n\xff\xf0"

        self.assertEqual(self.say(negotiation + b"leader s1\r\n"), "s1r0\n> ")

    def test_http_request(self) -> None:
        """A web page cannot post commands: an HTTP request closes the connection."""
        said = self.say(b"POST / HTTP/1.1\r\nHost: x\r\n\r\nkill s1r0\r\n")

        self.assertEqual(said, "")
        self.assertTrue(self.closed)
        self.assertEqual(self.say(b"kill s1r0\r\n"), "")
        self.assertEqual(self.world.events[-1], "it0 started")

    def test_pipelined_in_order(self) -> None:
        """A command waits for the one before it."""
        ending = self.world.ending["s1r0"] = Deferred()
        self.assertEqual(self.say(b"kill s1r0\nleader it\n"), "")

        ending.callback(None)

        self.assertEqual(self.read(), "killed s1r0\n> it0\n> ")

    def test_too_many_at_once(self) -> None:
        """With too many commands waiting nothing more is read for the time being."""
        ending = self.world.ending["s1r0"] = Deferred()
        self.say(b"kill s1r0\n" + b"leader it\n" * ADMIN_LINES_WAITING_MAX)
        self.assertEqual(self.transport.producerState, "paused")

        ending.callback(None)

        self.assertEqual(self.transport.producerState, "producing")
        self.assertEqual(self.read().count("it0"), ADMIN_LINES_WAITING_MAX)

    def test_slow_reader(self) -> None:
        """While replies are not read no more commands are done."""
        self.protocol.pauseProducing()
        self.assertEqual(self.say(b"leader it\n"), "")

        self.protocol.resumeProducing()

        self.assertEqual(self.read(), "it0\n> ")

    def test_long_line(self) -> None:
        """Lines before one that is too long are answered, then it ends."""
        said = self.say(b"leader it\n" + b"x" * (ADMIN_LINE_BYTES_MAX + 10))

        self.assertEqual(said, "it0\n> error: a line may have at most 4096 bytes\n")
        self.assertTrue(self.closed)

    def test_binary(self) -> None:
        """Bytes that are no text are an error, and nothing breaks."""
        self.assertIn("error: there is no command", self.say(b"\x16\x03\x01\xfe\x80\n"))
        self.assertEqual(self.say(b"\0\x08\x7f\n"), "> ")
        self.assertEqual(self.type("leader it"), "it0\n")

    def test_half_close(self) -> None:
        """After the end of input what was asked is answered, then it closes."""
        ending = self.world.ending["s1r0"] = Deferred()
        self.say(b"kill s1r0\nleader it\n")
        self.protocol.readConnectionLost()
        self.assertFalse(self.closed)

        ending.callback(None)

        self.assertEqual(self.read(), "killed s1r0\n> it0\n> ")
        self.assertTrue(self.closed)

    def test_lost_while_busy(self) -> None:
        """A command whose connection is gone ends quietly, and those after it fall."""
        ending = self.world.ending["s1r0"] = Deferred()
        self.say(b"kill s1r0\nkill s1r1\n")
        self.protocol.connectionLost()

        ending.callback(None)

        self.assertEqual(self.read(), "")
        self.assertNotIn("s1r1 crashed", self.world.events)

    def test_idle(self) -> None:
        """A silent connection is closed, one that is used is not."""
        self.clock.advance(IDLE_SECONDS_MAX - 1)
        self.type("leader it")
        self.clock.advance(IDLE_SECONDS_MAX - 1)
        self.assertFalse(self.closed)

        self.clock.advance(2)

        self.assertTrue(self.closed)

    def test_unfinished_line(self) -> None:
        """A line must end in time, however many bytes trickle in."""
        for _ in range(int(ADMIN_UNFINISHED_SECONDS_MAX) + 1):
            self.say(b"x")
            self.clock.advance(1)

        self.assertTrue(self.closed)

    def test_finished_line_disarms(self) -> None:
        """A finished line has no deadline."""
        self.say(b"leader")
        self.say(b" it\n")
        self.clock.advance(ADMIN_UNFINISHED_SECONDS_MAX + 1)

        self.assertFalse(self.closed)

    def test_command_without_end(self) -> None:
        """A command that takes too long is given up on; the connection goes on."""
        self.world.ending["s1r0"] = Deferred()
        self.say(b"kill s1r0\n")

        self.clock.advance(ADMIN_COMMAND_SECONDS_MAX)

        self.assertEqual(
            self.read(),
            "error: no answer in time: it may or may not have been done\n> ",
        )
        self.assertEqual(self.type("leader it"), "it0\n")

    def test_connections_are_bounded(self) -> None:
        """Too many connections are turned away until others end."""
        for _ in range(ADMIN_CONNECTIONS_MAX - 1):
            self.connect()
        self.assertIsNone(self.factory.buildProtocol(LOOPBACK))

        self.protocol.connectionLost()

        self.connect()

    def test_no_timers_left(self) -> None:
        """A connection that has ended leaves nothing behind."""
        self.say(b"unfinished")
        self.protocol.connectionLost()

        self.assertEqual(self.clock.getDelayedCalls(), [])

        self.connect()
        self.say(b"quit\n")
        self.assertTrue(self.closed)
        self.protocol.connectionLost()

        self.assertEqual(self.clock.getDelayedCalls(), [])


class _Remembering(AdminFactory):
    """:ivar built: the last connection."""

    built: Any = None

    @override
    def buildProtocol(self, addr: object) -> AdminProtocol | None:
        self.built = super().buildProtocol(addr)
        return cast("AdminProtocol | None", self.built)


class UnreadTests(TestCase):
    """A real connection."""

    timeout = 30

    async def test_cut_off(self) -> None:
        """Who asks and asks and never reads is cut off once the connection closes."""
        clock = Clock()
        process = Process(World(), clock, "s1r0")
        factory = _Remembering(
            clock, cluster_of(clock, process, Ports()), None, lambda: None, Logger()
        )
        network: Any = reactor
        port = network.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        # The system takes little of what is not read.
        port.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        peer = socket.socket()
        self.addCleanup(peer.close)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        peer.connect(("127.0.0.1", port.getHost().port))

        peer.sendall(b"help\n" * 200)
        while not (factory.built and factory.built.transport.producerPaused):
            await deferLater(network, 0.001)
        clock.advance(IDLE_SECONDS_MAX)
        clock.advance(CLOSE_SECONDS_MAX)

        while factory.connections_count:
            await deferLater(network, 0.001)


class Password(AdminTests):
    """With a password set."""

    password = "correct horse"
    address = ELSEWHERE

    def test_required(self) -> None:
        """All but help, password and quit are refused before it is given."""
        refusal = "error: password required\n"
        for command in ("list", "kill s1r0", "stock A 0", "exit demo", "nonsense"):
            self.assertEqual(self.type(command), refusal)
        self.assertEqual(
            self.json("list"),
            {"error": {"code": "unauthenticated", "message": "password required"}},
        )
        self.assertIn("kill NAME", self.type("help"))
        self.assertEqual(self.say(b"quit\n"), "bye\n")
        self.assertNotIn("s1r0 crashed", self.world.events)

    def test_given(self) -> None:
        """The password opens this connection, and no other."""
        self.assertEqual(self.type("password wrong"), "error: wrong password\n")
        self.assertEqual(self.type("leader s1"), "error: password required\n")
        self.assertEqual(self.type("password correct"), "error: wrong password\n")
        self.assertEqual(self.type("password correct horse"), "ok\n")
        self.assertEqual(self.type("leader s1"), "s1r0\n")

        self.connect()
        self.assertEqual(self.type("leader s1"), "error: password required\n")

    def test_guessing(self) -> None:
        """After too many wrong ones a host waits, whatever it types."""
        for _ in range(ADMIN_FAILURES_FREE):
            self.type("password wrong")
        self.connect()
        self.assertEqual(
            self.type("password correct horse"),
            "error: too many wrong passwords: try again in 10 s\n",
        )

        self.clock.advance(ADMIN_FAILURE_SECONDS)

        self.assertEqual(self.type("password correct horse"), "ok\n")

    def test_exit_from_elsewhere(self) -> None:
        """From another machine exit wants the cluster's name."""
        self.type("password correct horse")
        self.assertEqual(
            self.type("exit"),
            "error: this stops all replicas of this process; to go ahead: exit demo\n",
        )

        self.assertEqual(self.say(b"exit demo\n"), "stopping\n")


class LocalSocket(AdminTests):
    """A connection by a socket file."""

    address = UNIXAddress(None)

    def test_exit(self) -> None:
        """It is this machine, so exit needs no confirmation."""
        self.assertEqual(self.say(b"exit\n"), "stopping\n")
