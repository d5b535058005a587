"""WebSockets in memory: a console's side that does as a test says, and browsers."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from typing import Any, cast

import msgspec
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.logger import LogEvent
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import Site

from cartnet.console.load import Load
from cartnet.console.sockets import WebSockets
from tests.replica.listening import REQUEST_TIMEOUT, Host, Transport, logger, seams

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
HOST = "shop.example:8080"


class Calls(Host):
    """What the WebSockets ask."""

    def __init__(self) -> None:
        super().__init__()
        self.logged_out: list[Callable[[str], None]] = []

    def on_logout(self, listener: Callable[[str], None]) -> None:
        self.logged_out.append(listener)

    def log_out(self, session: str) -> None:
        for listener in self.logged_out:
            listener(session)


class Visiting:
    """WebSockets under test, at ``/ws`` of a site."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.calls = Calls()
        self.events: list[LogEvent] = []
        self.load = Load(cast("Any", self.clock))
        self.sockets = WebSockets(
            cast("Any", self.calls),
            seams(self.clock),
            REQUEST_TIMEOUT,
            self.load,
            logger(self.events),
        )
        root = Resource()
        root.putChild(b"ws", self.sockets.resource)
        self.site = Site(root, reactor=self.clock)
        self.site.noisy = False

    def knock(self, address: str = "192.0.2.1", **headers: str | None) -> Visitor:
        """Ask for a WebSocket; a header of None is left out."""
        return Visitor(self, address, headers)

    def visit(self, **headers: str | None) -> Visitor:
        """Open a WebSocket."""
        visitor = self.knock(**headers)
        assert visitor.status() == 101, visitor.answer
        return visitor

    def pass_time(self, seconds: float) -> None:
        """Let time pass, in steps as small as anything looks at it."""
        for _ in range(round(seconds * 4)):
            self.clock.advance(0.25)

    def warnings(self) -> list[str]:
        return [str(e["log_format"]).format(**e) for e in self.events]


class Visitor:
    """A browser's side of one connection, byte by byte."""

    def __init__(
        self, visiting: Visiting, address: str, headers: dict[str, str | None]
    ) -> None:
        self.transport = Wire(address)
        self.answer = b""
        self.closed_with: int | None = None
        self._unread = b""
        channel = visiting.site.buildProtocol(self.transport.getPeer())
        assert channel is not None
        self.transport.protocol = channel
        channel.makeConnection(self.transport)
        given: dict[str, str | None] = {
            "Host": HOST,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{name}: {value}" for name, value in given.items() if value]
        self.say_bytes("\r\n".join(["GET /ws HTTP/1.1", *lines, "", ""]).encode())

    @property
    def is_gone(self) -> bool:
        return bool(self.transport.disconnecting or self.transport.aborted)

    def status(self) -> int:
        """The status of the handshake."""
        self.answer, _, self._unread = self._take().partition(b"\r\n\r\n")
        return int(self.answer.split()[1])

    def refusal(self) -> tuple[int, str]:
        """The status and the error's code, where the handshake was refused."""
        status = self.status()
        error = msgspec.json.decode(self._unread)["error"]
        return status, error["code"]

    # --- what it says -----------------------------------------------------------------

    def say_bytes(self, data: bytes) -> None:
        self.transport.protocol.dataReceived(data)

    def say(self, payload: bytes, opcode: int = TEXT, **how: Any) -> None:
        self.say_bytes(frame(payload, opcode, **how))

    def ask(self, request_id: int | str, call: str, **more: Any) -> None:
        self.say(msgspec.json.encode({"id": request_id, "call": call, **more}))

    def lose(self) -> None:
        """The connection is gone."""
        self.transport.protocol.connectionLost(Failure(ConnectionDone()))

    # --- what it hears ----------------------------------------------------------------

    def heard(self) -> list[dict[str, Any]]:
        """The messages since this was asked last; a goodbye is remembered."""
        return [msgspec.json.decode(payload) for payload in self.heard_payloads()]

    def heard_payloads(self) -> list[bytes]:
        payloads: list[bytes] = []
        for opcode, payload in self.frames():
            if opcode == CLOSE:
                self.closed_with = struct.unpack("!H", payload[:2])[0]
            elif opcode == TEXT:
                payloads.append(payload)
            elif opcode == 0:
                payloads[-1] += payload
        return payloads

    def codes(self) -> list[tuple[Any, str]]:
        """The ids and the error codes of what was said since; ``ok`` for none."""
        return [(r["id"], r.get("error", {}).get("code", "ok")) for r in self.heard()]

    def farewell(self) -> int | None:
        """The code of the close that was heard, if one was."""
        self.heard_payloads()
        return self.closed_with

    def frames(self) -> list[tuple[int, bytes]]:
        """Every frame that came whole."""
        data = self._unread + self._take()
        found = []
        while len(data) >= 2:
            length, at = data[1], 2
            if length == 126:
                length, at = struct.unpack("!H", data[2:4])[0], 4
            elif length == 127:
                length, at = struct.unpack("!Q", data[2:10])[0], 10
            if len(data) < at + length:
                break
            found.append((data[0] & 0x0F, data[at : at + length]))
            data = data[at + length :]
        self._unread = data
        return found

    def _take(self) -> bytes:
        data = self.transport.value()
        self.transport.clear()
        return data

    # --- how it reads -----------------------------------------------------------------

    def stop_reading(self) -> None:
        """Leave what is sent unread, so that the transport asks for a pause."""
        self.transport.producer.pauseProducing()

    def read_on(self) -> None:
        self.transport.producer.resumeProducing()

    @property
    def is_read(self) -> bool:
        """Whether what it says is being read."""
        return self.transport.producerState == "producing"


class Wire(Transport):
    """A transport that another protocol may take over."""

    protocol: Any

    def __init__(self, host: str) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", host, 40_000))


def frame(
    payload: bytes, opcode: int = TEXT, *, fin: bool = True, masked: bool = True
) -> bytes:
    """One frame (RFC 6455, 5.2)."""
    mask_bit = 0x80 if masked else 0
    head = bytes([(0x80 if fin else 0) | opcode])
    if len(payload) < 126:
        head += bytes([mask_bit | len(payload)])
    elif len(payload) < 65_536:
        head += bytes([mask_bit | 126]) + struct.pack("!H", len(payload))
    else:
        head += bytes([mask_bit | 127]) + struct.pack("!Q", len(payload))
    if not masked:
        return head + payload
    mask = os.urandom(4)
    stretched = (mask * (len(payload) // 4 + 1))[: len(payload)]
    mixed = int.from_bytes(payload, "big") ^ int.from_bytes(stretched, "big")
    return head + mask + mixed.to_bytes(len(payload), "big")
