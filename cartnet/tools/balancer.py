"""A blocking connection to a balancer, for tools that do one thing and end."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final

import msgspec

from cartnet.limits import LINE_BYTES_MAX
from cartnet.topology.address import split

CONNECT_SECONDS_MAX: Final = 3.0


class Failed(msgspec.Struct):
    """A reply's error."""

    code: str
    message: str
    details: dict[str, Any] = {}


class Ok(msgspec.Struct):
    """Of a reply's ``ok`` what the tool wants: the items are many."""

    revision: int | None = None


class Answer(msgspec.Struct):
    """A reply's line."""

    id: int | str | None
    ok: Ok | None = None
    error: Failed | None = None


class Balancer:
    """One connection, in a ``with`` statement.

    Everything raises OSError where the connection fails, or is too slow.
    """

    def __init__(self, address: str, reply_seconds_max: float) -> None:
        """Connect to ``address``; wait for replies up to ``reply_seconds_max``."""
        self._socket = socket.create_connection(split(address), CONNECT_SECONDS_MAX)
        self._socket.settimeout(reply_seconds_max)
        self._unread = b""
        self._id = 0

    def __enter__(self) -> Balancer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def call_all(self, requests: Sequence[Mapping[str, Any]]) -> list[Answer]:
        """Send requests together; give their answers in the same order."""
        ids = range(self._id, self._id + len(requests))
        self._id += len(requests)
        lines = [
            msgspec.json.encode({"id": each, **request}) + b"\n"
            for each, request in zip(ids, requests, strict=True)
        ]
        self._socket.sendall(b"".join(lines))
        answers: dict[int | str | None, Answer] = {}
        while not all(each in answers for each in ids):
            answer = self._answer()
            answers[answer.id] = answer
        return [answers[each] for each in ids]

    def _answer(self) -> Answer:
        while b"\n" not in self._unread:
            piece = self._socket.recv(65_536)
            if not piece:
                raise ConnectionResetError("the balancer closed the connection")
            self._unread += piece
            if len(self._unread) > 2 * LINE_BYTES_MAX:
                raise ConnectionError("the balancer sent a line without an end")
        line, self._unread = self._unread.split(b"\n", 1)
        try:
            answer = msgspec.json.decode(line, type=Answer)
        except msgspec.MsgspecError:
            raise ConnectionError("what answered is no balancer") from None
        if answer.id is None:
            reason = answer.error.message if answer.error else "no id"
            raise ConnectionError(f"the balancer refused a line: {reason}")
        return answer
