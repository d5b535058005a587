"""The storm's proxy does to messages what it is told to, and nothing else."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from cartnet.limits import LINE_BYTES_MAX
from tests.system.clusters import free_ports
from tests.system.storm import proxy
from tests.system.storm.network import CLIENTS, Direction, Weather
from tests.system.storm.proxy import Proxy
from tests.system.waiting import CONDITION_SECONDS_MAX, eventually

HELD = Weather(held=True)
ASKING: Direction = (CLIENTS, "lb0")
ANSWERING: Direction = ("lb0", CLIENTS)
MOMENT_SECONDS = 0.2
"""What has not come by then was held."""


class Echo(threading.Thread):
    """Takes one connection after the other and sends its lines back.

    :ivar heard: them.
    """

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.heard: list[bytes] = []
        self.listener = socket.create_server(("127.0.0.1", port))

    def run(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                with (
                    contextlib.suppress(OSError),
                    connection,
                    connection.makefile("rwb") as file,
                ):
                    for line in file:
                        self.heard.append(line)
                        file.write(line)
                        file.flush()


class ProxyTests(SynchronousTestCase):
    def setUp(self) -> None:
        (port,) = free_ports(1)
        self.echo = Echo(port)
        self.echo.start()
        addresses = {"lb0": f"127.0.0.1:{port}"}
        self.proxy = Proxy(addresses, Path(self.mktemp()), Random(1))
        self.proxy.start()
        self.addCleanup(self.echo.join, CONDITION_SECONDS_MAX)
        self.addCleanup(self._end)
        self.connect()

    def _end(self) -> None:
        self.line.close()
        self.proxy.stop()
        self.echo.listener.shutdown(socket.SHUT_RDWR)
        self.echo.listener.close()

    def connect(self) -> None:
        ((address, name),) = self.proxy.entrances(["lb0"]).items()
        self.assertEqual(name, "lb0")
        host, _, port = address.rpartition(":")
        self.line = socket.create_connection((host, int(port)), CONDITION_SECONDS_MAX)
        self.addCleanup(self.line.close)

    def ask(self, line: bytes = b'{"id":1}\n') -> None:
        self.line.sendall(line)

    def hear(self, size: int = 9) -> bytes:
        """What comes back, up to so many bytes, until the end."""
        heard = b""
        while len(heard) < size and (more := self.line.recv(size - len(heard))):
            heard += more
        return heard

    def nothing_comes(self) -> None:
        self.line.settimeout(MOMENT_SECONDS)
        with self.assertRaises(TimeoutError):
            self.line.recv(1)
        self.line.settimeout(CONDITION_SECONDS_MAX)

    def test_passes(self) -> None:
        """Without faults messages pass both ways, however they are cut into pieces."""
        self.ask(b'{"id"')
        self.ask(b":1}\n")
        self.assertEqual(self.hear(), b'{"id":1}\n')

    def test_one_way(self) -> None:
        """What is held one way passes the other; it comes when all is healed."""
        self.ask()
        self.hear()
        for direction, times in ((ASKING, 1), (ANSWERING, 3)):
            self.proxy.begin([direction], HELD)
            self.ask()
            self.nothing_comes()
            self.assertEqual(len(self.echo.heard), times)
            self.proxy.end([direction], HELD, resets=False)
            self.assertEqual(self.hear(), b'{"id":1}\n')

    def test_reset(self) -> None:
        """Where healing resets, what was held never comes, and a new connection is as
        good as ever."""
        self.proxy.begin([ASKING], HELD)
        self.ask()
        self.nothing_comes()
        self.proxy.end([ASKING], HELD, resets=True)
        with contextlib.suppress(ConnectionResetError):
            self.assertEqual(self.hear(), b"")
        self.connect()
        self.ask(b'{"id":2}\n')
        self.assertEqual(self.hear(), b'{"id":2}\n')
        self.assertEqual(self.echo.heard, [b'{"id":2}\n'])

    def test_lost(self) -> None:
        """With a message that is lost its connection ends; half of it may arrive."""
        self.proxy.begin([ASKING], Weather(lost=1.0))
        for _ in range(10):
            self.ask()
            with contextlib.suppress(ConnectionResetError):
                heard = self.hear()
                self.assertTrue(b'{"id":1}\n'.startswith(heard))
                self.assertLess(len(heard), 9)
            self.connect()
        self.assertEqual(self.proxy.counts["connections lost with a message"], 10)

    def said(self, count: int) -> list[bytes]:
        """Messages as members of a group send them, already sent."""
        lines = [b'{"type":"heartbeat","n":%03d}\n' % n for n in range(count)]
        self.ask(b"".join(lines))
        return lines

    def answers(self, lines: list[bytes], count: int) -> list[bytes]:
        heard = self.hear(len(lines[0]) * count)
        return heard.splitlines(keepends=True)

    def test_doubled(self) -> None:
        """What comes twice is a message of a member, and whole; all else comes once,
        and before what was sent after it."""
        self.proxy.begin([ASKING], Weather(doubled=1.0))
        self.ask(b'{"id":0}\n')
        lines = self.said(20)
        self.assertEqual(self.hear(), b'{"id":0}\n')
        heard = self.answers(lines, 40)
        self.assertEqual(Counter(heard), Counter(2 * lines))
        self.assertEqual(list(dict.fromkeys(heard)), lines)
        self.assertEqual(self.proxy.counts["messages doubled"], 20)

    def test_overtaken(self) -> None:
        """What is overtaken comes later, and once; never before what is no message."""
        self.proxy.begin([ASKING], Weather(overtaken=1.0, delay_seconds_max=0.1))
        self.ask(b'{"id":0}\n')
        lines = self.said(20)
        self.assertEqual(self.hear(), b'{"id":0}\n')
        heard = self.answers(lines, 20)
        self.assertNotEqual(heard, lines)
        self.assertEqual(sorted(heard), lines)
        self.ask()
        self.assertEqual(self.hear(), b'{"id":1}\n')

    def test_replayed(self) -> None:
        """What was said once comes again, late; not after its connection's end."""
        lines = self.said(20)
        self.assertEqual(self.answers(lines, 20), lines)
        self.proxy.begin([ASKING], Weather(replayed=1.0))
        (new,) = self.said(1)
        heard = self.answers(lines, 2)
        self.assertIn(new, heard)
        self.assertLess({*heard}, {*lines})
        self.said(20)
        self.line.shutdown(socket.SHUT_WR)
        self.assertEqual(sorted(self.answers(lines, 1_000))[-1], lines[-1])
        self.assertLess(len(self.echo.heard), 62)

    def test_suffered(self) -> None:
        """Whoever goes on after a damaged message is known, since it was delivered,
        and until somebody ends the connection."""
        self.patch(proxy, "SOON_SECONDS", 0.0)
        self.proxy.begin([ASKING], HELD)
        self.proxy.begin([ASKING], Weather(damaged=1.0))
        self.ask(b'{"id":2}\n')
        self.nothing_comes()
        self.assertEqual(self.proxy.suffered(), [])
        self.proxy.end([ASKING], HELD, resets=False)
        self.line.recv(1)
        (going_on,) = self.proxy.suffered()
        self.assertEqual(going_on.receiver, "lb0")
        self.line.close()
        # Of one that goes on, it is said until when it is known to.
        suffered = self.proxy.suffered
        eventually(lambda: suffered() == suffered(), "the connection has ended")
        (ended,) = suffered()
        self.assertEqual(ended.since, going_on.since)

    def test_damaged(self) -> None:
        """What is damaged is no message: it lacks its end, is no text, or too long. Its
        connection is remembered until it ends."""
        self.proxy.begin([ASKING], Weather(damaged=1.0))
        for times in range(1, 13):
            self.ask()
            self.ask(b"\n")
            self.line.shutdown(socket.SHUT_WR)
            (line, *_) = self.hear(2 * LINE_BYTES_MAX).split(b"\n")
            whole = line.startswith(b"{") and line.endswith(b"}")
            self.assertTrue(
                not whole or b"\xff" in line or len(line) > LINE_BYTES_MAX, line[:20]
            )
            self.connect()
            kinds = ("garbled", "oversized", "truncated")
            done = sum(self.proxy.counts[f"messages {kind}"] for kind in kinds)
            self.assertEqual(done, 2 * times)
        self.assertEqual(self.proxy.suffered(), [])

    def test_supervisor(self) -> None:
        """A connection of the admin line is spared all of it."""
        self.proxy.begin([ASKING, ANSWERING], Weather(held=True, lost=1.0))
        hello = b'{"hello":{"purpose":"supervisor"}}\n'
        self.ask(hello)
        self.assertEqual(self.hear(len(hello)), hello)
