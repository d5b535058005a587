from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from cartnet.calls.catalogue import Catalogue, InventoryEvent
from cartnet.calls.catalogue_feed import CatalogueFeed
from cartnet.limits import CATALOGUE_ITEMS_MAX, WATCH_KEEPALIVE_SECONDS
from cartnet.shop.answers import Inventory, Item
from tests.client.scripted import ScriptedGroup, ok


def item(name: str, stock: int = 1) -> dict[str, Any]:
    return {"id": name, "name": f"item {name}", "price": 10, "stock": stock}


class Watcher:
    """A sink, and the table that its client keeps."""

    def __init__(self) -> None:
        self.writable = True
        self.events: list[dict[str, Any]] = []
        self.revision = 0
        self.table: dict[str, int] = {}

    def send(self, event: bytes) -> None:
        heard = json.loads(event)
        self.events.append(heard)
        assert heard["full"] or heard["revision"] >= self.revision
        self.revision = heard["revision"]
        if heard["full"]:
            self.table = {}
        for changed in heard["items"]:
            self.table[changed["id"]] = changed["stock"]
        for removed in heard["removed"]:
            self.table.pop(removed, None)


class Copying(SynchronousTestCase):
    """A catalogue, and a scripted inventory whose feed it follows."""

    def setUp(self) -> None:
        self.group = ScriptedGroup("it", "inventory", size=2)
        self.clock = self.group.world.clock
        for member in self.group.members:
            member.answer = lambda request: ok()
        self.client = self.group.client()
        self.catalogue = Catalogue(self.client)
        self.catalogue.start()
        self.clock.run_for(0.1)
        self.addCleanup(self.client.stop)
        self.addCleanup(self.catalogue.stop)

    def push(
        self,
        revision: int,
        items: Any = (),
        removed: Any = (),
        full: bool = False,
        **more: Any,
    ) -> None:
        source = next(
            member for member in self.group.members if "watch_inventory" in member.calls
        )
        source.push(revision=revision, full=full, items=items, removed=removed, **more)
        self.clock.run_for(0.05)

    def stock(self) -> dict[str, int]:
        return {one.id: one.stock for one in self.catalogue.inventory().items}


