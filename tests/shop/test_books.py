"""Whether stock is conserved."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from cartnet.shop import books
from cartnet.shop.commands import (
    ChangeStock,
    PutItem,
    RemoveItem,
    ResetInventory,
    SetStock,
    Take,
    TakeLine,
)
from tests.shop.feeding import inventory


class BooksTests(SynchronousTestCase):
    """Every item's books."""

    def setUp(self) -> None:
        self.group = inventory()
        self.orders = 0

    def take(self, *lines: tuple[str, int]) -> None:
        self.orders += 1
        bought = tuple(TakeLine(item, quantity) for item, quantity in lines)
        self.group.do(Take("s1", self.orders, bought, None, 0))

    def add_up(self, sold: books.Sold | None = None) -> books.Sold:
        return self.group.read(lambda c: books.add_up(c, sold or books.Sold()))

    def balance(self, sold: books.Sold | None = None) -> books.Balance:
        added = self.add_up(sold)
        return self.group.read(lambda c: books.balance(c, added))

    def change(self, sql: str) -> None:
        """Do what no command could do."""
        self.group.replica.cursor.execute(sql)

    def test_new(self) -> None:
        """A new inventory's stock is conserved."""
        self.assertEqual(self.balance(), books.Balance(True, 3, 1))

    def test_any_history(self) -> None:
        """Whatever is sold and changed, stock is conserved, and sums go on."""
        random = Random(7)
        sold = books.Sold()
        commands: list[Any] = [
            lambda item: SetStock(item, random.randrange(50)),
            lambda item: ChangeStock(None, None, item, random.randrange(-5, 6)),
            lambda item: PutItem(None, None, item, item, 1, random.randrange(50)),
            lambda item: RemoveItem(None, None, item),
            lambda item: ResetInventory(None, None),
        ]
        for at in range(300):
            if at % 3:
                self.take(("A", random.randrange(1, 9)), ("D", random.randrange(1, 4)))
                self.take((random.choice("BC"), 1))
            else:
                self.group.do(random.choice(commands)(random.choice("ABCDE")))
            sold = self.add_up(sold)
            self.assertTrue(self.balance(sold).conserved)
        self.assertEqual(sold, self.add_up())
        self.assertTrue(sold.quantities)

    def test_lost_and_found(self) -> None:
        """Stock that goes or comes without a reason shows, and so does a lost sale."""
        for damage in (
            "UPDATE items SET stock = stock - 1 WHERE item = 'A'",
            "UPDATE items SET stock = stock + 1 WHERE item = 'B'",
            "DELETE FROM taking_lines WHERE item = 'A'",
            "DELETE FROM items WHERE item = 'A'",
        ):
            self.setUp()
            self.take(("A", 2))
            self.assertTrue(self.balance().conserved)

            self.change(damage)

            self.assertFalse(self.balance().conserved, damage)

    def test_removed_items_count(self) -> None:
        """An item that is no more has had its sales all the same."""
        self.take(("A", 2))
        self.group.do(RemoveItem(None, None, "A"))

        self.assertEqual(self.balance(), books.Balance(True, 3, 3))
