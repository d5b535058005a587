"""Was availability lost only while a group had no majority or was electing?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Final

from tests.system.customers import TRANSIENT
from tests.system.storm.attempts import LOST, Attempt
from tests.system.storm.outages import ELECTION_SECONDS_MAX, Outages, Window, merged

AWAY: Final = frozenset({"unavailable", "timeout"})
"""How a balancer says that a group does not answer; no outage excuses another refusal
for the time being."""

ANSWERED_SECONDS_MAX: Final = ELECTION_SECONDS_MAX
"""A call that waits for longer beside all outages has met an election that nothing
explains. Where the machine has nothing else to do an answer takes milliseconds."""

REFUSED_SECONDS_MAX: Final = 0.5
"""A balancer holds a call for the request timeout, 3 s, before it says that a group is
away. That is more than an election, so that nearly all of it must lie in outages."""


class Verdict:
    """Holds attempts against what the script had done when they were made.

    :ivar starved: when the machine was too busy for anybody to be held to his time.
    """

    def __init__(
        self, outages: Outages, starved: Iterable[tuple[float, float]] = ()
    ) -> None:
        self.starved = merged(Window(*each) for each in starved)
        self._outages = outages
        self._unavailable = cache(self._merged)

    def violations(self, attempts: Iterable[Attempt]) -> Iterator[tuple[Attempt, str]]:
        """Those that are not excused, each with the reason why."""
        for attempt in attempts:
            reason = self.judge(attempt)
            if reason:
                yield attempt, reason

    def judge(self, attempt: Attempt) -> str:
        """Say what is wrong with an attempt; nothing is the empty string."""
        if self._says_nothing(attempt):
            return ""
        if attempt.outcome == LOST:
            return f"{attempt.balancer} was well"
        if attempt.outcome in TRANSIENT - AWAY:
            return "nothing excuses that"
        waited = self.unexcused_seconds(attempt)
        away = attempt.outcome in AWAY
        if away and waited == attempt.seconds:
            return "every group that it needs had a leader"
        if waited > (REFUSED_SECONDS_MAX if away else ANSWERED_SECONDS_MAX):
            return f"{waited:.2f} s of that without an outage"
        return ""

    def longest(self, attempts: Iterable[Attempt]) -> float:
        """The longest that an attempt took beside all outages, in seconds."""
        waits = [
            self.unexcused_seconds(attempt)
            for attempt in attempts
            if not self._says_nothing(attempt)
        ]
        return max(waits, default=0.0)

    def unexcused_seconds(self, attempt: Attempt) -> float:
        """How long an attempt took while all its groups should have had a leader, and
        the machine had time."""
        return attempt.seconds - sum(
            min(window.end, attempt.ended) - max(window.begin, attempt.sent)
            for window in self._unavailable(attempt.groups)
            if window.begin < attempt.ended and attempt.sent < window.end
        )

    def _says_nothing(self, attempt: Attempt) -> bool:
        """Whether a balancer in trouble was asked, or on a connection from before: the
        client turns to the next one, the groups may be well."""
        since = attempt.connected if attempt.outcome == LOST else attempt.sent
        return self._outages.was_in_trouble(attempt.balancer, since, attempt.ended)

    def _merged(self, groups: frozenset[str]) -> list[Window]:
        windows = [
            each for group in groups for each in self._outages.unavailable(group)
        ]
        return merged([*windows, *self.starved])
