"""A console's HTTP side over a whole shop in memory, and those who ask it."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.testing import StringTransportWithDisconnection
from twisted.logger import LogEvent, Logger
from zope.interface import directlyProvides

from cartnet.calls.catalogue import Catalogue
from cartnet.calls.router import Router
from cartnet.console.calls import ConsoleCalls
from cartnet.console.load import Load
from cartnet.console.metrics import Meters
from cartnet.console.operators import Operators
from cartnet.console.report import (
    ClusterReport,
    Conservation,
    Event,
    GroupReport,
    LoadReport,
    ReplicaReport,
)
from cartnet.console.site import Site
from cartnet.console.sockets import WebSockets
from cartnet.errors import Refused
from cartnet.replica.ports import Caller
from cartnet.shop.answers import Inventory
from cartnet.topology.groups import Topology
from cartnet.wire.requests import Request
from tests.calls.memory import MemoryGroup, counting_bytes, memory_seams
from tests.calls.shop import REQUEST_TIMEOUT, Shop

HOST = "shop.example:8080"
OPERATOR_PASSWORD = "operator's own"
PASSWORD = "correct horse"


class Client:
    """A group, as whoever calls it sees it: its leader answers."""

    def __init__(self, shopping: Shopping, memory: MemoryGroup) -> None:
        self.group = memory.group
        self._shopping = shopping
        self._memory = memory

    async def call(
        self,
        call: str,
        args: Any = None,
        *,
        session: str | None = None,
        key: str | None = None,
        stale: bool = False,
        resend: bool = False,
        deadline: float | None = None,
    ) -> msgspec.Raw:
        name = self.group.name
        if name == "lb":
            return msgspec.Raw(b'{"shard":"s1"}')
        leader = self._memory.leader
        if leader is None:
            raise Refused("unavailable", f"{name} has no leader at the moment")
        if isinstance(args, msgspec.Raw):
            args = msgspec.json.decode(args)
        fields = {"session": session, "key": key, "stale": stale}
        answer = await self._shopping.shop.send(leader, call, args, **fields)
        return msgspec.Raw(msgspec.json.encode(answer))


class Cluster:
    """Replicas that do as they are told; what they were told is remembered."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.told: list[tuple[str, str]] = []

    async def kill(self, name: str) -> None:
        self._tell("kill", name)

    async def start(self, name: str) -> None:
        self._tell("start", name)

    async def restart(self, name: str) -> None:
        self._tell("restart", name)

    async def inject(self, fault: str, name: str) -> None:
        self._tell(fault, name)

    async def transfer(self, group: str, target: str) -> None:
        self._tell(f"transfer {group}", target)

    def _tell(self, command: str, name: str) -> None:
        if name not in {each for g in self.topology.groups for each in g.names}:
            raise Refused("not_found", f"there is no replica {name}")
        self.told.append((command, name))


class Watched:
    """What is known of the cluster: as much as the test says."""

    def __init__(self) -> None:
        self.leaders: dict[str, str | None] = {"s1": "s1r0", "it": "it0"}
        self.timeline: list[Event] = []
        self.noted_texts: list[str] = []

    def report(self) -> Awaitable[ClusterReport]:
        groups = tuple(
            GroupReport(
                name=name,
                kind="shard" if name == "s1" else "inventory",
                leader=leader,
                term=3,
                members=(f"{name}r0",),
                alive=3,
                majority=2,
                quorum="full",
                commit=120,
                writes_per_second=1.5,
                write_p50_ms=2.0,
                write_p99_ms=8.0,
                digests="equal",
                digest_index=100,
            )
            for name, leader in self.leaders.items()
        )
        replica = ReplicaReport(
            name="s1r0",
            address="127.0.0.1:5005",
            group="s1",
            state="alive",
            role="leader",
            term=3,
            commit=120,
            applied=119,
            lag=1,
            queue_depth=4,
        )
        load = LoadReport(websockets=3, loop_delay_ms=0.5)
        conservation = Conservation(True, 3, 4)
        return succeed(
            ClusterReport(
                1_795_362_524.25,
                True,
                "test",
                groups,
                (replica,),
                conservation,
                load,
                tuple(self.timeline),
            )
        )

    def subscribe(self, sink: Any) -> Any:
        raise NotImplementedError

    def noted(self, kind: str, group: str, replica: Any, text: str, by: str) -> None:
        self.noted_texts.append(text)


class _Carts:
    def watch(self, asked: Any) -> Any:
        raise NotImplementedError


class Held:
    """Passes calls on; while ``holds`` names one, its answer waits."""

    def __init__(self, calls: ConsoleCalls) -> None:
        self.asked: list[Request] = []
        self.holds: str | None = None
        self.broken = False
        self._calls = calls
        self._held: list[tuple[Deferred[Any], Request, Caller]] = []

    def call(self, request: Request, caller: Caller) -> Deferred[object]:
        self.asked.append(request)
        if self.broken:
            raise RuntimeError("the secret of /etc/passwd")
        if request.call != self.holds:
            return self._calls.call(request, caller)
        held: Deferred[object] = Deferred()
        self._held.append((held, request, caller))
        return held

    def release(self) -> None:
        """Let those that wait be done."""
        waiting, self._held = self._held, []
        for held, request, caller in waiting:
            self._calls.call(request, caller).chainDeferred(held)


