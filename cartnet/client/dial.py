"""How a client's connection to a member is made: dialled by name, proven both ways."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cartnet.limits import CHALLENGE_BYTES
from cartnet.transport.dialing import Connection, dial
from cartnet.wire.hello import Handshake, Identity, Purpose

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from cartnet.seams import Seams
    from cartnet.topology.groups import Group, Member

Dial = Callable[
    ["Member", Callable[[bytes], None], Callable[[], None]], "Deferred[Connection]"
]
"""Dials a member; each later line goes to the first callable, the end of a proven
connection to the second. Cancelling gives the attempt up."""


def dialler(
    seams: Seams,
    cluster: str,
    secret: bytes,
    name: str,
    group: Group,
    purpose: Purpose = "client",
) -> Dial:
    """Make what dials the members of ``group`` in the name of ``name``."""
    mine = Identity(cluster=cluster, replica=name, purpose=purpose)

    def dial_member(
        member: Member, on_line: Callable[[bytes], None], on_lost: Callable[[], None]
    ) -> Deferred[Connection]:
        def check(theirs: Identity) -> str | None:
            if (theirs.group, theirs.replica) == (group.name, member.name):
                return None
            return f"{theirs.replica} answers at the address of {member.name}"

        challenge = seams.token_bytes(CHALLENGE_BYTES).hex()
        handshake = Handshake("dialer", lambda: mine, challenge, secret, check)
        endpoint = seams.network.client(member.address)
        return dial(endpoint, handshake, seams.clock, on_line, on_lost)

    return dial_member
