"""Nothing piles up: what replicas hold once all is quiet."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cartnet.simulator.cluster import SimulatedCluster

CALLS_AT_PEACE_MAX: Final = 16
"""Delayed calls of one replica: ticks, pings, surveys, feeds, and the like."""


def excess(cluster: SimulatedCluster) -> str | None:
    """What a replica holds that it cannot need while nothing happens, or None."""
    world = cluster.world
    for name in cluster.replicas:
        calls = len(world.hosts[name].seams.clock.getDelayedCalls())
        if calls > CALLS_AT_PEACE_MAX:
            return f"{name} has {calls} delayed calls"
        # An end whose other one died in silence, perhaps before it was established, is
        # the kernel's to find, by keep-alive.
        living = [e for e in world.network.ends(name) if e.other.is_established]
        others = Counter(end.remote for end in living)
        for other, ends in others.items():
            if ends > _connections_max(cluster, name, other):
                return f"{name} has {ends} connections with {other}"
    return None


def _connections_max(cluster: SimulatedCluster, name: str, other: str) -> int:
    """Of one replica and one other host: a client has one, members dial each other."""
    group = cluster.topology.group_of(name)
    if other not in group.names:
        return 1
    # Balancers are clients of their own group, for the directory: each of two may
    # have found the other leading when it asked last.
    return 4 if group.name == "lb" else 2
