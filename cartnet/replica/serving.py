"""The requests of one connection: in hand, answered, watched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from twisted.python.failure import Failure

from cartnet.errors import Refused
from cartnet.limits import ANSWERS_BYTES_MAX, LINE_BYTES_MAX
from cartnet.replica.ports import Subscription, Watching
from cartnet.wire.arguments import LARGE, decode_arguments
from cartnet.wire.replies import encode_error, encode_event, encode_ok
from cartnet.wire.requests import BadLine, Request, decode_request
from cartnet.wire.shown import shown

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime
    from twisted.logger import Logger

    from cartnet.replica.ports import Caller


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


class Service(Protocol):
    """Whom requests are for: a replica, or a console.

    :ivar answer_seconds_max: a request without an answer for longer gets ``timeout``.
    """

    @property
    def clock(self) -> IReactorTime: ...

    @property
    def log(self) -> Logger: ...

    @property
    def answer_seconds_max(self) -> float: ...

    def refusal(self, *, trusted: bool) -> Refused | None:
        """Why it takes no request at the moment, None if it does."""

    def begin(self, request: Request, caller: Caller) -> Deferred[object]:
        """Do one request, which is in flight until it is :meth:`answered`.

        Raises or fails with :class:`cartnet.errors.Refused`.
        """

    def answered(self) -> None:
        """It is done with a request, whoever still waits for the answer."""


@dataclass(frozen=True)
class Bounds:
    """How much one connection may have at once; more is ``overloaded``.

    :ivar requests: in flight.
    :ivar watches: live.
    """

    requests: int
    watches: int


@dataclass(slots=True)
class _InHand:
    """A request that the service was given.

    :ivar answer_bytes: what its answer may come to, where that may be much.
    :ivar over: nobody waits for its answer any more.
    """

    request: Request
    since: float
    answer_bytes: int
    over: bool = False


class _Watch:
    """A live watch: where its events go (:class:`cartnet.replica.ports.Sink`)."""

    def __init__(self, request: Request, serving: Serving, line: Line) -> None:
        self.request = request
        self.over = False
        self.subscription: Subscription | None = None
        self._serving = serving
        self._line = line

    @property
    def writable(self) -> bool:
        return self._line.writable

    def send(self, event: bytes) -> None:
        if not self.over:
            self._line.write(encode_event(self.request.id, msgspec.Raw(event)))

    def subscribe(self, watching: Watching) -> None:
        subscription = watching.subscribe(self)
        if self.over:
            subscription.cancel()
        else:
            self.subscription = subscription

    def end(self, refused: Refused) -> None:
        if not self.over:
            del self._serving.watches[self.request.id]
            self.cancel()
            self._line.write(encode_error(self.request.id, refused))

    def cancel(self) -> None:
        self.over = True
        if self.subscription is not None:
            self.subscription.cancel()


class Serving:
    """Takes a client's lines, and sees to it that each gets its answer in time.

    :ivar in_hand: the requests without an answer, oldest first, by id.
    :ivar watches: the live watches, by the id of the request that began each.
    :ivar session: for the requests that bring none: the last login's.
    """

    def __init__(
        self,
        service: Service,
        line: Line,
        bounds: Bounds,
        session: str | None = None,
    ) -> None:
        """
        :param session: the one that the connection came with, if any.
        """
        self.in_hand: dict[int | str, _InHand] = {}
        self.watches: dict[int | str, _Watch] = {}
        self.session = session
        self._service = service
        self._line = line
        self._bounds = bounds
        self._answer_bytes = 0
        # The largest answer to each large call so far.
        self._largest: dict[str, int] = {}

    @property
    def full(self) -> bool:
        """Whether the next request should wait until one of these is answered: the
        answers may be as many bytes as may be left unread."""
        return self._answer_bytes >= ANSWERS_BYTES_MAX

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
        late = now - self._service.answer_seconds_max
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
        self._answer_bytes = 0
        watches = list(self.watches.values())
        self.watches.clear()
        for watch in watches:
            watch.cancel()

    def end_watches(self, chosen: Callable[[Request], bool], why: Refused) -> None:
        """End the watches that the requests ``chosen`` began, with an error each."""
        for watch in list(self.watches.values()):
            if chosen(watch.request):
                watch.end(why)

    # --- a request's way --------------------------------------------------------------

    def _begin(self, request: Request) -> None:
        service = self._service
        if self._line.supervises and request.call != "supervise":
            raise Refused("forbidden", "this connection is for supervise alone")
        refusal = service.refusal(trusted=self._line.trusted)
        if refusal is not None:
            raise refusal
        if len(self.in_hand) >= self._bounds.requests:
            raise Refused(
                "overloaded",
                f"{self._bounds.requests} requests of this connection are in flight"
                " already",
            )
        if request.session is None and self.session is not None:
            request = msgspec.structs.replace(request, session=self.session)
        answer_bytes = 0
        if request.call in LARGE:
            answer_bytes = self._largest.get(request.call, LINE_BYTES_MAX)
        in_hand = _InHand(request, service.clock.seconds(), answer_bytes)
        self.in_hand[request.id] = in_hand
        self._answer_bytes += answer_bytes
        try:
            answering = service.begin(request, self._line)
        except Exception:
            self._done(Failure(), in_hand)
        else:
            answering.addBoth(self._done, in_hand)

    def _done(self, outcome: Any, in_hand: _InHand) -> None:
        """A request is done, whoever still waits for its answer."""
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
        self._service.answered()

    def _refusal(self, failure: Failure, call: str) -> Refused:
        """What is no refusal stays between us and the log."""
        if isinstance(failure.value, Refused):
            return failure.value
        self._service.log.failure("the call {call} broke", failure, call=shown(call))
        return Refused("internal", "something broke; the log here says what")

    def _succeed(self, value: Any, in_hand: _InHand) -> None:
        request = in_hand.request
        if isinstance(value, Watching):
            self._watch(value, in_hand)
            return
        line = encode_ok(request.id, value)
        if len(line) > LINE_BYTES_MAX:
            raise Refused("too_large", "the answer would be too large")
        if request.call in LARGE:
            largest = self._largest.get(request.call, 0)
            self._largest[request.call] = max(largest, len(line))
        # A connection of the cluster's own processes carries many users' requests.
        if request.call == "login" and not self._line.trusted:
            self.session = _session_of(line).ok.session
        elif request.call == "logout" and request.session == self.session:
            self.session = None
        self._settle(in_hand, line)

    def _settle(self, in_hand: _InHand, line: bytes | None) -> None:
        """A request has its answer, or is owed none; only the first one counts."""
        if in_hand.over:
            return
        in_hand.over = True
        del self.in_hand[in_hand.request.id]
        self._answer_bytes -= in_hand.answer_bytes
        if line is not None:
            self._line.write(line)
        if not self.in_hand:
            self._line.idle()

    # --- watches ----------------------------------------------------------------------

    def _watch(self, watching: Watching, in_hand: _InHand) -> None:
        if len(self.watches) >= self._bounds.watches:
            too_many = f"{self._bounds.watches} watches are live already"
            raise Refused("overloaded", too_many)
        request = in_hand.request
        watch = self.watches[request.id] = _Watch(request, self, self._line)
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
            watch.cancel()
        elif begun is not None and begun.request.call.startswith("watch_"):
            self._settle(begun, None)
        else:
            id_shown = shown(arguments.id)
            raise Refused("not_found", f"no watch has the id {id_shown} here")
        self._line.write(encode_ok(request.id, {}))
