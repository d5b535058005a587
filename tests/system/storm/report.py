"""What a storm came to, for a person."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from tests.system.storm.attempts import (
    ANSWERED,
    LOST,
    NOTED_SECONDS,
    Attempt,
    Record,
)
from tests.system.storm.outages import Outages, Window
from tests.system.storm.verdict import AWAY, Verdict
from tests.system.storm.yardstick import Machine

AVAILABILITY: Final = "availability is lost only without a majority, or electing"
"""The one promise that a machine can break by being too busy."""

SHOWN_MAX: Final = 20
"""Violations of availability that are shown; of more there is the number."""


@dataclass
class Findings:
    """What was promised, and whether it was kept.

    :ivar kept: promises that were kept.
    :ivar broken: what was found of those that were not.
    :ivar machine: what the storm had of it; None for a storm that never was.
    """

    kept: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    machine: Machine | None = None

    @contextmanager
    def holding(self, promise: str) -> Iterator[None]:
        """Hold the body's assertions to a promise; go on whatever they find."""
        try:
            yield
        except Exception as failure:
            self.broken.append(f"{promise}: {type(failure).__name__}: {failure}")
        else:
            self.kept.append(promise)

    def lines(self) -> Iterator[str]:
        yield from (f"kept    {each}" for each in self.kept)
        yield from (f"BROKEN  {each}" for each in self.broken)


def faults_table(
    counts: Mapping[str, Counter[str]], outages: Outages, since: float
) -> Iterator[str]:
    """What was done to each group, and how long it had no majority."""
    groups = list(counts)
    kinds = sorted({kind for each in counts.values() for kind in each})
    yield _row("done to", groups)
    for kind in kinds:
        yield _row(kind, [str(counts[group][kind]) for group in groups])
    now = time.monotonic()
    for title, windows in (
        ("no majority, s", outages.without_majority),
        ("that, or electing, s", outages.unavailable),
    ):
        seconds = [_seconds(windows, group, since, now) for group in groups]
        yield _row(title, [f"{each:.0f}" for each in seconds])


def _seconds(
    windows: Callable[[str], Iterable[Window]], group: str, since: float, until: float
) -> float:
    return sum(
        min(window.end, until) - max(window.begin, since) for window in windows(group)
    )


def calls_table(record: Record) -> Iterator[str]:
    """What clients saw, attempt by attempt."""
    yield _row("asked for", [ANSWERED, *sorted(AWAY), LOST, "other", "slowest"])
    for call, outcomes in sorted(record.outcomes.items()):
        named = [outcomes[each] for each in (ANSWERED, *sorted(AWAY), LOST)]
        other = sum(outcomes.values()) - sum(named)
        slowest = f"{record.slowest[call]:.1f} s"
        yield _row(call, [*map(str, named), str(other), slowest])


def judged(verdict: Verdict, record: Record) -> str:
    """How many calls there were, and how they were judged."""
    total = sum(outcomes.total() for outcomes in record.outcomes.values())
    asked = [each for each in record.noted if not verdict.says_nothing(each)]
    excused = sum(verdict.excused_seconds(each) > 0 for each in asked)
    return (
        f"{total} calls: {total - len(record.noted)} answered in {NOTED_SECONDS:g} s;"
        f" of the others {len(asked) - excused} judged without an excuse,"
        f" {excused} with an outage,"
        f" {len(record.noted) - len(asked)} not, of a balancer in trouble"
    )


def availability(verdict: Verdict, record: Record, outages: Outages) -> Iterator[str]:
    """Each attempt that nothing excuses, with what had last been done."""
    found = list(verdict.violations(record.noted))
    for attempt, reason in found[:SHOWN_MAX]:
        yield _violation(attempt, reason, outages)
    if len(found) > SHOWN_MAX:
        yield f"and {len(found) - SHOWN_MAX} more"


def _violation(attempt: Attempt, reason: str, outages: Outages) -> str:
    done = "; ".join(
        f"{attempt.sent - change.at:.1f} s after {change.what}"
        if change.at < attempt.sent
        else f"{change.at - attempt.sent:.1f} s before {change.what}"
        for change in outages.last_changes(attempt.groups, attempt.ended)
    )
    said = f" ({attempt.said})" if attempt.said else ""
    return (
        f"{_clock_time(attempt.sent)} {attempt.user} asked {attempt.balancer}:"
        f" {attempt.call} was {attempt.outcome}{said} after {attempt.seconds:.2f} s:"
        f" {reason}; {done}"
    )


def _clock_time(at: float) -> str:
    """An instant of the script's clock, as log files have it."""
    passed = time.monotonic() - at
    instant = datetime.fromtimestamp(time.time() - passed, UTC)
    return instant.strftime("%H:%M:%S.%f")[:-3] + "Z"


def _row(title: str, cells: Sequence[str]) -> str:
    return f"{title:22}" + "".join(f"{cell:>12}" for cell in cells)
