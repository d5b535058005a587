from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, cast

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from cartnet.calls.feed import Feed
from cartnet.errors import Refused
from cartnet.limits import (
    FEED_RETRY_SECONDS,
    FEED_SECONDS_MIN,
    WATCH_KEEPALIVE_SECONDS,
)
from cartnet.shop.commands import Found, PutItem, RemoveItem, SetStock
from cartnet.shop.inventory import items
from tests.calls.memory import MemoryGroup, quiet

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from cartnet.replica.ports import Calls

REQUEST_TIMEOUT = 3.0


class Watcher:
    """A client's table: it takes events as ``docs/protocol.md`` says."""

    def __init__(self) -> None:
        self.writable = True
        self.events: list[dict[str, Any]] = []
        self.raw: list[bytes] = []
        self.revision = -1
        self.table: dict[str, Any] = {}

    def send(self, event: bytes) -> None:
        decoded = msgspec.json.decode(event)
        self.raw.append(event)
        self.events.append(decoded)
        if decoded["full"]:
            self.table = {}
        else:
            assert decoded["revision"] >= self.revision
        self.revision = decoded["revision"]
        for item in decoded["items"]:
            self.table[item["id"]] = item
        for item in decoded["removed"]:
            self.table.pop(item, None)


class _Calls:
    def __init__(self, feed: Feed) -> None:
        self._feed = feed

    def applied(self, index: int) -> None:
        self._feed.applied()

    def led(self) -> None:
        pass

    def deposed(self) -> None:
        pass


