"""Many clients that want the same thing at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.system.clusters import running
from tests.system.customers import PASSWORD, Customer
from tests.system.lines import Refused

CLIENTS = 50


class RaceTests(SynchronousTestCase):
    """Exactly one wins (S5, S7, S9)."""

    def test_last_item(self) -> None:
        """Of fifty clients that check out the last item at once one gets it, and the
        others keep their carts as they were."""
        with running(Path(self.mktemp())) as cluster:
            cluster.start_all()
            with cluster.operator() as operator:
                item = {"item": "last", "name": "The last one", "price": 3, "stock": 1}
                operator.call("put_item", item)
            balancers = cluster.balancers
            ready = threading.Barrier(CLIENTS)

            def race(n: int) -> tuple[dict[str, Any] | Refused, bool]:
                """Give the outcome, and whether the cart is as it was before."""
                turned = balancers[n % 3 :] + balancers[: n % 3]
                with Customer(f"racer{n}", turned) as racer:
                    racer.enter()
                    racer.call("add_to_cart", {"item": "last", "quantity": 1})
                    before = racer.call("get_cart")
                    ready.wait()
                    try:
                        outcome: dict[str, Any] | Refused = racer.call("checkout")
                    except Refused as refused:
                        outcome = refused
                    return outcome, racer.call("get_cart") == before

            with ThreadPoolExecutor(CLIENTS) as pool:
                ends = list(pool.map(race, range(CLIENTS)))

            orders = [(end, same) for end, same in ends if isinstance(end, dict)]
            ((order, cart_is_the_same),) = orders
            self.assertEqual(order["lines"][0]["quantity"], 1)
            self.assertFalse(cart_is_the_same)
            refusals = [(end, same) for end, same in ends if isinstance(end, Refused)]
            self.assertEqual(len(refusals), CLIENTS - 1)
            for refused, cart_is_the_same in refusals:
                self.assertEqual(refused.code, "out_of_stock")
                self.assertEqual(
                    refused.details["shortages"],
                    [{"item": "last", "wanted": 1, "stock": 0}],
                )
                self.assertTrue(cart_is_the_same)
            with cluster.operator() as operator:
                items = operator.call("get_inventory")["items"]
            self.assertEqual([i["stock"] for i in items if i["id"] == "last"], [0])
            cluster.stop()

    def test_one_username(self) -> None:
        """Of several clients that want one username at once exactly one gets it."""
        with running(Path(self.mktemp())) as cluster:
            cluster.start_all()
            balancers = cluster.balancers
            ready = threading.Barrier(8)

            def race(n: int) -> str:
                with Customer("", [balancers[n % 3]]) as racer:
                    account = {"username": "Highlander", "password": f"{PASSWORD}{n}"}
                    ready.wait()
                    try:
                        return str(
                            racer.call("create_account", account, key=f"racer{n}")[
                                "shard"
                            ]
                        )
                    except Refused as refused:
                        return refused.code

            with ThreadPoolExecutor(8) as pool:
                ends = sorted(pool.map(race, range(8)))
            self.assertIn(ends[0], {"s1", "s2"})
            self.assertEqual(ends[1:], ["username_taken"] * 7)
            cluster.stop()
