"""Totals, and lists of orders."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from cartnet.workload import orders
from cartnet.workload.findings import Incorrect, Tally
from cartnet.workload.history import History


def order(number: int, **changed: Any) -> dict[str, Any]:
    return {"id": f"s-{number}", "status": "placed", "total": number, **changed}


PENDING = order(3, status="pending", total=None)


class OrdersTests(SynchronousTestCase):
    """What one user's lists may show; each thing is done after the other."""

    def setUp(self) -> None:
        self.history = History()
        for number in (1, 2):
            self.did("checkout", order(number))

    def did(self, call: str, answer: Any, *, stale: bool = False, **args: Any) -> None:
        operation = self.history.begin("ann", call, args, None)
        operation.answer, operation.stale = answer, stale
        self.history.end(operation, "ok")

    def listed(self, *found: dict[str, Any], stale: bool = False) -> None:
        self.did("list_orders", {"orders": [*found], "next": None}, stale=stale)

    def check(self) -> None:
        orders.check(self.history, Tally())

    def assert_incorrect(self, what: str) -> None:
        self.assertRaisesRegex(Incorrect, what, self.check)

    def test_right(self) -> None:
        """Newest first, with one that is pending, and may be refused; an old list may
        lack what is new."""
        self.listed(PENDING, order(2), order(1))
        self.listed(order(2), order(1))
        self.listed(order(1), stale=True)

        self.check()

    def test_lost(self) -> None:
        """An order that was acknowledged is in every list that is asked for later."""
        self.listed(order(1))

        self.assert_incorrect("lacks .*s-2")

    def test_not_listed_again(self) -> None:
        """What one list has shown is in the next, though nobody was told of it."""
        self.listed(order(3), order(2), order(1))
        self.listed(order(2), order(1))

        self.assert_incorrect("lacks .*s-3")

    def test_oldest_first(self) -> None:
        """An order stands above those that were placed before it was asked for."""
        self.listed(order(1), order(2), stale=True)

        self.assert_incorrect("begins with the newest")

    def test_twice(self) -> None:
        """An order is in a list once."""
        self.listed(order(2), order(2), order(1))

        self.assert_incorrect("each order once")

    def test_changed(self) -> None:
        """What is placed stays as it is, in old lists too."""
        self.listed(order(1, total=7), stale=True)

        self.assert_incorrect("never changes")

    def test_total(self) -> None:
        """What came of a checkout has the total that it named, if it named one (O3)."""
        checkout = self.history.begin("ann", "checkout", {"expected_total": 5}, None)
        orders.check_total(self.history.operations[0], 6, Tally())
        orders.check_total(checkout, 5, Tally())

        with self.assertRaisesRegex(Incorrect, "O3 .* taken at 6"):
            orders.check_total(checkout, 6, Tally())
