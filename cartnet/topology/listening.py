"""Twisted server endpoint strings, as far as a configuration has to understand them.

Making the endpoint is the reactor's side; here it is only asked who could reach it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cartnet.topology.address import PORT_MAX, is_loopback

_LOCAL_KINDS = frozenset({"unix"})
_TLS_KINDS = frozenset({"ssl", "tls"})
_PORT_KINDS = frozenset({"tcp", "tcp6"}) | _TLS_KINDS


@dataclass(frozen=True)
class Listening:
    """What an endpoint string listens on.

    :ivar host: the interface, a bare host; None where it is not said (that is, all) or
        where there is none (``unix:``).
    :ivar port: None where the kind has no port, or hides it.
    """

    kind: str
    host: str | None
    port: int | None

    @property
    def exposed(self) -> bool:
        """Whether another machine may reach it, or nobody here can tell."""
        if self.kind in _LOCAL_KINDS:
            return False
        return self.host is None or not is_loopback(self.host)

    @property
    def exposed_in_clear(self) -> bool:
        """Whether what is said there may be read on the way from another machine."""
        return self.exposed and not self.encrypted

    @property
    def encrypted(self) -> bool:
        return self.kind in _TLS_KINDS


def listening(text: str) -> Listening:
    """Read a server endpoint string, such as ``tcp:8023:interface=127.0.0.1``.

    :raises ValueError: with a sentence that says what is wrong.
    """
    parts = [
        re.sub(r"\\(.)", r"\1", part) for part in re.split(r"(?<!\\):", text.strip())
    ]
    kind, arguments = parts[0], parts[1:]
    if not re.fullmatch(r"[a-z][a-z0-9]*", kind) or not arguments:
        raise ValueError(f"{text!r} is no Twisted server endpoint string")
    named = dict(part.split("=", 1) for part in arguments if "=" in part)
    port = named.get("port")
    if port is None and kind in _PORT_KINDS and "=" not in arguments[0]:
        port = arguments[0]
    if kind not in _PORT_KINDS:
        return Listening(kind, None, None)
    if port is None or not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > PORT_MAX:
        raise ValueError(f"{text!r} names no port from 0 to {PORT_MAX}")
    return Listening(kind, named.get("interface") or None, int(port))
