"""What every HTTP answer carries, and how one is put together."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from twisted.web import http

from cartnet.console.errors import body_of, headers_of, status_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cartnet.console.channel import HttpRequest
    from cartnet.errors import Refused

SECURITY_HEADERS: Final = {
    "Server": "cartnet",
    # API data above all; what may be kept says so itself.
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; script-src 'self';"
    " style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self';"
    " manifest-src 'self'; form-action 'self'; base-uri 'none'; object-src 'none';"
    " frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with it, browsers say `Origin: null` of our own pages' forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
REQUEST_ID_BYTES: Final = 8
STRICT_TRANSPORT: Final = "max-age=31536000"


def new_request_id(token_bytes: Callable[[int], bytes]) -> str:
    """Draw what an answer and the log call a request."""
    return token_bytes(REQUEST_ID_BYTES).hex()


def headers_for(request_id: str, *, secure: bool) -> dict[str, str]:
    """The headers of every answer."""
    headers = {**SECURITY_HEADERS, "X-Request-Id": request_id}
    if secure:
        headers["Strict-Transport-Security"] = STRICT_TRANSPORT
    return headers


def raw_refusal(refused: Refused, request_id: str, *, secure: bool) -> bytes:
    """A whole answer, where no request is left to answer: its connection ends."""
    body = body_of(refused, request_id)
    status = HTTPStatus(status_of(refused))
    headers = {
        **headers_for(request_id, secure=secure),
        **headers_of(refused),
        "Date": http.datetimeToString().decode(),
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Connection": "close",
    }
    lines = [f"HTTP/1.1 {status.value} {status.phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def respond(
    request: HttpRequest,
    body: bytes,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> bytes:
    """Set what goes before a body; return the body."""
    request.setResponseCode(status)
    if status not in (204, 304):
        request.setHeader("Content-Type", "application/json")
        request.setHeader("Content-Length", str(len(body)))
    for name, value in (headers or {}).items():
        request.setHeader(name, value)
    return body


def respond_refused(request: HttpRequest, refused: Refused) -> bytes:
    """The same for an error."""
    body = body_of(refused, request.id)
    return respond(request, body, status_of(refused), headers_of(refused))
