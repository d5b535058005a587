"""A shard's carts as they change, each for its user's sessions, from any replica."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from cartnet.calls.rounds import Audience, Watcher
from cartnet.checkout.waiting import within
from cartnet.errors import Refused
from cartnet.limits import (
    FEED_RETRY_SECONDS,
    FEED_SECONDS_MIN,
    FEED_SHARE_OF_TIME,
)
from cartnet.shop import carts
from cartnet.shop.accounts import UNAUTHENTICATED

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime
    from twisted.logger import Logger
    from twisted.python.failure import Failure

    from cartnet.replica.ports import Log, Sink
    from cartnet.seams import Cursor
    from cartnet.shop.answers import Cart

_encode = msgspec.json.Encoder().encode

_KEPT_ALIVE: Final = b"{}"
_KEPT_ALIVE_STALE: Final = b'{"stale":true}'
"""What is sent where there is nothing to say; the second while no leader is heard."""


class _Watcher(Watcher):
    """One watcher of one session's cart, and the state of it that it has."""

    def __init__(self, audience: Audience[_Watcher], sink: Sink, session: str) -> None:
        super().__init__(audience, sink)
        self.session = session
        self.state: carts.State | None = None


class CartFeed:
    """Sends watchers their carts, as this replica applies what changes them.

    Of a watcher only the state is kept that it has, so that what a slow one misses
    merges by itself. A round asks for all watchers' carts at once; since it cannot know
    whose have changed, it takes the longer the more there are, and rests accordingly.

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
        self._audience: Audience[_Watcher] = Audience(
            clock, self._send_changes, self._keep_alive, logger, broken
        )

    def subscribe(self, session: str, sink: Sink) -> Watcher:
        """Start to send ``sink`` the cart of a session.

        :param session: the SHA-256 of its token; this replica has found it to stand.
        """
        return self._audience.join(_Watcher(self._audience, sink, session))

    def applied(self) -> None:
        """Something has been applied, which may have changed any cart."""
        self._audience.wake()

    def stop(self) -> None:
        """Forget all watchers; nothing is sent any more."""
        self._audience.stop()

    # --- Rounds ----------------------------------------------------------------------

    async def _send_changes(self) -> float:
        """Send each watcher that keeps up the cart that it lacks, and end some."""
        watchers = [each for each in self._audience if each.sink.writable]
        began = self._clock.seconds()
        try:
            states, lacking = await self._read(watchers)
        except Refused:
            self._audience.rounds.due = True
            return FEED_RETRY_SECONDS
        events = {user: _encode(cart) for user, cart in lacking.items()}
        for watcher in watchers:
            if watcher in self._audience and watcher.sink.writable:
                self._send(watcher, states.get(watcher.session), events)
        took = self._clock.seconds() - began
        return min(max(FEED_SECONDS_MIN, took / FEED_SHARE_OF_TIME), FEED_RETRY_SECONDS)

    def _read(
        self, watchers: list[_Watcher]
    ) -> Deferred[tuple[dict[str, carts.State], dict[str, Cart]]]:
        """Read the states of all carts, and the carts that a watcher lacks, by user."""
        had = [(watcher.session, watcher.state) for watcher in watchers]
        sessions = list(dict.fromkeys(session for session, _ in had))
        now = self._log.now()

        def query(
            cursor: Cursor,
        ) -> tuple[dict[str, carts.State], dict[str, Cart]]:
            states = carts.states(cursor, sessions, now)
            lacking: dict[str, Cart] = {}
            for session, state in had:
                latest = states.get(session)
                if latest not in (None, state) and latest.username not in lacking:
                    lacking[latest.username] = carts.read(cursor, latest.username)
            return states, lacking

        reading = self._log.read(query, stale=True)
        return within(self._clock, self._request_timeout, reading, _unread)

    def _send(
        self, watcher: _Watcher, state: carts.State | None, events: dict[str, bytes]
    ) -> None:
        if state is None:
            # It stood when the watch began, and the log does not take that back: it
            # has ended, however far this replica is.
            watcher.cancel()
            watcher.sink.end(UNAUTHENTICATED.refused())
        elif state != watcher.state:
            watcher.state = state
            watcher.sink.send(events[state.username])

    # --- Keeping watchers company ----------------------------------------------------

    def _keep_alive(self) -> None:
        """Tell each watcher that it is not forgotten, and look whose time is up."""
        event = _KEPT_ALIVE_STALE if self._log.leader is None else _KEPT_ALIVE
        for watcher in self._audience:
            if watcher.state is not None and watcher.sink.writable:
                watcher.sink.send(event)
        self._audience.wake()


def _unread() -> Refused:
    return Refused("unavailable", "not read in time")
