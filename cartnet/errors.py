"""The error codes of every interface, and the exception that carries one."""

from __future__ import annotations

from typing import Any, Final, Literal, get_args

from typing_extensions import override

Code = Literal[
    "bad_request",
    "unauthenticated",
    "forbidden",
    "not_found",
    "username_taken",
    "empty_cart",
    "out_of_stock",
    "price_changed",
    "conflict",
    "too_large",
    "not_leader",
    "unavailable",
    "overloaded",
    "rate_limited",
    "timeout",
    "internal",
]

CODES: Final[frozenset[str]] = frozenset(get_args(Code))

OUTCOME_UNKNOWN: Final[frozenset[str]] = frozenset({"timeout", "internal"})
"""Codes after which the request may have been done; every other one means not done."""


class Refused(Exception):
    """A request's answer is an error.

    :ivar code: one of :data:`CODES`.
    :ivar message: one sentence for a person: what was wrong and what would be right.
    :ivar details: what a program needs to go on, JSON-encodable (``leader``,
        ``shortages``, ``total``, ``lines``, ``retry_after``), or empty.
    """

    def __init__(
        self, code: Code, message: str, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(code, message)
        self.code: Code = code
        self.message = message
        self.details: dict[str, Any] = details or {}

    @override
    def __str__(self) -> str:
        return self.message
