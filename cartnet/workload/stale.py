"""Reads without a majority: old they may be, but nothing that was never so."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cartnet.workload.findings import Tally
    from cartnet.workload.history import History, Operation


def check(history: History, tally: Tally) -> None:
    """Compare stale reads with what others certainly saw before and after them.

    :raises Incorrect: one shows what is gone later, or was otherwise.
    """
    stale: dict[str, list[Operation]] = defaultdict(list)
    sure: dict[str, list[Operation]] = defaultdict(list)
    for operation in history.operations:
        if operation.ending == "ok" and (of := _object(operation)) is not None:
            (stale if operation.stale else sure)[of].append(operation)
    for of, reads in stale.items():
        _compare(reads, sure[of], tally)


def _object(operation: Operation) -> str | None:
    """What it shows: the inventory, or whose cart."""
    if "revision" in operation.answer:
        return ""
    return operation.user if "version" in operation.answer else None


def _number(operation: Operation) -> int:
    answer = operation.answer
    found = answer["revision"] if "revision" in answer else answer["version"]
    assert isinstance(found, int)
    return found


def _content(operation: Operation) -> list[Any]:
    items = operation.answer["items"]
    if "revision" in operation.answer:
        return [(each["id"], each["price"], each["stock"]) for each in items]
    return [(each["item"], each["quantity"]) for each in items]


def _compare(stale: list[Operation], sure: list[Operation], tally: Tally) -> None:
    known = {_number(each): _content(each) for each in sure}
    # Of what was called from each moment on, the oldest that was seen.
    sure.sort(key=lambda each: each.invoked)
    called = [each.invoked for each in sure]
    oldest = [_number(each) for each in sure]
    for at in range(len(oldest) - 2, -1, -1):
        oldest[at] = min(oldest[at], oldest[at + 1])
    # And of what had returned by then, the newest.
    by_return = sorted((each.returned or 0, _number(each)) for each in sure)
    for read in stale:
        number = _number(read)
        assert read.returned is not None
        tally.require(
            "S5 a read that may be stale says so",
            read.answer.get("stale") is True,
            read,
        )
        later = bisect_right(called, read.returned)
        tally.require(
            "R12 what a stale read shows is there for all later ones",
            later == len(oldest) or number <= oldest[later],
            read,
            ", but later one saw ",
            oldest[later:][:1],
        )
        tally.require(
            "S5 a stale read shows what once was so",
            number not in known or known[number] == _content(read),
            read,
            ", not ",
            known.get(number),
        )
        before = by_return[: bisect_left(by_return, (read.invoked, 0))]
        newest = max((number for _, number in before), default=0)
        tally.reached["a stale read was behind"] += number < newest
