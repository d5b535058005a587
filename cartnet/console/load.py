"""What this console has to do: calls a second, how long they take, how many watch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cartnet.console.report import LoadReport
from cartnet.limits import LOOP_DELAY_SECONDS
from cartnet.observability.latencies import Latencies, milliseconds

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from cartnet.errors import Code

FAULTS: Final[frozenset[str]] = frozenset(
    {"unavailable", "overloaded", "timeout", "internal"}
)
"""Codes of errors that no caller could have avoided."""

_DELAYS_SHOWN: Final = 20
"""So many last looks at the event loop tell how late it is."""


class Load:
    """Counts what the console answers, and how late its event loop is.

    :ivar websockets: how many WebSockets are open.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self.websockets = 0
        self._clock = clock
        self._answered = Latencies()
        self._failed = Latencies()
        self._delays = [0.0] * _DELAYS_SHOWN
        self._looks = 0
        self._look: IDelayedCall | None = None

    def start(self) -> None:
        """Look how late the event loop is, from now on."""
        due = self._clock.seconds() + LOOP_DELAY_SECONDS
        self._look = self._clock.callLater(LOOP_DELAY_SECONDS, self._looked, due)

    def stop(self) -> None:
        """Look no more."""
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def answered(self, seconds: float, error: Code | None) -> None:
        """A call was answered after ``seconds``: well, or with an error's code."""
        now = self._clock.seconds()
        self._answered.add(now, seconds)
        if error in FAULTS:
            self._failed.add(now, seconds)

    def socket_opened(self) -> None:
        self.websockets += 1

    def socket_closed(self) -> None:
        self.websockets -= 1

    @property
    def loop_delay(self) -> float:
        """The longest, in seconds, that a due timer has waited lately."""
        return max(self._delays)

    def report(self) -> LoadReport:
        now = self._clock.seconds()
        return LoadReport(
            requests_per_second=round(self._answered.per_second(now), 2),
            errors_per_second=round(self._failed.per_second(now), 2),
            p50_ms=milliseconds(self._answered.quantile(now, 0.5)),
            p99_ms=milliseconds(self._answered.quantile(now, 0.99)),
            websockets=self.websockets,
            loop_delay_ms=round(self.loop_delay * 1000, 2),
        )

    def _looked(self, due: float) -> None:
        late = max(0.0, self._clock.seconds() - due)
        self._delays[self._looks % _DELAYS_SHOWN] = late
        self._looks += 1
        self.start()
