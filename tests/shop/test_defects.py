"""The original's defects, as far as they are the machines': none may come back."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from cartnet.shop import inventory
from cartnet.shop.accounts import UNAUTHENTICATED
from cartnet.shop.answers import CheckoutBegun, Order, Refusal
from cartnet.shop.commands import (
    AddToCart,
    BeginCheckout,
    ChangeStock,
    FinishCheckout,
    OutOfStock,
    SetQuantity,
    SetStock,
    Take,
    TakeLine,
    Taken,
)
from tests.shop.accounting import assert_conserved
from tests.shop.feeding import inventory as inventory_group
from tests.shop.feeding import shard


class DefectTests(SynchronousTestCase):
    """What the original did wrong."""

    def test_selling_the_last_item_twice(self) -> None:
        """Of five who race for the last item one gets it, and four are told."""
        stock = inventory_group()
        stock.do(SetStock("A", 1))
        shop = shard("s1")
        begun = []
        for number in range(5):
            session = shop.log_in(f"user-{number}")
            shop.do(AddToCart(session, None, "A", 1))
            begun.append(shop.do(BeginCheckout(session, "k", None)))

        outcomes = []
        for checkout in begun:
            assert isinstance(checkout, CheckoutBegun)
            decision = stock.do(Take("s1", checkout.index, checkout.lines, None, 0))
            assert isinstance(decision, Taken | OutOfStock)
            outcomes.append(shop.do(FinishCheckout(checkout.order, decision)))

        self.assertIsInstance(outcomes[0], Order)
        for outcome in outcomes[1:]:
            assert isinstance(outcome, Refusal)
            self.assertEqual(outcome.code, "out_of_stock")
        self.assertEqual(stock.read(inventory.items).items[0].stock, 0)
        assert_conserved(stock.replica.cursor)

    def test_negative_quantity_mints_stock(self) -> None:
        """No order and no cart has a line of less than one."""
        stock = inventory_group()
        shop = shard()
        session = shop.log_in("ada")
        before = stock.replica.tables(), shop.replica.tables()

        for quantity in (0, -1):
            lines = (TakeLine("A", quantity),)
            with self.assertRaises(AssertionError):
                stock.do(Take("s1", 1, lines, None, 0))
            with self.assertRaises(AssertionError):
                shop.do(AddToCart(session, None, "A", quantity))
        with self.assertRaises(AssertionError):
            shop.do(SetQuantity(session, None, "A", -1))

        self.assertEqual((stock.replica.tables(), shop.replica.tables()), before)

    def test_repeated_checkout_takes_twice(self) -> None:
        """A decision that is asked for again takes nothing again."""
        stock = inventory_group()
        take = Take("s1", 7, (TakeLine("A", 10),), None, 0)

        first = stock.do(take)
        again = stock.do(take)

        self.assertEqual(again, first)
        self.assertEqual(stock.read(inventory.items).items[0].stock, 90)

    def test_anyone_can_change_stock(self) -> None:
        """Stock changes for the operator alone."""
        stock = inventory_group()
        session = stock.log_in_operator()

        self.assertEqual(
            stock.do(ChangeStock("guessed", None, "A", 5)), UNAUTHENTICATED
        )
        stock.do(ChangeStock(session, None, "A", -5))

        self.assertEqual(stock.read(inventory.items).items[0].stock, 95)
