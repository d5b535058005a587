"""What is done to the network: cuts both ways and one way, delay, loss, damage, and
messages between members that come twice, late, and in another order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from random import Random
from typing import Final

from tests.system.storm.network import OUTSIDE, Direction, Network, Weather

DELAYS_SECONDS: Final = (0.02, 0.1, 0.3)
LOST_SHARES: Final = (0.005, 0.05)
DAMAGED_SHARE: Final = 0.02
MIXED_UP: Final = {
    "doubled": Weather(doubled=0.3),
    "overtaken": Weather(overtaken=0.3),
    "replayed": Weather(replayed=0.3),
}

HELD: Final = Weather(held=True)
NONE: Final = Weather()


class Links:
    """Gets the connections of replicas into trouble, and out of it again.

    :ivar faults: how to begin and how to end each, by its name.

    :param groups: every group's replicas.
    """

    def __init__(
        self, network: Network, groups: Mapping[str, Sequence[str]], random: Random
    ) -> None:
        self.faults = {
            kind: (partial(self._begin, kind), self._end) for kind in network.kinds
        }
        self._network = network
        self._groups = groups
        self._random = random
        self._begun: dict[str, tuple[list[Direction], Weather]] = {}

    def _begin(self, kind: str, name: str) -> None:
        self._begun[name] = directions, weather = self._trouble(kind, name)
        self._network.begin(directions, weather)
        if weather is NONE:
            self._end(name)

    def _end(self, name: str) -> None:
        if name in self._begun:
            self._heal(*self._begun.pop(name))

    def _trouble(self, kind: str, name: str) -> tuple[list[Direction], Weather]:
        everybody = self._others(name)
        fellow = self._random.choice(self._fellows(name))
        match kind:
            case "cut off":
                return _both(name, everybody), HELD
            case "deaf":
                return _from(everybody, name), HELD
            case "mute":
                return _to(name, everybody), HELD
            case "parted":
                return _both(name, [fellow]), HELD
            case "one way":
                return _to(name, [fellow]), HELD
            case "slow":
                delay = self._random.choice(DELAYS_SECONDS)
                return _both(name, everybody), Weather(delay_seconds_max=delay)
            case "lossy":
                share = self._random.choice(LOST_SHARES)
                return _both(name, everybody), Weather(lost=share)
            case "garbled":
                # A client is told of a bad line, and may go on.
                replicas = [each for each in everybody if each not in OUTSIDE]
                return _both(name, replicas), Weather(damaged=DAMAGED_SHARE)
            case "doubled" | "overtaken" | "replayed":
                return _both(name, self._fellows(name)), MIXED_UP[kind]
            case _:
                return _both(name, everybody), NONE

    def _heal(self, directions: list[Direction], weather: Weather) -> None:
        """What was held comes late, or never; who got damaged messages shall have
        ended their connections themselves."""
        resets = not weather.damaged and self._random.random() < 0.5
        self._network.end(directions, weather, resets=resets or weather is NONE)

    @contextmanager
    def estranged(self, name: str, group: str) -> Iterator[None]:
        """While it is entered a replica cannot reach another group, or is not reached
        by it, or both."""
        others = self._groups[group]
        directions = self._random.choice([_to(name, others), _from(others, name)])
        if self._random.random() < 0.5:
            directions = _both(name, others)
        self._network.begin(directions, HELD)
        try:
            yield
        finally:
            self._heal(directions, HELD)

    def _others(self, name: str) -> list[str]:
        """Everybody else, and people for a balancer."""
        others = [each for group in self._groups.values() for each in group]
        others.remove(name)
        return (
            [*others, *self._network.outside] if name in self._groups["lb"] else others
        )

    def _fellows(self, name: str) -> list[str]:
        """The others of its group."""
        (group,) = (group for group in self._groups.values() if name in group)
        return [each for each in group if each != name]


def _to(name: str, others: Iterable[str]) -> list[Direction]:
    return [(name, other) for other in others]


def _from(others: Iterable[str], name: str) -> list[Direction]:
    return [(other, name) for other in others]


def _both(name: str, others: Iterable[str]) -> list[Direction]:
    return [*_to(name, others), *_from(others, name)]
