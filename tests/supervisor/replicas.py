"""Small replicas to supervise, and a cluster of them as one process sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionRefusedError as NothingListensError
from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from cartnet.errors import Refused
from cartnet.replica.gate import Gate
from cartnet.replica.status import Lag, Status
from cartnet.supervisor.cluster import Cluster
from cartnet.supervisor.in_process import InProcess
from cartnet.topology.groups import Topology, group_of_addresses


def topology() -> Topology:
    """Two balancers, a shard of three, an inventory of one."""

    def addresses(first: int, count: int) -> tuple[str, ...]:
        return tuple(f"127.0.0.1:{first + at}" for at in range(count))

    return Topology(
        "demo",
        (
            group_of_addresses("lb", "balancer", addresses(8005, 2)),
            group_of_addresses("s1", "shard", addresses(5005, 3)),
            group_of_addresses("it", "inventory", addresses(7105, 1)),
        ),
    )


class SmallReplica:
    """A replica whose life is a list of events."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.failed: Deferred[Any] = Deferred()
        self.begins_anew = False
        self.ended: Deferred[None] | None = None
        self.gate = Gate(name, world.clock, Logger())

    def _did(self, what: str) -> None:
        self.world.events.append(f"{self.name} {what}")

    def claim(self) -> None:
        self._did("claimed")
        if self.name in self.world.held:
            raise RuntimeError(f"the file of {self.name} is in use")

    def start(self) -> Deferred[None]:
        self._did("started")
        return self.world.starting.get(self.name, succeed(None))

    def transfer(self, target: str) -> None:
        if self.name not in self.world.leaders:
            raise Refused("not_leader", f"{self.name} does not lead")
        self._did(f"hands over to {target}")
        if target not in self.world.stubborn:
            self.world.leaders[target] = self.world.leaders.pop(self.name) + 1

    def crash(self) -> Deferred[None]:
        self._did("crashed")
        return self.world.ended(self.name)

    def drain(self) -> Deferred[None]:
        return self.world.draining.get(self.name) or succeed(None)

    def stop(self, *, hand_over: bool = True) -> Deferred[None]:
        self._did("stopped" if hand_over else "stopped with its group")
        return self.world.ended(self.name)

    def status(self) -> Status:
        group = self.world.topology.group_of(self.name)
        leads = self.name in self.world.leaders
        others = [name for name in group.names if name != self.name and leads]
        return Status(
            self.name,
            group.member(self.name).address,
            group.name,
            self.gate.state,
            role="leader" if leads else "follower",
            term=self.world.leaders.get(self.name, 3),
            commit=120,
            applied=118,
            first=1,
            last=121,
            digest="5e" * 32,
            digest_index=64,
            leader=group.names[0],
            peers=tuple(Lag(name, 119, 2) for name in others),
            uptime_seconds=90.4,
            writes=12,
            write_p50_ms=2.25 if leads else None,
            write_p99_ms=8.0 if leads else None,
            database_bytes=40960,
            connections=7,
            queue_depth=0,
        )


