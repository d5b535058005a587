"""Live carts: what a shard sends of a session's cart, with names and prices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from twisted.internet import defer

from cartnet.calls.catalogue import STALE_EVENTS_MAX
from cartnet.calls.pricing import priced
from cartnet.errors import Refused
from cartnet.replica.ports import Watching

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IReactorTime

    from cartnet.calls.answering import Asked
    from cartnet.calls.catalogue import Catalogue
    from cartnet.calls.router import Router
    from cartnet.client.group import GroupClient
    from cartnet.client.watch import Watch
    from cartnet.replica.ports import Sink

_encode = msgspec.json.Encoder().encode


class _Event(msgspec.Struct):
    """As much of a shard's event as tells what it is; without a version, no cart."""

    version: int | None = None
    stale: bool = False


_decode = msgspec.json.Decoder(_Event).decode


class Carts:
    """Follows the carts of those who watch one.

    They go on without the inventory: names and prices are the last known ones (L5).
    """

    def __init__(
        self, router: Router, catalogue: Catalogue, clock: IReactorTime
    ) -> None:
        """
        :param router: tells which shard a session is of.
        """
        self._router = router
        self._catalogue = catalogue
        self._clock = clock
        # In the order in which they came; a dict, since sets have none.
        self._live: dict[_LiveCart, None] = {}
        self._unlisten: Callable[[], object] | None = None
        # What items are called and cost, to tell whether a change concerns carts.
        self._tags: dict[str, tuple[str, int]] = {}
        self._revision: int | None = None

    async def watch(self, asked: Asked) -> Watching:
        """Watch the cart of the request's session, from its first event on.

        :raises Refused: ``unauthenticated``, ``forbidden`` (the operator has none);
            ``unavailable`` where the shard has not said so in time.
        """
        session = asked.request.session
        shard = self._router.shard_of(asked.request)
        assert session is not None, "a shard's is one"
        live = _LiveCart(self, self._catalogue, shard, session)
        self._live[live] = None
        if self._unlisten is None:
            self._unlisten = self._catalogue.listen(self._changed)
        seconds = max(0.0, asked.deadline - self._clock.seconds())
        try:
            await live.first.addTimeout(seconds, self._clock)
        except defer.TimeoutError:
            live.cancel()
            raise Refused("unavailable", "the cart is not to be had now") from None
        except BaseException:
            live.cancel()
            raise
        # Whoever still wants it subscribes before this is due.
        self._clock.callLater(0, live.end_unwanted)
        return Watching(live.subscribe)

    def stop(self) -> None:
        """End all of them."""
        for live in list(self._live):
            live.cancel()

    def forget(self, live: _LiveCart) -> None:
        self._live.pop(live, None)
        if not self._live and self._unlisten is not None:
            self._unlisten()
            self._unlisten = None
            self._revision = None

    def _changed(self) -> None:
        """The catalogue has changed: its stock, mostly, which no cart shows."""
        changes = self._catalogue.changes(self._revision)
        self._revision = changes.revision
        if changes.full:
            self._tags.clear()
        concerned = changes.full
        for item in changes.items:
            tag = item.name, item.price
            concerned |= self._tags.get(item.id) != tag
            self._tags[item.id] = tag
        for gone in changes.removed:
            concerned |= self._tags.pop(gone, None) is not None
        if concerned:
            for live in list(self._live):
                live.wake()


class _LiveCart:
    """One watcher's cart: its subscription.

    :ivar first: fires when there is a cart to show; fails where there is no session.
    """

    def __init__(
        self, carts: Carts, catalogue: Catalogue, shard: GroupClient, session: str
    ) -> None:
        self.first: defer.Deferred[None] = defer.Deferred()
        self._carts = carts
        self._catalogue = catalogue
        self._sink: Sink | None = None
        self._cart = msgspec.Raw()
        self._version = -1
        self._sent = b""
        self._stale_events = 0
        self._watch: Watch = shard.watch(
            "watch_cart", dict, self._event, session=session, on_end=self._end
        )

    def subscribe(self, sink: Sink) -> _LiveCart:
        self._sink = sink
        self.wake()
        return self

    def wake(self) -> None:
        """Send the cart, if it looks otherwise than what was sent last."""
        if self._sink is None or not self._sink.writable:
            return
        event = _encode(priced(self._cart, self._catalogue.items))
        if event != self._sent:
            self._sent = event
            self._sink.send(event)

    def cancel(self) -> None:
        """Follow it no more."""
        self._watch.stop()
        self._sink = None
        self._carts.forget(self)

    def end_unwanted(self) -> None:
        """End where nobody has subscribed: the watch was cancelled meanwhile."""
        if self._sink is None:
            self.cancel()

    def _event(self, raw: msgspec.Raw) -> None:
        event = _decode(raw)
        self._stale_events = self._stale_events + 1 if event.stale else 0
        if self._stale_events >= STALE_EVENTS_MAX:
            # This one may be cut off from its group; another may not.
            self._stale_events = 0
            self._watch.leave()
        # Replicas lag behind each other: what was shown is not taken back.
        if event.version is None or event.version < self._version:
            return
        self._version = event.version
        self._cart = raw.copy()
        if not self.first.called:
            self.first.callback(None)
        self.wake()

    def _end(self, refused: Refused) -> None:
        sink = self._sink
        self.cancel()
        if not self.first.called:
            self.first.errback(refused)
        elif sink is not None:
            sink.end(refused)
