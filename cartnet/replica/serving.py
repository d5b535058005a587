"""The requests of one connection: in hand, answered, watched."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from twisted.python.failure import Failure

from cartnet.errors import Refused
from cartnet.limits import (
    LINE_BYTES_MAX,
    REQUESTS_PER_CONNECTION_MAX,
    REQUESTS_PER_REPLICA_MAX,
    WATCHES_PER_CONNECTION_MAX,
)
from cartnet.replica.ports import Subscription, Watching
from cartnet.wire.arguments import decode_arguments
from cartnet.wire.replies import encode_error, encode_event, encode_ok
from cartnet.wire.requests import BadLine, Request, decode_request
from cartnet.wire.shown import shown

if TYPE_CHECKING:
    from cartnet.replica.listener import Listener


class _Session(msgspec.Struct):
    session: str


class _LoggedIn(msgspec.Struct):
    ok: _Session


_session_of = msgspec.json.Decoder(_LoggedIn).decode


class Line(Protocol):
    """The connection, as its requests see it; it is their ``Caller`` as well."""

    @property
    def trusted(self) -> bool: ...

    @property
    def supervises(self) -> bool:
        """Whether it is for a supervisor's commands alone."""

    @property
    def address(self) -> str: ...

    @property
    def writable(self) -> bool: ...

    def write(self, line: bytes) -> None: ...

    def idle(self) -> None:
        """Nothing is in hand any more."""

    def abort(self) -> None: ...


@dataclass(slots=True)
class _InHand:
    """A request that the host was given.

    :ivar over: nobody waits for its answer any more.
    """

    request: Request
    since: float
    over: bool = False


class _Watch:
    """A live watch: where its events go (:class:`cartnet.replica.ports.Sink`)."""

    def __init__(self, request_id: int | str, line: Line) -> None:
        self.over = False
        self.subscription: Subscription | None = None
        self._id = request_id
        self._line = line

    @property
    def writable(self) -> bool:
        return self._line.writable

    def send(self, event: bytes) -> None:
        if not self.over:
            self._line.write(encode_event(self._id, msgspec.Raw(event)))

    def subscribe(self, watching: Watching) -> None:
        subscription = watching.subscribe(self)
        if self.over:
            subscription.cancel()
        else:
            self.subscription = subscription

    def end(self) -> None:
        self.over = True
        if self.subscription is not None:
            self.subscription.cancel()


