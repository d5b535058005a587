"""A replica's port: peers, other processes of the cluster, and anybody's requests.

The listener never speaks first. A connection's first line decides what it is: a hello
begins a handshake, anything else is a client's request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import Factory
from typing_extensions import override

from cartnet.errors import Refused
from cartnet.limits import (
    ANSWER_BACKSTOP_SECONDS,
    CONNECTIONS_MAX,
    CONNECTIONS_PER_ADDRESS_MAX,
    LISTENER_SWEEP_SECONDS,
    REQUESTS_PER_REPLICA_MAX,
)
from cartnet.replica.conversation import Conversation
from cartnet.replica.gate import Gate
from cartnet.replica.refusals import Refusals
from cartnet.topology.address import is_loopback

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress, IDelayedCall
    from twisted.logger import Logger

    from cartnet.consensus.messages import PeerMessage
    from cartnet.replica.ports import Caller
    from cartnet.seams import Seams
    from cartnet.wire.hello import Identity
    from cartnet.wire.requests import Request


class Host(Protocol):
    """What a listener asks of its replica."""

    @property
    def secret(self) -> bytes: ...

    def identity(self) -> Identity:
        """What this replica says of itself, now."""

    def unwelcome(self, identity: Identity) -> str | None:
        """Why whoever says to be ``identity`` must not come in, None if it may.

        :raises cartnet.wire.hello.NotYet: it is to call again.
        """

    def peer_connected(self, identity: Identity) -> None:
        """A member has dialled this replica and proved itself."""

    def peer_message(self, sender: str, message: PeerMessage) -> None: ...

    def call(self, request: Request, caller: Caller) -> Deferred[object]:
        """Do one request; raises or fails with :class:`cartnet.errors.Refused`."""


class Listener:
    """All connections to one replica's port.

    :ivar factory: what the port's endpoint is given.
    :ivar in_flight: requests that the host was given and is not done with.
    :ivar draining: no new requests are taken from outside the cluster.
    """

    def __init__(
        self,
        host: Host,
        seams: Seams,
        log: Logger,
        request_timeout: float,
        gate: Gate | None = None,
    ) -> None:
        """
        :param request_timeout: after so many seconds, and a grace, a request that has
            no answer is answered with ``timeout``.
        :param gate: the replica's; without one nothing holds it.
        """
        self.gate = gate if gate is not None else Gate("", seams.clock, log)
        self.gate.on_heal(self._mend)
        self.host = host
        self.clock = seams.clock
        self.token_bytes = seams.token_bytes
        self.log = log
        self.answer_seconds_max = request_timeout + ANSWER_BACKSTOP_SECONDS
        self.in_flight = 0
        self.draining = False
        # In the order they came, which is that in which they are ended.
        self._connections: dict[Conversation, str] = {}
        self._peers: dict[str, Conversation] = {}
        self._refusals = Refusals(log)
        self._aborted = False
        self._per_address: dict[str, int] = {}
        self._drained: list[Deferred[None]] = []
        self._ended: list[Deferred[None]] = []
        self._sweeping: IDelayedCall | None = None
        self.factory = _Factory(self)

    @property
    def connections(self) -> int:
        return len(self._connections)

    def refusal(self, *, trusted: bool) -> Refused | None:
        """Why no request is taken at the moment, None if one is."""
        if self.draining and not trusted:
            return Refused("unavailable", "this replica is stopping; ask another")
        if self.in_flight >= REQUESTS_PER_REPLICA_MAX:
            many = f"{REQUESTS_PER_REPLICA_MAX} requests are in flight here already"
            return Refused("overloaded", many)
        return None

    def begin(self, request: Request, caller: Caller) -> Deferred[object]:
        """Give a request to the host: it is in flight until it is answered."""
        self.in_flight += 1
        return self.host.call(request, caller)

    def admit(self, address: IAddress) -> Conversation | None:
        """Make the protocol of a new connection, unless there are too many."""
        if self._aborted:
            return None
        host = str(getattr(address, "host", "local socket"))
        count = self._per_address.get(host, 0)
        crowded = count >= CONNECTIONS_PER_ADDRESS_MAX and not is_loopback(host)
        if crowded or not self._make_room():
            self.refused(host, "there are too many connections already")
            return None
        self._per_address[host] = count + 1
        conversation = Conversation(self, host)
        self._connections[conversation] = host
        if self._sweeping is None:
            self._sweep()
        return conversation

    def _make_room(self) -> bool:
        """See that one more connection fits: strangers must not keep members out."""
        if len(self._connections) < CONNECTIONS_MAX:
            return True
        for conversation in self._connections:
            # One that was cut off in this turn of the loop is still counted.
            if not conversation.trusted and not conversation.ended:
                # The oldest stranger goes, since a member cannot be told before its
                # hello.
                conversation.abort()
                return True
        return False

    def left(self, conversation: Conversation) -> None:
        """A connection has ended."""
        host = self._connections.pop(conversation)
        peer = conversation.peer
        if peer is not None and self._peers.get(peer) is conversation:
            del self._peers[peer]
        self._per_address[host] -= 1
        if not self._per_address[host]:
            del self._per_address[host]
        if not self._connections:
            self._stop_sweeping()
            ended, self._ended = self._ended, []
            for waiting in ended:
                waiting.callback(None)

    def peer_proven(self, conversation: Conversation, identity: Identity) -> None:
        """A member has proved itself: what it said before it dialled again is old."""
        former = self._peers.get(identity.replica)
        self._peers[identity.replica] = conversation
        if former is not None:
            former.abort()
        self._refusals.forget(identity.replica)
        self.host.peer_connected(identity)

    def refused(self, who: str, reason: str) -> None:
        """Log that ``who`` was turned away, unless that was the last word of it."""
        self._refusals.note(who, reason)

    def answered(self) -> None:
        """The host is done with a request, whoever still waits for the answer."""
        self.in_flight -= 1
        if not self.in_flight:
            drained, self._drained = self._drained, []
            for waiting in drained:
                waiting.callback(None)

    def drain(self) -> Deferred[None]:
        """Refuse new requests; fire when those in flight have their answers."""
        self.draining = True
        if not self.in_flight:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._drained.append(waiting)
        return waiting

    def close(self) -> Deferred[None]:
        """Close every connection once what was written to it has left.

        One that does not take it is cut off after ``CLOSE_SECONDS_MAX``.
        """
        if not self._connections:
            return succeed(None)
        waiting: Deferred[None] = Deferred()
        self._ended.append(waiting)
        for conversation in list(self._connections):
            conversation.close()
        return waiting

    def abort(self) -> None:
        """Cut every connection, as the end of a process does; take no more."""
        self._aborted = True
        self._stop_sweeping()
        for conversation in list(self._connections):
            conversation.abort()

    def _mend(self) -> None:
        """Messages pass again."""
        for conversation in list(self._connections):
            conversation.mend()

    def _sweep(self) -> None:
        """Look at the ages of everything, in place of a timer for each."""
        self._sweeping = self.clock.callLater(LISTENER_SWEEP_SECONDS, self._sweep)
        now = self.clock.seconds()
        for conversation in list(self._connections):
            conversation.sweep(now)

    def _stop_sweeping(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None


class _Factory(Factory):
    noisy = False

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    @override
    def logPrefix(self) -> str:
        """What Twisted's log says is "starting on" a port."""
        return "replica port"

    @override
    def buildProtocol(self, addr: Any) -> Conversation | None:
        return self._listener.admit(addr)
