"""What replicas hold once all is quiet."""

from __future__ import annotations

from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from cartnet.simulator.checks.resources import excess
from cartnet.simulator.cluster import SimulatedCluster


class ResourcesTests(SynchronousTestCase):
    """Connections that are too many, and those that only seem to be."""

    def test_connections(self) -> None:
        """Several of one host are too many, but not those whose other ends are gone and
        could not say so: nobody ever writes to them."""
        cluster = SimulatedCluster(1)
        cluster.start()
        cluster.run_until_serving()
        cluster.run_for(5)
        self.assertIsNone(excess(cluster))

        somebody = cluster.world.host("somebody")
        member = cluster.topology.group("s1").members[0]
        for _ in range(3):
            endpoint = somebody.seams.network.client(member.address)
            endpoint.connect(Factory.forProtocol(Protocol))
        cluster.run_for(1)
        self.assertEqual(
            excess(cluster), f"{member.name} has 3 connections with somebody"
        )

        cluster.world.network.cut(["somebody"], [member.name], "lost")
        somebody.crash()
        cluster.run_for(1)
        held = [end.remote for end in cluster.world.network.ends(member.name)]
        self.assertEqual(held.count("somebody"), 3)
        self.assertIsNone(excess(cluster))

    def test_half_a_connection(self) -> None:
        """Nor those whose dialler died before it had them."""
        cluster = SimulatedCluster(1)
        cluster.start()
        cluster.run_until_serving()
        cluster.run_for(5)

        late = cluster.world.host("late")
        member = cluster.topology.group("s1").members[0]
        for _ in range(2):
            endpoint = late.seams.network.client(member.address)
            endpoint.connect(Factory.forProtocol(Protocol))
        late.pause()
        cluster.run_for(1)
        late.crash()
        cluster.run_for(1)
        held = [end.remote for end in cluster.world.network.ends(member.name)]
        self.assertEqual(held.count("late"), 2)
        self.assertIsNone(excess(cluster))
