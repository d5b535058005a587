"""Who was turned away, and why: logged once, not as often as they come again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cartnet.limits import REFUSALS_REMEMBERED_MAX
from cartnet.wire.shown import one_line

if TYPE_CHECKING:
    from twisted.logger import Logger


class Refusals:
    """Remembers the last reason for each who was turned away."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._reasons: dict[str, str] = {}

    def note(self, who: str, reason: str) -> None:
        """Log that ``who`` was turned away, unless that was the last word of it."""
        if self.is_news(who, reason):
            self._log.warn(
                "turned {who} away: {reason}",
                who=one_line(who),
                reason=one_line(reason),
            )

    def is_news(self, who: str, reason: str) -> bool:
        """Remember a refusal; say whether it is another than the last one."""
        if self._reasons.get(who) == reason:
            return False
        self._reasons.pop(who, None)
        if len(self._reasons) >= REFUSALS_REMEMBERED_MAX:
            del self._reasons[next(iter(self._reasons))]
        self._reasons[who] = reason
        return True

    def forget(self, who: str) -> None:
        """Whoever it is was let in."""
        self._reasons.pop(who, None)
