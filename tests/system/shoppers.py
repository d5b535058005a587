"""Clients that do not give up, and know afterwards what must be true."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

from tests.system.lines import Line, Lost, Refused
from tests.system.waiting import eventually

PASSWORD = "correct horse battery"
RETRY_SECONDS = 0.02
GIVE_UP_SECONDS = 120.0

TRANSIENT = frozenset(
    {"timeout", "internal", "unavailable", "overloaded", "not_leader", "rate_limited"}
)
"""After these a careful client asks again with the same key."""


class Customer:
    """One user at whichever balancer answers: each write has a key of its own, which
    is asked with until an answer is certain.

    :ivar longest_wait: seconds that one call took at most, all its attempts together.
    """

    def __init__(
        self, user: str, balancers: Sequence[str], password: str = PASSWORD
    ) -> None:
        self.user = user
        self.session = ""
        self.longest_wait = 0.0
        self._password = password
        self._balancers = balancers
        self._line: Line | None = None
        self._numbers = itertools.count()

    def __enter__(self) -> Customer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def enter(self) -> None:
        """Create the account and log in."""
        account = {"username": self.user, "password": self._password}
        self.call("create_account", account)
        self.log_in()

    def log_in(self) -> None:
        account = {"username": self.user, "password": self._password}
        self.session = self.call("login", account)["session"]

    def call(
        self, call: str, args: dict[str, Any] | None = None, **fields: Any
    ) -> dict[str, Any]:
        """Do a call for certain.

        :raises Refused: with what is no passing trouble.
        """
        fields.setdefault("key", f"{call}-{next(self._numbers)}")
        if self.session:
            fields.setdefault("session", self.session)
        began = time.monotonic()
        deadline = began + GIVE_UP_SECONDS
        for balancer in itertools.cycle(self._balancers):
            try:
                if self._line is None:
                    self._line = Line(balancer)
                answer = self._line.call(call, args, **fields)
            except Refused as refused:
                if refused.code not in TRANSIENT or time.monotonic() > deadline:
                    raise
            except Lost:
                self.close()
                if time.monotonic() > deadline:
                    raise
            else:
                waited = time.monotonic() - began
                self.longest_wait = max(self.longest_wait, waited)
                return answer
            time.sleep(RETRY_SECONDS)
        raise AssertionError("there is no end of balancers")

    def orders(self) -> list[dict[str, Any]]:
        """All orders, page after page."""
        orders: list[dict[str, Any]] = []
        before: dict[str, str] = {}
        while True:
            page = self.call("list_orders", {"limit": 1000, **before})
            orders += page["orders"]
            if page["next"] is None:
                return orders
            before = {"before": page["next"]}


class Shopper(threading.Thread):
    """Adds one unit at a time and checks out now and then.

    Every acknowledged unit is afterwards in an order or in the cart, once.

    :ivar units: adds that were acknowledged.
    :ivar orders: orders that were acknowledged, by id.
    """

    def __init__(
        self, user: str, balancers: Sequence[str], item: str, checkout_every: int = 10
    ) -> None:
        super().__init__(name=user)
        self.units = 0
        self.orders: dict[str, dict[str, Any]] = {}
        self._customer = Customer(user, balancers)
        self._item = item
        self._checkout_every = checkout_every
        self._failure: BaseException | None = None
        self._enough = threading.Event()

    def run(self) -> None:
        try:
            with self._customer:
                self._customer.enter()
                for step in itertools.count(1):
                    if self._enough.is_set():
                        break
                    if step % self._checkout_every:
                        args = {"item": self._item, "quantity": 1}
                        self._customer.call("add_to_cart", args)
                        self.units += 1
                    elif self.units:
                        order = self._customer.call("checkout")
                        self.orders[order["id"]] = order
        except BaseException as failure:
            self._failure = failure

    @property
    def longest_wait(self) -> float:
        """Seconds that one call took at most."""
        return self._customer.longest_wait

    def finish(self) -> None:
        """Stop after the call in hand."""
        self._enough.set()
        self.join()

    def check(self) -> None:
        """Raise what ended the shopping before its time."""
        if self._failure is not None:
            raise self._failure

    def verify(self) -> int:
        """Check that all that was acknowledged is there, once; return units ordered."""
        self.check()
        with self._customer as customer:
            customer.log_in()
            cart = customer.call("get_cart")
            orders = customer.orders()
        in_cart = sum(each["quantity"] for each in cart["items"])
        ordered: int = sum(each["quantity"] for o in orders for each in o["lines"])
        assert in_cart + ordered == self.units, (in_cart, ordered, self.units)
        assert all(order["status"] == "placed" for order in orders), orders
        assert {order["id"]: order for order in orders} == self.orders
        assert len(orders) == len(self.orders)
        return ordered


class Crowd:
    """Shoppers that all buy one item, which nobody else buys."""

    ITEM = "crowded"
    STOCK = 1_000_000

    def __init__(self, balancers: Sequence[str], operator_password: str) -> None:
        self._balancers = balancers
        self._operator_password = operator_password
        self.shoppers: list[Shopper] = []

    def open(self, count: int) -> None:
        """Put the item into the inventory and let the shoppers in."""
        with self._operator() as operator:
            item = {"item": self.ITEM, "name": "Crowded", "price": 5}
            operator.call("put_item", {**item, "stock": self.STOCK})
        self.shoppers = [
            Shopper(f"shopper{n}", self._balancers, self.ITEM) for n in range(count)
        ]
        for shopper in self.shoppers:
            shopper.start()

    def shop_on(self) -> None:
        """Wait until everybody has got more units and orders acknowledged."""
        before = self._progress()

        def all_went_on() -> bool:
            return all(
                units > units_before and orders > orders_before
                for (units, orders), (units_before, orders_before) in zip(
                    self._progress(), before, strict=True
                )
            )

        eventually(all_went_on, "everybody shops")

    def _progress(self) -> list[tuple[int, int]]:
        for shopper in self.shoppers:
            shopper.check()
        return [(each.units, len(each.orders)) for each in self.shoppers]

    def close(self) -> None:
        """See everybody out."""
        for shopper in self.shoppers:
            shopper.finish()

    def verify(self) -> None:
        """Check that nothing was lost or done twice, and that stock is conserved."""
        self.close()
        ordered = sum(shopper.verify() for shopper in self.shoppers)
        with self._operator() as operator:
            items = operator.call("get_inventory")["items"]
        stock = {item["id"]: item["stock"] for item in items}
        assert ordered > 0
        assert stock[self.ITEM] + ordered == self.STOCK, (stock, ordered)

    @contextlib.contextmanager
    def _operator(self) -> Iterator[Customer]:
        with Customer("operator", self._balancers, self._operator_password) as operator:
            operator.log_in()
            yield operator
