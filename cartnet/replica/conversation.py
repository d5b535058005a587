"""One connection to a replica's port."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from cartnet.errors import Refused
from cartnet.limits import (
    CHALLENGE_BYTES,
    HELLO_SECONDS_MAX,
    IDLE_SECONDS_MAX,
    LINE_BYTES_MAX,
    REQUESTS_PER_CONNECTION_MAX,
    REQUESTS_PER_REPLICA_MAX,
    SEND_BUFFER_BYTES_MAX,
    UNFINISHED_LINE_SECONDS_MAX,
    WATCHES_PER_CONNECTION_MAX,
)
from cartnet.replica.ports import Subscription, Watching
from cartnet.wire.arguments import decode_arguments
from cartnet.wire.framing import LineSplitter, LineTooLong
from cartnet.wire.hello import HELLO_START, Handshake, HelloRefused
from cartnet.wire.messages import BadMessage, decode_message
from cartnet.wire.replies import encode_error, encode_event, encode_ok
from cartnet.wire.requests import BadLine, Request, decode_request
from cartnet.wire.shown import one_line

if TYPE_CHECKING:
    from cartnet.replica.listener import Listener

_TLS: Final = b"\x16\x03"
_HTTP: Final = re.compile(rb"[A-Z]+ \S+ HTTP/\d")


class _Session(msgspec.Struct):
    session: str


class _LoggedIn(msgspec.Struct):
    ok: _Session


_session_of = msgspec.json.Decoder(_LoggedIn).decode


@dataclass
class _InFlight:
    since: float
    call: str
    answered: bool = False


class _Watch:
    """A live watch: where its events go (:class:`cartnet.replica.ports.Sink`)."""

    def __init__(self, conversation: Conversation, request_id: int | str) -> None:
        self.subscription: Subscription | None = None
        self._conversation = conversation
        self._request_id = request_id

    @property
    def writable(self) -> bool:
        return self._conversation.writable

    def send(self, event: bytes) -> None:
        line = encode_event(self._request_id, msgspec.Raw(event))
        self._conversation.write(line)


@implementer(IPushProducer)
class Conversation(Protocol):
    """Lines in, answers out, in any order.

    :ivar trusted: the other side has proved that it knows the cluster's secret.
    :ivar address: the host at the other end.
    :ivar writable: the other side keeps up with what is sent to it.
    """

    def __init__(self, listener: Listener, address: str) -> None:
        self.trusted = False
        self.address = address
        self.writable = True
        self._listener = listener
        self._splitter = LineSplitter(LINE_BYTES_MAX)
        self._first = True
        self._handshake: Handshake | None = None
        self._peer: str | None = None
        self._session: str | None = None
        self._in_flight: dict[int | str, _InFlight] = {}
        self._watches: dict[int | str, _Watch] = {}
        self._heard_at = listener.clock.seconds()
        self._unfinished_since: float | None = None
        self._bytes_unread = 0
        self._ending = False

    @property
    def _stream(self) -> Any:
        # A stream's methods are spread over several of Twisted's interfaces.
        return self.transport

    # --- bytes ----------------------------------------------------------------------

    @override
    def connectionMade(self) -> None:
        self._stream.setTcpNoDelay(True)
        self._stream.registerProducer(self, True)

    @override
    def dataReceived(self, data: bytes) -> None:
        self._heard_at = self._listener.clock.seconds()
        if self._first and data.startswith(_TLS):
            self._refuse_connection("TLS where plain lines are expected")
            return
        try:
            lines, too_long = self._splitter.feed(data), None
        except LineTooLong as error:
            lines, too_long = error.lines, error
        for line in lines:
            if self._ending:
                return
            self._line(line)
        if too_long is not None and not self._ending:
            self._answer_error(None, Refused("too_large", str(too_long)))
            self._refuse_connection("a line without end")
        if not self._splitter.unfinished:
            self._unfinished_since = None
        elif lines or self._unfinished_since is None:
            self._unfinished_since = self._heard_at

    def write(self, line: bytes) -> None:
        """Send a line; whoever lets too much pile up unread is cut off."""
        if self._ending:
            return
        if not self.writable:
            self._bytes_unread += len(line)
            if self._bytes_unread > SEND_BUFFER_BYTES_MAX:
                self._listener.log.warn(
                    "{address} does not read its answers", address=self.address
                )
                self.abort()
                return
        self._stream.write(line + b"\n")

    def close(self) -> None:
        """End once what was written has left."""
        self._end()
        self._stream.loseConnection()

    def abort(self) -> None:
        """End at once."""
        self._end()
        self._stream.abortConnection()

    @override
    def connectionLost(self, reason: Failure | None = None) -> None:
        self._end()
        self._listener.left(self)

    def _end(self) -> None:
        if self._ending:
            return
        self._ending = True
        unanswered = sum(not each.answered for each in self._in_flight.values())
        self._in_flight.clear()
        for watch in self._watches.values():
            if watch.subscription is not None:
                watch.subscription.cancel()
        self._watches.clear()
        if unanswered:
            self._listener.answered(unanswered)

    def sweep(self, now: float) -> None:
        """End what has lasted too long."""
        if self._ending:
            return
        late = now - self._listener.answer_seconds_max
        for request_id, waiting in list(self._in_flight.items()):
            if waiting.since <= late:
                self._give_up(request_id, waiting)
        since = self._unfinished_since
        if since is not None and now - since > UNFINISHED_LINE_SECONDS_MAX:
            self._answer_error(None, Refused("bad_request", "the line has no end"))
            self._refuse_connection("a line that was not finished")
        elif self._handshake is not None and now - self._heard_at > HELLO_SECONDS_MAX:
            self._refuse_connection("a handshake that was not finished")
        elif (
            now - self._heard_at > IDLE_SECONDS_MAX
            and not self.trusted
            and not self._in_flight
            and not self._watches
        ):
            self.close()

    # --- IPushProducer: the other side's pace ----------------------------------------

    def pauseProducing(self) -> None:  # noqa: N802 # Twisted's name
        """It does not read fast enough: take no more requests from it."""
        self.writable = False
        self._stream.pauseProducing()

    def resumeProducing(self) -> None:  # noqa: N802 # Twisted's name
        self.writable = True
        self._bytes_unread = 0
        if self._ending:
            return
        self._stream.resumeProducing()
        for watch in list(self._watches.values()):
            if watch.subscription is not None:
                watch.subscription.wake()

    def stopProducing(self) -> None:  # noqa: N802 # Twisted's name
        """The connection is gone; :meth:`connectionLost` follows."""

    # --- lines ----------------------------------------------------------------------

    def _line(self, line: bytes) -> None:
        if self._peer is not None:
            self._message(line)
            return
        if self._handshake is not None:
            self._shake(line)
            return
        if self._first:
            self._first = False
            if line.startswith(HELLO_START):
                self._handshake = self._new_handshake()
                self._shake(line)
                return
        if _HTTP.match(line):
            # A web page must not be able to make a browser post requests here.
            refused = Refused("bad_request", "this port does not speak HTTP")
            self._answer_error(None, refused)
            self._refuse_connection("an HTTP request")
            return
        self._request(line)

    def _new_handshake(self) -> Handshake:
        host = self._listener.host
        return Handshake(
            "listener",
            host.identity,
            self._listener.token_bytes(CHALLENGE_BYTES).hex(),
            host.secret,
            host.unwelcome,
        )

    def _shake(self, line: bytes) -> None:
        handshake = self._handshake
        assert handshake is not None
        try:
            answer = handshake.receive(line)
        except HelloRefused as refused:
            self._answer_error(None, Refused("forbidden", str(refused)))
            self._refuse_connection(str(refused))
            return
        if answer is not None:
            self.write(answer)
        if handshake.done:
            assert handshake.peer is not None
            self._handshake = None
            self.trusted = True
            if handshake.peer.purpose == "peer":
                self._peer = handshake.peer.replica
                self._listener.host.peer_connected(handshake.peer)

    def _message(self, line: bytes) -> None:
        assert self._peer is not None
        try:
            message = decode_message(line)
        except BadMessage as error:
            self._refuse_connection(f"a bad message of {self._peer}: {error}")
            return
        self._listener.host.peer_message(self._peer, message)

    def _refuse_connection(self, why: str) -> None:
        self._listener.log.warn(
            "closed a connection from {address}: {why}",
            address=self.address,
            why=one_line(why),
        )
        self.close()

    # --- requests -------------------------------------------------------------------

    def _request(self, line: bytes) -> None:
        try:
            request = decode_request(line)
            self._take(request)
        except BadLine as bad:
            self._answer_error(bad.id, bad.refused)
        except Refused as refused:
            self._answer_error(request.id, refused)

    def _take(self, request: Request) -> None:
        listener = self._listener
        if request.id in self._in_flight or request.id in self._watches:
            raise Refused("bad_request", f"id {request.id!r} is still in flight")
        match request.call:
            case "ping":
                decode_arguments("ping", request.args, trusted=False)
                self.write(encode_ok(request.id, {}))
                return
            case "cancel":
                self._cancel(request)
                return
        if listener.draining and not self.trusted:
            raise Refused("unavailable", "this replica is stopping")
        if len(self._in_flight) >= REQUESTS_PER_CONNECTION_MAX:
            raise Refused(
                "overloaded",
                f"{REQUESTS_PER_CONNECTION_MAX} requests of this connection are in"
                " flight already",
            )
        if listener.is_full:
            raise Refused(
                "overloaded",
                f"{REQUESTS_PER_REPLICA_MAX} requests are in flight here already",
            )
        if request.session is None and self._session is not None:
            request = msgspec.structs.replace(request, session=self._session)
        waiting = _InFlight(listener.clock.seconds(), request.call)
        self._in_flight[request.id] = waiting
        listener.in_flight += 1
        try:
            outcome = listener.host.call(request, self)
        except Exception:
            self._done(Failure(), request, waiting)
        else:
            outcome.addBoth(self._done, request, waiting)

    def _done(self, outcome: Any, request: Request, waiting: _InFlight) -> None:
        """A call has ended; its caller may have been answered for it, or be gone."""
        if waiting.answered or self._ending:
            return
        waiting.answered = True
        del self._in_flight[request.id]
        if isinstance(outcome, Failure):
            self._answer_error(request.id, self._refusal(outcome, request.call))
        elif isinstance(outcome, Watching):
            self._watch(request.id, outcome)
        else:
            self._answer_ok(request, outcome)
        self._listener.answered()

    def _refusal(self, failure: Failure, call: str) -> Refused:
        if isinstance(failure.value, Refused):
            return failure.value
        self._listener.log.failure("the call {call} broke", failure, call=call)
        return Refused("internal", "something broke; the log of this replica says what")

    def _give_up(self, request_id: int | str, waiting: _InFlight) -> None:
        """Answer for a call that takes too long; its own answer will be dropped."""
        waiting.answered = True
        del self._in_flight[request_id]
        self._answer_error(request_id, Refused("timeout", "no outcome in time"))
        self._listener.answered()

    def _answer_ok(self, request: Request, value: Any) -> None:
        line = encode_ok(request.id, value)
        if len(line) > LINE_BYTES_MAX:
            too_large = Refused("too_large", "the answer would not fit a line")
            self._answer_error(request.id, too_large)
            return
        if request.call == "login":
            self._session = _session_of(line).ok.session
        elif request.call == "logout" and request.session == self._session:
            self._session = None
        self.write(line)

    def _answer_error(self, request_id: int | str | None, refused: Refused) -> None:
        self.write(encode_error(request_id, refused))

    # --- watches --------------------------------------------------------------------

    def _watch(self, request_id: int | str, watching: Watching) -> None:
        if len(self._watches) >= WATCHES_PER_CONNECTION_MAX:
            too_many = f"{WATCHES_PER_CONNECTION_MAX} watches are live already"
            self._answer_error(request_id, Refused("overloaded", too_many))
            return
        self.write(encode_ok(request_id, {}))
        watch = self._watches[request_id] = _Watch(self, request_id)
        watch.subscription = watching.subscribe(watch)

    def _cancel(self, request: Request) -> None:
        args: Any = decode_arguments("cancel", request.args, trusted=False)
        watch = self._watches.pop(args.id, None)
        if watch is None:
            raise Refused("not_found", f"no watch has the id {args.id!r}")
        assert watch.subscription is not None
        watch.subscription.cancel()
        self.write(encode_ok(request.id, {}))
