"""A balancer's copy of the inventory, kept up to date by the inventory's feed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet import defer

from cartnet.limits import CATALOGUE_ITEMS_MAX
from cartnet.shop.answers import Changes, Inventory, Item

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime

    from cartnet.client.group import GroupClient
    from cartnet.client.watch import Watch

STALE_EVENTS_MAX = 2
"""After so many in a row another source is looked for: this one may be cut off."""


class InventoryEvent(Changes, frozen=True):
    """One event of the feed.

    :ivar stale: its source hears no leader.
    """

    stale: bool = False


_EVENT = msgspec.json.Decoder(InventoryEvent)


class Catalogue:
    """The items that are for sale, as of :attr:`revision`.

    After each event the copy equals the inventory's table at the event's revision. It
    outlives its sources: during an outage of the inventory it says what was last known.

    :ivar items: by id.
    :ivar revision: the inventory's; 0 before the first event.
    :ivar ready: whether there is a copy at all.
    :ivar stale: whether nothing vouches for it at the moment: no source, or one that
        hears no leader.
    """

    def __init__(self, inventory: GroupClient) -> None:
        self.items: dict[str, Item] = {}
        self.revision = 0
        self.ready = False
        self.stale = True
        self._inventory = inventory
        self._watch: Watch | None = None
        self._stale_events = 0
        self._listeners: dict[Callable[[], None], None] = {}
        # What changed when, since the last full copy: a resumed watch asks for that.
        self._complete_since = 0
        self._resumed_from = 0
        self._changed_at: dict[str, int] = {}

    def start(self) -> None:
        """Follow the inventory's feed from now on."""
        assert self._watch is None
        self._watch = self._inventory.watch(
            "watch_inventory", self._resume, self._event, self._followed
        )

    def stop(self) -> None:
        """Follow it no longer; the copy stays."""
        if self._watch is not None:
            self._watch.stop()
            self._watch = None

    def known(self, item: str) -> bool:
        """Say whether the copy has such an item."""
        return item in self.items

    def inventory(self) -> Inventory:
        """The whole copy, by id."""
        ids = sorted(self.items)
        return Inventory(self.revision, tuple(self.items[item] for item in ids))

    def changes(self, from_revision: int | None) -> Changes:
        """What a watcher at ``from_revision`` lacks to be where the copy is.

        Everything, where the revision is absent, ahead, or too far back to know, or
        where that is less than what has come and gone since.
        """
        if (
            from_revision is None
            or not self._complete_since <= from_revision <= self.revision
        ):
            return Changes(self.revision, True, self.inventory().items, ())
        if from_revision == self.revision:
            return Changes(self.revision, False, (), ())
        changed = sorted(
            item for item, at in self._changed_at.items() if at > from_revision
        )
        if len(changed) > CATALOGUE_ITEMS_MAX:
            return Changes(self.revision, True, self.inventory().items, ())
        return Changes(
            self.revision,
            False,
            tuple(self.items[item] for item in changed if item in self.items),
            tuple(item for item in changed if item not in self.items),
        )

    def listen(self, listener: Callable[[], None]) -> Callable[[], object]:
        """Call ``listener`` after each change; return what ends that."""
        self._listeners[listener] = None
        return lambda: self._listeners.pop(listener, None)

    async def wait_until_ready(self, clock: IReactorTime, deadline: float) -> bool:
        """Wait for the first copy; say whether there is one by the deadline."""
        if not self.ready:
            first: defer.Deferred[None] = defer.Deferred()
            unlisten = self.listen(lambda: first.callback(None))
            first.addTimeout(max(0, deadline - clock.seconds()), clock)
            try:
                await first
            except defer.TimeoutError:
                pass
            finally:
                unlisten()
        return self.ready

    def advance(self, inventory: Inventory) -> None:
        """Take over a reading of the inventory that is newer than the copy."""
        if inventory.revision > self.revision:
            self.apply(InventoryEvent(inventory.revision, True, inventory.items, ()))

    def _resume(self) -> dict[str, Any]:
        self._resumed_from = self.revision
        return {"from_revision": self.revision} if self.ready else {}

    def _followed(self, followed: bool) -> None:
        if not followed:
            self.stale = True
            self._stale_events = 0

    def _event(self, raw: msgspec.Raw) -> None:
        event = _EVENT.decode(raw)
        self.stale = event.stale
        self._stale_events = self._stale_events + 1 if event.stale else 0
        self.apply(event)
        if self._stale_events >= STALE_EVENTS_MAX and self._watch is not None:
            self._stale_events = 0
            self._watch.leave()

    def apply(self, event: InventoryEvent) -> None:
        """Take over one event of the feed."""
        # A source that was told where the copy is, and still sends everything from
        # before that, has been founded anew: it is right.
        rolled_back = event.full and event.revision < self._resumed_from
        if self.ready and event.revision <= self.revision and not rolled_back:
            return  # Known already, or an empty event that only says "alive".
        if event.full:
            self._replace(event)
        else:
            for item in event.items:
                self.items[item.id] = item
                self._changed_at[item.id] = event.revision
            for removed in event.removed:
                self.items.pop(removed, None)
                self._changed_at[removed] = event.revision
        self.revision = event.revision
        self.ready = True
        if len(self._changed_at) > 2 * CATALOGUE_ITEMS_MAX:
            self._changed_at.clear()
            self._complete_since = self.revision
        for listener in list(self._listeners):
            listener()

    def _replace(self, event: InventoryEvent) -> None:
        """Take a full copy over, keeping track of what that changes if it can be."""
        items = {item.id: item for item in event.items}
        if self.ready and event.revision > self.revision:
            for item in items.keys() | self.items.keys():
                if items.get(item) != self.items.get(item):
                    self._changed_at[item] = event.revision
        else:
            self._changed_at.clear()
            self._complete_since = event.revision
        self.items = items
