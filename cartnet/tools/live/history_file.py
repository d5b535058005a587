"""The recorded history: one JSON object an operation, without passwords and tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from typing import TextIO

    from cartnet.tools.live.seen import Seen
    from cartnet.workload.history import Operation


def write(seen: Seen, file: TextIO) -> None:
    """Write all operations, in the order of their calls."""
    for each in seen.operations:
        file.write(msgspec.json.encode(record(seen, each)).decode() + "\n")


def record(seen: Seen, operation: Operation) -> dict[str, Any]:
    """An operation as it is written down.

    ``invoked`` and ``returned`` are places in the one order of all calls and returns,
    ``called`` and ``ended`` seconds since the customers began.
    """
    refused = operation.refused
    told: dict[str, Any] = {
        "by": seen.short(operation.by),
        "user": operation.user,
        "call": operation.call,
        "args": arguments(seen, operation),
        "key": operation.key,
        "invoked": operation.invoked,
        "returned": operation.returned,
        "called": _seconds(seen, operation.called),
        "ended": _seconds(seen, operation.ended),
        "ending": operation.ending,
        "sendings": operation.sendings,
    }
    for flag in ("again", "stale", "direct"):
        if getattr(operation, flag):
            told[flag] = True
    if operation.ending == "ok":
        told["answer"] = _answer(operation.answer)
    elif refused is not None:
        told["refused"] = {
            "code": refused.code,
            "message": refused.message,
            "details": refused.details,
        }
    return told


def arguments(seen: Seen, operation: Operation) -> dict[str, Any]:
    """What was asked for; of a password, whose it was."""
    args = dict(operation.args)
    if "password" in args:
        own = operation.user != "operator"
        args["password"] = args["password"].removesuffix(seen.share.secret)
        if not own:
            args["password"] = "..."
    return args


def _answer(answer: Any) -> Any:
    if "session" not in answer:
        return answer
    return {**answer, "session": answer["session"].partition(".")[0] + "...."}


def _seconds(seen: Seen, at: float | None) -> float | None:
    return None if at is None else round(at - seen.began, 6)
