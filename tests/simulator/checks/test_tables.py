"""Tables that are not what their logs say."""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from cartnet.shop.machine import Machine, machine_for
from cartnet.simulator.checks import tables
from cartnet.simulator.checks.inventory_book import InventoryBook
from cartnet.workload.findings import Incorrect, Tally


class Replayed:
    """A machine's tables, and a book that has seen the same log."""

    def __init__(self, machine: Machine, book: Any) -> None:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        self.cursor = connection.cursor()
        self.book = book
        self._machine = machine
        self._index = 0
        machine.create(self.cursor)
        self.apply("found", group_id="g")

    def apply(self, do: str, **command: Any) -> None:
        self._index += 1
        payload = msgspec.json.encode([self._index, {"do": do, **command}])
        self._machine.apply(self.cursor, self._index, payload)
        self.book.apply(self._index, payload)


class InventoryTests(SynchronousTestCase):
    """Two of one item were sold, and ten of another were put in."""

    def setUp(self) -> None:
        self.replayed = Replayed(machine_for("inventory"), InventoryBook())
        self.addCleanup(self.replayed.cursor.connection.close)
        lines = [{"item": "A", "quantity": 2}]
        about = {"group_id": "s", "index": 7, "expected_total": None, "finished": 0}
        self.replayed.apply("take", lines=lines, **about)
        self.replayed.apply("set_stock", item="B", stock=110)

    def check(self) -> None:
        book, cursor = self.replayed.book, self.replayed.cursor
        tables.check_time(book, cursor, Tally())
        tables.check_items(book, cursor, 3, Tally())
        tables.check_takings(book, cursor, Tally())

    def assert_incorrect(self, sql: str, check: str) -> None:
        """An update of the tables is seen by a check."""
        self.check()
        self.replayed.cursor.execute(sql)
        self.assertRaisesRegex(Incorrect, check, self.check)

    def test_stock(self) -> None:
        """Another stock is seen, though it adds up with the operator's changes (I1)."""
        sql = "UPDATE items SET stock = 1, operator_changes = 1 + 2 - initial_stock"
        self.assert_incorrect(f"{sql} WHERE item = 'A'", "S7 I1 the inventory")

    def test_changes(self) -> None:
        """The right stock is not enough: it must be accounted for (I2)."""
        sql = "UPDATE items SET operator_changes = 9 WHERE item = 'B'"
        self.assert_incorrect(sql, "S7 I2 I6 initial")

    def test_takings(self) -> None:
        """A taking that is not kept is seen (I2)."""
        self.assert_incorrect("DELETE FROM taking_lines", "S7 I2 takings")

    def test_time(self) -> None:
        """Log time that was set back is seen (S6)."""
        self.assert_incorrect("UPDATE machine SET log_time = 2", "S6 log time")
