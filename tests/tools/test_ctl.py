"""``cartnet ctl`` against a real admin port."""

from __future__ import annotations

import shutil
import socket
import tempfile
from dataclasses import replace
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.posixbase import PosixReactorBase
from twisted.internet.task import Clock, deferLater
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase, TestCase
from typing_extensions import override

from cartnet.admin.protocol import AdminFactory
from cartnet.tools import ctl
from cartnet.tools.failure import ToolError
from cartnet.topology.configuration import Configuration
from tests.supervisor.replicas import Ports, Process, World, cluster_of


class CtlTests(TestCase):
    """One command, its reply, its success."""

    timeout = 20
    password: str | None = None

    @override
    def setUp(self) -> None:
        world, clock = World(), Clock()
        process = Process(world, clock, *world.topology.names)
        process.supervisor.claim()
        cluster = cluster_of(clock, process, Ports(process))
        self.left = 0
        self.factory = AdminFactory(
            reactor, cluster, self.password, self.leave, Logger()
        )
        port = reactor.listenTCP(0, self.factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.addCleanup(self.until_alone)
        where = port.getHost()
        assert isinstance(where, IPv4Address)
        self.configuration = Configuration(
            world.topology,
            admin_listen=f"tcp:{where.port}:interface=127.0.0.1",
            admin_password=self.password,
        )

    def leave(self) -> None:
        self.left += 1

    async def until_alone(self) -> None:
        """A client has gone before its connection's end is known here."""
        while self.factory.connections_count:
            await deferLater(reactor, 0.01)

    async def ctl(self, *words: str) -> tuple[str, bool]:
        found: tuple[str, bool] = await deferToThread(
            ctl.run, self.configuration, words, None
        )
        return found

    async def test_success(self) -> None:
        """The reply as it is typed by hand, without greeting and prompt."""
        self.assertEqual(await self.ctl("leader", "s1"), ("s1r0\n", True))
        self.assertEqual(
            await self.ctl("json", "leader", "s1"), ('{"ok":"s1r0"}\n', True)
        )

    async def test_error(self) -> None:
        """An error line, or an error as JSON, is no success."""
        self.assertEqual(
            await self.ctl("start", "s1r0"), ("error: s1r0 is alive\n", False)
        )
        reply, succeeded = await self.ctl("json", "nonsense")
        self.assertIn("bad_request", reply)
        self.assertFalse(succeeded)

    def test_endpoint_that_is_none(self) -> None:
        """An endpoint that nothing can listen on is one clear line."""
        for endpoint in ("127.0.0.1:8023", "tcp:127.0.0.1:8023", "nonsense", "none"):
            with self.assertRaisesRegex(ToolError, f"--admin {endpoint}: .*expected"):
                ctl.run(self.configuration, ["list"], endpoint)

    async def test_exit(self) -> None:
        """exit is a success though the connection ends."""
        self.assertEqual(await self.ctl("exit"), ("stopping\n", True))
        self.assertEqual(await self.ctl("quit"), ("bye\n", True))
        self.assertEqual(self.left, 1)

    async def test_unix_socket(self) -> None:
        """A socket file does as well as a port."""
        # Not beside other temporary files: a socket's path has at most 107 bytes.
        folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, folder)
        path = folder / "s"
        assert isinstance(reactor, PosixReactorBase)
        port = reactor.listenUNIX(str(path), self.factory)
        self.addCleanup(port.stopListening)
        self.configuration = replace(
            self.configuration, admin_listen=f"unix:{path}:mode=600"
        )

        self.assertEqual(await self.ctl("leader", "it"), ("it0\n", True))


class PasswordTests(CtlTests):
    """With an admin password, which the configuration has too."""

    password = "correct horse"

    async def test_wrong_password(self) -> None:
        """A wrong one is an error, and the command is not tried."""
        self.configuration = replace(self.configuration, admin_password="wrong")

        self.assertEqual(await self.ctl("exit"), ("error: wrong password\n", False))
        self.assertEqual(self.left, 0)


class NobodyTests(SynchronousTestCase):
    """Where nothing answers."""

    def refused(self, listen: str | None, *words: str) -> str:
        configuration = Configuration(World().topology, admin_listen=listen)
        with self.assertRaises(ToolError) as raised:
            ctl.run(configuration, words or ("list",), None)
        return str(raised.exception)

    def test_nothing_answers(self) -> None:
        """One line says where nothing answers, and why that may be."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]

        message = self.refused(f"tcp:{port}:interface=127.0.0.1")

        self.assertIn("Connection refused; is the cluster running?", message)
        self.assertIn(f"tcp:{port}", message)

    def test_no_admin_port(self) -> None:
        """A configuration without an admin port says so."""
        self.assertIn("has no admin port", self.refused(None))
        self.assertIn("tcp: and unix:", self.refused("tls:x:port=1"))
        self.assertIn("Connect", self.refused("tcp:1:interface=127.0.0.1"))

    def test_bad_command(self) -> None:
        """A command that is more than one line is not sent."""
        self.assertIn("one line", self.refused("tcp:1", "list\nkill s1r0"))
