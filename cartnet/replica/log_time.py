"""The time that a leader stamps its commands with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime
    from twisted.logger import Logger

STRAY_SECONDS_MAX: Final = 60.0
"""A wall clock that strays further from the monotonic one is not believed."""


class LogTime:
    """Unix time, as the wall clock had it at start, carried on by the monotonic one.

    The wall clock may correct it, by a minute at most: a jump of hours, which would
    end every session and forget every key, is refused.
    """

    def __init__(
        self, clock: IReactorTime, wall: Callable[[], float], log: Logger
    ) -> None:
        self._clock = clock
        self._wall = wall
        self._log = log
        self._offset = wall() - clock.seconds()
        self._stray = False

    def now(self) -> int:
        """Unix seconds."""
        expected = self._clock.seconds() + self._offset
        wall = self._wall()
        stray = abs(wall - expected) > STRAY_SECONDS_MAX
        if stray and not self._stray:
            self._log.warn(
                "the wall clock has jumped by {seconds} s and is not believed;"
                " restart this replica once it is right",
                seconds=round(wall - expected),
            )
        self._stray = stray
        return int(expected if stray else wall)
