"""The lexically smallest address leads, when it can: policy, never safety.

A replica's rank lengthens its election delay, and a leader hands its office over to a
voter of a smaller rank. Neither touches who may vote for whom.
"""

from __future__ import annotations

from collections import deque
from random import Random

from cartnet.consensus.progress import Progress
from cartnet.consensus.timing import Ticks


class Preference:
    """One replica's place in the order, and the delays that follow from it."""

    def __init__(
        self,
        name: str,
        order: tuple[str, ...],
        ticks: Ticks,
        random: Random,
        *,
        lexical: bool = True,
    ) -> None:
        """
        :param order: the voters, most preferred first.
        :param lexical: False where whoever leads may go on leading.
        """
        assert name in order
        self._name = name
        self._order = order
        self._ticks = ticks
        self._random = random
        self._lexical = lexical

    def rank(self, without: str | None = None) -> int:
        """How many voters go before this one, ``without`` left out.

        It also spreads the elections of those whom nobody prefers.
        """
        order = [voter for voter in self._order if voter != without]
        return order.index(self._name)

    def is_preferred_to(self, other: str) -> bool:
        return self._lexical and self._order.index(self._name) < self._order.index(
            other
        )

    @property
    def preferred(self) -> tuple[str, ...]:
        """The voters that this one hands its office over to."""
        return self._order[: self.rank()] if self._lexical else ()

    def election_ticks(self) -> int:
        """How long to go without a leader: the jitter is shorter than a rank's step."""
        ticks = self._ticks
        return ticks.election + self.rank() * ticks.rank + self._jitter()

    def start_ticks(self) -> int:
        """How long to wait at start, for a leader to be heard or peers to connect."""
        ticks = self._ticks
        return ticks.heartbeat + self.rank() * ticks.rank + self._jitter()

    def crash_ticks(self, without: str) -> int:
        """How long to wait after the leader ``without`` has crashed."""
        return self.rank(without) * self._ticks.crash_rank

    def pre_vote_ticks(self) -> int:
        """How long to wait for pre-votes before asking again."""
        return self._ticks.pre_vote + self.rank()

    def _jitter(self) -> int:
        return self._random.randrange(self._ticks.rank)


class HandOver:
    """A leader's part: watch the more preferred voters, and choose one to lead.

    A voter has caught up when, for ``ticks.caught_up``, each heartbeat found it at the
    commit index of two heartbeats earlier. It must also hear every voter that the
    leader hears, else its election would cut somebody off.
    """

    def __init__(self, preferred: tuple[str, ...], ticks: Ticks) -> None:
        self._ticks = ticks
        self._preferred = preferred
        self._ticks_caught_up = dict.fromkeys(preferred, 0)
        self._commits: deque[int] = deque(maxlen=3)

    def heartbeat(self, commit_index: int, progress: dict[str, Progress]) -> None:
        """A heartbeat leaves now: see who has kept up since the last."""
        self._commits.append(commit_index)
        for voter in self._preferred:
            if (
                progress[voter].match_index >= self._commits[0]
                and progress[voter].ticks_unheard < self._ticks.election
            ):
                self._ticks_caught_up[voter] += self._ticks.heartbeat
            else:
                self._ticks_caught_up[voter] = 0

    def target(
        self, name: str, heard: frozenset[str], progress: dict[str, Progress]
    ) -> str | None:
        """The most preferred voter that should lead now, None where there is none."""
        for voter in self._preferred:
            hears_all = heard - {voter} <= progress[voter].hears | {voter}
            if (
                voter in heard
                and self._ticks_caught_up[voter] >= self._ticks.caught_up
                and name in progress[voter].hears
                and hears_all
            ):
                return voter
        return None


class HandOverPause:
    """Time between a replica's hand-overs: doubled by each that follows soon (L2)."""

    def __init__(self, ticks: Ticks) -> None:
        self._min = ticks.hand_over_pause_min
        self._max = ticks.hand_over_pause_max
        self._pause = self._min
        self._ticks_since = self._max

    @property
    def over(self) -> bool:
        return self._ticks_since >= self._pause

    def tick(self) -> None:
        self._ticks_since += 1
        if self._ticks_since > self._max:
            self._pause = self._min

    def handed_over(self) -> None:
        soon = self._ticks_since <= self._max
        self._pause = min(self._pause * 2, self._max) if soon else self._min
        self._ticks_since = 0
