"""Where one replica can be made to hang, and where it can be cut off, on purpose.

Everything that happens to a replica passes its gate: what its connections bring, its
timers, what its threads have done. While it is *paused* all of that waits, in order, as
it would for a process that was stopped by SIGSTOP; then it goes on, and finds that
clocks have moved. While it is *isolated* the messages of its connections are lost, both
ways, and the connections stay. :mod:`cartnet.replica.gated` puts the gate before
clock, network and threads.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from twisted.internet.defer import Deferred

from cartnet.errors import Refused
from cartnet.limits import FAULT_SECONDS_MAX

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime
    from twisted.logger import Logger

    from cartnet.replica.status import State

T = TypeVar("T")

Fault = Literal["pause", "resume", "isolate", "heal"]

FAULTS: Final[tuple[Fault, ...]] = ("pause", "resume", "isolate", "heal")

CHAOTIC: Final = frozenset({"pause", "isolate", "heal"})
"""What is done only where the configuration allows chaos."""


def require_chaos(allowed: bool, fault: str) -> None:
    """Refuse a fault where they are switched off."""
    if fault in CHAOTIC and not allowed:
        raise Refused(
            "forbidden",
            f"{fault} is switched off; to switch it on put `chaos = yes` into [admin]"
            " of the configuration, and start again",
        )


class Gate:
    """One replica's gate, open at first.

    :ivar frozen: the replica hangs: its timers wait.
    :ivar paused: what comes waits, until all that came while it hung has been let in.
    :ivar isolated: what comes and what leaves by its connections is lost.
    :ivar shut: it is paused or isolated.
    """

    def __init__(self, name: str, clock: IReactorTime, log: Logger) -> None:
        """
        :param clock: the process's own, which does not pass the gate.
        """
        self.frozen = False
        self.paused = False
        self.isolated = False
        self.shut = False
        self._name = name
        self._clock = clock
        self._log = log
        self._waiting: deque[tuple[Callable[..., Any], tuple[Any, ...]]] = deque()
        self._going_on: IDelayedCall | None = None
        self._expiring: dict[Fault, IDelayedCall] = {}
        self._on_resume: list[Callable[[], None]] = []
        self._on_heal: list[Callable[[], None]] = []

    @property
    def state(self) -> State:
        """How the replica behind it looks from outside."""
        if self.frozen:
            return "paused"
        return "unreachable" if self.isolated else "alive"

    # --- what is done to the replica --------------------------------------------------

    def inject(self, fault: Fault) -> None:
        """Begin or end a fault.

        :raises Refused: ``conflict`` where it has begun, or ended, already.
        """
        name = self._name
        match fault:
            case "pause":
                if self.frozen:
                    raise Refused("conflict", f"{name} is paused already")
                self._pause()
            case "resume":
                if not self.frozen:
                    raise Refused("conflict", f"{name} is not paused")
                self._resume("goes on")
            case "isolate":
                if self.isolated:
                    raise Refused("conflict", f"{name} is isolated already")
                self._isolate()
            case "heal":
                if not self.isolated:
                    raise Refused("conflict", f"{name} is not isolated")
                self._heal("is reachable again")

    def open(self) -> None:
        """End every fault at once: the replica ends, and must not wait for that."""
        for expiring in self._expiring.values():
            expiring.cancel()
        self._expiring.clear()
        self.isolated = False
        if self.frozen:
            self._rearm()
        if self._going_on is not None:
            self._going_on.cancel()
        if self.paused:
            self._go_on()
        self.shut = False

    def on_resume(self, rearm: Callable[[], None]) -> None:
        """Have ``rearm`` called when a pause ends, before what waits goes on."""
        self._on_resume.append(rearm)

    def on_heal(self, mend: Callable[[], None]) -> None:
        """Have ``mend`` called when messages pass again."""
        self._on_heal.append(mend)

    # --- what happens to the replica --------------------------------------------------

    def enter(self, act: Callable[..., Any], *args: Any) -> None:
        """Let something happen, now or once the replica goes on, in this order."""
        if self.paused:
            self._waiting.append((act, args))
        else:
            act(*args)

    def held(self, result: T) -> T | Deferred[T]:
        """Pass on what a Deferred has fired with; meant for its ``addBoth``."""
        if not self.paused:
            return result
        later: Deferred[T] = Deferred()
        self._waiting.append((later.callback, (result,)))
        return later

    # --- inside ---------------------------------------------------------------------

    def _pause(self) -> None:
        if self._going_on is not None:
            # It has not gone on yet: it was never away.
            self._going_on.cancel()
            self._going_on = None
        self.frozen = self.paused = self.shut = True
        self._log.warn("is paused, on purpose")
        self._expire_later("pause", self._resume)

    def _resume(self, how: str) -> None:
        self._stop_expiring("pause")
        self._log.warn(how)
        # As after SIGCONT: timers that are due come before what lies in the sockets.
        self._rearm()
        self._going_on = self._clock.callLater(0, self._go_on)

    def _rearm(self) -> None:
        self.frozen = False
        for rearm in self._on_resume:
            rearm()

    def _go_on(self) -> None:
        self._going_on = None
        # What these acts bring about at once, such as a line to be sent, comes after
        # them and before anything new.
        while self._waiting:
            act, args = self._waiting.popleft()
            try:
                act(*args)
            except Exception:
                self._log.failure("what waited for this replica has failed")
        self.paused = False
        self.shut = self.isolated

    def _isolate(self) -> None:
        self.isolated = self.shut = True
        self._log.warn("is isolated, on purpose")
        self._expire_later("isolate", self._heal)

    def _heal(self, how: str) -> None:
        self._stop_expiring("isolate")
        self.isolated = False
        self.shut = self.paused
        self._log.warn(how)
        for mend in self._on_heal:
            self.enter(mend)

    def _expire_later(self, fault: Fault, end: Callable[[str], None]) -> None:
        """No fault outlives whoever caused it for long."""

        def expired() -> None:
            del self._expiring[fault]
            end(f"has been so for {FAULT_SECONDS_MAX:g} s: that ends by itself")

        self._expiring[fault] = self._clock.callLater(FAULT_SECONDS_MAX, expired)

    def _stop_expiring(self, fault: Fault) -> None:
        expiring = self._expiring.pop(fault, None)
        if expiring is not None:
            expiring.cancel()
