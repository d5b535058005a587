"""Clients that shop all the time, and know afterwards what must be true."""

from __future__ import annotations

import threading
import time
from typing import Any

from tests.system.lines import Line, Lost, Refused

PASSWORD = "correct horse battery"
RETRY_SECONDS = 0.02
GIVE_UP_SECONDS = 30.0

TRANSIENT = frozenset(
    {"timeout", "internal", "unavailable", "overloaded", "not_leader", "rate_limited"}
)
"""After these a careful client asks again with the same key."""


class Shopper(threading.Thread):
    """Adds one unit at a time and checks out now and then, each under a key of its own.

    Whatever the answer, a key is asked with until an answer is certain. Then every
    acknowledged unit is in an order or in the cart, once.

    :ivar units: adds that were acknowledged.
    :ivar orders: orders that were acknowledged, by id.
    :ivar longest_wait: seconds that one call took at most, retries included.
    """

    def __init__(
        self, user: str, balancers: list[str], item: str, checkout_every: int = 10
    ) -> None:
        super().__init__(name=user)
        self.user = user
        self.units = 0
        self.orders: dict[str, dict[str, Any]] = {}
        self.longest_wait = 0.0
        self.failure: BaseException | None = None
        self._balancers = balancers
        self._item = item
        self._checkout_every = checkout_every
        self._line: Line | None = None
        self._session = ""
        self._enough = threading.Event()

    def run(self) -> None:
        try:
            self._enter()
            step = 0
            while not self._enough.is_set():
                step += 1
                if step % self._checkout_every:
                    args = {"item": self._item, "quantity": 1}
                    self.call("add_to_cart", args, key=f"add-{step}")
                    self.units += 1
                elif self.units:
                    self._check_out(f"order-{step}")
        except BaseException as failure:
            self.failure = failure
        finally:
            if self._line is not None:
                self._line.close()

    def _enter(self) -> None:
        account = {"username": self.user, "password": PASSWORD}
        self.call("create_account", account, key="create")
        self._session = self.call("login", account)["session"]

    def _check_out(self, key: str) -> None:
        try:
            order = self.call("checkout", {}, key=key)
        except Refused as refused:
            if refused.code != "empty_cart":
                raise
        else:
            self.orders[order["id"]] = order

    def finish(self) -> None:
        """Stop, and raise what went wrong."""
        self._enough.set()
        self.join()
        if self.failure is not None:
            raise self.failure

    def call(self, call: str, args: dict[str, Any], **fields: Any) -> dict[str, Any]:
        """Do a call for certain, at whichever balancer answers."""
        if self._session:
            fields["session"] = self._session
        began = time.monotonic()
        attempt = 0
        while True:
            try:
                if self._line is None:
                    self._line = Line(self._balancers[attempt % len(self._balancers)])
                answer = self._line.call(call, args, **fields)
            except Refused as refused:
                if refused.code not in TRANSIENT:
                    raise
                error: Exception = refused
            except Lost as lost:
                self._line, error = None, lost
            else:
                self.longest_wait = max(self.longest_wait, time.monotonic() - began)
                return answer
            if time.monotonic() - began > GIVE_UP_SECONDS:
                raise error
            attempt += 1
            time.sleep(RETRY_SECONDS)

    def verify(self) -> int:
        """Check that all that was acknowledged is there, once; return units ordered."""
        with Line(self._balancers[0]) as line:
            line.call("login", {"username": self.user, "password": PASSWORD})
            cart = line.call("get_cart")
            orders: list[dict[str, Any]] = []
            before: dict[str, str] = {}
            while True:
                page = line.call("list_orders", {"limit": 1000, **before})
                orders += page["orders"]
                if page["next"] is None:
                    break
                before = {"before": page["next"]}
        in_cart = sum(each["quantity"] for each in cart["items"])
        ordered = sum(each["quantity"] for o in orders for each in o["lines"])
        assert in_cart + ordered == self.units, (self.user, in_cart, ordered, self.units)
        assert all(order["status"] == "placed" for order in orders), orders
        by_id = {order["id"]: order for order in orders}
        assert by_id.keys() == self.orders.keys()
        assert by_id == self.orders
        return ordered
