"""Checkouts between a shard and the inventory, with every message lost or repeated."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from cartnet.shop import carts, orders
from cartnet.shop.answers import Cart, CheckoutBegun, Order, Refusal
from cartnet.shop.commands import (
    AddToCart,
    BeginCheckout,
    ChangeStock,
    FinishCheckout,
    Lapsed,
    OutOfStock,
    PriceChanged,
    PutItem,
    RemoveItem,
    ResetInventory,
    Take,
    Taken,
)
from tests.shop.accounting import assert_conserved
from tests.shop.feeding import Group
from tests.shop.feeding import inventory as inventory_group
from tests.shop.feeding import shard as shard_group

USERS = ("ada", "bob", "eve")
ITEMS = st.sampled_from(("A", "B"))
ANY = st.integers(0, 10_000)


class Checkouts(RuleBasedStateMachine):
    """Three shoppers on two shards, one inventory, and messages that stay around.

    A take or a finish that was once sent may arrive at any time, any number of times,
    as from former leaders that do not know yet; none need arrive.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stock = inventory_group()
        for item in ("A", "B"):
            self.stock.do(PutItem(None, None, item, item, 100, 6))
        self.shards = {"s1": shard_group("s1"), "s2": shard_group("s2")}
        self.sessions = {user: self.shard_of(user).log_in(user) for user in USERS}
        self.takes: list[tuple[str, CheckoutBegun, Take]] = []
        self.finishes: list[tuple[str, FinishCheckout]] = []
        self.carts_begun: dict[str, Cart] = {}
        self.attempts = 0

    def shard_of(self, user: str) -> Group:
        return self.shards["s2" if user == "eve" else "s1"]

    @rule(user=st.sampled_from(USERS), item=ITEMS, quantity=st.integers(1, 4))
    def add(self, user: str, item: str, quantity: int) -> None:
        self.shard_of(user).do(AddToCart(self.sessions[user], None, item, quantity))

    @rule(user=st.sampled_from(USERS), total=st.sampled_from((None, None, 200)))
    def begin(self, user: str, total: int | None) -> None:
        self.attempts += 1
        cart = self.shard_of(user).read(lambda c: carts.read(c, user))
        answer = self.shard_of(user).do(
            BeginCheckout(self.sessions[user], f"k{self.attempts}", total)
        )
        if isinstance(answer, CheckoutBegun):
            self.carts_begun[answer.order] = cart

    @rule(name=st.sampled_from(("s1", "s2")))
    def survey(self, name: str) -> None:
        """A leader looks for pending orders and sends what there is to take."""
        group = self.shards[name]
        finished = group.read(orders.finished_index)
        for begun in group.read(orders.pending):
            take = Take(name, begun.index, begun.lines, begun.expected_total, finished)
            self.takes.append((name, begun, take))

    @rule(choice=ANY)
    def take(self, choice: int) -> None:
        if not self.takes:
            return
        name, begun, take = self.takes[choice % len(self.takes)]
        decision = self.stock.do(take)
        assert isinstance(decision, Taken | OutOfStock | PriceChanged | Lapsed)
        self.finishes.append((name, FinishCheckout(begun.order, decision)))

    @rule(choice=ANY)
    def finish(self, choice: int) -> None:
        if not self.finishes:
            return
        name, finish = self.finishes[choice % len(self.finishes)]
        group = self.shards[name]
        was_pending = finish.order in {
            begun.order for begun in group.read(orders.pending)
        }
        answer = group.do(finish)
        if was_pending and isinstance(answer, Refusal):
            before = self.carts_begun[finish.order]
            assert before in [
                group.read(lambda c, u=user: carts.read(c, u)) for user in USERS
            ], "a refused checkout leaves the cart as it was"

    @rule(item=ITEMS, quantity=st.integers(-3, 3))
    def change_stock(self, item: str, quantity: int) -> None:
        self.stock.do(ChangeStock(None, None, item, quantity))

    @rule(item=ITEMS)
    def remove(self, item: str) -> None:
        self.stock.do(RemoveItem(None, None, item))

    @rule()
    def reset(self) -> None:
        self.stock.do(ResetInventory(None, None))

    def taken(self) -> dict[str, list[tuple[str, str, int, int]]]:
        """Return the lines that the inventory has taken, by order."""
        cursor = self.stock.replica.cursor
        cursor.execute(
            "SELECT group_id, order_index, item, name, quantity, price"
            " FROM taking_lines ORDER BY group_id, order_index, position"
        )
        lines: dict[str, list[tuple[str, str, int, int]]] = {}
        for group_id, index, *line in cursor.fetchall():
            lines.setdefault(f"{group_id}-{index}", []).append(tuple(line))
        return lines

    def orders(self) -> dict[str, Order]:
        """Return every user's orders, by id."""
        return {
            order.id: order
            for user in USERS
            for order in self.shard_of(user)
            .read(lambda c, u=user: orders.listing(c, u, 1000, None))
            .orders
        }

    @invariant()
    def stock_is_conserved(self) -> None:
        assert_conserved(self.stock.replica.cursor)

    @invariant()
    def checkouts_are_whole(self) -> None:
        """What is placed is taken; what is taken is placed or pending (S8)."""
        taken, known = self.taken(), self.orders()
        for order in known.values():
            if order.status == "placed":
                assert taken[order.id] == [
                    (line.item, line.name, line.quantity, line.price)
                    for line in order.lines
                ]
                total = sum(line.quantity * line.price for line in order.lines)
                assert order.total == total
        for order_id, lines in taken.items():
            assert [(line.item, line.quantity) for line in known[order_id].lines] == [
                (item, quantity) for item, _, quantity, _ in lines
            ]

    def teardown(self) -> None:
        """The next leaders finish what they find; then nothing is pending."""
        self.takes.clear()
        for name in self.shards:
            self.survey(name)
        for choice in range(len(self.takes)):
            self.take(choice)
        for choice in range(len(self.finishes)):
            self.finish(choice)
        self.checkouts_are_whole()
        for group in (*self.shards.values(), self.stock):
            if group is not self.stock:
                assert group.read(orders.pending) == ()
            assert group.replay().tables() == group.replica.tables()
        placed = {o.id for o in self.orders().values() if o.status == "placed"}
        assert placed == self.taken().keys()


class CheckoutModelTests(SynchronousTestCase):
    """A checkout is whole, whatever becomes of its messages."""

    def test_any_interleaving(self) -> None:
        """Lost, late, repeated steps sell nothing twice and lose nothing (S7, S8)."""
        run_state_machine_as_test(
            Checkouts,
            settings=settings(max_examples=60, stateful_step_count=40, deadline=None),
        )
