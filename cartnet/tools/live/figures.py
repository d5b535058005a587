"""How often, how fast, and for how long not: counts, latencies and gaps of a run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cartnet.tools.live.seen import Seen
    from cartnet.workload.history import Operation

ENDINGS: Final = ("ok", "refused", "nothing", "unknown")


@dataclass(frozen=True)
class Row:
    """One kind of call.

    :ivar seconds: how long those that were done took, shortest first.
    """

    call: str
    endings: Counter[str]
    seconds: tuple[float, ...]

    def quantile(self, q: float) -> float | None:
        """Seconds within which a share ``q`` of the calls was answered."""
        if not self.seconds:
            return None
        return self.seconds[min(int(q * len(self.seconds)), len(self.seconds) - 1)]


def rows(operations: Sequence[Operation]) -> list[Row]:
    """A row a call, and one of all."""
    kinds: dict[str, list[Operation]] = defaultdict(list)
    for each in operations:
        kinds[each.call].append(each)
    found = [_row(call, kinds[call]) for call in sorted(kinds)]
    return [*found, _row("all", operations)]


def _row(call: str, operations: Sequence[Operation]) -> Row:
    took = sorted(
        each.ended - each.called
        for each in operations
        if each.ended is not None and each.ending in ("ok", "refused")
    )
    return Row(call, Counter(each.ending for each in operations), tuple(took))


def groups_asked(seen: Seen) -> set[str]:
    """Those that were asked all the time: of shards, where a shopper lives."""
    shoppers = {e.user for e in seen.operations if e.call == "checkout"}
    homes = {seen.shard(user) for user in shoppers}
    return {"lb", "it"} | {home for home in homes if home is not None}


def longest_gaps(seen: Seen) -> dict[str, tuple[float, float]]:
    """How long each group gave no answer while customers shopped, and when that began.

    An answer speaks for all groups that it needed. Of a shard where no shopper lives
    nothing is said.
    """
    asked = groups_asked(seen)
    answers: dict[str, list[float]] = {g: [] for g in seen.groups if g in asked}
    homes: dict[str, str | None] = {}
    for each in seen.operations:
        # Who may be answered with what is old may be answered by anybody.
        certain = each.ending in ("ok", "refused") and not each.stale
        if each.ended is None or not certain:
            continue
        if each.user not in homes:
            homes[each.user] = seen.shard(each.user)
        for group in _groups(each, homes[each.user]):
            if group in answers:
                answers[group].append(each.ended)
    gaps = {}
    for group, times in answers.items():
        within = [t for t in sorted(times) if seen.began < t < seen.stopped]
        if within:
            edges = [seen.began, *within, seen.stopped]
            gaps[group] = max(
                (after - before, before) for before, after in pairwise(edges)
            )
    return gaps


def _groups(operation: Operation, home: str | None) -> set[str]:
    groups = set()
    if operation.call in ("get_inventory", "checkout") or operation.user == "operator":
        groups.add("it")
    if home is not None:
        groups.add(home)
    if not operation.direct:
        groups.add("lb")
    return groups
