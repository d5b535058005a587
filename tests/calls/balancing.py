"""A balancer's router among scripted groups: one member each, which leads."""

from __future__ import annotations

from typing import Any

import msgspec

from cartnet.calls.catalogue import Catalogue
from cartnet.calls.router import Router
from cartnet.client.group import GroupClient
from cartnet.simulator.world import World
from cartnet.topology.groups import Topology
from cartnet.wire.requests import Request, decode_request
from tests.client.scripted import CLUSTER, SECRET, ScriptedGroup, ScriptedMember, ok

REQUEST_TIMEOUT = 3.0

ITEMS = [
    {"id": "A", "name": "Apple", "price": 100, "stock": 9},
    {"id": "B", "name": "Berry", "price": 250, "stock": 5},
]
CART = {
    "version": 1,
    "items": [{"item": "A", "quantity": 2}, {"item": "Z", "quantity": 1}],
    "pending": None,
}


def request_for(
    call: str, args: dict[str, Any] | None = None, **fields: Any
) -> Request:
    """Make a request as it comes off the wire."""
    line = {"id": 1, "call": call, "args": args or {}, **fields}
    return decode_request(msgspec.json.encode(line))


class Visitor:
    """Who asks."""

    def __init__(self, address: str = "127.0.0.1", *, trusted: bool = False) -> None:
        self.address = address
        self.trusted = trusted


class Balancing:
    """The scripted groups of a small cluster, and a balancer's side of it."""

    def __init__(self) -> None:
        self.world = world = World(1)
        self.lb = ScriptedGroup("lb", "balancer", 1, world, 8005)
        self.s1 = ScriptedGroup("s1", "shard", 1, world, 5005)
        self.s2 = ScriptedGroup("s2", "shard", 1, world, 6005)
        self.it = ScriptedGroup("it", "inventory", 1, world, 7105)
        groups = (self.lb, self.s1, self.s2, self.it)
        for group in groups:
            group.members[0].leads = True
        self.seams = world.host("balancer").seams
        self.clients = {
            group.group.name: GroupClient(
                group.group, self.seams, CLUSTER, SECRET, "lb0", REQUEST_TIMEOUT
            )
            for group in groups
        }
        self.topology = Topology(CLUSTER, tuple(group.group for group in groups))
        self.catalogue = Catalogue(self.clients["it"])
        self.router = Router(
            self.topology, self.clients, self.catalogue, self.seams, REQUEST_TIMEOUT
        )
        self.inventory.answer = lambda request: ok()

    @property
    def directory(self) -> ScriptedMember:
        return self.lb.members[0]

    @property
    def shard(self) -> ScriptedMember:
        return self.s1.members[0]

    @property
    def inventory(self) -> ScriptedMember:
        return self.it.members[0]

    def stock(self, revision: int = 5, **more: Any) -> None:
        """Let the catalogue hear of two items."""
        self.catalogue.start()
        self.world.clock.run_for(0.1)
        event = {"revision": revision, "full": True, "items": ITEMS, "removed": []}
        self.inventory.push(**{**event, **more})
        self.world.clock.run_for(0.1)

    def ask(
        self,
        call: str,
        args: dict[str, Any] | None = None,
        *,
        caller: Visitor | None = None,
        plain: bool = True,
        **fields: Any,
    ) -> Any:
        """Ask the router, and let time pass until it answers."""
        request = request_for(call, args, **fields)
        answer = self.lb.run(self.router.call(request, caller or Visitor()))
        return msgspec.json.decode(msgspec.json.encode(answer)) if plain else answer

    def stop(self) -> None:
        self.router.stop()
        self.catalogue.stop()
        for client in self.clients.values():
            client.stop()
