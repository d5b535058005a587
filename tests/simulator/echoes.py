"""A small cluster of Twisted services in a simulated world, for its history's digest.

Run as a program it prints the digest of the seed that it is given, and refuses every
use of a global reactor.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from twisted.application.internet import (
    ClientService,
    StreamServerEndpointService,
    backoffPolicy,
)
from twisted.application.service import MultiService
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import LoopingCall
from twisted.protocols.basic import LineOnlyReceiver
from typing_extensions import override

from cartnet.simulator.world import Host, World

NAMES = {"a": "10.0.0.1:5000", "b": "10.0.0.2:5000", "c": "10.0.0.3:5000"}


class Echo(LineOnlyReceiver):
    """Stores each line, then sends it back."""

    delimiter = b"\n"

    def __init__(self, node: Node) -> None:
        self.node = node

    @override
    def connectionMade(self) -> None:
        self.node.lines[self] = 0

    @override
    def lineReceived(self, line: bytes) -> None:
        self.node.lines[self] += 1
        if line.startswith(b"echo"):
            return

        def store(connection: Any) -> None:
            connection.execute("INSERT INTO lines VALUES (?)", (line,))

        def stored(_: None) -> None:
            self.sendLine(b"echo " + line)

        self.node.worker.run(store).addCallback(stored)

    @override
    def connectionLost(self, reason: Any = None) -> None:
        del self.node.lines[self]


class EchoFactory(Factory):
    noisy = False

    def __init__(self, node: Node) -> None:
        self.node = node

    @override
    def buildProtocol(self, addr: Any) -> Protocol:
        return Echo(self.node)


class Node(MultiService):
    """Greets every other node ten times a second."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        seams = host.seams
        self.lines: dict[Echo, int] = {}
        self.worker = seams.disk.open(Path("lines.db"), read_only=False)
        self.worker.run(lambda c: c.execute("CREATE TABLE lines (line)"))
        factory = EchoFactory(self)
        server = seams.network.server(NAMES[host.name])
        self.addService(StreamServerEndpointService(server, factory))
        for name, address in NAMES.items():
            if name < host.name:
                client = seams.network.client(address)
                policy = backoffPolicy(0.1, 1.0, jitter=seams.random.random)
                self.addService(
                    ClientService(client, factory, policy, clock=seams.clock)
                )
        self.loop = LoopingCall(self.greet)
        self.loop.clock = seams.clock

    @override
    def startService(self) -> None:
        super().startService()
        self.loop.start(0.1)

    def greet(self) -> None:
        for line in list(self.lines):
            line.sendLine(b"hello")


def digest(seed: int) -> str:
    """Run three nodes for ten seconds, with a partition and a crash."""
    world = World(seed)
    hosts = [world.host(name, address) for name, address in NAMES.items()]
    for host in hosts:
        Node(host).startService()
    world.clock.callLater(3, world.network.partition, ["a"], ["b", "c"])
    world.clock.callLater(5, world.network.heal)
    world.clock.callLater(7, hosts[2].crash, power_lost=True)
    world.clock.run_until(10)
    assert world.network.writes > 500
    return world.digest


class Forbidden:
    """Stands where a global reactor would."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # Importing it is no use of it.
        raise AssertionError(f"the simulation used the global reactor's {name}")


if __name__ == "__main__":
    assert "twisted.internet.reactor" not in sys.modules
    sys.modules["twisted.internet.reactor"] = Forbidden()  # type: ignore[assignment] # not a module on purpose
    print(digest(int(sys.argv[1])))
