"""Answers once per key (S6)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from cartnet.limits import (
    KEY_SECONDS_MAX,
    KEYS_FORGOTTEN_AT_ONCE_MAX,
    KEYS_PER_USER_MAX,
    QUANTITY_MAX,
)
from cartnet.shop import carts, shard
from cartnet.shop.accounts import UNAUTHENTICATED
from cartnet.shop.answers import Answer, Cart, CartLine, Frozen, Order, Refusal
from cartnet.shop.carts import QUANTITY_TOO_LARGE
from cartnet.shop.commands import (
    AddToCart,
    BeginCheckout,
    FinishCheckout,
    OrderLine,
    OutOfStock,
    PriceChanged,
    RemoveFromCart,
    SetQuantity,
    Shortage,
    Taken,
)
from cartnet.shop.keys import CONFLICT
from cartnet.shop.shard import EMPTY_CART, UNKNOWN_ITEM
from tests.shop.feeding import shard as shard_group

TAKEN = Taken((OrderLine("A", "Item A", 1, 100),), 100, 1_700_000_000)


class KeyTests(SynchronousTestCase):
    """The same user, key, call and arguments have one effect."""

    def setUp(self) -> None:
        self.group = shard_group()
        self.session = self.group.log_in("ada")

    def add(self, key: str | None, item: str = "A", quantity: int = 1) -> Answer:
        return self.group.do(AddToCart(self.session, key, item, quantity))

    def begin(self, key: str | None, expected_total: int | None = None) -> Answer:
        return self.group.do(BeginCheckout(self.session, key, expected_total))

    def quantity(self, item: str = "A") -> int:
        cart = self.group.read(lambda c: carts.read(c, "ada"))
        return {line.item: line.quantity for line in cart.items}.get(item, 0)

    def test_repeated_add(self) -> None:
        """A repeated add adds nothing, and answers with the cart as it is now."""
        self.add("k1")
        self.add("k2", "B")

        answer = self.add("k1")

        self.assertEqual(answer, Cart(2, (CartLine("A", 1), CartLine("B", 1)), None))

    def test_without_key(self) -> None:
        """What has no key is done as often as it is asked."""
        self.add(None)
        self.add(None)

        self.assertEqual(self.quantity(), 2)
        self.assertEqual(self.group.replica.rows("remembered_keys"), [])

    def test_other_use(self) -> None:
        """A key that was used for something else is a conflict, and does nothing."""
        self.add("k", "A", 1)

        self.assertEqual(self.add("k", "A", 2), CONFLICT)
        self.assertEqual(self.add("k", "B", 1), CONFLICT)
        for other in (
            SetQuantity(self.session, "k", "A", 1),
            RemoveFromCart(self.session, "k", "A"),
            BeginCheckout(self.session, "k", None),
        ):
            self.assertEqual(self.group.do(other), CONFLICT)
        self.assertEqual(self.quantity(), 1)
        self.assertIsInstance(self.add("k", "A", 1), Cart)

    def test_keys_are_the_users(self) -> None:
        """Two users may use the same key."""
        other = self.group.log_in("bob")
        self.add("k", "A", 1)

        answer = self.group.do(AddToCart(other, "k", "B", 2))

        self.assertEqual(answer, Cart(1, (CartLine("B", 2),), None))

    def test_keys_outlive_the_session(self) -> None:
        """A key belongs to the user, whatever session it came by."""
        self.add("k")
        self.group.log_in("ada", "next-session")

        self.group.do(AddToCart("next-session", "k", "A", 1))

        self.assertEqual(self.quantity(), 1)

    def test_session_comes_first(self) -> None:
        """A remembered key tells nothing to whoever is not logged in."""
        self.add("k")

        answer = self.group.do(AddToCart("another", "k", "A", 1))

        self.assertEqual(answer, UNAUTHENTICATED)

    def test_refusals_are_remembered(self) -> None:
        """What the log refused stays refused under its key, though it would do now."""
        self.add(None, "A", QUANTITY_MAX)
        self.assertEqual(self.add("k1"), QUANTITY_TOO_LARGE)
        unknown = AddToCart(self.session, "k2", "B", 1, unknown_item=True)
        self.assertEqual(self.group.do(unknown), UNKNOWN_ITEM)
        self.group.do(RemoveFromCart(self.session, None, "A"))
        self.assertEqual(self.begin("k3"), EMPTY_CART)

        self.assertEqual(self.add("k1"), QUANTITY_TOO_LARGE)
        self.assertEqual(self.add("k2", "B", 1), UNKNOWN_ITEM)
        self.add(None)
        self.assertEqual(self.begin("k3"), EMPTY_CART)
        self.assertEqual(self.quantity("B"), 0)

    def test_remembered_before_catalogue(self) -> None:
        """An item that has left the catalogue since does not change a key's answer."""
        self.add("k")

        again = AddToCart(self.session, "k", "A", 1, unknown_item=True)

        self.assertEqual(self.group.do(again), Cart(1, (CartLine("A", 1),), None))

    def test_remembered_before_frozen(self) -> None:
        """A frozen cart does not keep a remembered key waiting."""
        self.add("k")
        begun = self.begin("checkout")

        answer = self.add("k")

        self.assertEqual(answer, Cart(1, (CartLine("A", 1),), begun.order))

    def test_meeting_a_frozen_cart_is_not_remembered(self) -> None:
        """The same key is done once the cart has thawed."""
        self.add(None)
        begun = self.begin("checkout")
        self.assertEqual(self.add("k"), Frozen(begun.order))
        self.group.do(FinishCheckout(begun.order, TAKEN))

        answer = self.add("k")

        self.assertEqual(answer, Cart(3, (CartLine("A", 1),), None))

    def test_repeated_checkout(self) -> None:
        """A repeated checkout is the same order, undecided and placed."""
        self.add(None)
        begun = self.begin("k", 100)

        self.assertEqual(self.begin("k", 100), begun)
        self.assertEqual(self.begin("k", 101), CONFLICT)
        self.assertEqual(self.begin("k2", 100), Frozen(begun.order))
        placed = self.group.do(FinishCheckout(begun.order, TAKEN))
        self.add(None)
        again = self.begin("k", 100)

        assert isinstance(placed, Order)
        self.assertEqual(again, placed)
        self.assertEqual(self.quantity(), 1)

    def test_refused_checkout(self) -> None:
        """A checkout that the inventory refused stays refused under its key."""
        decisions = (
            OutOfStock((Shortage("A", 1, 0),)),
            PriceChanged(100, (OrderLine("A", "Item A", 1, 100),)),
        )
        self.add(None)
        for number, decision in enumerate(decisions):
            begun = self.begin(f"k{number}")
            refused = self.group.do(FinishCheckout(begun.order, decision))

            assert isinstance(refused, Refusal)
            self.assertEqual(self.begin(f"k{number}"), refused)

        self.assertEqual(
            self.begin("k0").details,
            {"shortages": [{"item": "A", "wanted": 1, "stock": 0}]},
        )
        self.assertEqual(
            self.begin("k1").details,
            {
                "total": 100,
                "lines": [{"item": "A", "name": "Item A", "quantity": 1, "price": 100}],
            },
        )

    def test_read_ahead(self) -> None:
        """Whether a key is remembered can be asked without the log."""
        self.add("k")
        before = self.group.replica.tables()

        def ask(command: shard.UserCommand) -> Answer | None:
            return self.group.read(
                lambda c: shard.remembered(c, command, self.group.time)
            )

        self.assertEqual(
            ask(AddToCart(self.session, "k", "A", 1)),
            Cart(1, (CartLine("A", 1),), None),
        )
        self.assertEqual(ask(AddToCart(self.session, "k", "A", 2)), CONFLICT)
        self.assertIsNone(ask(AddToCart(self.session, "new", "A", 1)))
        self.assertIsNone(ask(AddToCart(self.session, None, "A", 1)))
        self.assertEqual(ask(AddToCart("another", "k", "A", 1)), UNAUTHENTICATED)
        self.assertEqual(self.group.replica.tables(), before)