class Serving:
    """Takes a client's lines, and sees to it that each gets its answer in time.

    :ivar in_hand: the requests without an answer, oldest first, by id.
    :ivar watches: the live watches, by the id of the request that began each.
    """

    def __init__(self, listener: Listener, line: Line) -> None:
        self.in_hand: dict[int | str, _InHand] = {}
        self.watches: dict[int | str, _Watch] = {}
        self._listener = listener
        self._line = line
        self._session: str | None = None

    @property
    def busy(self) -> bool:
        """Whether the other side waits for something."""
        return bool(self.in_hand or self.watches)

    def take(self, line: bytes) -> None:
        """Take one line."""
        try:
            request = decode_request(line)
        except BadLine as bad:
            self._line.write(encode_error(bad.id, bad.refused))
            return
        try:
            if request.id in self.in_hand or request.id in self.watches:
                id_shown = shown(request.id)
                raise Refused("bad_request", f"id {id_shown} is still in flight")
            if request.call == "ping":
                decode_arguments("ping", request.args, trusted=self._line.trusted)
                self._line.write(encode_ok(request.id, {}))
            elif request.call == "cancel":
                self._cancel(request)
            else:
                self._begin(request)
        except Refused as refused:
            self._line.write(encode_error(request.id, refused))

    def expire(self, now: float) -> None:
        """Answer those whose time is up: whether they were done is unknown."""
        late = now - self._listener.answer_seconds_max
        for in_hand in list(self.in_hand.values()):
            if in_hand.since > late:
                break
            timeout = Refused("timeout", "no answer in time; it may have been done")
            self._settle(in_hand, encode_error(in_hand.request.id, timeout))

    def wake(self) -> None:
        """The other side has read what was sent."""
        for watch in list(self.watches.values()):
            if watch.subscription is not None and not watch.over:
                watch.subscription.wake()

    def end(self) -> None:
        """Nobody listens any more: end the watches, drop the answers to come."""
        for in_hand in self.in_hand.values():
            in_hand.over = True
        self.in_hand.clear()
        watches = list(self.watches.values())
        self.watches.clear()
        for watch in watches:
            watch.end()

    # --- a request's way --------------------------------------------------------------

    def _begin(self, request: Request) -> None:
        listener = self._listener
        if self._line.supervises and request.call != "supervise":
            raise Refused("forbidden", "this connection is for supervise alone")
        if listener.draining and not self._line.trusted:
            raise Refused("unavailable", "this replica is stopping; ask another")
        if len(self.in_hand) >= REQUESTS_PER_CONNECTION_MAX:
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
        in_hand = _InHand(request, listener.clock.seconds())
        self.in_hand[request.id] = in_hand
        listener.in_flight += 1
        try:
            answering = listener.host.call(request, self._line)
        except Exception:
            self._done(Failure(), in_hand)
        else:
            answering.addBoth(self._done, in_hand)

    def _done(self, outcome: Any, in_hand: _InHand) -> None:
        """The host is done with a request, whoever still waits for its answer."""
        call = in_hand.request.call
        if isinstance(outcome, Failure):
            refused = self._refusal(outcome, call)
            self._settle(in_hand, encode_error(in_hand.request.id, refused))
        elif not in_hand.over:
            try:
                self._succeed(outcome, in_hand)
            except Exception:
                refused = self._refusal(Failure(), call)
                self._settle(in_hand, encode_error(in_hand.request.id, refused))
        self._listener.answered()

    def _refusal(self, failure: Failure, call: str) -> Refused:
        """What is no refusal stays between us and the log."""
        if isinstance(failure.value, Refused):
            return failure.value
        self._listener.log.failure("the call {call} broke", failure, call=shown(call))
        return Refused("internal", "something broke; the log of this replica says what")

    def _succeed(self, value: Any, in_hand: _InHand) -> None:
        request = in_hand.request
        if isinstance(value, Watching):
            self._watch(value, in_hand)
            return
        line = encode_ok(request.id, value)
        if len(line) > LINE_BYTES_MAX:
            raise Refused("too_large", "the answer would not fit a line")
        # A connection of the cluster's own processes carries many users' requests.
        if request.call == "login" and not self._line.trusted:
            self._session = _session_of(line).ok.session
        elif request.call == "logout" and request.session == self._session:
            self._session = None
        self._settle(in_hand, line)

    def _settle(self, in_hand: _InHand, line: bytes | None) -> None:
        """A request has its answer, or is owed none; only the first one counts."""
        if in_hand.over:
            return
        in_hand.over = True
        del self.in_hand[in_hand.request.id]
        if line is not None:
            self._line.write(line)
        if not self.in_hand:
            self._line.idle()

    # --- watches ----------------------------------------------------------------------

    def _watch(self, watching: Watching, in_hand: _InHand) -> None:
        if len(self.watches) >= WATCHES_PER_CONNECTION_MAX:
            too_many = f"{WATCHES_PER_CONNECTION_MAX} watches are live already"
            raise Refused("overloaded", too_many)
        request = in_hand.request
        watch = self.watches[request.id] = _Watch(request.id, self._line)
        self._settle(in_hand, encode_ok(request.id, {}))
        if watch.over:
            return  # Its connection ended with that answer.
        try:
            watch.subscribe(watching)
        except Exception:
            # It was answered already: only the connection's end can take that back.
            self._refusal(Failure(), request.call)
            self._line.abort()

    def _cancel(self, request: Request) -> None:
        arguments: Any = decode_arguments(
            "cancel", request.args, trusted=self._line.trusted
        )
        watch = self.watches.pop(arguments.id, None)
        begun = self.in_hand.get(arguments.id)
        if watch is not None:
            watch.end()
        elif begun is not None and begun.request.call.startswith("watch_"):
            self._settle(begun, None)
        else:
            id_shown = shown(arguments.id)
            raise Refused("not_found", f"no watch has the id {id_shown} here")
        self._line.write(encode_ok(request.id, {}))
