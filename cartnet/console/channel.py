"""One HTTP connection: its requests, their bounds, and headers on every answer."""

from __future__ import annotations

import re
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, Protocol

from twisted.internet.protocol import connectionDone
from twisted.web import http, server
from typing_extensions import override

from cartnet.console.answers import SECURITY_HEADERS, headers_for, raw_refusal
from cartnet.console.errors import body_of, status_of
from cartnet.console.metrics import OTHER
from cartnet.errors import Refused
from cartnet.limits import (
    HTTP_BODY_BYTES_MAX,
    HTTP_HEAD_BYTES_MAX,
    HTTP_HEADERS_MAX,
    HTTP_LINE_BYTES_MAX,
    HTTP_LINGER_SECONDS_MAX,
    HTTP_REQUEST_SECONDS_MAX,
    HTTP_STUCK_SECONDS_MAX,
)
from cartnet.wire.shown import shown

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall
    from twisted.python.failure import Failure
    from twisted.web.resource import IResource

_METHOD: Final = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,32}")
_FIRST_LINE: Final = re.compile(rb"[^ ]+ [^ ]+ (HTTP/[0-9][0-9.]{0,7})")
_TLS: Final = b"\x16\x03"
"""How a TLS handshake begins (RFC 8446, 5.1); it may hold no line's end for long."""

_ENCODINGS: Final = (b"chunked", b"identity")
_ABSOLUTE: Final = re.compile(rb"https?://[^/?]*", re.IGNORECASE)


class Requests(Protocol):
    """What the site does for all its requests."""

    def new_id(self) -> str:
        """An id for a request."""

    def seconds(self) -> float:
        """The clock."""

    def count(self, route: str, method: str, status: int, seconds: float) -> None:
        """A request was answered."""

    def log_failure(self, request_id: str, failure: Failure) -> None:
        """A request has met a mistake of ours."""


class HttpRequest(server.Request):
    """A request with an id, whose body and head are bounded.

    :ivar id: what its answer and the log call it.
    :ivar route: the path of its route, its placeholders unfilled.
    """

    channel: Channel

    def __init__(self, channel: Channel, *args: Any, **named: Any) -> None:
        super().__init__(channel, *args, **named)
        self._requests: Requests = channel.site
        self.id = self._requests.new_id()
        self.route = OTHER
        self.began = self._requests.seconds()
        self._body_bytes = 0

    @override
    def gotLength(self, length: int | None) -> None:
        # In memory: it is small, or refused.
        self.content = BytesIO()
        if length is not None and length > HTTP_BODY_BYTES_MAX:
            self._refuse_body()

    @override
    def handleContentChunk(self, data: bytes) -> None:
        self._body_bytes += len(data)
        if self._body_bytes > HTTP_BODY_BYTES_MAX:
            self._refuse_body()
        else:
            super().handleContentChunk(data)

    def _refuse_body(self) -> None:
        self.channel.refuse(
            Refused("too_large", f"a body may have {HTTP_BODY_BYTES_MAX} bytes")
        )

    @override
    def process(self) -> None:
        for name, value in headers_for(self.id, secure=self.isSecure()).items():
            self.setHeader(name, value)
        # A proxy's form of a request's target (RFC 9112, 3.2.2).
        self.path = _ABSOLUTE.sub(b"", self.path, count=1) or b"/"
        fault = self._fault()
        if fault is not None:
            self.channel.refuse(Refused("bad_request", fault))
            return
        super().process()

    @override
    def setResponseCode(self, code: int, message: bytes | None = None) -> None:
        # Twisted lacks the phrases of newer codes.
        super().setResponseCode(code, message or HTTPStatus(code).phrase.encode())

    def _fault(self) -> str | None:
        """What Klein could not route."""
        hosts = self.requestHeaders.getRawHeaders(b"Host") or []
        if len(hosts) > 1 or (not hosts and self.clientproto == b"HTTP/1.1"):
            return "a request has one Host header"
        try:
            for host in hosts:
                host.decode("ascii").encode("idna")
        except UnicodeError:
            return "the Host header names no host"
        if not _METHOD.fullmatch(self.method):
            return "the method is no word"
        if not self.path.startswith(b"/"):
            return "a request's target is a path"
        return None

    @override
    def render(self, resrc: IResource) -> None:
        # Twisted has named itself meanwhile.
        self.setHeader("Server", SECURITY_HEADERS["Server"])
        super().render(resrc)

    @override
    def processingFailed(self, reason: Failure) -> Failure:
        self._requests.log_failure(self.id, reason)
        refused = Refused(
            "internal", "something broke; the log has it by the request's id"
        )
        body = body_of(refused, self.id)
        self.setResponseCode(status_of(refused))
        self.setHeader("Content-Type", "application/json")
        self.setHeader("Content-Length", str(len(body)))
        self.write(body)
        self.finish()
        return reason


