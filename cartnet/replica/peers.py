"""This replica's own connections to the other members: its messages leave by them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from twisted.internet import error
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from cartnet.limits import (
    CHALLENGE_BYTES,
    RECONNECT_SECONDS_MAX,
    RECONNECT_SECONDS_MIN,
    SEND_BUFFER_BYTES_MAX,
)
from cartnet.transport.dialing import Connection, dial
from cartnet.wire.hello import Handshake, HelloRefused, NotYet, peer_mismatch
from cartnet.wire.messages import encode_message

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.interfaces import IDelayedCall
    from twisted.logger import Logger

    from cartnet.consensus.messages import PeerMessage
    from cartnet.seams import Seams
    from cartnet.topology.groups import Group, Member
    from cartnet.wire.hello import Identity


_ABSENT: Final = (error.ConnectionRefusedError, error.ConnectionClosed, HelloRefused)
"""What a member says of itself by failing so; a hang or a cut says nothing of it."""


class PeerEvents(Protocol):
    """What the connections tell their replica."""

    @property
    def secret(self) -> bytes: ...

    def identity(self) -> Identity:
        """What this replica says of itself, now."""

    def peer_up(self, name: str, identity: Identity) -> None:
        """A connection to ``name`` is proven: messages reach it."""

    def peer_lost(self, name: str) -> None:
        """The connection to ``name`` is gone, and with it what was on its way."""

    def peer_absent(self, name: str) -> None:
        """``name`` closed the connection, and does not lead where it listened: a hint
        that its process has crashed."""


class Peers:
    """One connection to each other member, made again whenever it is lost."""

    def __init__(
        self, events: PeerEvents, group: Group, name: str, seams: Seams, log: Logger
    ) -> None:
        self._peers = {
            member.name: _Peer(member, events, seams, log)
            for member in group.members
            if member.name != name
        }
        self._last: tuple[PeerMessage | None, bytes] = (None, b"")

    def start(self) -> None:
        """Begin to dial."""
        for peer in self._peers.values():
            peer.dial()

    def send(self, name: str, message: PeerMessage) -> bool:
        """Send a message; say whether it is on its way.

        Where there is no connection, or the other side does not read, it is dropped.
        """
        connection = self._peers[name].connection
        if connection is None or connection.unsent_bytes > SEND_BUFFER_BYTES_MAX:
            return False
        connection.send(self._encoded(message))
        return True

    def _encoded(self, message: PeerMessage) -> bytes:
        """Encode once what goes to several."""
        if self._last[0] is not message:
            self._last = (message, encode_message(message))
        return self._last[1]

    def dial_anew(self, *names: str) -> None:
        """Say hello again, and hear what these members say of themselves by now.

        By default all.
        """
        for name in names or self._peers:
            self._peers[name].dial_anew()

    def peer_called(self, name: str) -> None:
        """A member has dialled this replica: it is there again, so do not wait."""
        peer = self._peers[name]
        if peer.connection is None:
            peer.dial()

    def abort(self) -> None:
        """Close at once."""
        for peer in self._peers.values():
            peer.end(Connection.abort)

    def close(self) -> None:
        """Close once all is sent."""
        for peer in self._peers.values():
            peer.end(Connection.close)


def _nothing_to_hear(line: bytes) -> None:
    """A peer answers on its own connection; what comes back on this one is ignored."""


class _Peer:
    """The connection to one member, and the attempts to make it."""

    def __init__(
        self, member: Member, events: PeerEvents, seams: Seams, log: Logger
    ) -> None:
        self.connection: Connection | None = None
        self._member = member
        self._events = events
        self._seams = seams
        self._log = log
        self._dialling: Deferred[Connection] | None = None
        self._handshake: Handshake | None = None
        self._again: IDelayedCall | None = None
        self._seconds = RECONNECT_SECONDS_MIN
        self._just_lost = False
        self._refusal: str | None = None
        self._ended = False

    def dial(self) -> None:
        """Connect now, unless an attempt is under way."""
        if self._ended or self._dialling is not None:
            return
        self._stop_waiting()
        events, name = self._events, self._member.name
        self._handshake = handshake = Handshake(
            "dialer",
            events.identity,
            self._seams.token_bytes(CHALLENGE_BYTES).hex(),
            events.secret,
            lambda theirs: peer_mismatch(events.identity(), theirs, name),
        )
        self._dialling = dial(
            self._seams.network.client(self._member.address),
            handshake,
            self._seams.clock,
            _nothing_to_hear,
            self._lost,
        )
        self._dialling.addCallbacks(self._proven, self._failed)

    def dial_anew(self) -> None:
        """Put another connection in the place of one that stands."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()
            self._events.peer_lost(self._member.name)
        self.dial()

    def end(self, close: Callable[[Connection], None]) -> None:
        """Dial no more, and close what there is."""
        self._ended = True
        self._stop_waiting()
        if self._dialling is not None:
            self._dialling.cancel()
        connection, self.connection = self.connection, None
        if connection is not None:
            close(connection)

    def _proven(self, connection: Connection) -> None:
        self._dialling = None
        self._seconds = RECONNECT_SECONDS_MIN
        self._refusal = None
        self.connection = connection
        just_lost, self._just_lost = self._just_lost, False
        self._log.info("connected to {name}", name=self._member.name)
        if just_lost and not connection.peer.leads:
            self._events.peer_absent(self._member.name)
        self._events.peer_up(self._member.name, connection.peer)

    def _lost(self) -> None:
        self.connection = None
        self._log.info("lost the connection to {name}", name=self._member.name)
        self._events.peer_lost(self._member.name)
        # An attempt at once tells a crash from a cut connection.
        self._just_lost = True
        self.dial()

    def _failed(self, failure: Failure) -> None:
        self._dialling = None
        if self._ended:
            return
        just_lost, self._just_lost = self._just_lost, False
        if failure.check(NotYet):
            # It dials, too, once it is ready, which ends the wait for it.
            self._note_refusal(str(failure.value), self._log.info)
        elif failure.check(HelloRefused):
            self._seconds = RECONNECT_SECONDS_MAX
            self._note_refusal(str(failure.value), self._log.warn)
        met = self._handshake.peer if self._handshake is not None else None
        leads = met is not None and met.leads
        if just_lost and not leads and failure.check(*_ABSENT):
            self._events.peer_absent(self._member.name)
        self._wait()

    def _note_refusal(self, reason: str, tell: Callable[..., None]) -> None:
        if reason != self._refusal:
            self._refusal = reason
            tell(
                "{name} at {address} is not met: {reason}",
                name=self._member.name,
                address=self._member.address,
                reason=reason,
            )

    def _wait(self) -> None:
        seconds = self._seconds * self._seams.random.uniform(0.5, 1)
        self._seconds = min(self._seconds * 2, RECONNECT_SECONDS_MAX)
        self._again = self._seams.clock.callLater(seconds, self._waited)

    def _waited(self) -> None:
        self._again = None
        self.dial()

    def _stop_waiting(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None
