"""JSON read exactly as RFC 8259 has it, faults named, and with bounds on what it holds.

The slow way: typed decoding takes nearly every line, and what it cannot vouch for or
refuses comes here, where a fault leaves the rest readable, above all the request's id.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, NoReturn

from cartnet.limits import INTEGER_MAX, JSON_DEPTH_MAX
from cartnet.wire.shown import shown

_INTEGER_DIGITS_MAX = len(str(INTEGER_MAX))
# Possessive, and content with a string that never ends: never quadratic.
_TOKENS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[\[{]++|[\]}]++', re.DOTALL)
_UNFIT = re.compile("[\0\ud800-\udfff]")


class NotJson(ValueError):
    """The bytes are no JSON text at all."""


@dataclass
class Exact:
    """A JSON text, read.

    :ivar value: what it says; where there is a fault, only roughly.
    :ivar fault: the first thing in it that is not permitted, as a sentence, or None.
    :ivar repeated: the keys that its outermost object holds more than once.
    """

    value: Any = None
    fault: str | None = None
    repeated: frozenset[str] = field(default_factory=frozenset)

    def faulty(self, fault: str) -> None:
        if self.fault is None:
            self.fault = fault

    def read_object(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        read = dict(pairs)
        self.repeated = frozenset()
        if len(read) != len(pairs):
            count = Counter(key for key, _ in pairs)
            self.repeated = frozenset(key for key in read if count[key] > 1)
            first = next(key for key in read if count[key] > 1)
            self.faulty(f"the key {shown(first)} stands twice in one object")
        return read

    def read_integer(self, digits: str) -> int:
        if len(digits.lstrip("-")) <= _INTEGER_DIGITS_MAX:
            number = int(digits)
            if abs(number) <= INTEGER_MAX:
                return number
        self.faulty(f"an integer is beyond {-INTEGER_MAX} to {INTEGER_MAX}")
        return INTEGER_MAX + 1

    def read_float(self, digits: str) -> float:
        number = float(digits)
        if isfinite(number):
            return number
        self.faulty("a number is too large")
        return 0.0


def read_exactly(line: bytes) -> Exact:
    """Read one JSON text.

    :raises NotJson: where there is none; a sentence says why.
    """
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise NotJson(f"byte {error.start} is not UTF-8") from None
    exact = Exact()
    if text.count("[") + text.count("{") > JSON_DEPTH_MAX:
        shallow = _cut_below(text, JSON_DEPTH_MAX)
        if shallow is not None:
            exact.faulty(f"the JSON is more than {JSON_DEPTH_MAX} levels deep")
            text = shallow
    decoder = json.JSONDecoder(
        object_pairs_hook=exact.read_object,
        parse_int=exact.read_integer,
        parse_float=exact.read_float,
        parse_constant=_refuse_constant,
    )
    try:
        exact.value = decoder.decode(text)
    except json.JSONDecodeError as error:
        raise NotJson(f"{error.msg} at character {error.pos}") from None
    if "\\u" in text and has_unfit(exact.value):
        exact.faulty("a string holds NUL or half a surrogate pair")
    return exact


def _refuse_constant(name: str) -> NoReturn:
    raise NotJson(f"{name} is not JSON")


def has_unfit(value: object) -> bool:
    """Whether a string in a value of bounded depth could not be stored."""
    if isinstance(value, str):
        return _UNFIT.search(value) is not None
    if isinstance(value, dict):
        return any(map(has_unfit, value)) or any(map(has_unfit, value.values()))
    return isinstance(value, list) and any(map(has_unfit, value))


def _cut_below(text: str, depth_max: int) -> str | None:
    """Put null for all that lies deeper than ``depth_max``; None if nothing does.

    Iterative, because the depth is the sender's choice. Text that does not close what
    it opens comes out as it is no JSON either.
    """
    depth = 0
    kept: list[str] = []
    kept_to = 0
    for token in _TOKENS.finditer(text):
        run = token.group()
        if run[0] in "[{":
            if depth <= depth_max < depth + len(run):
                cut_at = token.start() + depth_max - depth
                kept += [text[kept_to:cut_at], "null"]
                kept_to = len(text)
            depth += len(run)
        elif run[0] in "]}":
            if depth - len(run) <= depth_max < depth:
                kept_to = token.start() + depth - depth_max
            depth -= len(run)
    return "".join([*kept, text[kept_to:]]) if kept else None
