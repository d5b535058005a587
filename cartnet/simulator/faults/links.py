"""Faults of the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cartnet.simulator.faults.victims import Victims

CHOSEN: Final = 0.6
"""The share of links that one fault is done to."""

MESSAGE: Final = b'{"type":'
"""What messages between members begin with, and nothing else does."""


class Links:
    """Cuts, resets and delays; each says whether it could strike."""

    def __init__(self, victims: Victims, customers: Sequence[str]) -> None:
        self._victims = victims
        self._random = victims.random
        self._network = victims.cluster.world.network
        self._topology = victims.cluster.topology
        self._customers = customers

    def partition(self) -> bool:
        """Two sides that do not hear each other, of all replicas or of a group."""
        names = self._victims.names
        side = [name for name in names if self._random.random() < 0.4]
        self._network.partition(side, [each for each in names if each not in side])
        return 0 < len(side) < len(names)

    def one_way_cut(self) -> bool:
        """One is heard by nobody, or hears nobody."""
        name = self._victims.any()
        others = [each for each in self._victims.names if each != name]
        if self._random.random() < 0.5:
            self._network.cut([name], others)
        else:
            self._network.cut(others, [name])
        return bool(others)

    def partial_cut(self) -> bool:
        """Two members do not hear each other; all others hear both."""
        group = self._random.choice(self._victims.groups)
        if len(group.members) < 2:
            return False
        one, other = self._random.sample(group.names, 2)
        self._network.partition([one], [other])
        return True

    def bridge(self) -> bool:
        """Two halves of a group that do not hear each other; one member hears both."""
        names = self._shuffled_group()
        half = len(names) // 2
        self._network.partition(names[:half], names[half + 1 :])
        return half > 0 and len(names) > half + 1

    def ring(self) -> bool:
        """Each member hears its neighbours in a circle alone: a majority, in five, and
        no two the same."""
        names = self._shuffled_group()
        count = len(names)
        for at, one in enumerate(names):
            for beyond in range(2, count - 1):
                self._network.cut([one], [names[(at + beyond) % count]])
        return count > 3

    def _shuffled_group(self) -> list[str]:
        group = self._random.choice(self._victims.groups)
        return self._random.sample(group.names, len(group.names))

    def lossy_link(self) -> bool:
        """Messages between a group's members get lost, one here and one there.

        Raft is told that they may, and repeats itself; nothing else is lost so.
        """
        group = self._random.choice(self._victims.groups)
        loss = self._random.choice((0.02, 0.1, 0.3))
        links = [
            self._network.link(one, other)
            for one in group.names
            for other in group.names
            if one != other and self._random.random() < CHOSEN
        ]
        for link in links:
            link.loss, link.lost = loss, MESSAGE
        return bool(links)

    def client_cut(self) -> bool:
        """Some customers reach some replicas no longer."""
        customers = [each for each in self._customers if self._random.random() < 0.5]
        names = [name for name in self._victims.names if self._random.random() < 0.5]
        self._network.partition(customers, names)
        return bool(customers and names)

    def group_cut(self) -> bool:
        """One group does not reach another, as a whole."""
        if len(self._topology.groups) < 2:
            return False
        one = self._random.choice(self._victims.groups)
        others = [group for group in self._topology.groups if group is not one]
        self._network.partition(one.names, self._random.choice(others).names)
        return True

    def reset(self) -> bool:
        """Some connections break: what was under way on them is lost."""
        ends = self._network.ends(self._victims.any())
        for end in ends:
            if self._random.random() < 0.5:
                end.reset()
        return bool(ends)

    def late_connection(self) -> bool:
        """Connections die at one end alone; the other still gets, later than what new
        connections bring, what was under way."""
        name = self._victims.any()
        ends = self._network.ends(name)
        for end in ends:
            link = self._network.link(end.local, end.remote)
            usual, link.delay_mean = link.delay_mean, self._random.uniform(0.1, 2)
            end.break_off()
            link.delay_mean = usual
        return bool(ends)

    def slow_link(self) -> bool:
        """Some ways take long, and as long as they like.

        A leader that hears of its followers late, and of its successor too, is the one
        that might answer what it should not.
        """
        name = self._victims.any()
        if self._random.random() < 0.5:
            name = self._victims.leader() or name
        delay = self._random.choice((0.01, 0.05, 0.2, 1.0))
        others = [
            other
            for other in self._topology.names
            if other != name and self._random.random() < CHOSEN
        ]
        for other in others:
            self._network.link(name, other).delay_mean = delay
            if self._random.random() < 0.5:
                self._network.link(other, name).delay_mean = delay
        return bool(others)
