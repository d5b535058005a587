"""The whole shop API, as every balancer serves it: checked, routed, decorated."""

from __future__ import annotations

import zlib
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from cartnet.calls.answering import Asked
from cartnet.calls.catalogue_feed import CatalogueFeed
from cartnet.calls.homes import Homes
from cartnet.calls.pricing import PricedCart, priced
from cartnet.calls.shared_read import SharedRead
from cartnet.calls.throttle import RateLimit
from cartnet.errors import Refused
from cartnet.limits import REGISTRATION_ADDRESSES_MAX, REGISTRATIONS_PER_MINUTE_MAX
from cartnet.replica.ports import Watching
from cartnet.shop.answers import Inventory
from cartnet.topology.address import is_loopback
from cartnet.wire.arguments import OPERATOR, decode_arguments

if TYPE_CHECKING:
    from cartnet.calls.catalogue import Catalogue
    from cartnet.calls.homes import Located
    from cartnet.client.group import GroupClient
    from cartnet.replica.ports import Caller
    from cartnet.seams import Seams
    from cartnet.topology.groups import Topology
    from cartnet.wire.requests import Request

KEY_BYTES: Final = 16

OPERATOR_CALLS: Final = frozenset(
    {"put_item", "remove_item", "update_inventory", "reset_inventory"}
)


