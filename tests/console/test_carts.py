from __future__ import annotations

from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from cartnet.calls.answering import Asked
from cartnet.console.carts import Carts
from cartnet.errors import Refused
from cartnet.replica.ports import Subscription, Watching
from tests.calls.balancing import (
    ITEMS,
    REQUEST_TIMEOUT,
    Balancing,
    Visitor,
    request_for,
)
from tests.client.scripted import error, ok

CART: dict[str, Any] = {
    "version": 3,
    "items": [{"item": "A", "quantity": 2}, {"item": "Z", "quantity": 1}],
    "pending": None,
}
PRICED = {
    "version": 3,
    "items": [
        {"item": "A", "name": "Apple", "quantity": 2, "price": 100},
        {"item": "Z", "name": None, "quantity": 1, "price": None},
    ],
    "total": 200,
    "pending": None,
}


class Browser:
    """Who watches a cart."""

    def __init__(self) -> None:
        self.writable = True
        self.events: list[Any] = []
        self.ended: list[str] = []
        self.subscription: Subscription | None = None

    def send(self, event: bytes) -> None:
        assert not self.ended
        self.events.append(msgspec.json.decode(event))

    def end(self, refused: Refused) -> None:
        self.ended.append(refused.code)

    @property
    def versions(self) -> list[int]:
        return [event["version"] for event in self.events]


