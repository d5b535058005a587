"""One proven connection to one member: dialled when wanted, shared by all calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred

from cartnet.limits import CALLS_PER_LINK_MAX, CONNECT_SECONDS_MAX
from cartnet.wire.replies import BadReply, decode_reply

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime
    from twisted.python.failure import Failure

    from cartnet.client.dial import Dial
    from cartnet.topology.groups import Member
    from cartnet.transport.dialing import Connection
    from cartnet.wire.replies import Reply


class LinkLostError(Exception):
    """The connection ended: whether what was sent has been done is unknown."""


class UnansweredError(Exception):
    """No answer came in time: whether what was sent has been done is unknown."""


class Attempt:
    """One sending of one call."""

    __slots__ = ("answer", "expires_at", "resend", "sent_at")

    def __init__(self, sent_at: float, expires_at: float, resend: bool) -> None:
        self.answer: Deferred[Reply] = Deferred()
        self.sent_at = sent_at
        self.expires_at = expires_at
        self.resend = resend


class LinkOwner(Protocol):
    """Who hears of a link's fate."""

    def link_proven(self, link: Link, leads: bool) -> None:
        """The member has proved itself, and says whether it leads."""

    def link_lost(self, link: Link) -> None:
        """The connection ended, or could not be made."""


class Link:
    """The connection to one member, as it comes and goes.

    :ivar attempts: what was sent and is unanswered, by request id.
    :ivar feeds: who takes the events of which request.
    :ivar heard_at: when the member last said anything.
    :ivar probed_at: when it was asked for a heartbeat that it still owes, or None.
    """

    def __init__(
        self, member: Member, dial: Dial, clock: IReactorTime, owner: LinkOwner
    ) -> None:
        self.member = member
        self.attempts: dict[int, Attempt] = {}
        self.feeds: dict[int, Callable[[Reply | None], None]] = {}
        self.heard_at = 0.0
        self.probed_at: float | None = None
        self._dial = dial
        self._clock = clock
        self._owner = owner
        self._dialing: Deferred[Connection] | None = None
        self._connection: Connection | None = None
        self._stopped = False

    @property
    def name(self) -> str:
        return self.member.name

    @property
    def connected(self) -> bool:
        return self._connection is not None

    @property
    def full(self) -> bool:
        return len(self.attempts) >= CALLS_PER_LINK_MAX

    def connect(self) -> None:
        """Dial, unless connected or under way; the owner hears how it went."""
        if self._stopped or self._connection or self._dialing is not None:
            return
        self._dialing = dialing = self._dial(self.member, self._line, self._closed)
        dialing.addTimeout(CONNECT_SECONDS_MAX, self._clock)
        dialing.addCallbacks(self._proven, self._failed)

    def _proven(self, connection: Connection) -> None:
        self._dialing = None
        if self._stopped:
            connection.abort()
            return
        self._connection = connection
        self.heard_at = self._clock.seconds()
        self.probed_at = None
        self._owner.link_proven(self, connection.peer.leads)

    def _failed(self, failure: Failure) -> None:
        # Refused, unreachable, or not whom we took it for: the dialler has logged what
        # is worth a line, and the search for a leader tries again.
        self._dialing = None
        self._owner.link_lost(self)

    def send(self, request_id: int, line: bytes, attempt: Attempt) -> None:
        """Send a request; its attempt hears of the answer."""
        assert self._connection is not None
        assert request_id not in self.attempts
        self.attempts[request_id] = attempt
        self._connection.send(line)

    def say(self, line: bytes) -> None:
        """Send a line whose answer nobody waits for, if there is a connection."""
        if self._connection is not None:
            self._connection.send(line)

    def _line(self, line: bytes) -> None:
        self.heard_at = self._clock.seconds()
        try:
            reply = decode_reply(line)
        except BadReply:
            # What it answered to cannot be told: all that is under way is unknown.
            self.drop()
            return
        request_id = reply.id
        if request_id is None:
            # Some line of ours it could not read: that has no answer, ever.
            self.drop()
            return
        if not isinstance(request_id, int):
            return
        feed = self.feeds.get(request_id)
        if feed is not None:
            feed(reply)
            return
        attempt = self.attempts.pop(request_id, None)
        if attempt is not None:
            attempt.answer.callback(reply)

    def abandon(self, request_id: int, error: Exception) -> None:
        """Wait no longer for an answer; a late one is ignored."""
        self.attempts.pop(request_id).answer.errback(error)

    def drop(self) -> None:
        """Abort the connection: the member hangs, or is not needed any longer."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.abort()
            self._lost()

    def stop(self) -> None:
        """Drop the connection for good."""
        self._stopped = True
        if self._dialing is not None:
            self._dialing.cancel()
        self.drop()

    def _closed(self) -> None:
        if self._connection is not None:
            self._connection = None
            self._lost()

    def _lost(self) -> None:
        self.probed_at = None
        attempts, self.attempts = self.attempts, {}
        feeds, self.feeds = self.feeds, {}
        # The owner first: who tries again at once must not find this link believed in.
        self._owner.link_lost(self)
        for attempt in attempts.values():
            attempt.answer.errback(LinkLostError(self.name))
        for feed in feeds.values():
            feed(None)