class World:
    """What the replicas of a test share.

    :ivar held: replicas whose claim fails.
    :ivar leaders: who says that it leads, and in which term.
    :ivar starting: replicas whose start the test brings about.
    :ivar ending: replicas whose end the test brings about.
    :ivar stubborn: replicas that take no office over.
    :ivar unmakeable: replicas that cannot be made.
    :ivar draining: replicas with requests in hand, until the test answers them.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.stubborn: set[str] = set()
        self.topology = topology()
        self.events: list[str] = []
        self.held: set[str] = set()
        self.unmakeable: set[str] = set()
        self.ending: dict[str, Deferred[None]] = {}
        self.starting: dict[str, Deferred[None]] = {}
        self.draining: dict[str, Deferred[None]] = {}
        self.leaders = {"lb0": 3, "s1r0": 3, "it0": 3}
        self.replicas: dict[str, SmallReplica] = {}

    def make(self, name: str) -> SmallReplica:
        if name in self.unmakeable:
            raise RuntimeError(f"{name} has no log")
        replica = self.replicas[name] = SmallReplica(self, name)
        return replica

    def read_log(self, name: str, lines: int) -> Deferred[list[str]]:
        return succeed([f"{name} says {line}" for line in range(10)][-lines:])

    def ended(self, name: str) -> Deferred[None]:
        return self.ending.get(name, succeed(None))


class Process:
    """A process of the cluster: its supervisor, and who hears that it is empty."""

    def __init__(
        self, world: World, clock: Clock, *names: str, chaos: bool = True
    ) -> None:
        self.emptied: list[str | None] = []
        self.hangs = False
        self.supervisor = InProcess(
            clock,
            world.topology,
            names,
            world.make,
            world.read_log,
            Logger(),
            self._emptied,
            chaos=chaos,
        )

    def _emptied(self, why: str | None) -> None:
        self.emptied.append(why)

    async def start(self) -> None:
        self.supervisor.claim()
        await self.supervisor.start_claimed()


class Ports:
    """Every group's replica ports, answered by the processes that hold them."""

    def __init__(self, *processes: Process) -> None:
        self.processes = processes
        self.asked: list[tuple[str, str]] = []
        self.stock = {"A": 96, "B": 100}
        self.refusal: Exception | None = None
        self.conservation = {"conserved": True, "items": 3, "revision": 7}
        self.stopped = 0

    def listens(self, name: str) -> Process | None:
        for process in self.processes:
            if name in process.supervisor.names:
                status = process.supervisor.status(name)
                return process if status and status.state != "dead" else None
        return None

    async def call_member(
        self, name: str, call: str, args: dict[str, Any], /, *, timeout: float
    ) -> msgspec.Raw:
        assert call == "supervise"
        process = self.listens(name)
        if process is None:
            raise Refused("unavailable", f"{name} cannot be reached")
        if process.hangs:
            await Deferred()
        self.asked.append((name, args["command"]))
        rest = {key: args[key] for key in args.keys() & {"target", "lines"}}
        answer = await process.supervisor.call(
            args["command"], args["replica"], via=name, **rest
        )
        return msgspec.Raw(msgspec.json.encode(answer))

    async def call(
        self, call: str, args: dict[str, Any], /, *, resend: bool
    ) -> msgspec.Raw:
        if self.refusal is not None:
            raise self.refusal
        match call:
            case "get_inventory":
                assert resend
            case "conservation":
                assert resend
                return msgspec.Raw(msgspec.json.encode(self.conservation))
            case "set_stock":
                assert not resend
                self.stock[args["item"]] = args["stock"]
            case "reset_inventory":
                assert not resend
                self.stock = {"A": 100, "B": 100, "C": 100}
        items = [{"id": i, "name": i, "price": 1, "stock": s} for i, s in self.items()]
        value = {"revision": 1, "items": items}
        return msgspec.Raw(msgspec.json.encode(value))

    def stop(self) -> None:
        self.stopped += 1

    def items(self) -> list[tuple[str, int]]:
        return sorted(self.stock.items())

    # --- As a network ----------------------------------------------------------------

    def client(self, address: str) -> IStreamClientEndpoint:
        return Door(self, address)

    def server(self, address: str) -> IStreamServerEndpoint:
        raise NotImplementedError(address)


@implementer(IStreamClientEndpoint)
class Door:
    """Lets in where a replica listens."""

    def __init__(self, ports: Ports, address: str) -> None:
        self._ports = ports
        self._address = address

    def connect(self, protocolFactory: Any) -> Deferred[Any]:  # noqa: N803 (Twisted's)
        for process in self._ports.processes:
            for name in process.supervisor.names:
                member = topology().member(name)
                if member.address == self._address and self._ports.listens(name):
                    protocol = protocolFactory.buildProtocol(None)
                    protocol.makeConnection(StringTransport())
                    return succeed(protocol)
        refused: Deferred[Any] = Deferred()
        refused.errback(Failure(NothingListensError()))
        return refused


def cluster_of(
    clock: Clock,
    process: Process,
    ports: Ports,
    run: Callable[[str], str] | None = None,
    *,
    chaos: bool = True,
) -> Cluster:
    """The cluster as ``process`` sees it."""
    return Cluster(
        clock,
        ports,
        topology(),
        process.supervisor,
        dict.fromkeys(("lb", "s1", "it"), ports),
        run or (lambda name: f"twistd cartnet --replica {name}"),
        chaos=chaos,
    )
