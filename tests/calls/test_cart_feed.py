from __future__ import annotations

from random import Random
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from cartnet.errors import Refused
from cartnet.limits import (
    FEED_RETRY_SECONDS,
    FEED_SECONDS_MIN,
    SESSION_SECONDS_MAX,
    WATCH_KEEPALIVE_SECONDS,
)
from cartnet.replica.ports import Subscription, Watching
from cartnet.shop.carts import read
from tests.calls.shop import STRANGER, Shop
from tests.calls.test_shard import ADA, FOLLOWER, LEADER, ShardTestCase


class Watcher:
    """Who watches a cart."""

    def __init__(self) -> None:
        self.writable = True
        self.raw: list[bytes] = []
        self.ended: list[str] = []

    def send(self, event: bytes) -> None:
        assert not self.ended
        self.raw.append(event)

    def end(self, refused: Refused) -> None:
        self.ended.append(refused.code)

    @property
    def events(self) -> list[Any]:
        return [msgspec.json.decode(event) for event in self.raw]

    @property
    def carts(self) -> list[tuple[int, dict[str, int], str | None]]:
        """Version, quantities and order of each event that is a cart."""
        return [
            (
                event["version"],
                {line["item"]: line["quantity"] for line in event["items"]},
                event["pending"],
            )
            for event in self.events
            if "version" in event
        ]


