"""How often, and how fast: counts and latencies of a run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
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
