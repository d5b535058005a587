"""Faults of wall clocks; how fast monotonic ones go is an option of a whole run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cartnet.simulator.faults.victims import Victims

JUMP_SECONDS_MAX: Final = 3600


class Clocks:
    """Each says whether it could strike."""

    def __init__(self, victims: Victims) -> None:
        self._victims = victims
        self._cluster = victims.cluster
        self._random = victims.random
        self._healed = 0

    def jump(self) -> bool:
        """A wall clock is set, by up to an hour; everybody's at times."""
        jump = self._random.uniform(-JUMP_SECONDS_MAX, JUMP_SECONDS_MAX)
        everybody = self._random.random() < 0.2
        names = self._victims.names if everybody else [self._victims.any()]
        for name in names:
            self._cluster.world.hosts[name].wall_offset += jump
        return True

    def strobe(self) -> bool:
        """A wall clock jumps there and back, again and again for some seconds."""
        host = self._cluster.world.hosts[self._victims.any()]
        jump = self._random.uniform(-JUMP_SECONDS_MAX, JUMP_SECONDS_MAX)
        pause = self._random.choice((0.003, 0.05, 0.4))
        healed = self._healed

        def change(left: int, by: float) -> None:
            if left and self._healed == healed:
                host.wall_offset += by
                self._cluster.world.clock.callLater(pause, change, left - 1, -by)

        change(2 * self._random.randrange(1, 20), jump)
        return True

    def heal(self) -> None:
        """Set all of them right."""
        self._healed += 1
        for name in self._cluster.topology.names:
            self._cluster.world.hosts[name].wall_offset = 0.0