class ForgettingTests(SynchronousTestCase):
    """How long a key is remembered."""

    def setUp(self) -> None:
        self.group = shard_group()
        self.session = self.group.log_in("ada")

    def set_to(self, key: str, quantity: int = 1, session: str = "") -> Answer:
        session = session or self.session
        return self.group.do(SetQuantity(session, key, "A", quantity))

    def test_last_thousand(self) -> None:
        """A user's last keys are remembered, up to the bound, whatever others do."""
        bob = self.group.log_in("bob")
        for number in range(KEYS_PER_USER_MAX):
            self.set_to(f"k{number}")
        self.set_to("of-bob", session=bob)
        self.assertEqual(self.set_to("k0", 2), CONFLICT)

        self.set_to("one-more")

        self.assertEqual(self.set_to("k1", 2), CONFLICT)
        self.assertEqual(self.set_to("of-bob", 2, session=bob), CONFLICT)
        self.assertIsInstance(self.set_to("k0", 2), Cart)
        self.assertEqual(
            len(self.group.replica.rows("remembered_keys")), KEYS_PER_USER_MAX + 1
        )

    def test_a_day(self) -> None:
        """A key is remembered for a day of log time, and not a second longer."""
        self.set_to("k", 1)
        self.group.time += KEY_SECONDS_MAX - 1
        self.assertEqual(self.set_to("k", 2), CONFLICT)

        self.group.time += 1

        self.assertIsInstance(self.set_to("k", 2), Cart)
        self.assertEqual(self.set_to("k", 1), CONFLICT)
        self.assertEqual(len(self.group.replica.rows("remembered_keys")), 1)

    def test_a_key_that_waits_to_be_dropped(self) -> None:
        """A key too old counts as new even while its row is still there."""
        users = 5
        sessions = [self.group.log_in(f"user-{number}") for number in range(users)]
        each = KEYS_PER_USER_MAX - 1
        assert users * each > KEYS_FORGOTTEN_AT_ONCE_MAX
        for session in sessions:
            for number in range(each):
                self.set_to(f"k{number}", session=session)
        self.group.time += KEY_SECONDS_MAX

        answer = self.set_to(f"k{each - 1}", 2, session=sessions[-1])

        self.assertEqual(answer, Cart(2, (CartLine("A", 2),), None))
        left = len(self.group.replica.rows("remembered_keys"))
        self.assertEqual(left, users * each - KEYS_FORGOTTEN_AT_ONCE_MAX)
        self.group.time += 1
        self.set_to("last")
        self.assertEqual(len(self.group.replica.rows("remembered_keys")), 2)
