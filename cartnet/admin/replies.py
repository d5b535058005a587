"""What a command comes to: for a person lines, for a program one line of JSON."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from cartnet.errors import Refused
from cartnet.wire.shown import one_line


@dataclass(frozen=True)
class Reply:
    """A command's answer: lines for a person, a value for a program."""

    lines: tuple[str, ...]
    value: object


def reply_text(outcome: Reply | Refused, as_json: bool) -> str:
    """Write an answer or an error as it is sent: lines, each with its end."""
    if isinstance(outcome, Reply):
        if as_json:
            return _json({"ok": outcome.value})
        return "".join(f"{line}\n" for line in outcome.lines)
    if as_json:
        return _json({"error": {"code": outcome.code, "message": outcome.message}})
    return f"error: {one_line(outcome.message, 1_000)}\n"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode() + "\n"
