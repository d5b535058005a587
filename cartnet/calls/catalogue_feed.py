"""``watch_inventory`` as a balancer serves it: out of its copy of the catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cartnet.limits import WATCH_KEEPALIVE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from cartnet.calls.catalogue import Catalogue
    from cartnet.replica.ports import Sink

TICK_SECONDS = (5 - WATCH_KEEPALIVE_SECONDS) / 2
"""How often it is looked whose last event is too old: none gets to be 5 s old."""

_ENCODER = msgspec.json.Encoder()


class CatalogueFeed:
    """Tells every watcher what changes in the catalogue, encoded once for all.

    Between two looks at the clock nothing is kept for a watcher but the revision it
    has: what it lacks is a question to the catalogue, so a slow one costs no memory.
    """

    def __init__(self, catalogue: Catalogue, clock: IReactorTime) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._watchers: dict[_Watcher, None] = {}
        self._unlisten: Callable[[], object] | None = None
        self._timer: IDelayedCall | None = None
        self._encoded: tuple[int | None, int, bytes] | None = None

    def subscribe(self, sink: Sink, from_revision: int | None) -> _Watcher:
        """Bring a watcher to where the catalogue is, and keep it there."""
        assert self._catalogue.ready
        watcher = _Watcher(self, sink, from_revision)
        self._watchers[watcher] = None
        if self._unlisten is None:
            self._unlisten = self._catalogue.listen(self._changed)
            self._timer = self._clock.callLater(TICK_SECONDS, self._tick)
        watcher.wake()
        return watcher

    def stop(self) -> None:
        """End all watches."""
        for watcher in list(self._watchers):
            watcher.cancel()

    def forget(self, watcher: _Watcher) -> None:
        self._watchers.pop(watcher, None)
        if not self._watchers and self._unlisten is not None:
            self._unlisten()
            self._unlisten = None
            self._encoded = None
            if self._timer is not None and self._timer.active():
                self._timer.cancel()

    def news(self, from_revision: int | None) -> tuple[int, bytes]:
        """What a watcher at ``from_revision`` lacks, and where that brings it."""
        revision = self._catalogue.revision
        if self._encoded is None or self._encoded[:2] != (from_revision, revision):
            event = _ENCODER.encode(self._catalogue.changes(from_revision))
            self._encoded = (from_revision, revision, event)
        return revision, self._encoded[2]

    def is_behind(self, revision: int | None) -> bool:
        return revision != self._catalogue.revision

    def seconds(self) -> float:
        return self._clock.seconds()

    def _changed(self) -> None:
        for watcher in list(self._watchers):
            watcher.wake()

    def _tick(self) -> None:
        self._timer = self._clock.callLater(TICK_SECONDS, self._tick)
        empty: dict[str, object] = {
            "revision": self._catalogue.revision,
            "full": False,
            "items": (),
            "removed": (),
        }
        if self._catalogue.stale:
            empty["stale"] = True
        event = _ENCODER.encode(empty)
        oldest = self._clock.seconds() - (WATCH_KEEPALIVE_SECONDS - TICK_SECONDS / 2)
        for watcher in list(self._watchers):
            watcher.keep_alive(event, oldest)


class _Watcher:
    """One watcher's place in the feed: its subscription."""

    def __init__(
        self, feed: CatalogueFeed, sink: Sink, from_revision: int | None
    ) -> None:
        self._feed = feed
        self._sink = sink
        self._revision = from_revision
        self._sent_at = float("-inf")

    def wake(self) -> None:
        """Send what is new, merged into one event, if the sink takes it."""
        if self._sink.writable and self._feed.is_behind(self._revision):
            self._revision, event = self._feed.news(self._revision)
            self._send(event)

    def keep_alive(self, event: bytes, oldest: float) -> None:
        """Send an empty event if the last one is older than ``oldest``."""
        self.wake()
        if self._sink.writable and self._sent_at <= oldest:
            self._send(event)

    def _send(self, event: bytes) -> None:
        self._sent_at = self._feed.seconds()
        self._sink.send(event)

    def cancel(self) -> None:
        """Send nothing more."""
        self._feed.forget(self)
