"""The groups of a cluster, each one replicated log, and their members."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal

from cartnet.topology.address import lexical

Kind = Literal["balancer", "shard", "inventory"]

BALANCERS: Final = "lb"
INVENTORY: Final = "it"


@dataclass(frozen=True)
class Member:
    """One replica's name, such as ``s1r0``, and its address ``host:port``."""

    name: str
    address: str


@dataclass(frozen=True)
class Group:
    """One replicated log and its replicas, in the configuration's order."""

    name: str
    kind: Kind
    members: tuple[Member, ...]

    def member(self, name: str) -> Member:
        """Look a member up by its name.

        :raises KeyError: if this group has none of that name.
        """
        for member in self.members:
            if member.name == name:
                return member
        raise KeyError(name)

    @property
    def names(self) -> tuple[str, ...]:
        """The members' names, in the configuration's order."""
        return tuple(member.name for member in self.members)

    @cached_property
    def preference(self) -> tuple[str, ...]:
        """The members' names in the lexical order of their addresses (L2)."""
        names = {member.address: member.name for member in self.members}
        return tuple(names[address] for address in lexical(names))

    @cached_property
    def members_hash(self) -> str:
        """Hex that is equal where the group's name and set of members are equal."""
        members = sorted([member.name, member.address] for member in self.members)
        text = json.dumps([self.name, members], separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()


def replica_names(group_name: str, kind: Kind, count: int) -> tuple[str, ...]:
    """Name a group's replicas: ``lb0 lb1``, ``it0 it1``, ``s1r0 s1r1``."""
    stem = f"{group_name}r" if kind == "shard" else group_name
    return tuple(f"{stem}{index}" for index in range(count))


def group_of_addresses(name: str, kind: Kind, addresses: tuple[str, ...]) -> Group:
    """Make a group whose replicas are named by their position in ``addresses``."""
    names = replica_names(name, kind, len(addresses))
    return Group(name, kind, tuple(map(Member, names, addresses)))


@dataclass(frozen=True)
class Topology:
    """All groups of a cluster: the balancers, the shards, the inventory."""

    cluster: str
    groups: tuple[Group, ...]

    def group(self, name: str) -> Group:
        """Look a group up by its name.

        :raises KeyError: if there is none of that name.
        """
        for group in self.groups:
            if group.name == name:
                return group
        raise KeyError(name)

    @property
    def balancers(self) -> Group:
        return self.group(BALANCERS)

    @property
    def inventory(self) -> Group:
        return self.group(INVENTORY)

    @property
    def shards(self) -> tuple[Group, ...]:
        """The shards, by number."""
        return tuple(group for group in self.groups if group.kind == "shard")

    @property
    def names(self) -> tuple[str, ...]:
        """Every replica's name, group after group."""
        return tuple(name for group in self.groups for name in group.names)

    def group_of(self, replica_name: str) -> Group:
        """Find the group that a replica is a member of.

        :raises KeyError: if no group has a replica of that name.
        """
        for group in self.groups:
            if replica_name in group.names:
                return group
        raise KeyError(replica_name)

    def member(self, replica_name: str) -> Member:
        """Find a replica, whatever its group.

        :raises KeyError: if no group has a replica of that name.
        """
        return self.group_of(replica_name).member(replica_name)
