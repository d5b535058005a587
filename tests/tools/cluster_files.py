"""The files of a whole cluster, made by the real machines and the real storage."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from cartnet.consensus.messages import Entry, HardState
from cartnet.shop import commands
from cartnet.shop.answers import CheckoutBegun
from cartnet.shop.commands import Command, Stamped
from cartnet.shop.machine import machine_for
from cartnet.storage.journal import NULL_COMMAND
from cartnet.storage.storage import Owner, Storage, Write
from cartnet.topology.groups import Group, Topology, group_of_addresses
from tests.storage.doubles import InlineDisk

HASH = "$argon2id$hash"


def topology() -> Topology:
    """Two shards; three replicas of every group."""

    def group(name: str, kind: Any, port: int) -> Group:
        addresses = tuple(f"127.0.0.1:{port + at}" for at in range(3))
        return group_of_addresses(name, kind, addresses)

    return Topology(
        "demo",
        (
            group("lb", "balancer", 8005),
            group("s1", "shard", 5005),
            group("s2", "shard", 6005),
            group("it", "inventory", 7105),
        ),
    )


def done(deferred: Deferred[Any]) -> Any:
    """The result of a Deferred that has fired."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    (result,) = results
    if hasattr(result, "raiseException"):
        result.raiseException()
    return result


def token_bytes(name: str, size: int) -> bytes:
    """What no other replica draws."""
    return name.encode().ljust(size, b".")


class GroupFiles:
    """The storages of a group, and a log that reaches all of them."""

    def __init__(self, data: Path, group: Group) -> None:
        self.group = group
        self.index = 0
        self.storages: dict[str, Storage] = {}
        founders = {}
        for name in group.names:
            self.storages[name] = Storage(
                data / f"{name}.db",
                InlineDisk(),
                machine_for(group.kind),
                Owner.of("demo", group, name),
                partial(token_bytes, name),
            )
            founders[name] = done(self.storages[name].open()).file_id
        for storage in self.storages.values():
            done(storage.write(Write(HardState(1, group.names[0]), founders=founders)))
        self.append(NULL_COMMAND)
        self.propose(commands.Found(f"id-of-{group.name}"))

    def propose(self, command: Command, *, behind: tuple[str, ...] = ()) -> Any:
        """Append a command everywhere, apply it, but not at those ``behind``."""
        stamped = Stamped(1_000 + self.index, command)
        return self.append(msgspec.json.encode(stamped), behind=behind)

    def append(self, command: bytes, *, behind: tuple[str, ...] = ()) -> Any:
        self.index += 1
        entry = Entry(self.index, 1, msgspec.Raw(command))
        answer = None
        for name, storage in self.storages.items():
            commit = 0 if name in behind else self.index
            written = done(storage.write(Write(None, (entry,), commit)))
            if written.answers:
                answer = written.answers[-1].answer
        return answer

    def compact(self, **through: int) -> None:
        """Drop the entries up to an index, replica by replica."""
        for name, index in through.items():
            done(self.storages[name].write(Write(compact_through=index, sync=False)))

    def close(self) -> None:
        for storage in self.storages.values():
            done(storage.close())


class ClusterFiles:
    """A cluster in which something was sold; close it before its files are read.

    Ann and Cat live on s1, Bob on s2. Ann and Bob have orders; Cat's is pending.
    """

    def __init__(self, data: Path) -> None:
        self.groups = {
            group.name: GroupFiles(data, group) for group in topology().groups
        }
        for user, shard in (("ann", "s1"), ("bob", "s2"), ("cat", "s1")):
            self.groups["lb"].propose(commands.AssignShard(user, shard))
            self.register(user, shard)
        self.groups["it"].propose(commands.SetStock("B", 70))
        for number in range(3):
            self.checkout("ann", "s1", f"first-{number}")
            self.checkout("bob", "s2", None)
        self.begin("cat", "s1", "cut-off")
        self.groups["s1"].append(NULL_COMMAND)
        # Some hear of the last commit later than others.
        self.add("bob", "s2", "C", None, behind=("s2r1", "s2r2"))
        self.add("bob", "s2", "C", None, behind=("s2r2",))

    def register(self, user: str, shard: str) -> None:
        log = self.groups[shard]
        log.propose(commands.CreateAccount(user, HASH, None))
        log.propose(commands.OpenSession(user, HASH, f"session-of-{user}"))

    def add(
        self,
        user: str,
        shard: str,
        item: str,
        key: str | None,
        *,
        behind: tuple[str, ...] = (),
    ) -> None:
        self.groups[shard].propose(
            commands.AddToCart(f"session-of-{user}", key, item, 2), behind=behind
        )

    def begin(self, user: str, shard: str, key: str | None) -> CheckoutBegun:
        self.add(user, shard, "B", None)
        self.add(user, shard, "A", key and f"{key}-add")
        begun = self.groups[shard].propose(
            commands.BeginCheckout(f"session-of-{user}", key, None)
        )
        assert isinstance(begun, CheckoutBegun)
        return begun

    def take(self, shard: str, begun: CheckoutBegun) -> Any:
        return self.groups["it"].propose(
            commands.Take(f"id-of-{shard}", begun.index, begun.lines, None, 0)
        )

    def checkout(self, user: str, shard: str, key: str | None) -> str:
        begun = self.begin(user, shard, key)
        decision = self.take(shard, begun)
        assert isinstance(decision, commands.Taken)
        self.groups[shard].propose(commands.FinishCheckout(begun.order, decision))
        return begun.order

    def close(self) -> None:
        for group in self.groups.values():
            group.close()


def names() -> Iterator[str]:
    """Every replica's."""
    for group in topology().groups:
        yield from group.names
