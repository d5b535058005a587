"""Every duration of the consensus, in ticks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CAUGHT_UP_SECONDS: Final = 2.0
"""How long a preferred replica must have kept up before it is handed the office."""

DISK_STALL_SECONDS: Final = 2.0
"""A leader whose disk takes longer for one transaction hands its office over (L3)."""

HAND_OVER_PAUSE_SECONDS_MIN: Final = 3.0
HAND_OVER_PAUSE_SECONDS_MAX: Final = 60.0
"""Between two hand-overs by one replica; doubled by each that follows soon after."""

RANK_SECONDS: Final = 0.1
"""What each rank adds to an election delay; the jitter stays below it."""

CRASH_RANK_SECONDS: Final = 0.03
"""What each rank adds to the first pre-vote after the leader has crashed."""

PRE_VOTE_SECONDS: Final = 0.05
"""Between two rounds of pre-votes that were not granted."""


@dataclass(frozen=True)
class Ticks:
    """Durations in ticks.

    :ivar heartbeat: between a leader's heartbeats.
    :ivar election: without a leader before a follower campaigns, at least; a leader's
        lease; a leader without a majority for that long steps down (check-quorum, 6.2).
    :ivar rank: added to an election delay for each rank; greater than the jitter.
    """

    heartbeat: int
    election: int
    rank: int
    crash_rank: int
    pre_vote: int
    caught_up: int
    disk_stall: int
    hand_over_pause_min: int
    hand_over_pause_max: int

    @classmethod
    def of(cls, heartbeat: float, election_timeout: float, tick: float) -> Ticks:
        """Turn the configuration's seconds into ticks of ``tick`` seconds."""

        def ticks(seconds: float) -> int:
            return max(1, round(seconds / tick))

        made = cls(
            heartbeat=ticks(heartbeat),
            election=ticks(election_timeout),
            rank=ticks(RANK_SECONDS),
            crash_rank=ticks(CRASH_RANK_SECONDS),
            pre_vote=ticks(PRE_VOTE_SECONDS),
            caught_up=ticks(CAUGHT_UP_SECONDS),
            disk_stall=ticks(DISK_STALL_SECONDS),
            hand_over_pause_min=ticks(HAND_OVER_PAUSE_SECONDS_MIN),
            hand_over_pause_max=ticks(HAND_OVER_PAUSE_SECONDS_MAX),
        )
        assert made.election > made.heartbeat, "a heartbeat must keep its followers"
        return made
