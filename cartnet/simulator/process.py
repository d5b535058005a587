"""One life of a simulated host's process: awake, asleep, or gone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any


class Process:
    """What happens to a process happens through here, one thing after another.

    Asleep (SIGSTOP) it lets all wait, in order; once it has ended nothing happens.

    :ivar stepped: called after each thing that has happened, for whoever looks on.
    """

    def __init__(self) -> None:
        self.alive = True
        self.asleep = False
        self.stepped: Callable[[], None] | None = None
        self._waiting: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()

    def enter(self, function: Callable[..., object], *args: Any) -> None:
        """Let this happen now, or once the process is awake, or never."""
        if not self.alive:
            return
        if self.asleep:
            self._waiting.append((function, args))
            return
        function(*args)
        # Whatever happened may have been its end.
        if self.alive and self.stepped is not None:
            self.stepped()

    def sleep(self) -> None:
        self.asleep = True

    def wake(self) -> None:
        """Go on, first with all that has waited."""
        self.asleep = False
        while self._waiting and self.alive and not self.asleep:
            function, args = self._waiting.popleft()
            self.enter(function, *args)

    def end(self) -> None:
        self.alive = False
        self._waiting.clear()
