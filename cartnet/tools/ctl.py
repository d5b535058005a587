"""``cartnet ctl COMMAND``: one command over the admin port."""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from typing import Final

from cartnet.limits import ADMIN_COMMAND_SECONDS_MAX
from cartnet.tools.failure import ToolError
from cartnet.topology.configuration import Configuration
from cartnet.topology.listening import listening

CONNECT_SECONDS_MAX: Final = 3.0
REPLY_SECONDS_MAX: Final = ADMIN_COMMAND_SECONDS_MAX + 5

PROMPT: Final = b"> "

_EVERYWHERE: Final = {None: "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 (only compared with)


def run(
    configuration: Configuration, words: Sequence[str], endpoint: str | None
) -> tuple[str, bool]:
    """Give the reply to one command, and say whether it succeeded.

    :param endpoint: where the admin port is, if not where the configuration says.
    :raises ToolError: if nothing answers.
    """
    command = " ".join(words)
    if not command.isprintable():
        raise ToolError("a command is one line of printable text")
    listen = endpoint or configuration.admin_listen
    if listen is None:
        raise ToolError(
            f"{configuration.source} has no admin port ([admin] listen);"
            " --admin tells another endpoint"
        )
    with _connect(listen) as connection:
        conversation = Conversation(connection, listen)
        conversation.read_reply()
        if configuration.admin_password is not None:
            reply = conversation.ask(f"password {configuration.admin_password}")
            if _is_error(reply):
                return reply, False
        reply = conversation.ask(command)
        return reply, not _is_error(reply)


class Conversation:
    """A connection on which prompts tell where a reply ends."""

    def __init__(self, connection: socket.socket, listen: str) -> None:
        self._connection = connection
        self._listen = listen

    def ask(self, line: str) -> str:
        """Send one line; give the lines of its reply."""
        try:
            self._connection.sendall(line.encode() + b"\n")
        except OSError as error:
            raise self._lost(str(error)) from None
        return self.read_reply()

    def read_reply(self) -> str:
        """Read up to the next prompt, or to the end after ``quit`` and ``exit``."""
        reply = b""
        while not (reply == PROMPT or reply.endswith(b"\n" + PROMPT)):
            try:
                piece = self._connection.recv(65_536)
            except OSError as error:
                raise self._lost(str(error)) from None
            if not piece:
                if not reply:
                    raise self._lost("the connection was closed")
                return reply.decode("utf-8", "replace")
            reply += piece
        return reply[: -len(PROMPT)].decode("utf-8", "replace")

    def _lost(self, why: str) -> ToolError:
        return ToolError(f"no answer from the admin port at {self._listen}: {why}")


def _connect(listen: str) -> socket.socket:
    try:
        where = listening(listen)
    except ValueError as error:
        raise ToolError(
            f"--admin {listen}: {error}; expected the admin port's [admin] listen,"
            " such as tcp:8023:interface=127.0.0.1"
        ) from None
    try:
        if where.kind == "unix":
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(REPLY_SECONDS_MAX)
            try:
                connection.connect(_unix_path(listen))
            except OSError:
                connection.close()
                raise
            return connection
        if where.kind not in ("tcp", "tcp6") or not where.port:
            raise ToolError(f"ctl speaks to tcp: and unix: endpoints, not to {listen}")
        host = _EVERYWHERE.get(where.host, where.host or "")
        if where.kind == "tcp6" and where.host is None:
            host = "::1"
        connection = socket.create_connection((host, where.port), CONNECT_SECONDS_MAX)
        connection.settimeout(REPLY_SECONDS_MAX)
        return connection
    except OSError as error:
        raise ToolError(
            f"nothing answers at the admin port, {listen}: {error.strerror or error};"
            " is the cluster running?"
        ) from None


def _unix_path(listen: str) -> str:
    """The path of ``unix:/path:mode=660`` or ``unix:address=/path``."""
    path = re.split(r"(?<!\\):", listen)[1].removeprefix("address=")
    return re.sub(r"\\(.)", r"\1", path)


def _is_error(reply: str) -> bool:
    return reply.startswith(("error: ", '{"error":'))
