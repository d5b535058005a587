"""What the refusals of one call's sendings add up to (S10, honest)."""

from __future__ import annotations

import enum

from cartnet.errors import OUTCOME_UNKNOWN, Refused

PASSING = frozenset({"not_leader", "unavailable"})
"""Not done, and worth another try."""

BEFORE_THE_LOG = frozenset(
    {"unauthenticated", "forbidden", "overloaded", "rate_limited"}
)
"""Said of a sending, not of the key: an earlier one may have been done all the same."""

ENDED = frozenset({"unauthenticated", "forbidden"})
"""Of those, what another try would not change."""


class Next(enum.Enum):
    """What a call does after a refusal."""

    RAISE = enum.auto()
    SEEK = enum.auto()
    """Try again as soon as there is a leader."""
    PAUSE = enum.auto()
    """Try again after a pause: the leader itself refused for now."""


class Outcome:
    """What is known of one call so far.

    :ivar unknown: whether an earlier sending may have been done.

    :param group: the group's name, for messages.
    :param resend: whether doing the call twice is as good as doing it once.
    :param keyed: whether that is because the log remembers its key: a refusal that
        was not the log's then says nothing about an earlier sending.
    :param reads: whether it changes nothing: then nothing can have been done.
    """

    def __init__(
        self, group: str, *, resend: bool, keyed: bool, reads: bool = False
    ) -> None:
        self.unknown = False
        self._group = group
        self._resend = resend
        self._keyed = keyed
        self._reads = reads
        self._last: Refused | None = None

    def lost(self) -> Next:
        """A sending was cut off or went unanswered for too long."""
        self.unknown = not self._reads
        return Next.SEEK if self._resend else Next.RAISE

    def refused(self, refused: Refused) -> Next:
        """A sending was answered with an error."""
        code = refused.code
        if code in PASSING:
            if code == "unavailable":
                self._last = refused
            return Next.SEEK if code == "not_leader" else Next.PAUSE
        if code in OUTCOME_UNKNOWN:
            if self._resend:
                self.unknown = not self._reads
                return Next.PAUSE
        elif self.unknown and self._keyed and code in BEFORE_THE_LOG:
            return Next.RAISE if code in ENDED else Next.PAUSE
        self.unknown = False
        self._last = refused
        return Next.RAISE

    def error(self) -> Refused:
        """What the caller is told when there is no further try."""
        if self.unknown:
            then = "; asking again with the same key finds out" if self._keyed else ""
            return Refused(
                "timeout",
                f"{self._group} did not answer in time: it may or may not have been "
                f"done{then}",
            )
        if self._last is not None:
            return self._last
        return Refused(
            "unavailable",
            f"{self._group} has no leader that answers: nothing was done, "
            "try again later",
        )
