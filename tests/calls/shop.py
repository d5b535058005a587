"""A shard and an inventory as their calls answer, without sockets."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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


class FirstPasswords:
    """What one replica has on its disk of the operator's first password.

    :ivar refused: what its disk raises, if anything.
    """

    def __init__(self, told: list[str]) -> None:
        self.refused: OSError | None = None
        self._told = told
        self._proposed: str | None = None

    def proposed(self) -> str | None:
        return self._proposed

    def propose(self, password: str) -> None:
        if self.refused is not None:
            raise self.refused
        self._proposed = password

    def keep(self) -> None:
        assert self._proposed is not None
        self._told.append(self._proposed)
        self._proposed = None

    def drop(self) -> None:
        self._proposed = None


class Shop:
    """Three replicas of a shard, three of the inventory; the first of each leads."""

    def __init__(
        self,
        operator_password: str | None = "operator's own",
        in_thread: Callable[..., Deferred[Any]] | None = None,
    ) -> None:
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
        self._operator_password = operator_password
        self._seams = memory_seams(self.clock, counting_bytes())
        if in_thread is not None:
            self._seams = replace(self._seams, in_thread=in_thread)
        self._passwords = Passwords(
            self.hasher, self._seams.in_thread, self._seams.token_bytes
        )
        self.first_passwords = {
            name: FirstPasswords(self.operator_passwords)
            for name in self.inventory.members
        }
        for name in (*self.shard.members, *self.inventory.members):
            self._begin(name)

    def _begin(self, name: str) -> None:
        """Have a replica answer calls."""
        calls: Calls
        if name in self.shard.members:
            log = self.shard.members[name]
            calls = ShardCalls(
                log,
                self._seams,
                self,
                self._passwords,
                REQUEST_TIMEOUT,
                quiet(),
                self.broken.append,
            )
        else:
            log = self.inventory.members[name]
            calls = InventoryCalls(
                log,
                self._seams,
                self._passwords,
                REQUEST_TIMEOUT,
                quiet(),
                self.broken.append,
                operator_password=self._operator_password,
                first_password=self.first_passwords[name],
            )
        self.calls[name] = calls
        log.calls[:] = [calls]

    def restart(self, name: str) -> None:
        """Forget what a replica has in memory."""
        self.calls[name].stop()
        self._begin(name)

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
