"""An HTTP request -> a call, its body, path, query and headers checked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec

from cartnet.console.browser import TOKEN, is_foreign, session_in
from cartnet.console.errors import Unfit
from cartnet.errors import Refused
from cartnet.limits import INTEGER_MAX
from cartnet.wire.exact import NotJson, read_exactly
from cartnet.wire.forms import Key
from cartnet.wire.requests import Request
from cartnet.wire.shown import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twisted.web.server import Request as HttpRequest

    from cartnet.console.routes import Route

_JSON: Final = re.compile(r'application/json\s*(;\s*charset="?utf-8"?\s*)?', re.I)
_BEARER: Final = re.compile(r"bearer +(\S+)", re.I)
_INTEGER: Final = re.compile(r"-?[0-9]{1,15}")


class Visitor:
    """Who sent a request: a stranger, as far as the calls are concerned."""

    trusted = False

    def __init__(self, request: HttpRequest) -> None:
        # A socket in the file system has no host; whoever can open it is on this one.
        self.address: str = getattr(request.getClientAddress(), "host", "127.0.0.1")


def header(request: HttpRequest, name: str) -> str | None:
    """A header's value, of several the last; bytes beyond ASCII as in Latin-1."""
    value: bytes | None = request.getHeader(name.encode())
    return None if value is None else value.decode("latin-1")


def bearer(request: HttpRequest) -> str | None:
    """The token of an ``Authorization: Bearer`` header."""
    found = _BEARER.fullmatch(header(request, "Authorization") or "")
    return None if found is None else found.group(1)


def session_of(request: HttpRequest) -> str | None:
    """The session's token: of the header, else of the cookie; None is no token."""
    token = bearer(request)
    if token is None:
        return session_in(header(request, "Cookie"), secure=request.isSecure())
    return token if TOKEN.fullmatch(token) else None


def read_call(
    route: Route, request: HttpRequest, in_path: Mapping[str, str]
) -> Request:
    """Make the call that a request asks for; its arguments are not yet checked.

    :param in_path: the path's variable segments, percent-encoded.
    :raises Refused: ``forbidden``: it is another site's; ``bad_request``.
    """
    if is_foreign(
        header(request, "Origin"), header(request, "Host"), secure=request.isSecure()
    ):
        raise Refused("forbidden", "this request comes from another site's page")
    args = {
        argument: _decoded(name, in_path[name])
        for name, argument in route.in_path.items()
    }
    query = _read_query(route, request)
    stale = query.pop("stale", False)
    for name, value in (*query.items(), *_read_body(route, request).items()):
        if name in args:
            raise Refused("bad_request", f"{name} stands in the path already")
        args[name] = value
    return Request(
        id=0,
        call=route.call,
        args=msgspec.Raw(msgspec.json.encode(args)),
        session=session_of(request),
        key=_read_key(request) if route.takes_key else None,
        stale=stale,
    )


def _decoded(name: str, segment: str) -> str:
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise Refused("bad_request", f"{name} in the path is not UTF-8") from None


def _read_query(route: Route, request: HttpRequest) -> dict[str, Any]:
    # Twisted's own reading leaves out what has no "=".
    _, _, query = request.uri.decode("latin-1").partition("?")
    known = (*route.query, *(("stale",) if route.may_be_stale else ()))
    read: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            takes = ", ".join(known) or "none"
            raise Refused(
                "bad_request",
                f"there is no query parameter {shown(name)} here; it takes: {takes}",
            )
        if name in read:
            raise Refused("bad_request", f"{name} stands twice in the query")
        read[name] = value
        if name == "stale":
            if value not in ("true", "false"):
                raise Refused(
                    "bad_request", f"stale must be true or false, not {shown(value)}"
                )
            read[name] = value == "true"
        elif name == "limit" and _INTEGER.fullmatch(value):
            read[name] = int(value)
    return read


def _read_body(route: Route, request: HttpRequest) -> dict[str, Any]:
    assert request.content is not None, "it has arrived"
    body: bytes = request.content.read()
    if not body:
        return {}
    content_type = header(request, "Content-Type") or ""
    if not _JSON.fullmatch(content_type.strip()):
        raise Unfit(
            415,
            "a body must be JSON, with Content-Type: application/json, not"
            f" {shown(content_type)}",
        )
    try:
        exact = read_exactly(body)
    except NotJson as error:
        raise Refused("bad_request", f"the body is not JSON: {error}") from None
    if exact.fault is not None:
        raise Refused("bad_request", exact.fault)
    if not isinstance(exact.value, dict):
        raise Refused(
            "bad_request", f"the body must be an object, not {shown(exact.value)}"
        )
    if not route.is_write and exact.value:
        raise Refused("bad_request", "a GET has no body")
    return {name: _whole(value) for name, value in exact.value.items()}


def _whole(value: Any) -> Any:
    """2.0 is the integer 2, as JSON Schema has it, by which the API is described."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= INTEGER_MAX:
        return int(value)
    return value


def _read_key(request: HttpRequest) -> str | None:
    given = request.requestHeaders.getRawHeaders(b"Idempotency-Key")
    if given is None:
        return None
    key = given[0].decode("latin-1")
    try:
        if len(given) > 1:
            raise msgspec.ValidationError
        msgspec.convert(key, Key)
    except msgspec.ValidationError:
        raise Refused(
            "bad_request",
            "Idempotency-Key must be 1 to 64 printable ASCII characters, once, not"
            f" {shown(key)}",
        ) from None
    return key
