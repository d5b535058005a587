"""What is known of one replica at one moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from cartnet.topology.groups import Topology

State = Literal["alive", "dead", "paused", "unreachable"]
Role = Literal["leader", "follower", "candidate", "learner", "-"]


class Lag(msgspec.Struct, frozen=True):
    """A follower as its leader sees it.

    :ivar match: the last index that it is known to hold.
    :ivar lag: how many entries it is behind the leader's last.
    """

    name: str
    match: int
    lag: int


class Status(msgspec.Struct, frozen=True):
    """One replica; where ``state`` is not ``alive``, all after it is unknown.

    :ivar commit: the commit index, ``applied`` the last applied one; ``first`` and
        ``last`` are the log's.
    :ivar digest: of its tables after ``digest_index``, the newest index of which it
        has recorded one; None for none yet.
    :ivar leader: the name of the leader it knows.
    :ivar peers: where it leads, its followers.
    :ivar uptime_seconds: since it has read its file.
    :ivar writes: how many proposals it has answered since then, ``write_p50_ms`` and
        ``write_p99_ms`` how long the last seconds' took; None where there were none.
    :ivar queue_depth: messages and proposals that wait in it.
    :ivar stopped: why its group serves nobody until an operator has repaired it, as
        far as it knows; None where it does.
    """

    name: str
    address: str
    group: str
    state: State
    role: Role = "-"
    term: int = 0
    commit: int = 0
    applied: int = 0
    first: int = 0
    last: int = 0
    digest: str | None = None
    digest_index: int = 0
    leader: str | None = None
    peers: tuple[Lag, ...] = ()
    uptime_seconds: float = 0.0
    writes: int = 0
    write_p50_ms: float | None = None
    write_p99_ms: float | None = None
    database_bytes: int = 0
    connections: int = 0
    queue_depth: int = 0
    stopped: str | None = None


class Heartbeat(msgspec.Struct, frozen=True):
    """As much of a status as tells who leads."""

    replica: str
    term: int = 0
    role: Role = "-"
    leader: str | None = None


def not_alive(topology: Topology, name: str, state: State) -> Status:
    """Make the status of a replica of which nothing more is known."""
    group = topology.group_of(name)
    return Status(name, group.member(name).address, group.name, state)
