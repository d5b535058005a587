"""Replies: what a request's line is answered with, and a watch's events."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import msgspec

from cartnet.errors import CODES, Code, Refused
from cartnet.wire.framing import encode_line
from cartnet.wire.shown import one_line


@dataclass(frozen=True, slots=True)
class Reply:
    """One line of an answer: exactly one of ``ok``, ``error`` and ``event`` is there.

    :ivar id: the request's; None where the other side could not read one.
    """

    id: int | str | None
    ok: msgspec.Raw | None = None
    error: Refused | None = None
    event: msgspec.Raw | None = None


class BadReply(ValueError):
    """A line that is no reply."""


class _Error(msgspec.Struct):
    code: str
    message: str = ""
    details: msgspec.Raw = msgspec.Raw(b"{}")


class _Line(msgspec.Struct):
    id: int | str | None
    ok: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    error: _Error | msgspec.UnsetType = msgspec.UNSET
    event: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_decode = msgspec.json.Decoder(_Line).decode
_decode_details = msgspec.json.Decoder(dict[str, Any]).decode


def encode_ok(request_id: int | str, value: Any) -> bytes:
    """Encode a success; ``value`` is a Struct, a dict or Raw, an object in JSON."""
    return encode_line({"id": request_id, "ok": value})


def encode_error(request_id: int | str | None, refused: Refused) -> bytes:
    """Encode an error; ``request_id`` is None where the line had no usable one."""
    error = {
        "code": refused.code,
        "message": refused.message,
        "details": refused.details,
    }
    return encode_line({"id": request_id, "error": error})


def encode_event(request_id: int | str, event: Any) -> bytes:
    """Encode one event of the watch that ``request_id`` began."""
    return encode_line({"id": request_id, "event": event})


def decode_reply(line: bytes) -> Reply:
    """Read a reply of another process of the cluster.

    :raises BadReply: it is something else.
    """
    try:
        if not line.isascii():
            # What is left raw is not looked into.
            line.decode()
        read = _decode(line)
        if read.error is not msgspec.UNSET:
            refused = Refused(
                _code(read.error.code),
                read.error.message,
                _decode_details(read.error.details),
            )
            return Reply(read.id, error=refused)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadReply(one_line(str(error))) from None
    if read.ok is not msgspec.UNSET:
        return Reply(read.id, ok=read.ok)
    if read.event is not msgspec.UNSET:
        return Reply(read.id, event=read.event)
    raise BadReply("neither ok nor error nor event")


def _code(code: str) -> Code:
    # A later release may know more codes; of one unknown here nothing is known.
    return cast("Code", code) if code in CODES else "internal"
