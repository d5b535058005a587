"""Orders, from their beginning to their end."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from cartnet.errors import Refused
from cartnet.limits import CART_LINES_MAX, ORDERS_PAGE_BYTES_MAX
from cartnet.shop import carts, orders
from cartnet.shop.answers import (
    Answer,
    Cart,
    CheckoutBegun,
    Nothing,
    Order,
    Orders,
    Refusal,
    ShownLine,
)
from cartnet.shop.commands import (
    AddToCart,
    BeginCheckout,
    Decision,
    FinishCheckout,
    Lapsed,
    OrderLine,
    OutOfStock,
    Shortage,
    TakeLine,
    Taken,
)
from cartnet.shop.group import FORMING
from cartnet.shop.shard import EMPTY_CART, Shard
from tests.shop.feeding import Replica, shard

SHORT = OutOfStock((Shortage("B", 2, 1),))


class OrderCase(SynchronousTestCase):
    """A shard with a user who checks out."""

    def setUp(self) -> None:
        self.group = shard()
        self.session = self.group.log_in("ada")

    def begin(self, session: str | None = None) -> CheckoutBegun:
        """Put two lines into the cart and begin a checkout."""
        session = session or self.session
        self.group.do(AddToCart(session, None, "B", 2))
        self.group.do(AddToCart(session, None, "A", 1))
        begun = self.group.do(BeginCheckout(session, None, 600))
        assert isinstance(begun, CheckoutBegun)
        return begun

    def taken(self, begun: CheckoutBegun) -> Taken:
        lines = tuple(
            OrderLine(line.item, f"Item {line.item}", line.quantity, 200)
            for line in begun.lines
        )
        total = sum(line.quantity * line.price for line in lines)
        return Taken(lines, total, self.group.time + 5)

    def finish(self, begun: CheckoutBegun, decision: Decision | None = None) -> Answer:
        decision = decision or self.taken(begun)
        return self.group.do(FinishCheckout(begun.order, decision))

    def find(self, order: str, username: str = "ada") -> Order | None:
        return self.group.read(lambda c: orders.find(c, username, order))

    def page(self, limit: int = 100, before: str | None = None) -> Orders:
        return self.group.read(lambda c: orders.listing(c, "ada", limit, before))

    def pending(self) -> tuple[CheckoutBegun, ...]:
        return self.group.read(orders.pending)


class OrderTests(OrderCase):
    """Checkouts as a shard sees them."""

    def test_begin(self) -> None:
        """A checkout begins with a pending order of the cart's lines, in that order."""
        begun = self.begin()

        self.assertEqual(
            begun,
            CheckoutBegun(
                f"feed-{self.group.index}",
                self.group.index,
                (TakeLine("B", 2), TakeLine("A", 1)),
                600,
            ),
        )
        self.assertEqual(self.pending(), (begun,))
        shown = Order(
            begun.order,
            "pending",
            (ShownLine("B", None, 2, None), ShownLine("A", None, 1, None)),
            None,
            None,
        )
        self.assertEqual(self.find(begun.order), shown)
        self.assertEqual(self.page(), Orders((shown,), None))

    def test_empty_cart(self) -> None:
        """There is nothing to check out in an empty cart."""
        self.assertEqual(
            self.group.do(BeginCheckout(self.session, None, None)), EMPTY_CART
        )
        self.assertEqual(self.pending(), ())

    def test_placed(self) -> None:
        """A taken order is placed as it was taken, and its cart is empty again."""
        begun = self.begin()

        answer = self.finish(begun)

        expected = Order(
            begun.order,
            "placed",
            (ShownLine("B", "Item B", 2, 200), ShownLine("A", "Item A", 1, 200)),
            600,
            self.group.time + 5,
        )
        self.assertEqual(answer, expected)
        self.assertEqual(self.find(begun.order), expected)
        self.assertEqual(self.pending(), ())
        cart = self.group.read(lambda c: carts.read(c, "ada"))
        self.assertEqual(cart, Cart(3, (), None))

    def test_refused(self) -> None:
        """A refused checkout leaves no order, and the cart as it was (S8)."""
        before = None
        for decision, code in ((SHORT, "out_of_stock"), (Lapsed(), "conflict")):
            begun = self.begin()
            before = self.group.read(lambda c: carts.read(c, "ada"))

            answer = self.finish(begun, decision)

            assert isinstance(answer, Refusal)
            self.assertEqual(answer.code, code)
            self.assertIsNone(self.find(begun.order))
            self.assertEqual(self.page(), Orders((), None))
            self.assertEqual(self.pending(), ())
            after = self.group.read(lambda c: carts.read(c, "ada"))
            self.assertEqual(after, Cart(before.version, before.items, None))

    def test_finished_before(self) -> None:
        """Finishing what is finished does nothing: it is what it is."""
        placed = self.begin()
        order = self.finish(placed)
        refused = self.begin()
        self.finish(refused, SHORT)
        before = self.group.replica.tables()

        self.assertEqual(self.finish(placed, SHORT), order)
        self.assertEqual(self.finish(refused), Nothing())
        self.assertEqual(self.group.do(FinishCheckout("feed-999", SHORT)), Nothing())
        self.assertEqual(self.group.do(FinishCheckout("odd", SHORT)), Nothing())
        self.assertEqual(self.group.replica.tables(), before)

    def test_other_lines_than_ordered(self) -> None:
        """An order is never placed with other lines than were taken for it."""
        begun = self.begin()
        other = Taken((OrderLine("A", "Item A", 1, 200),), 200, self.group.time)

        self.assertRaises(AssertionError, self.finish, begun, other)

    def test_find_is_private(self) -> None:
        """An order is there for its user alone."""
        begun = self.begin()
        self.group.log_in("bob")

        self.assertIsNotNone(self.find(begun.order))
        self.assertIsNone(self.find(begun.order, "bob"))

    def test_find_other_ids(self) -> None:
        """What is no order's id finds none, whatever it looks like."""
        index = self.begin().index
        for order in (
            "",
            "feed",
            str(index),
            f"-{index}",
            f"other-{index}",
            f"feed-0{index}",
            f"feed-{index} ",
            "feed-²",
            "feed-" + "9" * 18,
            "feed-" + "9" * 40,
            f"feed-{index}-{index}",
        ):
            self.assertIsNone(self.find(order), order)

    def test_finished_index(self) -> None:
        """Everything up to the oldest pending order is finished, refused ones too."""
        finished = []
        self.assertEqual(self.group.read(orders.finished_index), 0)
        first = self.begin()
        second = self.begin(self.group.log_in("bob"))
        for begun in (second, first):
            finished.append(self.group.read(orders.finished_index))
            self.finish(begun, SHORT)
        finished.append(self.group.read(orders.finished_index))

        self.assertEqual(finished, [first.index - 1, first.index - 1, second.index])

    def test_before_the_group_is_founded(self) -> None:
        """An order needs the group's id; without it nothing is begun or remembered."""
        group = self.group
        group.replica, log = Replica("shard"), group.log[1:]
        for index, payload in log:
            group.replica.machine.apply(group.replica.cursor, index, payload)
        group.do(AddToCart(self.session, None, "A", 1))

        answer = group.do(BeginCheckout(self.session, "k", None))

        assert isinstance(group.replica.machine, Shard)
        self.assertEqual(answer, FORMING)
        self.assertEqual(group.replica.rows("orders"), [])
        self.assertEqual(group.replica.rows("remembered_keys"), [])


