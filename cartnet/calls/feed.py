"""The inventory's feed: what changed since a revision, from any replica."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
from typing_extensions import override

from cartnet.calls.rounds import Audience, Watcher
from cartnet.checkout.waiting import within
from cartnet.errors import Refused
from cartnet.limits import (
    FEED_RETRY_SECONDS,
    FEED_REVISIONS_AT_ONCE_MAX,
    FEED_SECONDS_MIN,
)
from cartnet.shop.answers import Changes
from cartnet.shop.inventory import changes

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall, IReactorTime
    from twisted.logger import Logger
    from twisted.python.failure import Failure

    from cartnet.replica.ports import Log, Sink
    from cartnet.seams import Cursor

_encode = msgspec.json.Encoder().encode


class _Watcher(Watcher):
    """One watcher, and the revision that it has.

    :ivar revision: ``None`` before its first event, where it came with nothing.
    :ivar greeted: whether it has had its first event, so that its revision is one that
        this source knows.
    :ivar patience: while this source is behind ``revision`` and may catch up: when
        that has taken too long.
    """

    def __init__(
        self, audience: Audience[_Watcher], sink: Sink, revision: int | None
    ) -> None:
        super().__init__(audience, sink)
        self.revision = revision
        self.greeted = False
        self.patience: IDelayedCall | None = None

    @override
    def cancel(self) -> None:
        self.end_patience()
        super().cancel()

    def end_patience(self) -> None:
        patience, self.patience = self.patience, None
        if patience is not None and patience.active():
            patience.cancel()


class Feed:
    """Tells watchers what changes, as this replica applies it.

    A watcher's revision is all that is kept of it, so that what a slow one misses
    merges by itself, and watchers of equal revisions share one query and one encoding.

    :param broken: told of a failure that must not be: the replica is to stop.
    """

    def __init__(
        self,
        log: Log,
        clock: IReactorTime,
        request_timeout: float,
        logger: Logger,
        broken: Callable[[Failure], None],
    ) -> None:
        self._log = log
        self._clock = clock
        self._request_timeout = request_timeout
        self._logger = logger
        self._audience: Audience[_Watcher] = Audience(
            clock, self._send_changes, self._keep_alive, logger, broken
        )
        # What whoever has a revision lacks, while nothing is applied.
        self._known: dict[int | None, _Lacking] = {}
        self._waits = False

    @property
    def watchers(self) -> int:
        """How many watch."""
        return len(self._audience)

    def subscribe(self, from_revision: int | None, sink: Sink) -> Watcher:
        """Start to tell ``sink`` what has changed since ``from_revision``."""
        return self._audience.join(_Watcher(self._audience, sink, from_revision))

    def applied(self) -> None:
        """Something has been applied, which may have changed the inventory."""
        self._known.clear()
        self._audience.wake()

    def stop(self) -> None:
        """Forget all watchers; nothing is sent any more."""
        self._audience.stop()

    # --- Rounds ----------------------------------------------------------------------

    async def _send_changes(self) -> float:
        """Bring each watcher that keeps up to what this replica has applied."""
        unknown = dict.fromkeys(
            watcher.revision
            for watcher in self._audience
            if watcher.sink.writable and watcher.revision not in self._known
        )
        revisions = tuple(unknown)[:FEED_REVISIONS_AT_ONCE_MAX]
        if len(revisions) < len(unknown):
            self._audience.rounds.due = True
        known = dict(self._known)
        waited, self._waits = self._waits, False
        if revisions:
            try:
                known.update(await self._read(revisions))
            except Refused as refused:
                if not waited:
                    self._logger.info(
                        "the feed waits: {message}", message=refused.message
                    )
                self._audience.rounds.due = self._waits = True
        if not self._audience.rounds.due:
            # Nothing has been applied meanwhile, so that it holds for the next comers.
            self._known = known
        for watcher in self._audience:
            lacking = known.get(watcher.revision)
            if lacking is not None and watcher.sink.writable:
                self._send(watcher, lacking)
        return FEED_RETRY_SECONDS if self._waits else FEED_SECONDS_MIN

    async def _read(self, revisions: tuple[int | None, ...]) -> dict[Any, _Lacking]:
        found = await self._query(revisions, stale=True)
        ahead = tuple([have for have in revisions if found[have].behind(have)])
        if ahead and self._log.leads:
            # A follower may apply before its leader; what even the leader does not
            # know once it has caught up with the log is unknown.
            found.update(await self._query(ahead, stale=False))
            for have in ahead:
                found[have].final = True
        return found

    async def _query(
        self, revisions: tuple[int | None, ...], *, stale: bool
    ) -> dict[int | None, _Lacking]:
        def query(cursor: Cursor) -> list[Changes]:
            return [changes(cursor, revision) for revision in revisions]

        reading = self._log.read(query, stale=stale)
        answers = await within(self._clock, self._request_timeout, reading, _unread)
        found = {
            have: _Lacking(answer)
            for have, answer in zip(revisions, answers, strict=True)
        }
        # Whoever has been sent any of these lacks nothing.
        latest = answers[0].revision
        found.setdefault(latest, _Lacking(Changes(latest, False, (), ())))
        return found

    def _send(self, watcher: _Watcher, lacking: _Lacking) -> None:
        latest = lacking.changes.revision
        if lacking.behind(watcher.revision) and not lacking.final:
            if watcher.patience is None and self._log.leader is not None:
                watcher.patience = self._clock.callLater(
                    self._request_timeout, self._audience.wake
                )
            if watcher.patience is not None and watcher.patience.active():
                return
        if watcher.revision == latest and watcher.greeted:
            return
        watcher.end_patience()
        same = watcher.revision == latest
        event = self._empty(latest) if same else lacking.event
        watcher.revision = latest
        watcher.greeted = True
        watcher.sink.send(event)

    # --- Keeping watchers company ----------------------------------------------------

    def _keep_alive(self) -> None:
        """Tell each watcher that nothing has changed, or that this is not known."""
        events: dict[int, bytes] = {}
        for watcher in self._audience:
            revision = watcher.revision
            if not watcher.greeted or not watcher.sink.writable:
                continue
            assert revision is not None, "the first event says which it is"
            event = events.get(revision)
            if event is None:
                event = events[revision] = self._empty(revision)
            watcher.sink.send(event)

    def _empty(self, revision: int) -> bytes:
        event: dict[str, Any] = {
            "revision": revision,
            "full": False,
            "items": [],
            "removed": [],
        }
        if self._log.leader is None:
            event["stale"] = True
        return _encode(event)


class _Lacking:
    """What whoever has a certain revision lacks, encoded once.

    :ivar final: whether the leader says so: then a revision ahead of it is unknown.
    """

    def __init__(self, changed: Changes) -> None:
        self.changes = changed
        self.final = False

    @cached_property
    def event(self) -> bytes:
        return _encode(self.changes)

    def behind(self, revision: int | None) -> bool:
        """Say whether this source has less than a watcher of ``revision``."""
        return revision is not None and self.changes.revision < revision


def _unread() -> Refused:
    return Refused("unavailable", "not read in time")
