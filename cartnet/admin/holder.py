"""Who holds an admin port that could not be had."""

from __future__ import annotations

import re
import socket

from cartnet.limits import ADMIN_HOLDER_SECONDS_MAX
from cartnet.topology.listening import listening

_GREETING = re.compile(rb"cartnet \S+, cluster (.+): \d+ replicas? here")


def holder(endpoint: str) -> str | None:
    """Name the cluster whose process listens on ``endpoint``, None for anything else.

    Asks it and blocks for a moment; meant for before the reactor runs.
    """
    place = listening(endpoint)
    if place.port is None:
        return None
    address = (place.host or "localhost", place.port)
    try:
        with socket.create_connection(address, ADMIN_HOLDER_SECONDS_MAX) as connection:
            connection.settimeout(ADMIN_HOLDER_SECONDS_MAX)
            greeting = connection.recv(1024)
    except OSError:
        return None
    found = _GREETING.match(greeting)
    return found[1].decode("utf-8", "replace") if found else None
