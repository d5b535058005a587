"""A shard and an inventory as their calls answer, without sockets."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from cartnet.calls.inventory import InventoryCalls
from cartnet.calls.passwords import Passwords
from cartnet.calls.shard import ShardCalls
from cartnet.errors import Refused
from cartnet.wire.requests import decode_request, encode_request
from tests.calls.memory import (
    FastHasher,
    MemoryGroup,
    counting_bytes,
    memory_seams,
    quiet,
)

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from cartnet.replica.ports import Calls

REQUEST_TIMEOUT = 3.0


@dataclass(frozen=True)
class From:
    """A connection: a replica's, proven, or a stranger's."""

    trusted: bool
    address: str = "127.0.0.1"


REPLICA = From(trusted=True)
STRANGER = From(trusted=False)


class Shop:
    """Three replicas of a shard, three of the inventory; the first of each leads."""

    def __init__(self, operator_password: str | None = "operator's own") -> None:
        self.clock = Clock()
        self.shard = MemoryGroup("s1", "shard", self.clock)
        self.inventory = MemoryGroup("it", "inventory", self.clock)
        self.hasher = FastHasher()
        self.operator_passwords: list[str] = []
        self.broken: list[Failure] = []
        self.inventory_down = False
        self.takes_lost = False
        self.calls: dict[str, Calls] = {}
        self._ids = itertools.count()
        seams = memory_seams(self.clock, counting_bytes())
        passwords = Passwords(self.hasher, seams.in_thread, seams.token_bytes)
        for name, log in self.shard.members.items():
            shard = ShardCalls(
                log,
                seams,
                self,
                passwords,
                REQUEST_TIMEOUT,
                quiet(),
                self.broken.append,
            )
            self.calls[name] = shard
            log.calls.append(shard)
        for name, log in self.inventory.members.items():
            inventory = InventoryCalls(
                log,
                seams,
                passwords,
                REQUEST_TIMEOUT,
                quiet(),
                self.broken.append,
                operator_password=operator_password,
                keep_operator_password=self.operator_passwords.append,
            )
            self.calls[name] = inventory
            log.calls.append(inventory)

    def open(self) -> Shop:
        """Let both groups have a leader."""
        self.inventory.elect("it0")
        self.shard.elect("s1r0")
        return self

    def send(
        self,
        replica: str,
        call: str,
        args: Mapping[str, Any] | None = None,
        *,
        caller: From = REPLICA,
        **fields: Any,
    ) -> Deferred[Any]:
        """Send a request to a replica, by way of its line; fire with plain JSON."""
        plain = dict(args or {})
        line = encode_request(next(self._ids), call, plain, **fields)
        answer = self.calls[replica].call(decode_request(line), caller)
        return answer.addCallback(_plain)

    async def call(
        self,
        call: str,
        args: Mapping[str, Any],
        *,
        resend: bool,
        deadline: float | None = None,
    ) -> msgspec.Raw:
        """Call the inventory, as its client does."""
        leader = self.inventory.leader
        if self.inventory_down or leader is None:
            raise Refused("unavailable", "the inventory has no leader")
        if call == "take" and self.takes_lost:
            return await Deferred()
        answer = await self.send(leader, call, args)
        return msgspec.Raw(msgspec.json.encode(answer))

    def stop(self) -> None:
        for calls in self.calls.values():
            calls.stop()


def _plain(answer: object) -> Any:
    if isinstance(answer, msgspec.Struct | dict):
        return msgspec.json.decode(msgspec.json.encode(answer))
    return answer
