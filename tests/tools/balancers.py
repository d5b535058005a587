"""A balancer that says what a test wants, on a real socket in a thread."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

Says = Callable[[dict[str, Any]], dict[str, Any] | None]


class Balancer:
    """Answers each request with what ``says`` gives; None closes the connection.

    :ivar requests: all that it was asked, connection after connection.
    """

    def __init__(self, says: Says) -> None:
        self.requests: list[dict[str, Any]] = []
        self._says = says
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> Balancer:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._thread.join(10)

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            with connection, connection.makefile("rwb") as lines:
                for line in lines:
                    request = json.loads(line)
                    self.requests.append(request)
                    answer = self._says(request)
                    if answer is None:
                        break
                    lines.write(json.dumps({"id": request["id"], **answer}).encode())
                    lines.write(b"\n")
                    lines.flush()


def error(code: str, **details: Any) -> dict[str, Any]:
    return {"error": {"code": code, "message": f"it is {code}", "details": details}}


class Shop:
    """What a working balancer says, and what it has taken.

    :ivar before: answers to give instead, one after the other, to ``put_item``.
    """

    def __init__(self, *before: dict[str, Any] | None) -> None:
        self.before = list(before)
        self.items: dict[str, dict[str, Any]] = {}
        self.keys: list[str] = []

    def __call__(self, request: dict[str, Any]) -> dict[str, Any] | None:
        args = request["args"]
        if request["call"] == "login":
            if args != {"username": "operator", "password": "correct horse"}:
                return error("unauthenticated")
            return {"ok": {"session": "it.x", "user": "operator"}}
        assert request["call"] == "put_item"
        if self.before:
            return self.before.pop(0)
        self.items[args["item"]] = args
        self.keys.append(request["key"])
        return {"ok": {"revision": len(self.keys), "items": []}}