class Channel(http.HTTPChannel):
    """One connection, with bounds on the time and the size of what comes in."""

    site: Any
    transport: Any
    MAX_LENGTH = HTTP_LINE_BYTES_MAX
    totalHeadersSize = HTTP_HEAD_BYTES_MAX  # noqa: N815 (Twisted's name)
    maxHeaders = HTTP_HEADERS_MAX  # noqa: N815 (Twisted's name)

    def __init__(self) -> None:
        super().__init__()
        self._refused = False
        self._line = b""
        self._timer: IDelayedCall | None = None

    # --- what comes in ---------------------------------------------------------------

    @override
    def dataReceived(self, data: bytes) -> None:
        if self._refused:
            return
        if self._timer is None and not self._handlingRequest:
            if data.startswith(_TLS):
                fault = "TLS is not spoken here: the address is http://..."
                self.refuse(Refused("bad_request", fault))
                return
            self._set_timer(HTTP_REQUEST_SECONDS_MAX)
        super().dataReceived(data)

    @override
    def lineReceived(self, line: bytes) -> None:
        if not self._refused:
            self._line = line
            super().lineReceived(line)

    @override
    def rawDataReceived(self, data: bytes) -> None:
        if not self._refused:
            super().rawDataReceived(data)

    @override
    def allContentReceived(self) -> None:
        if not self._refused:
            self._set_timer(None)
            super().allContentReceived()

    # --- refusals --------------------------------------------------------------------

    def refuse(self, refused: Refused) -> None:
        """Answer at once, whatever is still to come, and close."""
        if self._refused:
            return
        self._refused = True
        self.write(raw_refusal(refused, self.site.new_id(), secure=self.isSecure()))
        self.site.count(OTHER, OTHER, status_of(refused), 0.0)
        # A close now, with data unread, would be a reset: it overtakes the answer.
        self.setTimeout(None)
        self._set_timer(HTTP_LINGER_SECONDS_MAX)

    @override
    def _respondToBadRequestAndDisconnect(self) -> None:
        self.refuse(Refused("bad_request", self._what_is_wrong()))

    def _what_is_wrong(self) -> str:
        """Why Twisted takes it for no request."""
        if not self.line_mode:
            return "the body's chunks are not as Transfer-Encoding: chunked has them"
        if self._receivedHeaderSize > self.totalHeadersSize:
            return f"a request's head may have {HTTP_HEAD_BYTES_MAX} bytes"
        if self._receivedHeaderCount > self.maxHeaders:
            return f"a request may have {HTTP_HEADERS_MAX} headers"
        found = _FIRST_LINE.fullmatch(self._line)
        if found is not None and found[1] not in (b"HTTP/1.1", b"HTTP/1.0"):
            return f"HTTP/1.1 is spoken here, and HTTP/1.0, not {found[1].decode()}"
        return "that is no HTTP request: its first line or a header is malformed"

    @override
    def _maybeChooseTransferDecoder(self, header: bytes, data: bytes) -> bool:
        fault = None
        if header in (b"Content-Length", b"Transfer-Encoding"):
            if header == b"Content-Length" and not data.isdigit():
                fault = f"Content-Length must be a number, not {shown(data)}"
            elif header != b"Content-Length" and data.lower() not in _ENCODINGS:
                fault = f"Transfer-Encoding may be chunked, not {shown(data)}"
            elif self._transferDecoder is not None:
                fault = (
                    "a request has one Content-Length, or Transfer-Encoding: chunked"
                    " instead, not two of them"
                )
        if fault is not None:
            self.refuse(Refused("bad_request", fault))
        chosen: bool = super()._maybeChooseTransferDecoder(header, data)
        return chosen

    @override
    def lineLengthExceeded(self, line: bytes) -> None:
        self.refuse(
            Refused(
                "bad_request",
                f"a URL or a header may have {HTTP_LINE_BYTES_MAX} bytes",
            )
        )

    @override
    def _send100Continue(self) -> None:
        if not self._refused:
            super()._send100Continue()

    # --- the other side's pace --------------------------------------------------------

    @override
    def pauseProducing(self) -> None:
        """Much is unread: begin with no further request until it has been read.

        Twisted reads no more, but would answer all requests that it has read: a few
        KiB of those are many MiB of answers.
        """
        super().pauseProducing()
        self.paused = True
        self._networkProducer.pauseProducing()

    @override
    def resumeProducing(self) -> None:
        self.paused = False
        super().resumeProducing()
        if self._buffer and not self._handlingRequest:
            self.dataReceived(b"")

    # --- the end ---------------------------------------------------------------------

    def wind_up(self) -> None:
        """Close as soon as the request in hand has its answer."""
        if not self._handlingRequest:
            self.loseConnection()
        elif self.requests:
            self.persistent = False
            self.requests[-1].setHeader("Connection", "close")

    @override
    def timeoutConnection(self) -> None:
        self._abortingCall = self.callLater(
            HTTP_STUCK_SECONDS_MAX, self.forceAbortClient
        )
        self.loseConnection()

    @override
    def forceAbortClient(self) -> None:
        self._abortingCall = None
        self.transport.abortConnection()

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._set_timer(None)
        super().connectionLost(reason)

    def _set_timer(self, seconds: float | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if seconds is not None:
            self._timer = self.callLater(seconds, self._timed_out)

    def _timed_out(self) -> None:
        self._timer = None
        self.timeoutConnection()
