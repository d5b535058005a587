"""Errors as HTTP has them: a status, a JSON body, and when to try again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from cartnet.errors import Code, Refused
from cartnet.limits import HTTP_RETRY_AFTER_SECONDS

STATUS_OF: Final[Mapping[Code, int]] = {
    "bad_request": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "not_found": 404,
    "username_taken": 409,
    "empty_cart": 409,
    "out_of_stock": 409,
    "price_changed": 409,
    "conflict": 409,
    "too_large": 413,
    "rate_limited": 429,
    "internal": 500,
    "not_leader": 503,
    "unavailable": 503,
    "overloaded": 503,
    "timeout": 504,
}
"""The status of an error; ``bad_request`` is 405 or 415 as well (:class:`Unfit`)."""


class Unfit(Refused):
    """A ``bad_request`` for which HTTP has a status of its own.

    :ivar status: 405, 415 or 426.
    :ivar headers: what goes with it.
    """

    def __init__(
        self, status: int, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__("bad_request", message)
        self.status = status
        self.headers = headers or {}


def status_of(refused: Refused) -> int:
    """The HTTP status of an error."""
    return refused.status if isinstance(refused, Unfit) else STATUS_OF[refused.code]


def headers_of(refused: Refused) -> dict[str, str]:
    """The headers that go with an error."""
    headers = dict(refused.headers) if isinstance(refused, Unfit) else {}
    status = status_of(refused)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if status in (429, 503):
        seconds = refused.details.get("retry_after", HTTP_RETRY_AFTER_SECONDS)
        headers["Retry-After"] = str(max(1, math.ceil(seconds)))
    return headers


def body_of(refused: Refused, request_id: str) -> bytes:
    """The JSON of an error; what is our own fault can be found in the log by its id."""
    details: dict[str, Any] = refused.details
    if refused.code == "internal":
        details = {**details, "request_id": request_id}
    error = {"code": refused.code, "message": refused.message, "details": details}
    return msgspec.json.encode({"error": error})
