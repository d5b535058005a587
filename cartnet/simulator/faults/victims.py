"""Whom a fault may strike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from random import Random

    from cartnet.simulator.cluster import SimulatedCluster

GROUP_MIN: Final = 3
"""In smaller groups one disk is no minority: they stop without it, and say so."""

MEETING_SECONDS: Final = 1.0
"""In which the members of a healed group have met."""


class Victims:
    """The replicas of one group, or of all."""

    def __init__(
        self, cluster: SimulatedCluster, random: Random, target: str | None
    ) -> None:
        self.cluster = cluster
        self.random = random
        self.groups = [
            group
            for group in cluster.topology.groups
            if target is None or group.name == target
        ]
        self.names = [name for group in self.groups for name in group.names]

    def any(self) -> str:
        return self.random.choice(self.names)

    def running(self) -> str | None:
        """One that runs and does not hang, if there is one."""
        running = [
            name
            for name in self.names
            if name in self.cluster.replicas
            and not self.cluster.world.hosts[name].process.asleep
        ]
        return self.random.choice(running) if running else None

    def leader(self) -> str | None:
        """The leader of one of the groups, if it has one."""
        return self.cluster.leader(self.random.choice(self.groups).name)

    def spare(self) -> str | None:
        """One whose disk may be lost: the group's others all run, and all count.

        They are given time to meet first, so that what it has said is known to them:
        what it said to nobody but those who are away would be lost with it, as with
        any disk.
        """
        name = self.any()
        group = self.cluster.topology.group_of(name)
        if len(group.members) < GROUP_MIN:
            return None
        self.cluster.world.network.heal()
        for member in group.names:
            self.cluster.world.hosts[member].resume()
            if member not in self.cluster.replicas:
                self.cluster.start(member)
        self.cluster.run_for(MEETING_SECONDS)
        return name if self.cluster.all_count(group.name) else None

    def spares(self) -> list[str]:
        """One such, and at times as many as may be lost at once: two of five."""
        name = self.spare()
        if name is None:
            return []
        others = [*self.cluster.topology.group_of(name).names]
        others.remove(name)
        more = self.random.randrange(len(others) // 2)
        return [name, *self.random.sample(others, more)]
