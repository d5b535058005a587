"""The inventory against a plain model of it, whatever is done in whatever order."""

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

from cartnet.shop import inventory
from cartnet.shop.answers import Answer, Changes, Item, Refusal
from cartnet.shop.catalogue import INITIAL_ITEMS
from cartnet.shop.commands import (
    ChangeStock,
    Command,
    Decision,
    Lapsed,
    OrderLine,
    OutOfStock,
    PriceChanged,
    PutItem,
    RemoveItem,
    ResetInventory,
    SetStock,
    Shortage,
    Take,
    TakeLine,
    Taken,
)
from cartnet.shop.takings import OTHER_ORDER
from tests.shop.accounting import assert_conserved
from tests.shop.feeding import inventory as inventory_group

ITEMS = st.sampled_from(("A", "B", "D", "E"))
LINES = st.lists(
    st.tuples(ITEMS, st.integers(1, 60)),
    min_size=1,
    max_size=3,
    unique_by=lambda line: line[0],
)


class InventoryModel(RuleBasedStateMachine):
    """Operator changes and takes; items, decisions and a watcher are the model's."""

    def __init__(self) -> None:
        super().__init__()
        self.group = inventory_group()
        self.items = {item.id: item for item in INITIAL_ITEMS}
        self.decisions: dict[tuple[str, int], Decision] = {}
        self.finished: dict[str, int] = {}
        self.watched: dict[str, Item] = {}
        self.revision: int | None = None

    @rule(item=ITEMS, price=st.integers(0, 2), stock=st.integers(0, 90))
    def put(self, item: str, price: int, stock: int) -> None:
        self.items[item] = Item(item, f"Item {item}", price, stock)
        self._do(PutItem(None, None, item, f"Item {item}", price, stock))

    @rule(item=ITEMS)
    def remove(self, item: str) -> None:
        refused = "" if self.items.pop(item, None) else "not_found"
        self._do(RemoveItem(None, None, item), refused)

    @rule(item=ITEMS, quantity=st.integers(-80, 80))
    def change(self, item: str, quantity: int) -> None:
        refused = "not_found"
        if item in self.items:
            refused = self._set(item, self.items[item].stock + quantity)
        self._do(ChangeStock(None, None, item, quantity), refused)

    @rule(item=ITEMS, stock=st.integers(0, 90))
    def set_stock(self, item: str, stock: int) -> None:
        refused = self._set(item, stock) if item in self.items else "not_found"
        self._do(SetStock(item, stock), refused)

    @rule()
    def reset(self) -> None:
        self.items = {item.id: item for item in INITIAL_ITEMS}
        self._do(ResetInventory(None, None))

    @rule(
        shard=st.sampled_from(("s1", "s2")),
        index=st.integers(1, 12),
        lines=LINES,
        expected_total=st.sampled_from((None, None, 100)),
        finished=st.sampled_from((0, 0, 0, 1, 3, 6)),
    )
    def take(
        self,
        shard: str,
        index: int,
        lines: list[tuple[str, int]],
        expected_total: int | None,
        finished: int,
    ) -> None:
        expected = self._expect(shard, index, lines, expected_total, finished)

        take_lines = tuple(TakeLine(*line) for line in lines)
        answer = self.group.do(Take(shard, index, take_lines, expected_total, finished))

        assert answer == expected, (answer, expected)

    @rule()
    def watch(self) -> None:
        """A watcher who catches up has the inventory, whatever it had before."""
        revision = self.revision
        changes: Changes = self.group.read(lambda c: inventory.changes(c, revision))
        if changes.full:
            self.watched.clear()
        self.watched.update({item.id: item for item in changes.items})
        for item in changes.removed:
            self.watched.pop(item, None)
        assert self.watched == self.items
        assert changes.full == (revision is None)
        self.revision = changes.revision

    def _set(self, item: str, stock: int) -> str:
        if stock < 0:
            return "conflict"
        old = self.items[item]
        self.items[item] = Item(item, old.name, old.price, stock)
        return ""

    def _expect(
        self,
        shard: str,
        index: int,
        lines: list[tuple[str, int]],
        expected_total: int | None,
        reported: int,
    ) -> Decision | Refusal:
        finished = max(self.finished.get(shard, 0), reported)
        self.finished[shard] = finished
        for (of_shard, order), known in list(self.decisions.items()):
            if of_shard == shard and order <= finished and not isinstance(known, Taken):
                del self.decisions[of_shard, order]
        if (shard, index) in self.decisions:
            known = self.decisions[shard, index]
            return known if _may_be_of(lines, known) else OTHER_ORDER
        if index <= finished:
            return Lapsed()
        decision = self._judge(lines, expected_total)
        self.decisions[shard, index] = decision
        if isinstance(decision, Taken):
            for item, quantity in lines:
                self._set(item, self.items[item].stock - quantity)
        return decision

    def _judge(
        self, lines: list[tuple[str, int]], expected_total: int | None
    ) -> Decision:
        stock = {item.id: item.stock for item in self.items.values()}
        shortages = tuple(
            Shortage(item, quantity, stock.get(item, 0))
            for item, quantity in lines
            if item not in stock or stock[item] < quantity
        )
        if shortages:
            return OutOfStock(shortages)
        order_lines = tuple(
            OrderLine(item, self.items[item].name, quantity, self.items[item].price)
            for item, quantity in lines
        )
        total = sum(line.quantity * line.price for line in order_lines)
        if expected_total not in (None, total):
            return PriceChanged(total, order_lines)
        return Taken(order_lines, total, self.group.time)

    def _do(self, command: Command, refused: str = "") -> None:
        answer: Answer = self.group.do(command)
        code = answer.code if isinstance(answer, Refusal) else ""
        assert code == refused, (code, refused)

    @invariant()
    def items_are_the_models(self) -> None:
        found = self.group.read(inventory.items).items
        assert list(found) == [self.items[item] for item in sorted(self.items)]

    @invariant()
    def stock_is_conserved(self) -> None:
        assert_conserved(self.group.replica.cursor)

    def teardown(self) -> None:
        assert self.group.replay().tables() == self.group.replica.tables()


def _may_be_of(lines: list[tuple[str, int]], decision: Decision) -> bool:
    """Whether an order of these lines can have got the decision."""
    if isinstance(decision, OutOfStock):
        return {(each.item, each.wanted) for each in decision.shortages} <= {*lines}
    assert not isinstance(decision, Lapsed)
    return [(line.item, line.quantity) for line in decision.lines] == lines


class InventoryModelTests(SynchronousTestCase):
    """The inventory does what its model does."""

    def test_model(self) -> None:
        """Items, decisions and changes are the model's; stock is conserved (S4, S7)."""
        run_state_machine_as_test(
            InventoryModel,
            settings=settings(max_examples=60, stateful_step_count=40, deadline=None),
        )