class CatalogueTests(Copying):
    """The copy follows the feed."""

    def test_before_the_first_event(self) -> None:
        """Nothing is known at first, and nothing vouches for it."""
        self.assertFalse(self.catalogue.ready)
        self.assertTrue(self.catalogue.stale)
        self.assertFalse(self.catalogue.known("A"))

    def test_follows(self) -> None:
        """After each event the copy equals the inventory at that revision."""
        self.push(4, [item("B"), item("A")], full=True)
        self.assertEqual(self.stock(), {"A": 1, "B": 1})
        self.push(6, [item("A", 7)], ["B"])

        self.assertEqual(self.stock(), {"A": 7})
        self.assertEqual(self.catalogue.revision, 6)
        self.assertTrue(self.catalogue.ready)
        self.assertFalse(self.catalogue.stale)

    def test_listeners(self) -> None:
        """Listeners hear of changes alone, until they leave."""
        heard: list[int] = []
        leave = self.catalogue.listen(lambda: heard.append(self.catalogue.revision))
        self.push(4, full=True)
        self.push(4)
        self.push(5, [item("A")])
        leave()
        self.push(6, [item("A", 2)])

        self.assertEqual(heard, [4, 5])

    def test_outlives_its_source(self) -> None:
        """When the inventory is gone the copy stays, marked as stale."""
        self.push(4, [item("A")], full=True)
        for member in self.group.members:
            member.crash()
        self.clock.run_for(1)

        self.assertTrue(self.catalogue.known("A"))
        self.assertTrue(self.catalogue.stale)

    def test_source_without_a_leader(self) -> None:
        """A source that hears no leader says so, and is left for another one."""
        self.push(4, [item("A")], full=True)
        first = next(one for one in self.group.members if one.asked_for)
        self.push(4, stale=True)
        self.assertTrue(self.catalogue.stale)
        self.push(4, stale=True)
        self.clock.run_for(0.5)

        self.assertIn("cancel", first.calls)
        other = next(one for one in self.group.members if one is not first)
        self.assertEqual(other.calls, ["watch_inventory"])

    def test_reading_moves_it_on(self) -> None:
        """A newer reading of the inventory is taken over, an older one is not."""
        self.push(4, [item("A")], full=True)
        self.catalogue.advance(Inventory(3, ()))
        self.assertTrue(self.catalogue.known("A"))
        self.catalogue.advance(Inventory(9, (Item("B", "b", 1, 1),)))
        self.push(6, [item("A", 5)])

        self.assertEqual(self.stock(), {"B": 1})
        self.assertEqual(self.catalogue.revision, 9)

    def test_founded_anew(self) -> None:
        """An inventory that begins again from nothing is believed."""
        self.push(40, [item("A")], full=True)
        source = next(one for one in self.group.members if one.asked_for)
        source.asked_for.clear()
        source.crash()
        self.clock.run_for(0.5)
        self.push(2, [item("B")], full=True)

        self.assertEqual(self.stock(), {"B": 1})
        self.assertEqual(self.catalogue.revision, 2)
        self.assertTrue(self.catalogue.changes(40).full)

    def test_more_than_a_line_holds(self) -> None:
        """Where more has come and gone than a catalogue holds, all is told anew."""
        self.push(5, [item("A")], full=True)
        gone = [f"i{at}" for at in range(CATALOGUE_ITEMS_MAX)]
        self.push(6, removed=gone)
        self.assertEqual(len(self.catalogue.changes(5).removed), CATALOGUE_ITEMS_MAX)

        self.push(7, [item("A", 2)])

        changes = self.catalogue.changes(5)
        self.assertTrue(changes.full)
        self.assertEqual([one.id for one in changes.items], ["A"])


class FeedTests(Copying):
    """``watch_inventory`` out of the copy."""

    def setUp(self) -> None:
        super().setUp()
        self.feed = CatalogueFeed(
            self.catalogue, self.group.world.host("lb").seams.clock
        )
        self.push(4, [item("A"), item("B")], full=True)
        self.watcher = Watcher()
        self.addCleanup(self.feed.stop)

    def test_everything_first(self) -> None:
        """A watcher without a revision gets everything, then each change."""
        self.feed.subscribe(self.watcher, None)
        self.assertTrue(self.watcher.events[0]["full"])
        self.push(5, [item("A", 8)], ["B"])

        self.assertEqual(self.watcher.events[1]["full"], False)
        self.assertEqual(self.watcher.table, {"A": 8})

    def test_resumed(self) -> None:
        """A watcher with a known revision gets what it lacks."""
        self.push(5, [item("A", 8)])
        self.push(6, [], ["B"])
        self.feed.subscribe(self.watcher, 5)

        self.assertEqual(
            self.watcher.events,
            [{"revision": 6, "full": False, "items": [], "removed": ["B"]}],
        )

    def test_unknown_revisions(self) -> None:
        """A revision from before the copy, or ahead of it, gets everything."""
        for revision in (0, 3, 5, 1000, -1):
            watcher = Watcher()
            self.feed.subscribe(watcher, revision)
            self.assertTrue(watcher.events[0]["full"], revision)

    def test_up_to_date(self) -> None:
        """A watcher that lacks nothing hears that soon, and no change."""
        self.feed.subscribe(self.watcher, 4)
        self.clock.run_for(1)

        self.assertEqual(
            self.watcher.events,
            [{"revision": 4, "full": False, "items": [], "removed": []}],
        )

    def test_keeps_alive(self) -> None:
        """No watcher waits five seconds for an event, and none is told too often."""
        self.feed.subscribe(self.watcher, None)
        heard: list[float] = [self.clock.seconds()]
        for _ in range(300):
            self.clock.run_for(0.1)
            if len(self.watcher.events) > len(heard):
                heard.append(self.clock.seconds())

        gaps = [later - earlier for earlier, later in pairwise(heard)]
        self.assertLess(max(gaps), 5)
        self.assertGreater(min(gaps), WATCH_KEEPALIVE_SECONDS / 2)

    def test_stale_is_told(self) -> None:
        """While nothing vouches for the copy the empty events say so."""
        self.feed.subscribe(self.watcher, None)
        self.push(4, stale=True)
        self.clock.run_for(5)

        self.assertIs(self.watcher.events[-1]["stale"], True)

    def test_slow_watcher(self) -> None:
        """A watcher that cannot keep up gets the changes merged, and misses none."""
        watching = self.feed.subscribe(self.watcher, None)
        self.watcher.writable = False
        for revision in range(5, 20):
            self.push(revision, [item("A", revision)])
        self.push(20, [], ["B"])
        self.assertEqual(len(self.watcher.events), 1)
        self.watcher.writable = True
        watching.wake()

        self.assertEqual(len(self.watcher.events), 2)
        self.assertEqual(self.watcher.table, {"A": 19})

    def test_cancelled(self) -> None:
        """Nothing is sent after the end, and no timer is left for nobody."""
        watching = self.feed.subscribe(self.watcher, None)
        watching.cancel()
        self.push(5, [item("A", 8)])
        self.clock.run_for(6)

        self.assertEqual(len(self.watcher.events), 1)


