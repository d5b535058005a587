"""A feed that survives its sources: it goes on at another member where one ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.defer import Deferred

from cartnet.limits import (
    CONNECT_SECONDS_MAX,
    FEED_SILENCE_SECONDS_MAX,
    RETRY_SECONDS_MAX,
    RETRY_SECONDS_MIN,
)
from cartnet.wire.requests import encode_request

if TYPE_CHECKING:
    from random import Random

    from twisted.internet.interfaces import IDelayedCall, IReactorTime

    from cartnet.client.link import Link
    from cartnet.client.members import Members
    from cartnet.errors import Refused
    from cartnet.wire.replies import Reply

Arguments = msgspec.Struct | dict[str, Any] | msgspec.Raw | None


@dataclass(frozen=True)
class Feed:
    """What is followed.

    :ivar resume: gives the arguments to go on with, asked at every new source.
    :ivar session: whose feed it is, where it is a user's.
    """

    call: str
    resume: Callable[[], Arguments]
    session: str | None = None


class Watch:
    """One feed, followed at one member after the other until it is stopped.

    A user's feed also ends with the session: that it is none any more holds for all.

    :ivar stopped: nothing more will come of it.

    Any member serves it. Which one comes first is drawn, so that the watchers of a
    cluster spread over its members.
    """

    def __init__(
        self,
        members: Members,
        clock: IReactorTime,
        random: Random,
        feed: Feed,
        on_event: Callable[[msgspec.Raw], None],
        on_state: Callable[[bool], None],
        on_end: Callable[[Refused], None],
    ) -> None:
        self._members = members
        self._clock = clock
        self._feed = feed
        self._on_event = on_event
        self._on_state = on_state
        self._on_end = on_end
        self._links = list(members.links.values())
        random.shuffle(self._links)
        self._turn = 0
        self._link: Link | None = None
        self._request_id = 0
        self._followed = False
        self._pause = RETRY_SECONDS_MIN
        self._timer: IDelayedCall | None = None
        self.stopped = False

    def start(self) -> None:
        """Look for a source; :class:`~cartnet.client.group.GroupClient` calls it."""
        link = self._links[self._turn % len(self._links)]
        self._turn += 1
        deadline = self._clock.seconds() + CONNECT_SECONDS_MAX
        reached: Deferred[bool] = self._members.reach_member(link, deadline)
        reached.addCallback(partial(self._reached, link))

    def _reached(self, link: Link, connected: bool) -> None:
        if self.stopped:
            return
        if not connected or not link.connected:
            self._start_later()
            return
        self._link = link
        self._request_id = request_id = next(self._members.ids)
        link.feeds[request_id] = self._reply
        feed = self._feed
        link.say(
            encode_request(request_id, feed.call, feed.resume(), session=feed.session)
        )
        self._timer = self._clock.callLater(FEED_SILENCE_SECONDS_MAX, self.leave)

    def _reply(self, reply: Reply | None) -> None:
        if reply is None or reply.error is not None:
            if reply is not None:
                self._forget()
            self._lost()
            if reply is not None and reply.error is not None:
                self._refused(reply.error)
            return
        if reply.event is None:
            return  # The source has taken the watch on.
        assert self._timer is not None
        self._timer.reset(FEED_SILENCE_SECONDS_MAX)
        self._pause = RETRY_SECONDS_MIN
        if not self._followed:
            self._followed = True
            self._on_state(True)
        self._on_event(reply.event)

    def _refused(self, refused: Refused) -> None:
        if refused.code == "unauthenticated" and not self.stopped:
            self.stop()
            self._on_end(refused)

    def leave(self) -> None:
        """Go on at another member: this one is silent, or no good source."""
        if self._link is not None:
            self._cancel()
            self._lost()

    def _cancel(self) -> None:
        link = self._forget()
        request_id = next(self._members.ids)
        link.say(encode_request(request_id, "cancel", {"id": self._request_id}))

    def _forget(self) -> Link:
        link = self._link
        assert link is not None
        link.feeds.pop(self._request_id, None)
        return link

    def _lost(self) -> None:
        self._link = None
        self._end_timer()
        if self.stopped:
            return
        if self._followed:
            self._followed = False
            self._on_state(False)
        self._start_later()

    def _start_later(self) -> None:
        # Not at once: a member that refuses, or a group that is down, would be asked
        # as fast as the network goes.
        self._timer = self._clock.callLater(self._pause, self.start)
        self._pause = min(2 * self._pause, RETRY_SECONDS_MAX)

    def _end_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def stop(self) -> None:
        """End the feed; nothing is called after."""
        if self.stopped:
            return
        self.stopped = True
        self._end_timer()
        if self._link is not None:
            self._cancel()
            self._link = None
