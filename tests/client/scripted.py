"""Members that answer as a test tells them to, on a simulated network."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from typing_extensions import override

from cartnet.client.group import GroupClient
from cartnet.limits import LINE_BYTES_MAX
from cartnet.simulator.network import Link
from cartnet.simulator.world import World
from cartnet.topology.groups import Group, Member
from cartnet.wire.framing import LineSplitter
from cartnet.wire.hello import Handshake, HelloRefused, Identity

T = TypeVar("T")

CLUSTER = "demo"
SECRET = b"a secret"

Answer = Callable[[dict[str, Any]], dict[str, Any] | None]


def ok(**value: Any) -> dict[str, Any]:
    return {"ok": value}


def error(code: str, **details: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": f"{code}, it says", "details": details}}


def not_leader(leader: str | None = None) -> dict[str, Any]:
    return error("not_leader", leader=leader)


def _send_away(leader: str | None, request: dict[str, Any]) -> dict[str, Any]:
    return not_leader(leader)


class Conversation(Protocol):
    """The member's end of a connection."""

    def __init__(self, member: ScriptedMember) -> None:
        self.member = member
        self.lines = LineSplitter(LINE_BYTES_MAX)
        self.handshake = Handshake(
            "listener",
            member.identity,
            f"challenge of {member.name}",
            member.secret,
            lambda theirs: None,
        )

    @override
    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        for line in self.lines.feed(data):
            if self.handshake.done:
                self.member.asked(self, json.loads(line))
            else:
                self.shake(line)

    def shake(self, line: bytes) -> None:
        assert self.transport is not None
        try:
            answer = self.handshake.receive(line)
        except HelloRefused:
            self.transport.loseConnection()
            return
        if answer is not None:
            self.transport.write(answer + b"\n")

    def reply(self, request_id: Any, body: dict[str, Any]) -> None:
        assert self.transport is not None
        self.transport.write(json.dumps({"id": request_id, **body}).encode() + b"\n")


class ScriptedMember:
    """One member of a group.

    :ivar leads: what it says of itself in its hello and its heartbeats.
    :ivar term: likewise.
    :ivar answer: what it answers to a request; None is silence.
    :ivar hangs: it hears everything and answers nothing.
    :ivar asked_for: the requests that came, heartbeats left out.
    """

    def __init__(self, world: World, group: Group, name: str) -> None:
        self.world = world
        self.group = group
        self.name = name
        self.secret = SECRET
        self.leads = self.hangs = False
        self.term = 1
        self.answer: Answer = lambda request: not_leader()
        self.asked_for: list[dict[str, Any]] = []
        self.conversations: list[Conversation] = []
        self.host = world.host(name, self.address)
        self.start()

    @property
    def address(self) -> str:
        return self.group.member(self.name).address

    @property
    def calls(self) -> list[str]:
        return [request["call"] for request in self.asked_for]

    def identity(self) -> Identity:
        return Identity(
            cluster=CLUSTER,
            group=self.group.name,
            replica=self.name,
            purpose="client",
            members=self.group.members_hash,
            incarnation="1",
            file=None,
            founders={},
            group_id=None,
            leads=self.leads,
        )

    def start(self) -> None:
        endpoint = self.host.seams.network.server(self.address)
        endpoint.listen(Factory.forProtocol(self.conversation))

    def conversation(self) -> Conversation:
        made = Conversation(self)
        self.conversations.append(made)
        return made

    def crash(self) -> None:
        self.host.crash()
        self.conversations.clear()

    def asked(self, conversation: Conversation, request: dict[str, Any]) -> None:
        if request["call"] != "heartbeat":
            self.asked_for.append(request)
        if self.hangs:
            return
        if request["call"] == "heartbeat":
            role = "leader" if self.leads else "follower"
            pulse = ok(replica=self.name, term=self.term, role=role, leader=None)
            conversation.reply(request["id"], pulse)
            return
        body = self.answer(request)
        if body is not None:
            conversation.reply(request["id"], body)

    def push(self, **event: Any) -> None:
        """Send an event on the last watch of the last connection."""
        watches = [one for one in self.asked_for if one["call"].startswith("watch")]
        self.conversations[-1].reply(watches[-1]["id"], {"event": event})


class ScriptedGroup:
    """A group of scripted members in a world of its own, or in a given one."""

    def __init__(
        self,
        name: str = "s1",
        kind: Any = "shard",
        size: int = 3,
        world: World | None = None,
        port: int = 5005,
    ) -> None:
        self.world = world or World(1, lambda: Link(split=0.2))
        stem = f"{name}r" if kind == "shard" else name
        self.group = Group(
            name,
            kind,
            tuple(
                Member(f"{stem}{at}", f"127.0.0.1:{port + at}") for at in range(size)
            ),
        )
        self.members = [
            ScriptedMember(self.world, self.group, one) for one in self.group.names
        ]

    def client(self, request_timeout: float = 3.0) -> GroupClient:
        seams = self.world.host("client").seams
        return GroupClient(
            self.group, seams, CLUSTER, SECRET, "client", request_timeout
        )

    def lead(self, leader: int | None) -> None:
        """Make one the leader, in a new term, and have the others say so."""
        term = max(member.term for member in self.members) + 1
        for at, member in enumerate(self.members):
            member.leads = at == leader
            member.term = term
            if at != leader:
                address = None if leader is None else self.members[leader].address
                member.answer = partial(_send_away, address)

    def run(self, coroutine: Coroutine[Any, Any, T], seconds_max: float = 10.0) -> T:
        """Let time pass until the coroutine ends; return or raise what it does."""
        done = Deferred.fromCoroutine(coroutine)
        results: list[Any] = []
        done.addBoth(results.append)
        self.world.clock.run_while(lambda: not results, seconds_max=seconds_max)
        assert results, f"nothing came of it in {seconds_max} s"
        if hasattr(results[0], "raiseException"):
            results[0].raiseException()
        return results[0]  # type: ignore[no-any-return]
