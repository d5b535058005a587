"""How a client's connection to a member is made: connect, then both sides prove."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from typing_extensions import override

from cartnet.limits import LINE_BYTES_MAX
from cartnet.wire.framing import LineSplitter, LineTooLong
from cartnet.wire.hello import Handshake, HelloRefused, Identity

if TYPE_CHECKING:
    from twisted.internet.interfaces import IAddress
    from twisted.python.failure import Failure

    from cartnet.seams import Seams
    from cartnet.topology.groups import Group, Member

CHALLENGE_BYTES = 16

Dial = Callable[
    ["Member", Callable[[bytes], None], Callable[[], None]], "Deferred[Conversation]"
]
"""Dials a member; each later line goes to the first callable, the end of a proven
connection to the second. Cancelling gives the attempt up."""


class Conversation(Protocol):
    """A connection to a member, proven before anything is said on it.

    :ivar transport: set by Twisted when the connection is made.
    :ivar proven: fires with this once both sides have proved that they know the
        secret; fails with what is wrong.
    """

    transport: ITCPTransport | None = None

    def __init__(
        self,
        handshake: Handshake,
        on_line: Callable[[bytes], None],
        on_end: Callable[[], None],
    ) -> None:
        self.proven: Deferred[Conversation] = Deferred(lambda proven: self.abort())
        self._handshake = handshake
        self._on_line = on_line
        self._on_end = on_end
        self._lines = LineSplitter(LINE_BYTES_MAX)
        self._ended = False

    @property
    def peer(self) -> Identity:
        """Who is at the other end, as it said when the connection was made."""
        assert self._handshake.done
        assert self._handshake.peer is not None
        return self._handshake.peer

    def send(self, line: bytes) -> None:
        """Send a line, given without its end."""
        assert self.transport is not None
        self.transport.write(line + b"\n")

    def abort(self) -> None:
        """Close at once; nothing more is heard of it."""
        self._ended = True
        if self.transport is not None:
            self.transport.abortConnection()

    @override
    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.setTcpNoDelay(True)
        self.send(self._handshake.start())

    @override
    def dataReceived(self, data: bytes) -> None:
        try:
            lines = self._lines.feed(data)
        except LineTooLong:
            self._end_with(HelloRefused("the other side's line is too long"))
            return
        for line in lines:
            if self._ended:
                return
            if self._handshake.done:
                self._on_line(line)
            else:
                self._prove(line)

    def _prove(self, line: bytes) -> None:
        try:
            answer = self._handshake.receive(line)
        except HelloRefused as refused:
            self._end_with(refused)
            return
        if answer is not None:
            self.send(answer)
        if self._handshake.done:
            self.proven.callback(self)

    def _end_with(self, why: Exception) -> None:
        assert self.transport is not None
        self.transport.abortConnection()
        self._end(why)

    def _end(self, why: Exception) -> None:
        if self._ended:
            return
        self._ended = True
        if self._handshake.done:
            self._on_end()
        elif not self.proven.called:
            self.proven.errback(why)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._end(ConnectionLost())


class _Dialling(Factory):
    """Makes the one conversation of one attempt."""

    noisy = False

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    @override
    def buildProtocol(self, addr: IAddress | None) -> Conversation:
        return self._conversation


def dialler(seams: Seams, cluster: str, secret: bytes, name: str, group: Group) -> Dial:
    """Make what dials the members of ``group`` in the name of ``name``."""
    mine = Identity(cluster=cluster, replica=name, purpose="client")

    def check(member: Member, theirs: Identity) -> str | None:
        if (theirs.group, theirs.replica) != (group.name, member.name):
            answers = f"{theirs.replica} of group {theirs.group!r}"
            return f"{answers} answers at the address of {member.name}"
        return None

    def dial(
        member: Member, on_line: Callable[[bytes], None], on_end: Callable[[], None]
    ) -> Deferred[Conversation]:
        handshake = Handshake(
            "dialer",
            lambda: mine,
            seams.token_bytes(CHALLENGE_BYTES).hex(),
            secret,
            lambda theirs: check(member, theirs),
        )
        conversation = Conversation(handshake, on_line, on_end)
        connected = seams.network.client(member.address).connect(
            _Dialling(conversation)
        )
        # The attempt is one Deferred: cancelled, it ends at whichever step it is.
        return connected.addCallback(lambda _: conversation.proven)

    return dial
