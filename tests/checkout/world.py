"""A shard with a coordinator on each member, and an inventory that may be slow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any, cast

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from cartnet.checkout.coordinator import Coordinator
from cartnet.errors import Refused
from cartnet.shop import accounts, carts, inventory, orders
from cartnet.shop.commands import (
    AddToCart,
    BeginCheckout,
    CreateAccount,
    Found,
    OpenSession,
    SetStock,
    Take,
)
from tests.calls.memory import MemoryGroup, quiet

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from cartnet.replica.ports import Calls
    from cartnet.seams import Cursor
    from cartnet.shop.answers import Answer, Cart

REQUEST_TIMEOUT = 3.0
INITIAL_STOCK = 100


@dataclass
class Asking:
    """A call on its way to the inventory."""

    call: str
    args: Mapping[str, Any]
    answer: Deferred[msgspec.Raw]


class SlowInventory:
    """The inventory's client, whose messages arrive, get lost or come twice at will.

    :ivar holds: while true, calls wait for :meth:`deliver` and its like.
    :ivar down: while true, calls are refused, as without a leader.
    :ivar garbled: while true, answers cannot be understood.
    :ivar undecided: the numbers of orders that are refused, whenever it is asked.
    """

    def __init__(self, memory: MemoryGroup) -> None:
        self.memory = memory
        self.holds = False
        self.down = False
        self.garbled = False
        self.undecided: set[int] = set()
        self.on_their_way: list[Asking] = []
        self.taken_count = 0

    async def call(
        self,
        call: str,
        args: Mapping[str, Any],
        *,
        resend: bool,
        deadline: float | None = None,
    ) -> msgspec.Raw:
        if self.down:
            raise Refused("unavailable", "the inventory has no leader")
        if args.get("index") in self.undecided:
            raise Refused("conflict", "another order had the same number")
        asking = Asking(call, args, Deferred())
        if self.holds:
            self.on_their_way.append(asking)
            return await asking.answer
        return self.do(asking)

    def do(self, asking: Asking) -> msgspec.Raw:
        """Have the inventory's leader do a call."""
        leader = self.memory.leader
        assert leader is not None
        log = self.memory.members[leader]
        if asking.call == "find_item":
            return msgspec.Raw(b'{"item":null}')
        assert asking.call == "take"
        self.taken_count += 1
        answers: list[Answer] = []
        log.propose(msgspec.convert(asking.args, Take)).addCallback(answers.append)
        if self.garbled:
            return msgspec.Raw(b'{"type":"given"}')
        return msgspec.Raw(msgspec.json.encode(answers[0]))

    def deliver(self) -> None:
        """Do the oldest call, and answer it."""
        asking = self.on_their_way.pop(0)
        answer = self.do(asking)
        if not asking.answer.called:
            asking.answer.callback(answer)

    def lose(self) -> None:
        """Lose the oldest call before it is done; its sender cannot know."""
        asking = self.on_their_way.pop(0)
        if not asking.answer.called:
            asking.answer.errback(Refused("timeout", "lost"))

    def lose_answer(self) -> None:
        """Do the oldest call, and lose its answer."""
        asking = self.on_their_way.pop(0)
        self.do(asking)
        if not asking.answer.called:
            asking.answer.errback(Refused("timeout", "lost"))

    def double(self) -> None:
        """Do the oldest call, and keep it on its way, to be done again later."""
        self.do(self.on_their_way[0])


class _Calls:
    """What a member tells its calls, as far as coordinators care."""

    def __init__(self, coordinator: Coordinator) -> None:
        self.led = coordinator.led
        self.deposed = coordinator.deposed

    def applied(self, index: int) -> None:
        pass


class World:
    """One shard, one inventory, users with full carts."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.shard = MemoryGroup("s1", "shard", self.clock)
        self.stock = MemoryGroup("it", "inventory", self.clock, size=1)
        self.inventory = SlowInventory(self.stock)
        self.broken: list[Failure] = []
        self.coordinators = {
            name: Coordinator(
                log,
                self.inventory,
                cast(Any, self.clock),
                Random(1),
                REQUEST_TIMEOUT,
                quiet(),
                self.broken.append,
            )
            for name, log in self.shard.members.items()
        }
        for name, coordinator in self.coordinators.items():
            calls = cast("Calls", _Calls(coordinator))
            self.shard.members[name].calls.append(calls)
        self.stock.elect("it0")
        self.change_stock(Found(group_id="inventory"))
        self.shard.elect("s1r0")
        self.do(Found(group_id="shard"))

    @property
    def leader(self) -> Coordinator:
        assert self.shard.leader is not None
        return self.coordinators[self.shard.leader]

    def do(self, command: Any) -> Answer:
        """Have the shard apply a command at once."""
        assert self.shard.leader is not None
        answers: list[Answer] = []
        log = self.shard.members[self.shard.leader]
        log.propose(command).addCallback(answers.append)
        return answers[0]

    def change_stock(self, command: Any) -> None:
        self.stock.members["it0"].propose(command)

    def set_stock(self, item: str, stock: int) -> None:
        self.change_stock(SetStock(item=item, stock=stock))

    def register(self, user: str) -> None:
        """Make an account whose session is called like the user."""
        self.do(CreateAccount(username=user, password_hash="hash", key=None))
        self.do(OpenSession(username=user, password_hash="hash", session=user))

    def fill(self, user: str, **quantities: int) -> None:
        """Put so many of these items into the user's cart."""
        for item, quantity in quantities.items():
            self.do(AddToCart(session=user, key=None, item=item, quantity=quantity))

    def begin(
        self, user: str, key: str | None = None, expected_total: int | None = None
    ) -> Answer:
        """Begin the user's checkout."""
        return self.do(
            BeginCheckout(session=user, key=key, expected_total=expected_total)
        )

    # --- What has come of it ---------------------------------------------------------

    def cart(self, user: str) -> Cart:
        return self.shard.query(lambda cursor: carts.read(cursor, user))

    def quantities(self, user: str) -> dict[str, int]:
        return {line.item: line.quantity for line in self.cart(user).items}

    def stock_of(self, item: str) -> int:
        found = self.stock.query(lambda cursor: inventory.find(cursor, item))
        return 0 if found is None else found.stock

    def pending(self) -> tuple[str, ...]:
        return tuple(begun.order for begun in self.shard.query(orders.pending))

    def placed(self) -> dict[str, dict[str, int]]:
        """Return the placed orders of all users, and their lines."""

        def query(cursor: Cursor) -> dict[str, dict[str, int]]:
            cursor.execute("SELECT username FROM accounts ORDER BY username")
            users = [row[0] for row in cursor.fetchall()]
            found = [
                order
                for user in users
                if accounts.find(cursor, user)
                for order in orders.listing(cursor, user, 1000, None).orders
                if order.status == "placed"
            ]
            return {
                order.id: {line.item: line.quantity for line in order.lines}
                for order in found
            }

        return self.shard.query(query)

    def taken(self) -> dict[str, dict[str, int]]:
        """Return the orders that the inventory has taken, and their lines."""

        def query(cursor: Cursor) -> dict[str, dict[str, int]]:
            cursor.execute(
                "SELECT group_id, order_index, item, quantity FROM taking_lines"
                " ORDER BY group_id, order_index, position"
            )
            found: dict[str, dict[str, int]] = {}
            for group, index, item, quantity in cursor.fetchall():
                found.setdefault(f"{group}-{index}", {})[item] = quantity
            return found

        return self.stock.query(query)