class Router:
    """Routes each call to the group that decides it.

    :param groups: a client for each group of the topology, by its name.
    :param catalogue: this balancer's copy of the inventory.
    :param request_timeout: seconds within which a request is answered.
    :param located: looks a username up in this balancer's own directory.
    """

    def __init__(
        self,
        topology: Topology,
        groups: Mapping[str, GroupClient],
        catalogue: Catalogue,
        seams: Seams,
        request_timeout: float,
        located: Located | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._feed = CatalogueFeed(catalogue, seams.clock)
        self._clock = seams.clock
        self._token_bytes = seams.token_bytes
        self._request_timeout = request_timeout
        self._inventory = groups[topology.inventory.name]
        self._items = SharedRead(seams.clock, self._read_items)
        self._shards = {group.name: groups[group.name] for group in topology.shards}
        self._homes = Homes(groups[topology.balancers.name], located)
        self._registrations = RateLimit(
            seams.clock,
            count_max=REGISTRATIONS_PER_MINUTE_MAX,
            seconds=60,
            keys_max=REGISTRATION_ADDRESSES_MAX,
        )
        self._methods: dict[str, Callable[[Asked], Awaitable[object]]] = {
            "create_account": self._create_account,
            "login": self._login,
            "logout": self._logout,
            "whoami": self._whoami,
            "get_inventory": self._get_inventory,
            "watch_inventory": self._watch_inventory,
            "add_to_cart": self._add,
            "set_quantity": self._set,
            "get_cart": self._cart,
            "remove_from_cart": self._cart,
            "checkout": self._order,
            "list_orders": self._order,
            "get_order": self._order,
        }
        self._methods |= dict.fromkeys(OPERATOR_CALLS, self._operate)

    async def call(self, request: Request, caller: Caller) -> object:
        """Do one request.

        :raises Refused: with one of the codes of ``docs/protocol.md``.
        """
        method = self._methods.get(request.call)
        if method is None:
            raise Refused("bad_request", f"there is no call {request.call!r}")
        args = decode_arguments(request.call, request.args, trusted=False)
        deadline = self._clock.seconds() + self._request_timeout
        return await method(Asked(request, caller, args, deadline))

    def stop(self) -> None:
        """End the watches; the clients and the catalogue are their makers' affair."""
        self._feed.stop()

    # --- Whose session -----------------------------------------------------------

    def _session_group(self, request: Request) -> GroupClient:
        """The group that gave the session's token out, which its prefix names."""
        if request.session is None:
            raise Refused("unauthenticated", "log in first: this call needs a session")
        name = request.session.partition(".")[0]
        group = self._shards.get(name)
        if group is None:
            if name != self._inventory.group.name:
                raise Refused("unauthenticated", "that is no session: log in")
            return self._inventory
        return group

    def shard_of(self, request: Request) -> GroupClient:
        """Return the shard that gave the session out.

        :raises Refused: ``unauthenticated`` where none has; ``forbidden`` where it is
            the operator's.
        """
        group = self._session_group(request)
        if group is self._inventory:
            raise Refused("forbidden", "the operator has no cart and no orders")
        return group

    # --- Accounts ----------------------------------------------------------------

    async def _create_account(self, asked: Asked) -> object:
        args = asked.args
        if not is_loopback(asked.caller.address):
            self._registrations.admit(asked.caller.address)
        home = await self._homes.assign(args.username, asked.deadline)
        answer = await self._shards[home].call(
            "create_account",
            {"username": args.username, "password": args.password},
            key=asked.request.key or self._new_key(),
            resend=True,
            deadline=asked.deadline,
        )
        return {"user": msgspec.json.decode(answer)["user"], "shard": home}

    async def _login(self, asked: Asked) -> object:
        username = asked.args.username
        if username == OPERATOR:
            group = self._inventory
        else:
            home = await self._homes.locate(username, asked.deadline)
            # An unknown name costs a shard's verification too, and always the same
            # shard's, which counts its failures: it must look like a wrong password.
            group = self._shards[home or self._dummy_home(username)]
        answer = await group.call(
            "login",
            {"username": username, "password": asked.args.password},
            resend=True,  # A session whose token nobody got does no harm.
            deadline=asked.deadline,
        )
        return msgspec.json.decode(answer)

    def _dummy_home(self, username: str) -> str:
        names = list(self._shards)
        return names[zlib.crc32(username.encode()) % len(names)]

    async def _logout(self, asked: Asked) -> object:
        # A key for the client's sake: refused after an unknown outcome is unknown.
        await self._forward(asked, self._session_group(asked.request), write=True)
        return {}

    async def _whoami(self, asked: Asked) -> object:
        return await self._forward(asked, self._session_group(asked.request))

    # --- Carts and orders --------------------------------------------------------

    async def _cart(self, asked: Asked) -> PricedCart:
        shard = self.shard_of(asked.request)
        write = asked.request.call != "get_cart"
        answer = await self._forward(asked, shard, write=write)
        return priced(answer, self._catalogue.items)

    async def _add(self, asked: Asked) -> PricedCart:
        shard = self.shard_of(asked.request)
        args: Any = asked.request.args
        item, quantity = asked.args.item, asked.args.quantity
        if not self._catalogue.known(item):
            # It may be new: the shard asks the inventory, unless the key tells.
            args = {"item": item, "quantity": quantity, "unchecked": True}
        answer = await self._forward(asked, shard, args, write=True)
        return priced(answer, self._catalogue.items)

    async def _set(self, asked: Asked) -> PricedCart:
        if asked.args.quantity == 0:
            return await self._cart(asked)
        return await self._add(asked)

    async def _order(self, asked: Asked) -> object:
        shard = self.shard_of(asked.request)
        write = asked.request.call == "checkout"
        return await self._forward(asked, shard, write=write)

    # --- The inventory -----------------------------------------------------------

    async def _get_inventory(self, asked: Asked) -> object:
        if asked.request.stale and self._catalogue.ready:
            copy = self._catalogue.inventory()
            return {"revision": copy.revision, "items": copy.items, "stale": True}
        if asked.request.stale:
            return await self._forward(asked, self._inventory)
        # Shared, since the answer is the largest there is.
        return await self._items.ask(asked.deadline)

    async def _read_items(self, deadline: float) -> msgspec.Raw:
        return await self._inventory.call(
            "get_inventory", resend=True, deadline=deadline
        )

    async def _watch_inventory(self, asked: Asked) -> Watching:
        from_revision = asked.args.from_revision
        if not await self._catalogue.wait_until_ready(self._clock, asked.deadline):
            raise Refused("unavailable", "the inventory has not been heard of yet")
        if from_revision is not None and from_revision > self._catalogue.revision:
            await self._catch_up(asked)
        return Watching(lambda sink: self._feed.subscribe(sink, from_revision))

    async def _catch_up(self, asked: Asked) -> None:
        """Bring the copy to where the inventory is: a watcher claims to be further."""
        try:
            answer = await self._items.ask(asked.deadline)
        except Refused:
            return  # The watcher gets what is known here, whole.
        self._catalogue.advance(msgspec.json.decode(answer, type=Inventory))

    async def _operate(self, asked: Asked) -> object:
        group = self._session_group(asked.request)
        if group is not self._inventory:
            raise Refused("forbidden", "only the operator may change the inventory")
        await self._forward(asked, group, write=True)
        try:
            # One reading for all whose changes are made by then, as many as they are.
            return await self._items.ask(asked.deadline)
        except Refused as refused:
            raise Refused(
                "timeout",
                "the change is made, but what the inventory is now could not be read:"
                " get_inventory shows it",
            ) from refused

    # --- Sending -----------------------------------------------------------------

    async def _forward(
        self, asked: Asked, group: GroupClient, args: Any = None, *, write: bool = False
    ) -> msgspec.Raw:
        """Have a group do the request itself, as often as it takes to be sure."""
        request = asked.request
        # A write without a key gets one, so that it can be sent again (S6).
        key = (request.key or self._new_key()) if write else None
        return await group.call(
            request.call,
            request.args if args is None else args,
            session=request.session,
            key=key,
            stale=request.stale,
            resend=True,
            deadline=asked.deadline,
        )

    def _new_key(self) -> str:
        return self._token_bytes(KEY_BYTES).hex()
