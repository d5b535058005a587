"""How a client's connection to a member is made: connect, then both sides prove."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from cartnet.seams import Seams
    from cartnet.topology.groups import Member
    from cartnet.wire.hello import Identity


class Conversation(Protocol):
    """A proven connection."""

    @property
    def peer(self) -> Identity:
        """Who is at the other end, as it said when the connection was made."""

    def send(self, line: bytes) -> None:
        """Send a line, given without its end."""

    def abort(self) -> None:
        """Close at once; nothing more is heard of it."""


Dial = Callable[
    ["Member", Callable[[bytes], None], Callable[[], None]], "Deferred[Conversation]"
]
"""Dials a member; each later line goes to the first callable, the end of a proven
connection to the second. Cancelling gives the attempt up."""
