"""Who shops, registers and restocks while the storm blows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from typing_extensions import override

from tests.system.clusters import Cluster
from tests.system.customers import PASSWORD, Customer
from tests.system.shoppers import Client, Crowd, is_over
from tests.system.storm.attempts import Record, Watched

RESTOCKED_MAX: Final = 20
"""Units that the operator brings or takes away at once."""

OPERATOR_PAUSE_SECONDS: Final = 0.05
GUEST_PAUSE_SECONDS: Final = 1.0
"""Between two accounts: each costs a password's hash, and a little time in the end; and
off loopback no more than 30 a minute are taken from one address."""

OFFER: Final = "offer"
OFFERED: Final = 1_000
"""An item whose price changes all the time; its stock is set to so much each time."""


@dataclass(frozen=True)
class Guest:
    """A fresh account, and what its owner left behind.

    :ivar order: as it was acknowledged; one more unit is in the cart.
    :ivar stays: the session goes on.
    """

    user: str
    session: str
    order: dict[str, Any]
    stays: bool


class Guests(Client):
    """Register one after the other, buy one unit, put another into the cart, and log
    out or not.

    :ivar guests: those who are through.
    """

    def __init__(self, market: Market) -> None:
        super().__init__(market.customer("guest0"))
        self.guests: list[Guest] = []
        self._market = market

    @override
    def step(self, number: int) -> None:
        stays = number % 2 == 0
        with self._market.customer(f"guest{number}") as guest:
            guest.enter()
            session = guest.session
            unit = {"item": OFFER, "quantity": 1}
            guest.call("add_to_cart", unit)
            order = guest.call("checkout")
            guest.call("add_to_cart", unit)
            if not stays:
                guest.log_out()
        self.guests.append(Guest(guest.user, session, order, stays))
        self.enough.wait(GUEST_PAUSE_SECONDS)

    @override
    def progress(self) -> tuple[int, ...]:
        return (len(self.guests),)

    def verify(self, prices: set[int]) -> None:
        """Check that every account, session, order and cart is as it was left.

        :param prices: what the item may have cost.
        """
        self.check()
        for guest in self.guests:
            with self._market.customer(guest.user) as customer:
                if guest.stays:
                    customer.session = guest.session
                else:
                    assert is_over(customer, guest.session), guest
                    customer.log_in()
                assert customer.call("whoami")["user"] == guest.user
                assert customer.orders() == [guest.order], guest
                (line,) = customer.call("get_cart")["items"]
            assert (line["item"], line["quantity"]) == (OFFER, 1), (guest, line)
            assert guest.order["status"] == "placed", guest
            assert guest.order["total"] in prices, guest


class Operator(Client):
    """Brings and takes away stock, sets a price, and logs out and in at times.

    :ivar restocked: units brought less units taken away, as acknowledged.
    :ivar prices: every price that was ever asked for, the last one last.
    """

    SESSION_STEPS: Final = 100

    def __init__(self, customer: Customer, random: Random) -> None:
        super().__init__(customer)
        self.restocked = 0
        self.changes = 0
        self.prices = [1]
        self._random = random

    @override
    def begin(self) -> None:
        self.customer.log_in()
        self._offer()

    @override
    def step(self, number: int) -> None:
        if number % self.SESSION_STEPS == 0:
            self.customer.log_out()
            self.customer.log_in()
        elif number % 2:
            self._restock()
        else:
            self._offer()
        self.enough.wait(OPERATOR_PAUSE_SECONDS)

    def _restock(self) -> None:
        change = self._random.randint(1, RESTOCKED_MAX) * self._random.choice((-1, 1))
        args = {"item": Crowd.ITEM, "quantity_change": change}
        self.customer.call("update_inventory", args)
        self.restocked += change
        self.changes += 1

    def _offer(self) -> None:
        self.prices.append(self.prices[-1] + 1)
        item = {"item": OFFER, "name": "Offer", "price": self.prices[-1]}
        self.customer.call("put_item", {**item, "stock": OFFERED})

    @override
    def progress(self) -> tuple[int, ...]:
        return self.changes, len(self.prices)


class Market(Crowd):
    """A crowd with guests and an operator, each at a balancer of their own liking.

    :param entrances: where they find the balancers: their names by address.
    """

    def __init__(
        self,
        cluster: Cluster,
        entrances: Mapping[str, str],
        record: Record,
        random: Random,
    ) -> None:
        self._names = entrances
        super().__init__(list(self._names), cluster.operator_password())
        self._shards = frozenset(cluster.groups) - {"lb", "it"}
        self._record = record
        self._random = random
        manager = self.customer("operator", self._operator_password)
        self._manager = Operator(manager, Random(random.random()))
        self._guests = Guests(self)

    @property
    @override
    def clients(self) -> Sequence[Client]:
        return [self._manager, *self.shoppers, self._guests]

    @property
    def guests(self) -> int:
        """How many accounts were registered by guests."""
        return len(self._guests.guests)

    @property
    def operations(self) -> int:
        """How many changes of the operator were acknowledged."""
        return sum(self._manager.progress())

    @override
    def customer(self, user: str, password: str = PASSWORD) -> Customer:
        names = list(self._names.items())
        self._random.shuffle(names)
        return Watched(user, password, dict(names), self._shards, self._record)

    @override
    def open(self, count: int) -> None:
        with self.operator() as operator:
            item = {"item": OFFER, "name": "Offer", "price": 1}
            operator.call("put_item", {**item, "stock": OFFERED})
        super().open(count)

    @override
    def restocked(self) -> int:
        return self._manager.restocked

    @override
    def verify(self) -> None:
        super().verify()
        self._manager.check()
        self._guests.verify(set(self._manager.prices))
        with self.operator() as operator:
            items = operator.call("get_inventory")["items"]
        prices = {item["id"]: item["price"] for item in items}
        assert prices[OFFER] == self._manager.prices[-1], (prices, "the last offer")
