"""All that a run has seen, for its verdict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cartnet.tools.live.findings import Findings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cartnet.tools.live.options import Options
    from cartnet.workload.history import History, Operation
    from cartnet.workload.share import Share
    from cartnet.workload.watcher import Watcher


@dataclass
class Office:
    """A replica that said that it leads, first and last."""

    group: str
    leader: str
    term: int
    since: float
    until: float


@dataclass
class Fault:
    """What was done to a replica, and when that ended."""

    kind: str
    replica: str
    since: float
    until: float


@dataclass
class Seen:
    """One run, in seconds of this process's monotonic clock.

    :ivar groups: the names of the cluster's groups.
    :ivar share: what of the shop was used.
    :ivar started: when, by the wall clock, for people.
    :ivar began: when customers began, ``stopped`` when they were asked to stop.
    :ivar offices: who led, oldest first.
    :ivar leaders: who said to lead which group in which term.
    :ivar digests: of replicas' tables, by group, index and replica.
    :ivar orders: what each user's list showed in the end, where it could be had.
    :ivar stock: of the share's items in the end, if it could be had.
    :ivar awaited: how long what must come to pass in the end took, None for too long.
    :ivar missing: what was still missing of those.
    :ivar failures: of customers, by answers that they could not understand.
    :ivar unused: groups that nobody's account lived on.
    :ivar left: what could not be cleaned up.
    :ivar interrupted: it was ended before its time.
    """

    options: Options
    cluster: str
    groups: tuple[str, ...]
    share: Share
    history: History
    findings: Findings = field(default_factory=Findings)
    started: str = ""
    began: float = 0.0
    stopped: float = 0.0
    watchers: list[Watcher] = field(default_factory=list)
    offices: list[Office] = field(default_factory=list)
    leaders: dict[tuple[str, int], set[str]] = field(default_factory=dict)
    heartbeats: int = 0
    digests: dict[tuple[str, int], dict[str, str]] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    orders: dict[str, list[Any]] = field(default_factory=dict)
    stock: Mapping[str, int] | None = None
    awaited: dict[str, float | None] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    unused: tuple[str, ...] = ()
    left: list[str] = field(default_factory=list)
    interrupted: bool = False

    @property
    def operations(self) -> list[Operation]:
        return self.history.operations

    def short(self, name: str) -> str:
        """A name without the run's prefix."""
        return name.removeprefix(self.share.prefix)

    def shard(self, user: str) -> str | None:
        """Where a user lives, by a session that was given."""
        return next((home for home in self.homes(user)), None)

    def homes(self, user: str) -> list[str]:
        """Every shard that was ever said to be a user's, in the order heard."""
        found: dict[str, None] = {}
        for each in self.operations:
            if each.user != user or each.ending != "ok":
                continue
            if each.call == "login":
                found[each.answer["session"].partition(".")[0]] = None
            elif each.call == "create_account":
                found[each.answer["shard"]] = None
        return list(found)
