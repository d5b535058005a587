"""What the operating system is asked for."""

from __future__ import annotations

import socket

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase

from cartnet.limits import UNACKNOWLEDGED_SECONDS_MAX
from cartnet.outside import SocketNetwork
from tests.system.clusters import free_ports


class SocketNetworkTests(TestCase):
    """Connections over loopback."""

    async def test_a_dead_host_ends_a_connection(self) -> None:
        """Where the system can, what stays unacknowledged ends the connection."""
        network = SocketNetwork(reactor)
        (number,) = free_ports(1)
        address = f"127.0.0.1:{number}"
        port = await network.server(address).listen(Factory.forProtocol(Protocol))
        self.addCleanup(port.stopListening)

        client = await network.client(address).connect(Factory.forProtocol(Protocol))
        self.addCleanup(client.transport.abortConnection)

        option = getattr(socket, "TCP_USER_TIMEOUT", None)
        if option is not None:
            handle = client.transport.getHandle()
            milliseconds = handle.getsockopt(socket.IPPROTO_TCP, option)
            self.assertEqual(milliseconds, 1000 * UNACKNOWLEDGED_SECONDS_MAX)
