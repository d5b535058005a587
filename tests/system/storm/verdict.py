"""Was availability lost only while a group had no majority or was electing?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Final

from tests.system.customers import TRANSIENT
from tests.system.storm.attempts import LOST, Attempt
from tests.system.storm.outages import ELECTION_SECONDS_MAX, Outages, Window, merged

INVENTORY: Final = "it"

ASKING_FOR_ITEMS: Final = frozenset({"add_to_cart"})
"""Calls that a balancer answers with the help of its copy of the inventory."""

AWAY: Final = frozenset({"unavailable", "timeout"})
"""How a balancer says that a group does not answer; no outage excuses another refusal
for the time being."""

UNREMEMBERED: Final = frozenset({"logout"})
"""Calls whose keys no log remembers. Where the answer is cut off on its way the session
has ended, and whoever asks again cannot be told by whom: that is ``timeout``, at once,
though the group is well."""

ANSWERED_SECONDS_MAX: Final = ELECTION_SECONDS_MAX
"""A call that waits for longer beside all outages has met an election that nothing
explains. Where the machine has nothing else to do an answer takes milliseconds."""

REFUSED_SECONDS_MAX: Final = 0.5
"""A balancer holds a call for the request timeout, 3 s, before it says that a group is
away. That is more than an election, so that nearly all of it must lie in outages."""

COPY_SECONDS_MAX: Final = 1.0
"""In which a balancer has a copy of the inventory, once it is well."""

FAIR_SHARE: Final = 0.5
"""Of its time a machine must have given at least so much for a refusal to say anything:
where it gives less, a leader misses its majority's heartbeats and steps down."""


class Verdict:
    """Holds attempts against what the script had done when they were made.

    :param given: the clock by which elections and answers have to be in time.
    """

    def __init__(
        self, outages: Outages, given: Callable[[float], float] = float
    ) -> None:
        self._outages = outages
        self._given = given
        self._unavailable = cache(self._merged)

    def violations(self, attempts: Iterable[Attempt]) -> Iterator[tuple[Attempt, str]]:
        """Those that are not excused, each with the reason why."""
        for attempt in attempts:
            reason = self.judge(attempt)
            if reason:
                yield attempt, reason

    def judge(self, attempt: Attempt) -> str:
        """Say what is wrong with an attempt; nothing is the empty string."""
        if self.says_nothing(attempt):
            return ""
        if attempt.outcome == LOST:
            return f"{attempt.balancer} was well"
        if attempt.outcome in TRANSIENT - AWAY:
            return "nothing excuses that"
        if attempt.outcome == "timeout" and self._was_cut_off(attempt):
            return ""
        excused = self.excused_seconds(attempt)
        seconds = self._seconds(attempt)
        away = attempt.outcome in AWAY
        if away and not excused and seconds >= FAIR_SHARE * attempt.seconds:
            return "every group that it needs had a leader"
        waited = seconds - excused
        if waited > (REFUSED_SECONDS_MAX if away else ANSWERED_SECONDS_MAX):
            return f"{waited:.2f} s of that without an outage"
        return ""

    def _was_cut_off(self, attempt: Attempt) -> bool:
        return attempt.call in UNREMEMBERED and self._outages.was_anybody_in_trouble(
            attempt.groups, attempt.sent, attempt.ended
        )

    def longest(self, attempts: Iterable[Attempt]) -> float:
        """The longest that an attempt took beside all outages, in seconds."""
        waits = [
            self._seconds(attempt) - self.excused_seconds(attempt)
            for attempt in attempts
            if not self.says_nothing(attempt)
        ]
        return max(waits, default=0.0)

    def excused_seconds(self, attempt: Attempt) -> float:
        """For how long one of its groups may have been without a leader meanwhile."""
        sent, ended = self._given(attempt.sent), self._given(attempt.ended)
        return sum(
            min(window.end, ended) - max(window.begin, sent)
            for window in self._unavailable(self._needed(attempt))
            if window.begin < ended and sent < window.end
        )

    def _needed(self, attempt: Attempt) -> frozenset[str]:
        """The groups that an attempt needed: where items are asked for, the inventory
        too if its copy cannot have come since the balancer's last trouble."""
        if attempt.call in ASKING_FOR_ITEMS:
            for window in self._outages.unavailable(INVENTORY):
                if window.begin < attempt.ended and attempt.sent < window.end:
                    since = window.begin - COPY_SECONDS_MAX
                    if self._was_in_trouble(attempt, since):
                        return attempt.groups | {INVENTORY}
        return attempt.groups

    def _seconds(self, attempt: Attempt) -> float:
        return self._given(attempt.ended) - self._given(attempt.sent)

    def says_nothing(self, attempt: Attempt) -> bool:
        """Whether a balancer in trouble was asked, or on a connection from before: the
        client turns to the next one, the groups may be well."""
        lost = attempt.outcome == LOST
        return self._was_in_trouble(
            attempt, attempt.connected if lost else attempt.sent
        )

    def _was_in_trouble(self, attempt: Attempt, since: float) -> bool:
        return self._outages.was_in_trouble(attempt.balancer, since, attempt.ended)

    def _merged(self, groups: frozenset[str]) -> list[Window]:
        apart = self._outages.apart(groups, self._given)
        return merged(
            [
                *apart,
                *(
                    window
                    for group in groups
                    for window in self._outages.unavailable(group, self._given)
                ),
            ]
        )
