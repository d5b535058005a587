"""Decisions about checkouts."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from cartnet.shop import inventory
from cartnet.shop.answers import Answer
from cartnet.shop.commands import (
    ChangeStock,
    Command,
    Found,
    Lapsed,
    OrderLine,
    OutOfStock,
    PriceChanged,
    PutItem,
    RemoveItem,
    ResetInventory,
    Shortage,
    Stamped,
    Take,
    TakeLine,
    Taken,
)
from cartnet.shop.group import FORMING
from cartnet.shop.takings import OTHER_ORDER
from tests.shop.accounting import assert_conserved
from tests.shop.feeding import START, Replica
from tests.shop.feeding import inventory as inventory_group


class FormingTests(SynchronousTestCase):
    """An inventory whose first command has not come yet."""

    def test_too_early(self) -> None:
        """A checkout that comes before the first items is not decided, only put off."""
        replica = Replica("inventory")

        def do(index: int, command: Command) -> Answer:
            payload = msgspec.json.encode(Stamped(START, command))
            return replica.machine.apply(replica.cursor, index, payload)

        take = Take("s1", 7, (TakeLine("A", 1),), None, 0)
        self.assertEqual(do(1, take), FORMING)
        do(2, Found("it"))

        self.assertIsInstance(do(3, take), Taken)


class TakeTests(SynchronousTestCase):
    """All lines of an order are taken, or none (S8)."""

    def setUp(self) -> None:
        self.group = inventory_group()

    def tearDown(self) -> None:
        assert_conserved(self.group.replica.cursor)

    def take(
        self,
        index: int,
        *lines: tuple[str, int],
        expected_total: int | None = None,
        finished: int = 0,
        group_id: str = "s1",
    ) -> Answer:
        take_lines = tuple(TakeLine(item, quantity) for item, quantity in lines)
        return self.group.do(
            Take(group_id, index, take_lines, expected_total, finished)
        )

    def stock(self) -> dict[str, int]:
        items = self.group.read(inventory.items).items
        return {item.id: item.stock for item in items}

    def test_taken(self) -> None:
        """A taking keeps the names and prices of its instant, in the order's order."""
        answer = self.take(7, ("B", 2), ("A", 1), expected_total=600)

        self.assertEqual(
            answer,
            Taken(
                (OrderLine("B", "Item B", 2, 250), OrderLine("A", "Item A", 1, 100)),
                600,
                self.group.time,
            ),
        )
        self.assertEqual(self.stock(), {"A": 99, "B": 98, "C": 100})
        self.assertEqual(self.group.read(inventory.items).revision, self.group.index)

    def test_another_orders_number(self) -> None:
        """An order that has the number of another one, as in a shard that was put back
        to an old copy, is not given that one's decision: it could not be its own."""
        decided = {
            7: self.take(7, ("A", 1), ("B", 1)),
            8: self.take(8, ("A", 1000), ("B", 1)),
            9: self.take(9, ("A", 1), ("B", 1), expected_total=1),
        }
        before = self.group.read(inventory.items)

        for index, decision in decided.items():
            self.assertEqual(self.take(index, ("A", 2)), OTHER_ORDER)
            self.assertEqual(self.take(index, ("B", 1), ("C", 1)), OTHER_ORDER)
            quantity = 1000 if index == 8 else 1
            again = self.take(index, ("A", quantity), ("B", 1))
            self.assertEqual(again, decision)
        self.assertEqual(self.group.read(inventory.items), before)

    def test_out_of_stock(self) -> None:
        """One line too many and nothing is taken; all shortages are told."""
        self.group.do(RemoveItem(None, None, "C"))
        before = self.group.read(inventory.items)

        answer = self.take(7, ("Z", 1), ("A", 100), ("B", 101), ("C", 1))

        self.assertEqual(
            answer,
            OutOfStock(
                (Shortage("Z", 1, 0), Shortage("B", 101, 100), Shortage("C", 1, 0))
            ),
        )
        self.assertEqual(self.group.read(inventory.items), before)

    def test_price_changed(self) -> None:
        """Another total than the expected takes nothing, and tells the new prices."""
        before = self.group.read(inventory.items)

        answer = self.take(7, ("A", 2), expected_total=199)

        self.assertEqual(answer, PriceChanged(200, (OrderLine("A", "Item A", 2, 100),)))
        self.assertEqual(self.group.read(inventory.items), before)

    def test_stock_before_prices(self) -> None:
        """What is both out of stock and of another price is out of stock."""
        answer = self.take(7, ("A", 101), ("B", 1), expected_total=1)

        self.assertEqual(answer, OutOfStock((Shortage("A", 101, 100),)))

    def test_taken_once(self) -> None:
        """A taking is remembered for ever, as it was, whatever has changed since."""
        first = self.take(7, ("A", 60), ("B", 1))
        self.group.do(PutItem(None, None, "A", "Renamed", 1, 50))
        self.group.do(RemoveItem(None, None, "B"))
        before = self.stock()
        self.group.time += 1000

        self.assertEqual(self.take(7, ("A", 60), ("B", 1)), first)
        self.assertEqual(self.take(7, ("A", 60), ("B", 1), finished=7), first)
        self.assertEqual(self.take(7, ("A", 60), ("B", 1)), first)
        self.assertEqual(self.stock(), before)

    def test_refused_once(self) -> None:
        """A refusal is remembered, though there is stock by now."""
        refused = self.take(7, ("A", 101))
        changed = self.take(8, ("A", 1), expected_total=1)
        self.group.do(ChangeStock(None, None, "A", 100))

        self.assertEqual(self.take(7, ("A", 101)), refused)
        self.assertEqual(self.take(8, ("A", 1), expected_total=1), changed)
        self.assertEqual(self.stock()["A"], 200)

    def test_lapsed(self) -> None:
        """A refusal is forgotten once its order is finished; a late take is refused."""
        self.take(7, ("A", 101))
        self.take(9, ("A", 101))
        self.take(7, ("A", 101), group_id="s2")
        self.take(10, ("B", 1), finished=8)
        self.group.do(ChangeStock(None, None, "A", 100))

        self.assertEqual(self.take(7, ("A", 101)), Lapsed())
        self.assertEqual(self.take(8, ("A", 1)), Lapsed())
        self.assertIsInstance(self.take(9, ("A", 101)), OutOfStock)
        self.assertIsInstance(self.take(7, ("A", 101), group_id="s2"), OutOfStock)
        self.assertEqual(self.stock()["A"], 200)
        self.assertEqual(len(self.group.replica.rows("refused_takes")), 2)

    def test_finished_never_goes_back(self) -> None:
        """A late report of less changes nothing."""
        self.take(10, ("B", 1), finished=8)
        self.take(11, ("B", 1), finished=3)

        self.assertEqual(self.take(8, ("A", 1)), Lapsed())

    def test_orders_of_two_shards(self) -> None:
        """Equal indexes of two shards are two orders."""
        self.take(7, ("A", 1))
        self.take(7, ("A", 2), group_id="s2")

        self.assertEqual(self.stock()["A"], 97)

    def test_reset_and_removal_are_changes(self) -> None:
        """Takings stay accounted for when an item is reset, removed and put again."""
        cursor = self.group.replica.cursor
        self.group.do(PutItem(None, None, "D", "Item D", 5, 10))
        self.take(1, ("A", 3), ("D", 4))
        for command in (
            RemoveItem(None, None, "A"),
            PutItem(None, None, "A", "Item A", 1, 7),
            ResetInventory(None, None),
            PutItem(None, None, "D", "Item D", 5, 2),
        ):
            self.group.do(command)
            assert_conserved(cursor)
        self.take(2, ("A", 100), ("D", 2))

        self.assertEqual(self.stock(), {"A": 0, "B": 100, "C": 100, "D": 0})
