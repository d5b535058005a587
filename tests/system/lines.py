"""Blocking clients of the line protocol and of the admin port, as anybody has them."""

from __future__ import annotations

import json
import re
import socket
from typing import Any

ANSWER_SECONDS_MAX = 60.0
"""Requests are answered within their time-out; a test waits no longer than this."""

TOKENS: set[str] = set()
"""The session tokens that answers carried: none may be found where it must not be."""


def tokens_in(content: bytes) -> set[str]:
    """Find those tokens whose secret part, after the group's name, is in ``content``.

    One look at it, however many tokens there are.
    """
    by_secret = {token.partition(".")[2].encode(): token for token in TOKENS}
    lengths = set(map(len, by_secret))
    return {
        by_secret[part]
        for run in re.findall(rb"[\w-]{20,}", content)
        for length in lengths
        for start in range(len(run) - length + 1)
        if (part := run[start : start + length]) in by_secret
    }


class Refused(Exception):
    """An answer was an error."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["code"], error["message"])
        self.code: str = error["code"]
        self.message: str = error["message"]
        self.details: dict[str, Any] = error.get("details", {})


class Lost(Exception):
    """The connection ended before the answer came."""


class Line:
    """One connection to a replica port.

    :param seconds: how long each answer is waited for.
    """

    def __init__(self, address: str, seconds: float = ANSWER_SECONDS_MAX) -> None:
        host, _, port = address.rpartition(":")
        try:
            self._socket = socket.create_connection((host, int(port)), seconds)
        except OSError as error:
            raise Lost(str(error)) from None
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        self._id = 0

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._file.close()
        self._socket.close()

    def send(self, line: bytes) -> None:
        """Send bytes as they are."""
        try:
            self._socket.sendall(line)
        except OSError as error:
            raise Lost(str(error)) from None

    def receive(self) -> dict[str, Any]:
        """Wait for the next line.

        :raises Lost: the connection ended.
        """
        try:
            line = self._file.readline()
        except OSError as error:
            raise Lost(str(error)) from None
        if not line.endswith(b"\n"):
            raise Lost("closed")
        received: dict[str, Any] = json.loads(line)
        if "session" in received.get("ok", {}):
            TOKENS.add(received["ok"]["session"])
        return received

    def request(self, call: str, args: dict[str, Any], **fields: Any) -> int:
        """Send a request without waiting; return its id."""
        self._id += 1
        request = {"id": self._id, "call": call, "args": args, **fields}
        self.send(json.dumps(request).encode() + b"\n")
        return self._id

    def call(
        self, call: str, args: dict[str, Any] | None = None, **fields: Any
    ) -> dict[str, Any]:
        """Do one call.

        :raises Refused: its answer is an error.
        :raises Lost: no answer came.
        """
        request_id = self.request(call, args or {}, **fields)
        answer = self.receive()
        assert answer["id"] == request_id, answer
        if "error" in answer:
            raise Refused(answer["error"])
        ok: dict[str, Any] = answer["ok"]
        return ok


class Admin:
    """A connection to the admin port, as ``nc`` makes it.

    :ivar greeting: what it said first.

    :param place: its port, or its path.
    :param seconds: how long each reply is waited for.
    """

    PROMPT = b"> "

    def __init__(self, place: int | str, seconds: float = ANSWER_SECONDS_MAX) -> None:
        family, address = (
            (socket.AF_INET, ("127.0.0.1", place))
            if isinstance(place, int)
            else (socket.AF_UNIX, place)
        )
        self._socket = socket.socket(family)
        self._socket.settimeout(seconds)
        try:
            self._socket.connect(address)
            self.greeting = self._until_prompt()
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> Admin:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def do(self, command: str) -> str:
        """Type a command; return the lines of its reply."""
        self._socket.sendall(command.encode() + b"\n")
        return self._until_prompt()

    def send(self, data: bytes) -> bytes:
        """Send bytes as they are; return all that comes until the end."""
        self._socket.sendall(data)
        received = b""
        while more := self._socket.recv(65536):
            received += more
        return received

    def _until_prompt(self) -> str:
        received = b""
        while not (received == self.PROMPT or received.endswith(b"\n" + self.PROMPT)):
            more = self._socket.recv(65536)
            if not more:
                return received.decode()
            received += more
        return received[: -len(self.PROMPT)].decode()
