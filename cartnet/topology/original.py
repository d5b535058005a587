"""The original's command line: one replica, by its port and its peers.

``--role shard --shard shard1 --host localhost --port 5005 --peers
localhost:5006,localhost:5007 --db db/s1r0.db``: the group's members are this address
and its peers, and every process names them alike, by their lexical order.
"""

from __future__ import annotations

from dataclasses import replace

from cartnet.topology.address import join, lexical, place, split
from cartnet.topology.configuration import Configuration
from cartnet.topology.groups import (
    BALANCERS,
    INVENTORY,
    Group,
    Kind,
    group_of_addresses,
)
from cartnet.topology.wanted import KINDS, Wanted, refuse


def regrouped(
    wanted: Wanted,
    configuration: Configuration,
    kinds: tuple[Kind, ...],
    shard: str | None,
) -> tuple[Configuration, str]:
    """Put this replica and its peers in place of a group's members.

    :returns: the configuration with that group, and this replica's name.
    :raises OptionError: if the options do not make up a group.
    """
    if wanted.port is None:
        refuse("--peers", ",".join(wanted.peers or ()), "goes with --port N")
    if wanted.peers is None:
        refuse("--port", str(wanted.port), "goes with --peers HOST:PORT,HOST:PORT,...")
    if len(kinds) != 1:
        refuse("--port", str(wanted.port), f"needs one --role of {', '.join(KINDS)}")
    if kinds[0] == "shard" and shard is None:
        refuse("--port", str(wanted.port), "with --role shard needs --shard")
    address = _own_address(wanted.host, wanted.port, wanted.peers)
    group = _group(kinds[0], shard, address, wanted.peers)
    topology = configuration.topology
    groups = tuple(
        group if each.name == group.name else each for each in topology.groups
    )
    name = next(each.name for each in group.members if each.address == address)
    for replica in wanted.replicas:
        if replica != name:
            refuse("--replica", replica, f"--port and --peers make this one {name}")
    return replace(configuration, topology=replace(topology, groups=groups)), name


def _own_address(host: str | None, port: int, peers: tuple[str, ...]) -> str:
    """This replica's address: on the given host, else on that which its peers share."""
    hosts = set()
    for peer in peers:
        try:
            hosts.add(split(peer)[0])
        except ValueError as error:
            refuse("--peers", ",".join(peers), f"expected HOST:PORT,...; {error}")
    if host is None:
        if len(hosts) > 1:
            refuse("--port", str(port), "needs --host, since the peers' hosts differ")
        host = hosts.pop() if hosts else "127.0.0.1"
    address = join(host.strip("[]"), port)
    try:
        split(address)
    except ValueError as error:
        refuse("--host", f"{host} --port {port}", str(error))
    return address


def _group(
    kind: Kind, shard: str | None, address: str, peers: tuple[str, ...]
) -> Group:
    """The group of an address and its peers, named in their lexical order."""
    addresses = (address, *peers)
    if len({place(*split(each)) for each in addresses}) != len(addresses):
        why = f"expected the other members, each once; this one is {address}"
        refuse("--peers", ",".join(peers), why)
    if kind == "shard":
        assert shard is not None, "the caller has seen to it"
        return group_of_addresses(shard, kind, tuple(lexical(addresses)))
    name = BALANCERS if kind == "balancer" else INVENTORY
    return group_of_addresses(name, kind, tuple(lexical(addresses)))