class CartFeedTests(ShardTestCase):
    """A user's cart, as it changes."""

    def setUp(self) -> None:
        super().setUp()
        self.session = self.login()

    def watch(
        self, replica: str = LEADER, session: str | None = None
    ) -> tuple[Watcher, Subscription]:
        watching = self.ok("watch_cart", to=replica, session=session or self.session)
        assert isinstance(watching, Watching)
        watcher = Watcher()
        return watcher, watching.subscribe(watcher)

    def add(self, item: str, quantity: int = 1, session: str | None = None) -> None:
        args = {"item": item, "quantity": quantity}
        self.ok("add_to_cart", args, session=session or self.session)
        self.settle()

    def settle(self) -> None:
        self.shop.clock.advance(FEED_SECONDS_MIN)
        self.shop.clock.advance(FEED_SECONDS_MIN)

    def reads(self, replica: str = LEADER) -> int:
        return self.shop.shard.members[replica].reads

    def test_any_replica(self) -> None:
        """The cart comes at once and after each change, whichever replica is asked."""
        self.add("A", 2)
        for replica in (LEADER, FOLLOWER):
            watcher, _ = self.watch(replica)
            self.settle()
            before = watcher.carts
            self.add("B")
            self.ok("remove_from_cart", {"item": "B"}, session=self.session)
            self.settle()

            version = before[0][0]
            self.assertEqual(before, [(version, {"A": 2}, None)])
            self.assertEqual(
                watcher.carts[1:],
                [(version + 1, {"A": 2, "B": 1}, None), (version + 2, {"A": 2}, None)],
            )

    def test_never_used(self) -> None:
        """A cart that nobody wrote to is empty, of version 0."""
        watcher, _ = self.watch()

        self.assertEqual(watcher.events, [{"version": 0, "items": [], "pending": None}])

    def test_checkout(self) -> None:
        """A watcher sees the cart frozen by an order, and emptied by it."""
        self.add("A")
        self.shop.inventory.holds = True
        watcher, _ = self.watch()
        checkout = self.shop.send(LEADER, "checkout", session=self.session)
        self.settle()
        self.shop.inventory.commit()
        self.shop.inventory.holds = False
        self.settle()

        order = self.successResultOf(checkout)["id"]
        self.assertEqual(
            watcher.carts, [(1, {"A": 1}, None), (1, {"A": 1}, order), (2, {}, None)]
        )

    def test_while_the_inventory_is_out(self) -> None:
        """Carts go on being shown while the inventory is out (L5)."""
        watcher, _ = self.watch()
        self.shop.inventory.elect(None)
        self.shop.inventory_down = True

        self.add("A")

        self.assertEqual(watcher.carts[-1], (1, {"A": 1}, None))

    def test_without_a_leader(self) -> None:
        """A replica that knows the session goes on, and says that it is alone."""
        self.shop.shard.elect(None)

        watcher, _ = self.watch(FOLLOWER)
        self.shop.clock.advance(WATCH_KEEPALIVE_SECONDS)

        self.assertEqual(watcher.carts, [(0, {}, None)])
        self.assertEqual(watcher.events[1:], [{"stale": True}])

    def test_only_ones_own(self) -> None:
        """Nobody is sent another user's cart, nor is told that it changes."""
        ada, _ = self.watch()
        bob, _ = self.watch(session=self.login("bob"))
        self.settle()

        self.add("A")

        self.assertEqual([len(ada.raw), len(bob.raw)], [2, 1])

    def test_sessions_of_a_user(self) -> None:
        """All of a user's sessions see the same, from one encoding."""
        second = self.ok("login", ADA)["session"]
        watchers = [self.watch(session=each)[0] for each in (self.session, second)]
        self.settle()
        before = self.reads()

        self.add("A", session=second)

        self.assertEqual(self.reads() - before, 1)
        self.assertIs(watchers[0].raw[-1], watchers[1].raw[-1])

    def test_keepalive(self) -> None:
        """A quiet cart's watcher is told every few seconds that it is not forgotten."""
        watcher, _ = self.watch()

        self.shop.clock.advance(WATCH_KEEPALIVE_SECONDS)
        self.shop.clock.advance(WATCH_KEEPALIVE_SECONDS)

        self.assertEqual(watcher.events[1:], [{}, {}])

    def test_slow_watcher(self) -> None:
        """Who does not keep up gets the latest cart alone, once that has changed."""
        watcher, subscription = self.watch()
        watcher.writable = False
        for _ in range(5):
            self.add("A")
        self.shop.clock.advance(WATCH_KEEPALIVE_SECONDS)
        self.assertEqual(len(watcher.raw), 1)

        watcher.writable = True
        subscription.wake()
        self.settle()

        self.assertEqual(watcher.carts[1:], [(5, {"A": 5}, None)])

    def test_logged_out(self) -> None:
        """The watches of a session end with it, at every replica; others go on."""
        second = self.ok("login", ADA)["session"]
        stays, _ = self.watch(session=second)
        gone = [self.watch(replica)[0] for replica in (LEADER, FOLLOWER)]
        self.settle()

        self.ok("logout", session=self.session)
        self.settle()
        self.add("A", session=second)

        self.assertEqual([each.ended for each in gone], [["unauthenticated"]] * 2)
        self.assertEqual([each.carts[-1][0] for each in gone], [0, 0])
        self.assertEqual((stays.ended, stays.carts[-1][0]), ([], 1))

    def test_expired(self) -> None:
        """A session's last second ends its watches although nothing is applied."""
        watcher, _ = self.watch()
        self.settle()

        self.shop.clock.advance(SESSION_SECONDS_MAX)
        self.settle()

        self.assertEqual(watcher.ended, ["unauthenticated"])

    def test_unknown_session(self) -> None:
        """Only the leader knows that a session is none; no other group's is any."""
        for session in (None, "s1.made-up", "s2.another"):
            refused = self.refused("watch_cart", session=session)
            self.assertEqual(refused.code, "unauthenticated")
        refused = self.refused("watch_cart", to=FOLLOWER, session="s1.made-up")
        self.assertEqual(refused.code, "unavailable")

    def test_opened_just_now(self) -> None:
        """A replica that has not heard of a session yet sends elsewhere, no more."""
        self.shop.shard.members[FOLLOWER].lagging = True
        session = self.ok("login", ADA)["session"]
        refused = self.refused("watch_cart", to=FOLLOWER, session=session)
        self.assertEqual(refused.code, "unavailable")

        self.shop.shard.members[FOLLOWER].catch_up()

        self.assertEqual(self.watch(FOLLOWER, session)[0].carts, [(0, {}, None)])

    def test_only_through_the_console(self) -> None:
        """Strangers do not watch carts here."""
        refused = self.refused("watch_cart", session=self.session, caller=STRANGER)
        self.assertEqual(refused.code, "forbidden")

    def test_cancel(self) -> None:
        """Nothing follows on a cancel."""
        watcher, subscription = self.watch()

        subscription.cancel()
        self.add("A")
        self.shop.clock.advance(WATCH_KEEPALIVE_SECONDS)

        self.assertEqual(len(watcher.raw), 1)

    def test_unreadable(self) -> None:
        """A read that fails is made again, not at once."""
        watcher, _ = self.watch()
        self.settle()
        log = self.shop.shard.members[LEADER]
        log.reads_refused = Refused("unavailable", "not now")
        self.add("A")
        self.assertEqual(len(watcher.raw), 1)

        log.reads_refused = None
        self.shop.clock.advance(FEED_RETRY_SECONDS)

        self.assertEqual(watcher.carts[-1], (1, {"A": 1}, None))

    def test_bursts_are_merged(self) -> None:
        """However much is applied, a feed looks fifty times a second at most."""
        watcher, _ = self.watch()
        self.settle()
        before = self.reads()

        for _ in range(100):
            args = {"item": "A", "quantity": 1}
            self.ok("add_to_cart", args, session=self.session)
        self.settle()

        self.assertLessEqual(self.reads() - before, 3)
        self.assertEqual(watcher.carts[-1], (100, {"A": 100}, None))

    @settings(max_examples=25, deadline=None, derandomize=True, database=None)
    @given(seed=st.integers(0, 2**32))
    def test_any_history(self, seed: int) -> None:
        """Whatever happens, everyone ends up with the cart, and never goes back."""
        random = Random(seed)
        shop = Shop().open()
        self.shop, former = shop, self.shop
        former.stop()
        sessions = [self.login("ada"), self.ok("login", ADA)["session"]]
        watched = [self.watch(f"s1r{at}", random.choice(sessions)) for at in range(3)]
        for _ in range(40):
            watcher, subscription = random.choice(watched)
            action = random.randrange(5)
            if action < 2:
                args = {"item": random.choice("ABC"), "quantity": random.randrange(4)}
                self.ok("set_quantity", args, session=random.choice(sessions))
            elif action == 2:
                watcher.writable = not watcher.writable
                if watcher.writable:
                    subscription.wake()
            elif action == 3:
                log = shop.shard.members[f"s1r{random.choice((1, 2))}"]
                log.lagging = not log.lagging
                if not log.lagging:
                    log.catch_up()
            shop.clock.advance(random.choice((0.0, 0.01, 0.1, 5.0)))
        for name in ("s1r1", "s1r2"):
            shop.shard.members[name].catch_up()
        for watcher, subscription in watched:
            watcher.writable = True
            subscription.wake()
        self.settle()

        cart = shop.shard.query(lambda cursor: read(cursor, "ada"))
        quantities = {line.item: line.quantity for line in cart.items}
        for watcher, _ in watched:
            versions = [version for version, _, _ in watcher.carts]
            self.assertEqual(versions, sorted(set(versions)))
            self.assertEqual(watcher.carts[-1], (cart.version, quantities, None))
