"""Clients that do not give up, and know afterwards what must be true."""

from __future__ import annotations

import abc
import contextlib
import itertools
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from tests.system.customers import PASSWORD, Customer
from tests.system.lines import Refused
from tests.system.waiting import eventually

PATIENCE_SECONDS = 15.0
"""A balancer that was isolated never answers what it has lost: ask another one."""


class Client(threading.Thread, abc.ABC):
    """Does one thing after the other until it is told to finish."""

    def __init__(self, customer: Customer) -> None:
        super().__init__(name=customer.user)
        self.customer = customer
        self.enough = threading.Event()
        self._failure: BaseException | None = None

    def run(self) -> None:
        try:
            with self.customer:
                self.begin()
                for number in itertools.count(1):
                    if self.enough.is_set():
                        break
                    self.step(number)
        except BaseException as failure:
            self._failure = failure

    def begin(self) -> None:
        """Do what comes before the first step."""

    @abc.abstractmethod
    def step(self, number: int) -> None:
        """Do one thing; steps are numbered from 1."""

    @abc.abstractmethod
    def progress(self) -> tuple[int, ...]:
        """Counts that all grow while it gets on."""

    def finish(self) -> None:
        """Stop after the call in hand."""
        self.enough.set()
        self.join()

    def check(self) -> None:
        """Raise what ended it before its time."""
        if self._failure is not None:
            raise self._failure


class Shopper(Client):
    """Adds one unit at a time, checks out now and then, logs out and in at times.

    Every acknowledged unit is afterwards in an order or in the cart, once.

    :ivar units: adds that were acknowledged.
    :ivar orders: orders that were acknowledged, by id.
    :ivar ended: sessions whose end was acknowledged.
    """

    CHECKOUT_STEPS = 10
    SESSION_STEPS = 55

    def __init__(self, customer: Customer, item: str) -> None:
        super().__init__(customer)
        self.units = 0
        self.orders: dict[str, dict[str, Any]] = {}
        self.ended: list[str] = []
        self._item = item

    def begin(self) -> None:
        self.customer.enter()

    def step(self, number: int) -> None:
        if number % self.CHECKOUT_STEPS == 0 and self.units:
            order = self.customer.call("checkout")
            self.orders[order["id"]] = order
        elif number % self.SESSION_STEPS == 0:
            session = self.customer.session
            self.customer.log_out()
            self.ended.append(session)
            self.customer.log_in()
        else:
            self.customer.call("add_to_cart", {"item": self._item, "quantity": 1})
            self.units += 1

    def progress(self) -> tuple[int, ...]:
        return self.units, len(self.orders)

    def verify(self) -> int:
        """Check that all that was acknowledged is there, once; return units ordered."""
        self.check()
        with self.customer as customer:
            assert customer.call("whoami")["user"] == customer.user
            cart = customer.call("get_cart")
            orders = customer.orders()
            for session in self.ended:
                assert is_over(customer, session), (customer.user, "logged out")
        in_cart = sum(each["quantity"] for each in cart["items"])
        ordered: int = sum(each["quantity"] for o in orders for each in o["lines"])
        assert in_cart + ordered == self.units, (in_cart, ordered, self.units)
        assert all(order["status"] == "placed" for order in orders), orders
        assert {order["id"]: order for order in orders} == self.orders
        assert len(orders) == len(self.orders)
        return ordered


def is_over(customer: Customer, session: str) -> bool:
    """Whether a session is refused."""
    try:
        customer.call("whoami", session=session)
    except Refused as refused:
        return refused.code == "unauthenticated"
    return False


class Crowd:
    """Shoppers that all buy one item, which nobody else buys."""

    ITEM = "crowded"
    STOCK = 1_000_000

    def __init__(self, balancers: Sequence[str], operator_password: str) -> None:
        self._balancers = balancers
        self._operator_password = operator_password
        self.shoppers: list[Shopper] = []

    @property
    def clients(self) -> Sequence[Client]:
        """Everybody who is there."""
        return self.shoppers

    def customer(self, user: str, password: str = PASSWORD) -> Customer:
        """Somebody who has not logged in yet."""
        return Customer(user, self._balancers, password, PATIENCE_SECONDS)

    def open(self, count: int) -> None:
        """Put the item into the inventory and let ``count`` shoppers in."""
        with self.operator() as operator:
            item = {"item": self.ITEM, "name": "Crowded", "price": 5}
            operator.call("put_item", {**item, "stock": self.STOCK})
        self.shoppers = [
            Shopper(self.customer(f"shopper{n}"), self.ITEM) for n in range(count)
        ]
        for client in self.clients:
            client.start()

    def shop_on(self) -> None:
        """Wait until everybody has got more of everything acknowledged."""
        before = self._progress()

        def all_went_on() -> bool:
            return all(
                now > then
                for many_now, many_then in zip(self._progress(), before, strict=True)
                for now, then in zip(many_now, many_then, strict=True)
            )

        eventually(all_went_on, "everybody gets on")

    def _progress(self) -> list[tuple[int, ...]]:
        for client in self.clients:
            client.check()
        return [client.progress() for client in self.clients]

    def close(self) -> None:
        """See everybody out."""
        for client in self.clients:
            client.enough.set()
        for client in self.clients:
            client.finish()

    def verify(self) -> None:
        """Check that nothing was lost or done twice, and that stock is conserved."""
        self.close()
        ordered = sum(shopper.verify() for shopper in self.shoppers)
        with self.operator() as operator:
            items = operator.call("get_inventory")["items"]
        stock = {item["id"]: item["stock"] for item in items}
        assert ordered > 0
        brought = self.STOCK + self.restocked()
        assert stock[self.ITEM] + ordered == brought, (stock, ordered, brought)

    def restocked(self) -> int:
        """How many units of the item were put into the inventory since the start."""
        return 0

    @contextlib.contextmanager
    def operator(self) -> Iterator[Customer]:
        """The operator, logged in."""
        with self.customer("operator", self._operator_password) as operator:
            operator.log_in()
            yield operator
