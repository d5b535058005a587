"""A listener with a host that does as a test says, and connections to it."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from random import Random
from typing import Any, cast

import msgspec
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, Logger
from twisted.python.failure import Failure
from typing_extensions import override

from cartnet.consensus.messages import PeerMessage
from cartnet.errors import Refused
from cartnet.replica.listener import Listener
from cartnet.replica.ports import Caller, Sink
from cartnet.seams import Seams
from cartnet.wire.hello import Handshake, Identity, NotYet, peer_mismatch
from cartnet.wire.requests import Request, encode_request

REQUEST_TIMEOUT = 3.0
SECRET = b"a long random string"


class _Subscription:
    def __init__(self, source: Source, sink: Sink) -> None:
        self.source, self.sink = source, sink

    def wake(self) -> None:
        self.source.woken += 1

    def cancel(self) -> None:
        self.source.subscriptions.remove(self)


class Source:
    """What is watched: one event at once, and who watches."""

    def __init__(self) -> None:
        self.subscriptions: list[_Subscription] = []
        self.woken = 0

    def subscribe(self, sink: Sink) -> _Subscription:
        subscription = _Subscription(self, sink)
        self.subscriptions.append(subscription)
        sink.send(b'{"revision":1}')
        return subscription


def identity(replica: str = "s1r1", **fields: Any) -> Identity:
    whole = {"cluster": "demo", "group": "s1", "purpose": "peer", **fields}
    return Identity(replica=replica, **whole)


def logger(events: list[LogEvent]) -> Logger:
    return Logger(namespace="test", observer=cast("Any", events.append))


def seams(clock: Clock) -> Seams:
    """The outside world, as far as connections need it."""
    numbers = count(1)

    def token_bytes(size: int) -> bytes:
        return next(numbers).to_bytes(size, "big")

    nothing = cast("Any", None)
    return Seams(
        clock=cast("Any", clock),
        wall=lambda: 0.0,
        random=Random(1),
        token_bytes=token_bytes,
        network=nothing,
        disk=nothing,
        in_thread=nothing,
    )


class Host:
    """Answers each call from ``answers``; one that is not there is never answered.

    :ivar asked: the requests that came, with whether they were trusted.
    :ivar waiting: those without an answer.
    """

    secret = SECRET

    def __init__(self) -> None:
        self.answers: dict[str, Callable[[Request], Any]] = {}
        self.asked: list[tuple[Request, bool]] = []
        self.waiting: list[Deferred[Any]] = []
        self.met: list[str] = []
        self.messages: list[tuple[str, PeerMessage]] = []
        self.says_no: str | None = None
        self.is_ready = True

    def identity(self) -> Identity:
        return identity("s1r0")

    def unwelcome(self, theirs: Identity) -> str | None:
        if theirs.purpose == "client":
            return None
        if not self.is_ready:
            raise NotYet("s1r0 is still reading its file")
        return self.says_no or peer_mismatch(self.identity(), theirs, None)

    def peer_connected(self, theirs: Identity) -> None:
        self.met.append(theirs.replica)

    def peer_message(self, sender: str, message: PeerMessage) -> None:
        self.messages.append((sender, message))

    def call(self, request: Request, caller: Caller) -> Deferred[object]:
        self.asked.append((request, caller.trusted))
        answer = self.answers.get(request.call)
        if answer is not None:
            return succeed(answer(request))
        waiting: Deferred[Any] = Deferred()
        self.waiting.append(waiting)
        return waiting


def refuse(code: Any) -> Callable[[Request], Any]:
    def answer(request: Request) -> Any:
        raise Refused(code, "no")

    return answer


class Transport(StringTransport):
    """Remembers whether it was cut off."""

    aborted = False

    @override
    def abortConnection(self) -> None:
        self.aborted = True
        super().abortConnection()


class Visit:
    """One connection to the listener."""

    def __init__(self, listening: Listening, host: str) -> None:
        self.transport = Transport()
        self._listening = listening
        address = IPv4Address("TCP", host, 40_000)
        self.protocol = listening.listener.factory.buildProtocol(address)
        self.is_lost = False
        if self.protocol is not None:
            self.protocol.makeConnection(self.transport)

    @property
    def is_ending(self) -> bool:
        return bool(self.transport.disconnecting or self.transport.aborted)

    def say(self, *lines: bytes) -> None:
        self.say_bytes(b"".join(line + b"\n" for line in lines))

    def say_bytes(self, data: bytes) -> None:
        assert self.protocol is not None
        self.protocol.dataReceived(data)

    def ask(
        self, request_id: int | str, call: str, args: Any = None, **more: Any
    ) -> None:
        self.say(encode_request(request_id, call, args, **more))

    def heard_lines(self) -> list[bytes]:
        """What was said since this was asked last."""
        lines = self.transport.value().split(b"\n")
        self.transport.clear()
        assert lines.pop() == b"", "each line has its end"
        return lines

    def heard(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(line) for line in self.heard_lines()]

    def codes(self) -> list[tuple[Any, str]]:
        """The ids and the error codes of what was said since; ``ok`` for none."""
        return [(r["id"], r.get("error", {}).get("code", "ok")) for r in self.heard()]

    def begin_hello(self, mine: Identity) -> Handshake:
        """Say hello as the dialer, and no more."""
        handshake = Handshake("dialer", lambda: mine, "c", SECRET, lambda theirs: None)
        self.say(handshake.start())
        return handshake

    def shake(self, mine: Identity, secret: bytes = SECRET) -> Handshake:
        """Shake hands as the dialer."""
        handshake = Handshake("dialer", lambda: mine, "c", secret, lambda theirs: None)
        self.say(handshake.start())
        proof = handshake.receive(self.heard_lines()[0])
        assert proof is not None
        self.say(proof)
        return handshake

    def meet(self, mine: Identity) -> Visit:
        """Shake hands and succeed."""
        handshake = self.shake(mine)
        handshake.receive(self.heard_lines()[0])
        assert handshake.done
        return self

    def lose(self) -> None:
        """The connection is gone."""
        assert self.protocol is not None
        self.is_lost = True
        self.protocol.connectionLost(Failure(ConnectionDone()))


class Listening:
    """A listener under test."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.host = Host()
        self.events: list[LogEvent] = []
        self.listener = Listener(
            self.host, seams(self.clock), logger(self.events), REQUEST_TIMEOUT
        )

    def visit(self, host: str = "192.0.2.1") -> Visit:
        return Visit(self, host)

    def pass_time(self, seconds: float) -> None:
        """Let time pass, in steps as small as anything looks at it."""
        for _ in range(round(seconds * 8)):
            self.clock.advance(0.125)

    def warnings(self) -> list[str]:
        return [str(e["log_format"]).format(**e) for e in self.events]