class Sources:
    """An inventory of three members, each with a feed."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.group = MemoryGroup("it", "inventory", self.clock)
        self.broken: list[Failure] = []
        self.feeds: dict[str, Feed] = {}
        for name, log in self.group.members.items():
            clock = cast(Any, self.clock)
            feed = Feed(log, clock, REQUEST_TIMEOUT, quiet(), self.broken.append)
            self.feeds[name] = feed
            log.calls.append(cast("Calls", _Calls(feed)))
        self.group.elect("it0")
        self.change(Found(group_id="x"))

    def change(self, command: Any) -> None:
        assert self.group.leader is not None
        self.group.members[self.group.leader].propose(command)

    def set_stock(self, item: str, stock: int) -> None:
        self.change(SetStock(item=item, stock=stock))

    def put(self, item: str) -> None:
        self.change(
            PutItem(session=None, key=None, item=item, name=item, price=1, stock=1)
        )

    def remove(self, item: str) -> None:
        self.change(RemoveItem(session=None, key=None, item=item))

    def table(self) -> tuple[int, dict[str, Any]]:
        inventory = self.group.query(items)
        rows = msgspec.to_builtins(inventory.items)
        return inventory.revision, {row["id"]: row for row in rows}

    def settle(self) -> None:
        self.clock.advance(FEED_SECONDS_MIN)
        self.clock.advance(FEED_SECONDS_MIN)


class FeedTests(SynchronousTestCase):
    """Watchers of the inventory."""

    def setUp(self) -> None:
        self.sources = Sources()
        self.clock = self.sources.clock
        self.feed = self.sources.feeds["it0"]
        self.watcher = Watcher()

    def tearDown(self) -> None:
        for feed in self.sources.feeds.values():
            feed.stop()
        self.assertEqual(self.sources.broken, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def _reads(self, name: str = "it0") -> int:
        return self.sources.group.members[name].reads

    def test_full_first(self) -> None:
        """Who comes with nothing gets everything, from any replica."""
        for name, feed in self.sources.feeds.items():
            watcher = Watcher()
            feed.subscribe(None, watcher)
            self.assertEqual(len(watcher.events), 1, name)
            self.assertTrue(watcher.events[0]["full"])
            self.assertEqual((watcher.revision, watcher.table), self.sources.table())

    def test_changes_only(self) -> None:
        """Later events hold what changed, and what is no more."""
        self.feed.subscribe(None, self.watcher)
        self.sources.settle()

        self.sources.set_stock("A", 5)
        self.sources.settle()
        self.sources.remove("B")
        self.sources.settle()

        changed, removed = self.watcher.events[1:]
        self.assertEqual([item["id"] for item in changed["items"]], ["A"])
        self.assertEqual((changed["full"], changed["removed"]), (False, []))
        self.assertEqual((removed["items"], removed["removed"]), ([], ["B"]))
        self.assertEqual(
            (self.watcher.revision, self.watcher.table), self.sources.table()
        )

    def test_resume(self) -> None:
        """Who knows a revision gets what has changed since, elsewhere too."""
        self.feed.subscribe(None, self.watcher).cancel()
        self.sources.set_stock("A", 5)
        self.sources.settle()

        self.sources.feeds["it1"].subscribe(self.watcher.revision, self.watcher)

        self.assertFalse(self.watcher.events[-1]["full"])
        self.assertEqual(len(self.watcher.events[-1]["items"]), 1)
        self.assertEqual(
            (self.watcher.revision, self.watcher.table), self.sources.table()
        )

    def test_up_to_date(self) -> None:
        """Who lacks nothing is told so at once, by an empty event."""
        revision, _ = self.sources.table()

        self.feed.subscribe(revision, self.watcher)

        empty = {"revision": revision, "full": False, "items": [], "removed": []}
        self.assertEqual(self.watcher.events, [empty])

    def test_unknown_revision(self) -> None:
        """A revision ahead of the log gets everything, at once from the leader."""
        self.feed.subscribe(10**9, self.watcher)

        self.assertTrue(self.watcher.events[0]["full"])
        self.assertEqual(self.watcher.revision, self.sources.table()[0])

    def test_source_behind(self) -> None:
        """A replica that lags behind a watcher catches up before it says anything."""
        self.sources.group.members["it1"].lagging = True
        self.sources.set_stock("A", 5)
        revision, _ = self.sources.table()
        self.sources.feeds["it1"].subscribe(revision, self.watcher)
        self.clock.advance(REQUEST_TIMEOUT / 2)
        self.assertEqual(self.watcher.events, [])

        self.sources.group.members["it1"].catch_up()
        self.sources.settle()

        self.assertEqual(len(self.watcher.events), 1)
        self.assertFalse(self.watcher.events[0]["full"])
        self.assertEqual(self.watcher.revision, revision)

    def test_source_behind_for_long(self) -> None:
        """A replica that does not catch up gives what it has, in full."""
        for source, leader, seconds in (
            ("it1", "it0", REQUEST_TIMEOUT),
            ("it2", None, 0.0),
        ):
            self.sources.group.members[source].lagging = True
            self.sources.set_stock("A", 5 if leader else 6)
            revision, _ = self.sources.table()
            self.sources.group.elect(leader)
            watcher = Watcher()

            self.sources.feeds[source].subscribe(revision, watcher)

            self.clock.advance(seconds)
            self.assertEqual(len(watcher.events), 1)
            self.assertTrue(watcher.events[0]["full"])
            self.assertLess(watcher.revision, revision)

    def test_keepalive(self) -> None:
        """A quiet feed speaks every few seconds, and says when it hears no leader."""
        self.feed.subscribe(None, self.watcher)
        revision = self.watcher.revision

        self.clock.advance(WATCH_KEEPALIVE_SECONDS)
        self.sources.group.elect(None)
        self.clock.advance(WATCH_KEEPALIVE_SECONDS)

        empty = {"revision": revision, "full": False, "items": [], "removed": []}
        self.assertEqual(self.watcher.events[1:], [empty, {**empty, "stale": True}])

    def test_merged_for_slow_watchers(self) -> None:
        """A slow watcher gets one event for all that it missed, once it keeps up."""
        subscription = self.feed.subscribe(None, self.watcher)
        self.sources.settle()
        self.watcher.writable = False
        for stock in range(20):
            self.sources.set_stock("A", stock)
            self.sources.settle()
        self.clock.advance(WATCH_KEEPALIVE_SECONDS)
        self.assertEqual(len(self.watcher.events), 1)

        self.watcher.writable = True
        subscription.wake()
        self.sources.settle()

        self.assertEqual(len(self.watcher.events), 2)
        self.assertEqual(self.watcher.table["A"]["stock"], 19)

    def test_bursts_are_merged(self) -> None:
        """However many entries are applied, the feed looks fifty times a second."""
        self.feed.subscribe(None, self.watcher)
        self.sources.settle()
        before = self._reads()

        for stock in range(100):
            self.sources.set_stock("A", stock)
        self.sources.settle()

        self.assertLessEqual(self._reads() - before, 3)
        self.assertEqual(self.watcher.table["A"]["stock"], 99)

    def test_one_query_serves_all(self) -> None:
        """A hundred watchers of one revision cost one query and one encoding."""
        watchers = [Watcher() for _ in range(100)]
        before = self._reads()
        for watcher in watchers:
            self.feed.subscribe(None, watcher)
        self.sources.settle()
        self.assertEqual(self._reads() - before, 1)
        before = self._reads()

        self.sources.set_stock("A", 1)
        self.sources.settle()

        self.assertEqual(self._reads() - before, 1)
        self.assertEqual(len({id(watcher.raw[-1]) for watcher in watchers}), 1)

    def test_nothing_changes(self) -> None:
        """Entries that leave the items alone bring no event."""
        self.feed.subscribe(None, self.watcher)
        self.sources.settle()

        self.sources.change(Found(group_id="again"))
        self.sources.settle()

        self.assertEqual(len(self.watcher.events), 1)

    def test_cancel(self) -> None:
        """Nothing follows a cancel, and no timer stays behind."""
        subscription = self.feed.subscribe(None, self.watcher)
        self.sources.settle()

        subscription.cancel()

        self.sources.set_stock("A", 1)
        self.clock.advance(WATCH_KEEPALIVE_SECONDS)
        self.assertEqual(len(self.watcher.events), 1)
        self.assertEqual(self.feed.watchers, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_unreadable(self) -> None:
        """A read that fails is made again, not at once: it may fail for long."""
        log = self.sources.group.members["it0"]
        log.reads_refused = Refused("overloaded", "busy")
        self.feed.subscribe(None, self.watcher)
        self.sources.settle()
        self.assertEqual(self.watcher.events, [])

        log.reads_refused = None
        self.sources.settle()
        self.assertEqual(self.watcher.events, [])
        self.clock.advance(FEED_RETRY_SECONDS)

        self.assertEqual(len(self.watcher.events), 1)


class AnyHistoryTests(SynchronousTestCase):
    """Whatever happens, a watcher's table is the inventory's at its revision."""

    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(seed=st.integers(0, 2**32))
    def test_any_history(self, seed: int) -> None:
        """After every event the table equals the inventory's of that revision."""
        random = Random(seed)
        sources = Sources()
        history = dict([sources.table()])
        watchers = [Watcher() for _ in range(3)]
        names = list(sources.feeds)
        watching: dict[Watcher, Any] = {}
        for _ in range(60):
            watcher = random.choice(watchers)
            item = random.choice("ABCDE")
            action = random.randrange(7)
            if action == 0:
                sources.set_stock(item, random.randrange(5))
            elif action == 1:
                sources.put(item)
            elif action == 2:
                sources.remove(item)
            elif action == 3 and watcher not in watching:
                known = watcher.revision if watcher.table else None
                feed = sources.feeds[random.choice(names)]
                watching[watcher] = feed.subscribe(known, watcher)
            elif action == 4 and watcher in watching:
                watching.pop(watcher).cancel()
            elif action == 5:
                watcher.writable = not watcher.writable
                if watcher.writable and watcher in watching:
                    watching[watcher].wake()
            else:
                log = sources.group.members[random.choice(names[1:])]
                log.lagging = True
                sources.clock.advance(random.choice((0.01, 0.1, 5.0)))
                log.catch_up()
            history.update([sources.table()])
            for watcher in watchers:
                if watcher.events:
                    self.assertEqual(watcher.table, history[watcher.revision])
        for watcher in watchers:
            watcher.writable = True
            if watcher in watching:
                watching[watcher].wake()
        sources.settle()
        for watcher in watching:
            self.assertEqual((watcher.revision, watcher.table), sources.table())
        for feed in sources.feeds.values():
            feed.stop()
        self.assertEqual(sources.broken, [])
        self.assertEqual(sources.clock.getDelayedCalls(), [])
