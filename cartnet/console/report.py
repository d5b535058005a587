"""What the operator's page shows: the cluster at one moment."""

from __future__ import annotations

from typing import Literal

import msgspec

from cartnet.replica.status import Status

Quorum = Literal["full", "reduced", "lost"]
Digests = Literal["equal", "unknown", "differ"]
EventKind = Literal[
    "leader",
    "no_leader",
    "died",
    "started",
    "paused",
    "resumed",
    "isolated",
    "healed",
    "unreachable",
    "recovered",
    "transferred",
]


class GroupReport(msgspec.Struct, frozen=True):
    """One group.

    :ivar kind: ``balancer``, ``shard`` or ``inventory``.
    :ivar alive: how many members are alive, of which ``majority`` are needed.
    :ivar quorum: ``full``: all are; ``reduced``: a majority is; ``lost``.
    :ivar commit: the highest commit index that a member tells of.
    :ivar writes_per_second: entries committed lately.
    :ivar write_p50_ms: from proposing a write to its answer, at the leader, lately.
    :ivar digests: ``equal``: a majority has told the same of its tables after
        ``digest_index``, and nobody alive another there or elsewhere; ``differ``: two
        have told different things, or the group has stopped for that (S4).
    """

    name: str
    kind: str
    leader: str | None
    term: int
    members: tuple[str, ...]
    alive: int
    majority: int
    quorum: Quorum
    commit: int
    writes_per_second: float
    write_p50_ms: float | None
    write_p99_ms: float | None
    digests: Digests
    digest_index: int


class ReplicaReport(Status, frozen=True):
    """One replica.

    :ivar lag: how many committed entries it has yet to apply; None where that is not
        known.
    :ivar here: whether it runs in the console's own process.
    """

    lag: int | None = None
    here: bool = False


class Conservation(msgspec.Struct, frozen=True):
    """Whether the stock of every item adds up (S7); None while nobody can tell.

    :ivar items: how many items were ever known, the removed ones included.
    :ivar revision: the inventory's, for which this holds.
    """

    conserved: bool | None = None
    items: int = 0
    revision: int = 0


class LoadReport(msgspec.Struct, frozen=True):
    """What this console had to do lately.

    :ivar errors_per_second: calls that failed for a reason that lies with us.
    :ivar loop_delay_ms: the longest that a due timer had to wait for its turn.
    """

    requests_per_second: float = 0.0
    errors_per_second: float = 0.0
    p50_ms: float | None = None
    p99_ms: float | None = None
    websockets: int = 0
    loop_delay_ms: float = 0.0


class Event(msgspec.Struct, frozen=True):
    """Something that has happened to the cluster.

    :ivar id: counts the console's events from 1.
    :ivar at: when it was noticed, in Unix seconds.
    :ivar text: one line for a person.
    :ivar by: the user that has had it done, where one has.
    """

    id: int
    at: float
    kind: EventKind
    group: str
    replica: str | None
    term: int
    text: str
    by: str | None = None


class ClusterReport(msgspec.Struct, frozen=True):
    """The cluster.

    :ivar at: of when this is, in Unix seconds.
    :ivar chaos: whether replicas may be paused and isolated here.
    :ivar timeline: oldest first; in a watcher's later reports only what is new to it,
        where an event that it has had may come again, as more is known of it.
    """

    at: float
    chaos: bool
    cluster: str
    groups: tuple[GroupReport, ...]
    replicas: tuple[ReplicaReport, ...]
    conservation: Conservation
    load: LoadReport
    timeline: tuple[Event, ...]