class Shopping:
    """The site under test."""

    def __init__(self, folder: Path, metrics_token: str | None = None) -> None:
        self.shop = Shop(OPERATOR_PASSWORD).open()
        self.clock = self.shop.clock
        balancers = MemoryGroup("lb", "balancer", self.clock)
        memories = (balancers, self.shop.shard, self.shop.inventory)
        clients = {each.name: Client(self, each) for each in memories}
        self.topology = Topology("test", tuple(each.group for each in memories))
        seams = memory_seams(self.clock, counting_bytes())
        self.catalogue = Catalogue(cast("Any", clients["it"]))
        self.router = Router(
            self.topology,
            cast("Any", clients),
            self.catalogue,
            seams,
            REQUEST_TIMEOUT,
        )
        self.cluster = Cluster(self.topology)
        self.watched = Watched()
        self.meters = Meters()
        self.events: list[LogEvent] = []
        log = Logger(observer=self.events.append)  # type: ignore[arg-type]
        calls = ConsoleCalls(
            self.router,
            Operators(
                self.topology, cast("Any", clients["it"]), cast("Any", self.clock)
            ),
            cast("Any", self.cluster),
            self.watched,
            _Carts(),
            seams,
            REQUEST_TIMEOUT,
            log,
        )
        calls.on_answer(self.meters.answered)
        self.calls = Held(calls)
        load = Load(cast("Any", self.clock))
        self.sockets = WebSockets(calls, seams, REQUEST_TIMEOUT, load, log)
        self.site = Site(
            self.calls,
            self.sockets.resource,
            self.watched,
            self.meters,
            seams,
            log,
            folder,
            metrics_token,
        )
        self.learn()

    def learn(self) -> None:
        """Let the console hear of the inventory as it is now."""
        leader = self.shop.inventory.leader
        assert leader is not None
        answer: Any = self.shop.send(leader, "get_inventory").result
        self.catalogue.advance(msgspec.convert(answer, Inventory))

    def connect(self, address: str = "127.0.0.1", *, secure: bool = False) -> Wire:
        """Open a connection."""
        return Wire(self, address, secure=secure)

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        address: str = "127.0.0.1",
        secure: bool = False,
        **headers: str,
    ) -> Answer:
        """Ask once, by a connection of its own."""
        return self.connect(address, secure=secure).ask(method, path, body, **headers)

    def api(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        return self.ask(method, f"/api/v1{path}", body, **headers)

    def token(self, username: str = "ann") -> str:
        """Make an account, where there is none, and log in; give the token."""
        account = {"username": username, "password": PASSWORD}
        self.api("POST", "/accounts", account)
        return str(self.api("POST", "/session", account).json["session"])

    def operator(self) -> str:
        login = {"username": "operator", "password": OPERATOR_PASSWORD}
        return str(self.api("POST", "/session", login).json["session"])

    def logged(self) -> str:
        """What the log holds."""
        return "\n".join(
            f"{str(each['log_format']).format(**each)} {each.get('log_failure', '')}"
            for each in self.events
        )

    def stop(self) -> None:
        self.router.stop()
        self.shop.stop()


@dataclass
class Answer:
    """A response.

    :ivar headers: by lower-case name; of several the last.
    """

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def refusal(self) -> tuple[int, str]:
        """The status and the error's code."""
        return self.status, self.json["error"]["code"]


class Wire:
    """One connection, byte by byte."""

    def __init__(
        self, shopping: Shopping, address: str, *, secure: bool = False
    ) -> None:
        self.transport = StringTransportWithDisconnection(
            peerAddress=IPv4Address("TCP", address, 40_000)
        )
        if secure:
            directlyProvides(self.transport, ISSLTransport)
            self.transport.setTcpNoDelay = lambda _: None  # type: ignore[attr-defined]
        self.protocol: Any = shopping.site.buildProtocol(self.transport.getPeer())
        if self.protocol is not None:
            self.transport.protocol = self.protocol
            self.protocol.makeConnection(self.transport)

    @property
    def is_open(self) -> bool:
        return bool(self.transport.connected) and self.protocol is not None

    def say(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def send(
        self, method: str, path: str, body: Any = None, **headers: str | None
    ) -> None:
        """Send a request; a header of None is left out."""
        data = body if isinstance(body, bytes) else b""
        given: dict[str, str | None] = {"Host": HOST}
        if body is not None:
            if not isinstance(body, bytes):
                data = msgspec.json.encode(body)
            given["Content-Type"] = "application/json"
            given["Content-Length"] = str(len(data))
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{n}: {v}" for n, v in given.items() if v is not None]
        head = "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""])
        self.say(head.encode("latin-1") + data)

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str | None
    ) -> Answer:
        self.send(method, path, body, **headers)
        return self.answer(head_only=method == "HEAD")

    def answer(self, *, head_only: bool = False) -> Answer:
        """Take the next response; all of it must be there."""
        data = self.transport.value()
        head, found, rest = data.partition(b"\r\n\r\n")
        assert found, data
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        length = 0 if head_only else int(headers.get("content-length", "0"))
        assert len(rest) >= length, data
        self.transport.clear()
        self.transport.write(rest[length:])
        return Answer(int(first.split()[1]), headers, rest[:length])

    @property
    def has_answer(self) -> bool:
        return b"\r\n\r\n" in self.transport.value()


def asset_folder(folder: Path) -> Path:
    """Make a small web console."""
    (folder / "js").mkdir(parents=True)
    page = '<!doctype html><script src="/static/js/a.js"></script>' + " " * 400
    (folder / "index.html").write_text(page)
    (folder / "operator.html").write_text("<!doctype html>operator")
    (folder / "404.html").write_text("<!doctype html>nothing here")
    (folder / "icon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (folder / "js" / "a.js").write_text("// a script\n" * 40)
    return folder
