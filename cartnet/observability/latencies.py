"""How long things took lately, in bounded memory and next to no time."""

from __future__ import annotations

from collections import deque
from math import exp, log
from typing import Final

from cartnet.limits import LATENCY_WINDOW_SECONDS

_SHORTEST: Final = 1e-5
_LONGEST: Final = 1e3
_SPANS_PER_E: Final = 20
"""A span is 5 % wider than the one before, so that a quantile is that exact."""


class Latencies:
    """The durations of the last ``LATENCY_WINDOW_SECONDS``: how many, and how long.

    Kept is only how many fell into which span of time, second by second.
    """

    def __init__(self) -> None:
        self._second = -1
        self._counts: dict[int, int] = {}
        self._seconds: deque[tuple[int, dict[int, int]]] = deque(
            maxlen=LATENCY_WINDOW_SECONDS
        )

    def add(self, now: float, seconds: float) -> None:
        """Something that has taken ``seconds`` has ended ``now``."""
        second = int(now)
        if second != self._second:
            self._second = second
            self._counts = {}
            self._seconds.append((second, self._counts))
        span = int(log(max(seconds, _SHORTEST) / _SHORTEST) * _SPANS_PER_E)
        self._counts[span] = self._counts.get(span, 0) + 1

    def per_second(self, now: float) -> float:
        """How many have ended in a second, on the average."""
        since = int(now) - LATENCY_WINDOW_SECONDS + 1
        ended = sum(sum(counts.values()) for counts in self._since(since))
        return ended / (now - since) if ended else 0.0

    def quantile(self, now: float, share: float) -> float | None:
        """The seconds that ``share`` of all have not exceeded; None without any."""
        total: dict[int, int] = {}
        for counts in self._since(int(now) - LATENCY_WINDOW_SECONDS + 1):
            for span, count in counts.items():
                total[span] = total.get(span, 0) + count
        left = share * sum(total.values())
        for span in sorted(total):
            left -= total[span]
            if left <= 0:
                middle = _SHORTEST * exp((span + 0.5) / _SPANS_PER_E)
                return min(middle, _LONGEST)
        return None

    def _since(self, second: int) -> list[dict[int, int]]:
        return [counts for at, counts in self._seconds if at >= second]


def milliseconds(seconds: float | None) -> float | None:
    """Give a duration as people read it: in milliseconds, to three digits or so."""
    return None if seconds is None else round(seconds * 1000, 2)
