"""Groups, their members and who should lead."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from cartnet.topology.groups import (
    Group,
    Member,
    Topology,
    group_of_addresses,
    replica_names,
)


class GroupTests(SynchronousTestCase):
    """One group."""

    def test_names(self) -> None:
        """Replicas are named by their position, those of a shard with an r."""
        self.assertEqual(replica_names("s1", "shard", 3), ("s1r0", "s1r1", "s1r2"))
        self.assertEqual(replica_names("lb", "balancer", 2), ("lb0", "lb1"))
        self.assertEqual(replica_names("it", "inventory", 1), ("it0",))

    def test_preference_is_lexical(self) -> None:
        """The lexically smallest address is preferred, wherever it stands."""
        group = group_of_addresses("s1", "shard", ("h:9000", "h:10000", "h:9001"))

        self.assertEqual(group.preference, ("s1r1", "s1r0", "s1r2"))

    def test_members_hash(self) -> None:
        """The hash tells groups and members apart, and ignores the order of a file."""
        a, b = Member("s1r0", "h:1"), Member("s1r1", "h:2")
        group = Group("s1", "shard", (a, b))

        self.assertEqual(group.members_hash, Group("s1", "shard", (b, a)).members_hash)
        for other in (
            Group("s2", "shard", (a, b)),
            Group("s1", "shard", (a,)),
            Group("s1", "shard", (a, Member("s1r1", "h:3"))),
            Group("s1", "shard", (a, Member("s1r2", "h:2"))),
        ):
            self.assertNotEqual(group.members_hash, other.members_hash)

    def test_members_hash_is_the_same_for_ever(self) -> None:
        """The hash is part of replicas' files and of the hello, so it stays."""
        group = group_of_addresses("s1", "shard", ("127.0.0.1:5005", "127.0.0.1:5006"))

        self.assertEqual(group.members_hash[:16], "a910a9f1879f644c")

    def test_unknown_member(self) -> None:
        """Asking for a member that is not there is a mistake of the caller's."""
        group = group_of_addresses("it", "inventory", ("h:1",))

        self.assertEqual(group.member("it0"), Member("it0", "h:1"))
        with self.assertRaises(KeyError):
            group.member("it1")


class TopologyTests(SynchronousTestCase):
    """A whole cluster."""

    topology = Topology(
        "demo",
        (
            group_of_addresses("lb", "balancer", ("h:1",)),
            group_of_addresses("s1", "shard", ("h:2", "h:3")),
            group_of_addresses("s2", "shard", ("h:4",)),
            group_of_addresses("it", "inventory", ("h:5",)),
        ),
    )

    def test_groups_by_kind(self) -> None:
        """The balancers, the inventory and the shards are found by what they are."""
        self.assertEqual(self.topology.balancers.name, "lb")
        self.assertEqual(self.topology.inventory.name, "it")
        self.assertEqual([each.name for each in self.topology.shards], ["s1", "s2"])

    def test_group_of_a_replica(self) -> None:
        """Every replica belongs to one group, and a stranger to none."""
        self.assertEqual(self.topology.group_of("s1r1").name, "s1")
        self.assertEqual(self.topology.member("s2r0").address, "h:4")
        for stranger in ("s1r2", "s1", "", "lb"):
            with self.assertRaises(KeyError):
                self.topology.group_of(stranger)
        with self.assertRaises(KeyError):
            self.topology.group("s3")
