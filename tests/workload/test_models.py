"""What customers may see, and what they must not (S5)."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from cartnet.errors import Refused
from cartnet.workload import models
from cartnet.workload.findings import Incorrect, Tally
from cartnet.workload.history import History

LINE = {"item": "A", "name": "A", "quantity": 2, "price": 100}


class ModelTests(SynchronousTestCase):
    """Histories of one customer, one operation after the other."""

    def setUp(self) -> None:
        self.history = History()
        self.keys = 0

    def did(self, user: str, call: str, came: Any = None, **args: Any) -> None:
        """An operation that has come to this: an answer, a refusal, or unknown."""
        self.keys += 1
        operation = self.history.begin(user, call, args, f"k{self.keys}")
        if isinstance(came, Refused):
            operation.refused = came
            self.history.end(operation, "refused")
        elif came is not None:
            operation.answer = came
            self.history.end(operation, "ok")

    def again(self, user: str, call: str, came: Any, **args: Any) -> None:
        """Such an operation whose key was used up before."""
        self.did(user, call, came, **args)
        self.history.operations[-1].again = True

    def cart(self, version: int, *lines: tuple[str, int]) -> Any:
        return {
            "version": version,
            "items": [{"item": item, "quantity": count} for item, count in lines],
        }

    def stock(self, a: int, price: int = 100) -> Any:
        items = [("A", price, a), ("B", 250, 100), ("C", 999, 100)]
        return {
            "items": [
                {"id": item, "price": price, "stock": stock}
                for item, price, stock in items
            ]
        }

    def check(self) -> None:
        models.check(self.history, Tally())

    def assert_incorrect(self, what: str) -> None:
        with self.assertRaisesRegex(Incorrect, what):
            self.check()

    def fill(self) -> None:
        self.did("ada", "add_to_cart", self.cart(1, ("A", 2)), item="A", quantity=2)

    def test_cart(self) -> None:
        """Adds accumulate, a checkout takes all, and the versions count."""
        self.fill()
        self.did("ada", "add_to_cart", self.cart(2, ("A", 5)), item="A", quantity=3)
        self.did("ada", "set_quantity", self.cart(3, ("A", 2)), item="A", quantity=2)
        self.did("ada", "checkout", {"id": "1", "lines": [LINE]})
        self.did("ada", "get_cart", self.cart(4))
        self.did("ada", "checkout", Refused("empty_cart", ""))
        self.did("", "get_inventory", self.stock(98))

        self.check()

    def test_lost_add(self) -> None:
        """What was acknowledged is in the cart (K1)."""
        self.fill()
        self.did("ada", "get_cart", self.cart(0))

        self.assert_incorrect("the cart of ada")

    def test_unknown_add(self) -> None:
        """What may have been done may be seen, from any time on, but not twice."""
        self.did("ada", "add_to_cart", None, item="A", quantity=2)
        self.did("ada", "get_cart", self.cart(0))
        self.did("ada", "get_cart", self.cart(1, ("A", 2)))
        self.check()

        self.did("ada", "get_cart", self.cart(2, ("A", 4)))
        self.assert_incorrect("the cart of ada")

    def test_repeated_add(self) -> None:
        """A repeated call does nothing, and shows the cart as it is by then."""
        self.fill()
        self.did("ada", "add_to_cart", self.cart(2, ("A", 5)), item="A", quantity=3)
        self.again("ada", "add_to_cart", self.cart(2, ("A", 5)), item="A", quantity=2)
        self.check()

        self.again("ada", "add_to_cart", self.cart(1, ("A", 2)), item="A", quantity=2)
        self.assert_incorrect("the cart of ada")

    def test_repeated_change(self) -> None:
        """Likewise a repeated change of the operator's, and the inventory."""
        args = {"item": "A", "quantity_change": 5}
        self.did("operator", "update_inventory", self.stock(105), **args)
        self.again("operator", "update_inventory", self.stock(105), **args)
        self.check()

        self.again("operator", "update_inventory", self.stock(110), **args)
        self.assert_incorrect("the inventory")

    def test_line_in_order_and_cart(self) -> None:
        """An ordered line has left the cart (K5)."""
        self.fill()
        self.did("ada", "checkout", {"id": "1", "lines": [LINE]})
        self.did("ada", "get_cart", self.cart(1, ("A", 2)))

        self.assert_incorrect("the cart of ada")

    def test_oversold(self) -> None:
        """Nobody orders what is not there (I1)."""
        many = {**LINE, "quantity": 60}
        for user in ("ada", "bob"):
            added = self.cart(1, ("A", 60))
            self.did(user, "add_to_cart", added, item="A", quantity=60)
            self.did(user, "checkout", {"id": user, "lines": [many]})

        self.assert_incorrect("the inventory")

    def test_stale_read(self) -> None:
        """A read reflects what was acknowledged before it (R12)."""
        self.fill()
        self.did("ada", "checkout", {"id": "1", "lines": [LINE]})
        self.did("", "get_inventory", self.stock(100))

        self.assert_incorrect("the inventory")

    def test_wrong_price(self) -> None:
        """An order's prices are those of its instant."""
        args = {"item": "A", "name": "A", "price": 7, "stock": 50}
        self.did("operator", "put_item", self.stock(50, price=7), **args)
        self.fill()
        self.did("ada", "checkout", {"id": "1", "lines": [LINE]})

        self.assert_incorrect("the inventory")

    def test_shortage(self) -> None:
        """A refusal for lack of stock is told the truth."""
        short = [{"item": "A", "wanted": 200, "stock": 100}]
        self.did("ada", "checkout", Refused("out_of_stock", "", {"shortages": short}))
        self.check()

        short = [{"item": "A", "wanted": 200, "stock": 200}]
        self.did("ada", "checkout", Refused("out_of_stock", "", {"shortages": short}))
        self.assert_incorrect("the inventory")

    def test_username(self) -> None:
        """A name is given once (D1), to who knows its password from then on."""
        mine, theirs = ({"username": "x", "password": each} for each in ("m", "t"))
        self.did("x", "login", Refused("unauthenticated", ""), **mine)
        self.did("x", "create_account", {}, **mine)
        self.did("x", "create_account", Refused("username_taken", ""), **theirs)
        self.did("x", "login", {}, **mine)
        self.did("x", "login", Refused("unauthenticated", ""), **theirs)
        self.check()

        self.did("x", "create_account", {}, **theirs)
        self.assert_incorrect("the username x")
