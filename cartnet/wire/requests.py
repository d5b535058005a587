"""A request: one line that asks for one call."""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Final, cast

import msgspec

from cartnet.errors import Refused
from cartnet.limits import (
    CALL_CHARACTERS_MAX,
    INTEGER_MAX,
    KEY_CHARACTERS_MAX,
    REQUEST_ID_CHARACTERS_MAX,
    SESSION_CHARACTERS_MAX,
)
from cartnet.wire.arguments import CALLS, READS
from cartnet.wire.exact import Exact, NotJson, has_unfit, read_exactly
from cartnet.wire.forms import CallName, Key, RequestId
from cartnet.wire.framing import encode_line
from cartnet.wire.shown import shown

NO_ARGUMENTS: Final = msgspec.Raw(b"{}")


class Request(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """One request, its arguments not looked at.

    :ivar id: the caller's; unique among those of the connection still in flight.
    :ivar args: a JSON value, for :func:`~cartnet.wire.arguments.decode_arguments`.
    :ivar session: what a login gave, or None: the connection's last one.
    :ivar key: the caller's idempotency key, or None.
    :ivar stale: a read may be answered without a majority.
    """

    # Plain types: the forms' own checks would cost three times as much here.
    id: int | str
    call: str
    args: msgspec.Raw = NO_ARGUMENTS
    session: str | None = None
    key: str | None = None
    stale: bool = False


_FIELDS: Final = Request.__struct_fields__
_decode = msgspec.json.Decoder(Request).decode
_values = attrgetter(*_FIELDS)


class BadLine(Exception):
    """A line that is no request.

    :ivar id: the id to answer, or None where the line has no usable one.
    :ivar refused: the answer.
    """

    def __init__(self, request_id: int | str | None, message: str) -> None:
        super().__init__(message)
        self.id = request_id
        self.refused = Refused("bad_request", message)


def decode_request(line: bytes) -> Request:
    """Read a request's line, all but its arguments.

    :raises BadLine: for anything else, with its id where it has a usable one.
    """
    # An escape may hide NUL or half a surrogate pair, hence the exact way for all.
    if b"\\" not in line:
        try:
            if not line.isascii():
                line.decode()
            request = _decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass
        else:
            if _is_sound(request, line):
                return request
    return _decode_exactly(line)


def encode_request(
    request_id: int | str,
    call: str,
    args: msgspec.Struct | msgspec.Raw | dict[str, Any] | None = None,
    *,
    session: str | None = None,
    key: str | None = None,
    stale: bool = False,
) -> bytes:
    """Encode a request as one line, without LF."""
    fields: dict[str, Any] = {"id": request_id, "call": call}
    if args is not None:
        fields["args"] = args
    if session is not None:
        fields["session"] = session
    if key is not None:
        fields["key"] = key
    if stale:
        fields["stale"] = True
    return encode_line(fields)


def _is_sound(request: Request, line: bytes) -> bool:
    """Whether nothing can be wrong with a request that was decoded; fast."""
    request_id, call, args, session, key, stale = _values(request)
    fields = 2
    colons = line.count(b":")
    if args is not NO_ARGUMENTS:
        fields += 1
        colons -= bytes(args).count(b":")
    if session is not None:
        fields += 1
        if len(session) > SESSION_CHARACTERS_MAX:
            return False
    if key is not None:
        fields += 1
        if not (0 < len(key) <= KEY_CHARACTERS_MAX and _is_plain(key)):
            return False
    if stale:
        fields += 1
        if call not in READS:
            return False
    # As many colons as fields are present: no key stands twice.
    if colons != fields or not 0 < len(call) <= CALL_CHARACTERS_MAX:
        return False
    if isinstance(request_id, str):
        return 0 < len(request_id) <= REQUEST_ID_CHARACTERS_MAX
    return bool(-INTEGER_MAX <= request_id <= INTEGER_MAX)


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()


def _decode_exactly(line: bytes) -> Request:
    try:
        exact = read_exactly(line)
    except NotJson as error:
        raise BadLine(None, f"the request is not JSON: {error}") from None
    if not isinstance(exact.value, dict):
        raise BadLine(None, f"a request is an object, not {shown(exact.value)}")
    request_id = _usable_id(exact)
    complaint = exact.fault or _complaint(exact.value)
    if complaint is not None:
        raise BadLine(request_id, complaint)
    given = dict(exact.value)
    if "args" in given:
        given["args"] = msgspec.Raw(msgspec.json.encode(given["args"]))
    return Request(**given)


def _usable_id(exact: Exact) -> int | str | None:
    given = exact.value.get("id")
    if "id" in exact.repeated or not _is(given, RequestId):
        return None
    if isinstance(given, str) and has_unfit(given):
        return None
    return cast("int | str", given)


def _is(value: object, form: Any) -> bool:
    try:
        msgspec.convert(value, form)
    except msgspec.ValidationError:
        return False
    return True


def _complaint(given: dict[str, Any]) -> str | None:
    for name in ("id", "call"):
        if name not in given:
            return f"{name} is missing: a request has an id and a call"
    for name in given:
        if name not in _FIELDS:
            return f"a request has no field {shown(name)}; it has: {', '.join(_FIELDS)}"
    if not _is(given["id"], RequestId):
        return (
            "id must be an integer within ±2^53 or a string of 1 to 64 characters,"
            f" not {shown(given['id'])}"
        )
    if not _is(given["call"], CallName):
        return f"call must be the name of a call, not {shown(given['call'])}"
    if not isinstance(given.get("args", {}), dict):
        return f"args must be an object, not {shown(given['args'])}"
    session = given.get("session")
    if session is not None and not isinstance(session, str):
        return f"session must be a string, not {shown(session)}"
    if session is not None and len(session) > SESSION_CHARACTERS_MAX:
        return f"session must be at most {SESSION_CHARACTERS_MAX} characters"
    if given.get("key") is not None and not _is(given["key"], Key):
        return (
            f"key must be 1 to 64 printable ASCII characters, not {shown(given['key'])}"
        )
    if not isinstance(given.get("stale", False), bool):
        return f"stale must be true or false, not {shown(given['stale'])}"
    if given.get("stale") and given["call"] not in READS:
        return f"stale is for reads: {', '.join(sorted(READS & CALLS.keys()))}"
    return None
