"""Tables that are not what their logs say."""

from __future__ import annotations

import abc
import sqlite3
from collections.abc import Iterable
from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from cartnet.shop.machine import Machine, machine_for
from cartnet.simulator.checks import tables
from cartnet.simulator.checks.directory_book import DirectoryBook
from cartnet.simulator.checks.inventory_book import InventoryBook
from cartnet.simulator.checks.shard_book import ShardBook
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


class TablesTests(SynchronousTestCase, abc.ABC):
    """A log, and what is broken then."""

    replayed: Replayed

    def found(self, machine: Machine, book: Any) -> Replayed:
        self.replayed = Replayed(machine, book)
        self.addCleanup(self.replayed.cursor.connection.close)
        return self.replayed

    @abc.abstractmethod
    def check(self) -> None:
        """Compare the tables with the book.

        :raises Incorrect: they differ.
        """

    def assert_incorrect(self, sql: str, check: str) -> None:
        """An update of the tables is seen by a check."""
        self.check()
        self.replayed.cursor.execute(sql)
        self.assertRaisesRegex(Incorrect, check, self.check)

    def assert_each_incorrect(self, updates: Iterable[str], check: str) -> None:
        """So is each of several, of tables that are right before."""
        for sql in updates:
            with self.subTest(sql):
                self.setUp()
                self.assert_incorrect(sql, check)


class DirectoryTests(TablesTests):
    """Ann was given a home, and asked for another."""

    def setUp(self) -> None:
        replayed = self.found(machine_for("balancer"), DirectoryBook())
        for shard in ("s1", "s2"):
            replayed.apply("assign_shard", username="ann", shard=shard)

    @override
    def check(self) -> None:
        book, cursor = self.replayed.book, self.replayed.cursor
        tables.check_entry(book, cursor, 3, Tally())

    def test_home(self) -> None:
        """A home that is not that of the first claim is seen (D3)."""
        self.assert_incorrect("UPDATE homes SET shard = 's2'", "S9 D3 homes")


class InventoryTests(TablesTests):
    """Two of one item were sold, and ten of another were put in."""

    def setUp(self) -> None:
        replayed = self.found(machine_for("inventory"), InventoryBook())
        lines = [{"item": "A", "quantity": 2}]
        about = {"group_id": "s", "index": 7, "expected_total": None, "finished": 0}
        replayed.apply("take", lines=lines, **about)
        replayed.apply("set_stock", item="B", stock=110)
        replayed.apply("set_operator_password", password_hash="h")
        replayed.apply("set_operator_password", password_hash="other")

    @override
    def check(self) -> None:
        book, cursor = self.replayed.book, self.replayed.cursor
        tables.check_entry(book, cursor, 5, Tally())
        tables.check_takings(book, cursor, Tally())

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

    def test_operator(self) -> None:
        """The operator's password is the first one (S1)."""
        sql = "UPDATE accounts SET password_hash = 'other'"
        self.assert_incorrect(sql, "S1 D1 accounts")

    def test_time(self) -> None:
        """Log time that was set back is seen (S6)."""
        self.assert_incorrect("UPDATE machine SET log_time = 2", "S6 log time")


class ShardTests(TablesTests):
    """Ann has ordered two items, and waits for them."""

    def setUp(self) -> None:
        replayed = self.found(machine_for("shard"), ShardBook())
        account = {"username": "ann", "password_hash": "h"}
        replayed.apply("create_account", key="k", **account)
        replayed.apply("open_session", session="s", **account)
        for item in ("A", "B"):
            replayed.apply("add_to_cart", session="s", key=None, item=item, quantity=2)
        replayed.apply("begin_checkout", session="s", key="o", expected_total=None)

    @override
    def check(self) -> None:
        book, cursor = self.replayed.book, self.replayed.cursor
        tables.check_entry(book, cursor, 6, Tally())
        tables.check_orders(book, cursor, Tally())

    def test_account(self) -> None:
        """Another password or key of an account is seen, and one too many (D1)."""
        updates = (
            "UPDATE accounts SET password_hash = 'other'",
            "UPDATE accounts SET creation_key = NULL",
            "INSERT INTO accounts VALUES ('bob', 'h', NULL, 1)",
        )
        self.assert_each_incorrect(updates, "S1 D1 accounts")

    def test_cart(self) -> None:
        """Another version, another order of lines and a cart that does not wait for its
        order are seen, and so are lines without a cart (K1 K2 K5)."""
        updates = (
            "UPDATE carts SET version = 1",
            "UPDATE carts SET pending = NULL",
            "UPDATE cart_lines SET added_index = 9 WHERE item = 'A'",
            "UPDATE cart_lines SET quantity = 1 WHERE item = 'A'",
            "INSERT INTO cart_lines VALUES ('bob', 'A', 1, 1)",
        )
        self.assert_each_incorrect(updates, "K1 K2 K5")

    def test_order(self) -> None:
        """An order of another user, key or total is seen, and other lines of it, before
        and after they have prices (O1 O2 O5)."""
        changes = [
            "UPDATE orders SET username = 'bob'",
            "UPDATE orders SET key = 'other'",
            "UPDATE orders SET total = 7",
            "DELETE FROM orders",
            "UPDATE order_lines SET position = 9 WHERE item = 'A'",
            "UPDATE order_lines SET price = 1 WHERE item = 'A'",
            "INSERT INTO order_lines VALUES (1, 1, 'A', 1, 'Item A', 1)",
        ]
        for placed in (False, True):
            for sql in changes:
                with self.subTest(sql, placed=placed):
                    self.setUp()
                    if placed:
                        self.place(1000)
                    self.assert_incorrect(sql, "O1 O2 O5")

    def test_total(self) -> None:
        """A total that is not that of its lines is seen, though the log has it (O2)."""
        self.place(1001)

        self.assertRaisesRegex(Incorrect, "O2 a total", self.check)

    def place(self, total: int) -> None:
        """As the log says: two of each, which makes 1000."""
        lines = [
            {"item": item, "name": item, "quantity": 2, "price": price}
            for item, price in (("A", 200), ("B", 300))
        ]
        taken = {"type": "taken", "lines": lines, "total": total, "taken_at": 6}
        self.replayed.apply("finish_checkout", order="g-6", decision=taken)
