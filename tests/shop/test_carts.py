"""Carts."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from cartnet.limits import CART_LINES_MAX, QUANTITY_MAX, SESSION_SECONDS_MAX
from cartnet.shop import carts
from cartnet.shop.accounts import UNAUTHENTICATED
from cartnet.shop.answers import Cart, CartLine, Frozen, Refusal
from cartnet.shop.carts import LINES_TOO_MANY, QUANTITY_TOO_LARGE
from cartnet.shop.commands import (
    AddToCart,
    BeginCheckout,
    RemoveFromCart,
    SetQuantity,
)
from cartnet.shop.shard import UNKNOWN_ITEM
from tests.shop.feeding import Group, shard


def cart_of(group: Group, username: str) -> Cart:
    return group.read(lambda c: carts.read(c, username))


class CartTests(SynchronousTestCase):
    """What a user has in the cart."""

    def setUp(self) -> None:
        self.group = shard()
        self.session = self.group.log_in("ada")

    def add(self, item: str, quantity: int) -> object:
        return self.group.do(AddToCart(self.session, None, item, quantity))

    def test_never_used(self) -> None:
        """A cart that nobody wrote to is empty."""
        self.assertEqual(cart_of(self.group, "ada"), Cart(0, (), None))

    def test_accumulates_in_the_order_added(self) -> None:
        """Adding what is there adds up; lines keep their places until they go."""
        self.add("B", 1)
        self.add("A", 2)
        answer = self.add("B", 3)

        expected = Cart(3, (CartLine("B", 4), CartLine("A", 2)), None)
        self.assertEqual(answer, expected)
        self.assertEqual(cart_of(self.group, "ada"), expected)

        self.group.do(RemoveFromCart(self.session, None, "B"))
        answer = self.add("B", 1)

        self.assertEqual(answer, Cart(5, (CartLine("A", 2), CartLine("B", 1)), None))

    def test_set_quantity(self) -> None:
        """A quantity is set, made where it was none, and 0 takes the line out."""
        made = self.group.do(SetQuantity(self.session, None, "A", 5))
        lowered = self.group.do(SetQuantity(self.session, None, "A", 2))
        gone = self.group.do(SetQuantity(self.session, None, "A", 0))
        still_gone = self.group.do(SetQuantity(self.session, None, "A", 0))

        self.assertEqual(made, Cart(1, (CartLine("A", 5),), None))
        self.assertEqual(lowered, Cart(2, (CartLine("A", 2),), None))
        self.assertEqual(gone, Cart(3, (), None))
        self.assertEqual(still_gone, gone)

    def test_quantity_bound(self) -> None:
        """A line cannot add up past the bound, and stays as it was."""
        self.add("A", QUANTITY_MAX - 1)
        self.add("A", 1)

        answer = self.add("A", 1)

        self.assertEqual(answer, QUANTITY_TOO_LARGE)
        self.assertEqual(
            cart_of(self.group, "ada").items, (CartLine("A", QUANTITY_MAX),)
        )

    def test_lines_bound(self) -> None:
        """A full cart takes no other item, but more of those it has."""
        for number in range(CART_LINES_MAX):
            self.add(f"item-{number}", 1)

        self.assertEqual(self.add("one-more", 1), LINES_TOO_MANY)
        self.assertIsInstance(self.add("item-7", 1), Cart)
        self.group.do(RemoveFromCart(self.session, None, "item-3"))
        self.assertIsInstance(self.add("one-more", 1), Cart)
        self.assertEqual(len(cart_of(self.group, "ada").items), CART_LINES_MAX)

    def test_unknown_item(self) -> None:
        """What no catalogue has cannot be put in, but can be taken out."""
        self.add("A", 1)
        unknown = AddToCart(self.session, None, "A", 1, unknown_item=True)
        raised = SetQuantity(self.session, None, "A", 9, unknown_item=True)
        removed = SetQuantity(self.session, None, "A", 0, unknown_item=True)

        self.assertEqual(self.group.do(unknown), UNKNOWN_ITEM)
        self.assertEqual(self.group.do(raised), UNKNOWN_ITEM)
        self.assertEqual(self.group.do(removed), Cart(2, (), None))

    def test_frozen(self) -> None:
        """While a checkout is undecided the cart is read as it was, and not written."""
        self.add("A", 1)
        before = cart_of(self.group, "ada")

        begun = self.group.do(BeginCheckout(self.session, None, None))
        order = f"feed-{self.group.index}"

        frozen = Cart(before.version, before.items, order)
        self.assertEqual(begun.order, order)
        self.assertEqual(self.add("A", 1), Frozen(order))
        self.assertEqual(
            self.group.do(SetQuantity(self.session, None, "A", 0)), Frozen(order)
        )
        self.assertEqual(
            self.group.do(RemoveFromCart(self.session, None, "A")), Frozen(order)
        )
        self.assertEqual(
            self.group.do(BeginCheckout(self.session, None, None)), Frozen(order)
        )
        self.assertEqual(cart_of(self.group, "ada"), frozen)

    def test_unknown_session(self) -> None:
        """Without a session nothing is looked at or done."""
        answer = self.group.do(AddToCart("another", None, "A", 1))

        self.assertEqual(answer, UNAUTHENTICATED)
        assert isinstance(answer, Refusal)
        self.assertEqual(answer.refused().code, "unauthenticated")

    def test_carts_are_apart(self) -> None:
        """One user's cart is no other's."""
        other = self.group.log_in("bob")
        self.add("A", 1)

        self.group.do(AddToCart(other, None, "B", 2))

        self.assertEqual(cart_of(self.group, "ada").items, (CartLine("A", 1),))
        self.assertEqual(cart_of(self.group, "bob").items, (CartLine("B", 2),))


class StatesTests(SynchronousTestCase):
    """Whose cart a session's is, and in which state."""

    def setUp(self) -> None:
        self.group = shard()

    def states(self, *sessions: str) -> dict[str, carts.State]:
        now = self.group.time
        return self.group.read(lambda c: carts.states(c, sessions, now))

    def test_states(self) -> None:
        """Every session that stands has one: that of its user's cart."""
        ada, bob = self.group.log_in("ada"), self.group.log_in("bob")
        self.group.do(AddToCart(ada, None, "A", 2))
        self.assertEqual(
            self.states(ada, bob, "unknown"),
            {ada: carts.State("ada", 1, None), bob: carts.State("bob", 0, None)},
        )

        self.group.do(BeginCheckout(ada, None, None))

        ((_, version, pending),) = self.states(ada).values()
        self.assertEqual((version, pending), (1, cart_of(self.group, "ada").pending))
        self.assertIsNotNone(pending)

    def test_many(self) -> None:
        """However many sessions there are, all are looked at."""
        ada = self.group.log_in("ada")
        made_up = [f"made-up-{at}" for at in range(1_200)]

        self.assertEqual(list(self.states(*made_up, ada)), [ada])

    def test_ended(self) -> None:
        """A session that is over by the clock has none."""
        ada = self.group.log_in("ada")
        self.group.time += SESSION_SECONDS_MAX

        self.assertEqual(self.states(ada), {})