class EqualityTests(SynchronousTestCase):
    """Whatever happens, a watcher's table is the inventory's."""

    @given(
        st.lists(
            st.one_of(
                st.tuples(st.just("put"), st.sampled_from("ABCD")),
                st.tuples(st.just("remove"), st.sampled_from("ABCD")),
                st.tuples(st.just("slow"), st.integers(0, 1)),
                st.tuples(st.just("fast"), st.integers(0, 1)),
                st.tuples(st.just("resume"), st.integers(0, 1)),
                st.tuples(st.just("full"), st.just(0)),
            ),
            max_size=40,
        )
    )
    @settings(max_examples=100, deadline=None)
    def test_tables_are_equal(self, steps: list[tuple[str, Any]]) -> None:
        """Slow, resumed or steady: once awake, each table equals the copy."""
        group = ScriptedGroup("it", "inventory", size=1)
        client = group.client()
        catalogue = Catalogue(client)
        feed = CatalogueFeed(catalogue, group.world.clock)
        table = {"A": 0}
        catalogue.advance(Inventory(1, tables_items(table)))
        watchers = [Watcher(), Watcher()]
        watching = [feed.subscribe(watcher, None) for watcher in watchers]
        for revision, (what, which) in enumerate(steps, start=2):
            if what == "put":
                table[which] = revision
                push(catalogue, revision, [item(which, revision)], [])
            elif what == "remove" and table.pop(which, None) is not None:
                push(catalogue, revision, [], [which])
            elif what == "full":
                catalogue.advance(Inventory(revision, tables_items(table)))
            elif what in {"slow", "fast"}:
                watchers[which].writable = what == "fast"
                watching[which].wake()
            elif what == "resume":
                watching[which].cancel()
                watching[which] = feed.subscribe(
                    watchers[which], watchers[which].revision
                )
        for watcher, place in zip(watchers, watching, strict=True):
            watcher.writable = True
            place.wake()
            self.assertEqual(watcher.table, table)
        feed.stop()
        client.stop()


def tables_items(table: dict[str, int]) -> tuple[Item, ...]:
    return tuple(Item(name, f"item {name}", 10, table[name]) for name in sorted(table))


def push(
    catalogue: Catalogue, revision: int, items: list[Any], removed: list[str]
) -> None:
    changed = tuple(Item(**one) for one in items)
    catalogue.apply(InventoryEvent(revision, False, changed, tuple(removed)))