class ListingTests(OrderCase):
    """A user's orders, page by page."""

    def ids(self, page: Orders) -> list[str]:
        return [order.id for order in page.orders]

    def test_newest_first(self) -> None:
        """Pages go from the newest order to the oldest, and the last one says so."""
        begun = []
        for _ in range(5):
            begun.append(self.begin())
            self.finish(begun[-1])
            self.finish(self.begin(self.group.log_in("bob")))
        newest_first = [order.order for order in reversed(begun)]

        first = self.page(2)
        second = self.page(2, first.next)
        third = self.page(2, second.next)

        self.assertEqual(self.ids(first), newest_first[:2])
        self.assertEqual(self.ids(second), newest_first[2:4])
        self.assertEqual(self.ids(third), newest_first[4:])
        self.assertEqual(third.next, None)
        self.assertEqual(self.page(5).next, None)
        self.assertEqual(self.page(4).next, newest_first[3])

    def test_goes_on_after_a_refused_one(self) -> None:
        """A page may begin after an order that has been refused meanwhile."""
        placed = self.begin()
        self.finish(placed)
        refused = self.begin()
        page = self.page(1)
        self.assertEqual(page.next, refused.order)
        self.finish(refused, SHORT)

        self.assertEqual(self.ids(self.page(1, page.next)), [placed.order])

    def test_before_what(self) -> None:
        """Orders cannot be listed from what is no order's id here."""
        self.finish(self.begin())
        for before in ("", "odd", "feed-", "other-9"):
            with self.assertRaises(Refused) as caught:
                self.page(1, before)
            self.assertEqual(caught.exception.code, "not_found")

    def test_a_page_fits_a_line(self) -> None:
        """A page ends where the next order would be too much for a line."""
        lines = [(f"{number:032}", 1_000_000) for number in range(CART_LINES_MAX)]
        begun = 0
        for _ in range(45):
            for item, quantity in lines:
                self.group.do(AddToCart(self.session, None, item, quantity))
            order = self.group.do(BeginCheckout(self.session, None, None))
            assert isinstance(order, CheckoutBegun)
            taken = Taken(
                tuple(
                    OrderLine(item, "€" * 50, quantity, 10_000_000)
                    for item, quantity in lines
                ),
                10**15,
                self.group.time,
            )
            self.finish(order, taken)
            begun += 1

        seen = 0
        before = None
        pages = 0
        while True:
            page = self.page(1_000, before)
            self.assertLess(len(msgspec.json.encode(page)), ORDERS_PAGE_BYTES_MAX + 64)
            seen += len(page.orders)
            pages += 1
            before = page.next
            if before is None:
                break

        self.assertEqual(seen, begun)
        self.assertGreater(pages, 1)