class CartsTests(SynchronousTestCase):
    """Live carts, between a shard and browsers."""

    def setUp(self) -> None:
        self.balancing = Balancing()
        self.clock = self.balancing.world.clock
        self.shard = self.balancing.shard
        self.shard.answer = lambda request: ok()
        self.carts = Carts(
            self.balancing.router, self.balancing.catalogue, self.balancing.seams.clock
        )
        self.balancing.stock()

    def tearDown(self) -> None:
        self.carts.stop()
        self.balancing.stop()
        self.clock.run_for(0.1)
        self.assertEqual(self.clock.getDelayedCalls(), ())

    def begin(self, session: str | None = "s1.token") -> Deferred[Watching]:
        request = request_for("watch_cart", session=session)
        deadline = self.clock.seconds() + REQUEST_TIMEOUT
        asked = Asked(request, Visitor(), None, deadline)
        return Deferred.fromCoroutine(self.carts.watch(asked))

    def watch(self, cart: dict[str, Any] = CART) -> Browser:
        """Watch as a socket does: subscribe as soon as there is something to."""
        browser = Browser()

        def subscribe(watching: Watching) -> None:
            browser.subscription = watching.subscribe(browser)

        begun = self.begin().addCallback(subscribe)
        self.clock.run_for(0.1)
        self.assertNoResult(begun)
        self.push(**cart)
        self.successResultOf(begun)
        return browser

    def push(self, **event: Any) -> None:
        self.shard.push(**event)
        self.clock.run_for(0.1)

    def refused(self, begun: Deferred[Watching]) -> str:
        failure: Failure = self.failureResultOf(begun, Refused)
        assert isinstance(failure.value, Refused)
        return failure.value.code

    def test_priced(self) -> None:
        """A cart is shown with names, prices and its total, and so is each change."""
        browser = self.watch()
        self.push(**{**CART, "version": 4, "items": [], "pending": "o1"})

        empty = {"version": 4, "items": [], "total": 0, "pending": "o1"}
        self.assertEqual(browser.events, [PRICED, empty])
        (asked,) = self.shard.asked_for
        self.assertEqual((asked["call"], asked["session"]), ("watch_cart", "s1.token"))

    def test_not_taken_back(self) -> None:
        """A source that lags behind what was shown is not shown, until it is ahead."""
        browser = self.watch()

        self.push(**{**CART, "version": 2})
        self.push(**{**CART, "version": 4})

        self.assertEqual(browser.versions, [3, 4])

    def test_keepalive(self) -> None:
        """That nothing has changed is not worth an event."""
        browser = self.watch()

        self.push()
        self.push(**CART)

        self.assertEqual(browser.versions, [3])

    def test_source_that_is_cut_off(self) -> None:
        """A source that goes on hearing no leader is left for another."""
        self.watch()

        self.push(stale=True)
        self.push(stale=True)

        self.clock.run_for(1)
        self.assertEqual(self.shard.calls, ["watch_cart", "cancel", "watch_cart"])

    def test_price_changes(self) -> None:
        """A new price or name sends the cart anew; new stock alone does not."""
        browser = self.watch()
        inventory = self.balancing.inventory

        for revision, change in enumerate(
            ({"stock": 1}, {"price": 110}, {"stock": 2}, {"name": "Red"}), 6
        ):
            item = {**ITEMS[0], "price": 110 if revision > 6 else 100, **change}
            inventory.push(revision=revision, full=False, items=[item], removed=[])
            self.clock.run_for(0.1)
        inventory.push(revision=20, full=False, items=[], removed=["A", "B"])
        self.clock.run_for(0.1)

        lines = [
            (e["items"][0]["name"], e["items"][0]["price"]) for e in browser.events
        ]
        self.assertEqual(
            lines, [("Apple", 100), ("Apple", 110), ("Red", 110), (None, None)]
        )

    def test_while_the_inventory_is_out(self) -> None:
        """Carts change on while the inventory is out, at the last known prices (L5)."""
        self.balancing.inventory.crash()
        self.clock.run_for(1)

        browser = self.watch()

        self.assertEqual(browser.events, [PRICED])

    def test_failover(self) -> None:
        """A source that ends is replaced; nothing is sent for that alone."""
        browser = self.watch()

        self.shard.crash()
        self.clock.run_for(1)
        self.shard.start()
        self.clock.run_for(2)
        self.push(**CART)
        self.push(**{**CART, "version": 4})

        self.assertEqual((browser.versions, browser.ended), ([3, 4], []))

    def test_slow_browser(self) -> None:
        """A browser that does not keep up gets the latest cart, once."""
        browser = self.watch()
        browser.writable = False
        for version in range(4, 9):
            self.push(**{**CART, "version": version})

        browser.writable = True
        assert browser.subscription is not None
        browser.subscription.wake()
        browser.subscription.wake()

        self.assertEqual(browser.versions, [3, 8])

    def test_end_of_the_session(self) -> None:
        """A session's end ends the watch, and says so."""
        browser = self.watch()
        request_id = self.shard.asked_for[-1]["id"]
        self.shard.conversations[-1].reply(request_id, error("unauthenticated"))
        self.clock.run_for(5)

        self.assertEqual(browser.ended, ["unauthenticated"])
        self.assertEqual(self.shard.calls, ["watch_cart"])

    def test_without_a_session(self) -> None:
        """Whoever has none, or another group's, is refused and nobody is asked."""
        for session, code in (
            (None, "unauthenticated"),
            ("s9.token", "unauthenticated"),
            ("it.token", "forbidden"),
        ):
            self.assertEqual(self.refused(self.begin(session)), code)
        self.assertEqual(self.shard.asked_for, [])

    def test_session_that_is_none(self) -> None:
        """Whose session the shard does not know is refused."""
        self.shard.answer = lambda request: error("unauthenticated")
        begun = self.begin()
        self.clock.run_for(0.2)

        self.assertEqual(self.refused(begun), "unauthenticated")

    def test_shard_is_out(self) -> None:
        """Where the shard says nothing in time the watch is refused, and over."""
        self.shard.hangs = True
        begun = self.begin()
        self.clock.run_for(REQUEST_TIMEOUT + 0.1)
        self.assertEqual(self.refused(begun), "unavailable")

        self.shard.hangs = False
        self.clock.run_for(10)

        self.assertEqual(self.shard.calls.count("watch_cart"), 1)

    def test_unwanted(self) -> None:
        """A watch that nobody subscribes to any more is ended by itself."""
        begun = self.begin()
        self.clock.run_for(0.1)

        self.push(**CART)

        self.successResultOf(begun)
        self.assertEqual(self.shard.calls, ["watch_cart", "cancel"])

    def test_cancel(self) -> None:
        """Nothing follows on a cancel, and the shard hears of it."""
        browser = self.watch()

        assert browser.subscription is not None
        browser.subscription.cancel()
        self.clock.run_for(0.1)
        self.push(**{**CART, "version": 4})

        self.assertEqual(browser.versions, [3])
        self.assertEqual(self.shard.calls, ["watch_cart", "cancel"])
