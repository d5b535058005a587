"""What of a shop a crowd uses: all of it where it is alone, else a corner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

Stock = tuple[tuple[str, int, int], ...]
"""Item, price and stock, by item."""

FRESH: Final[Stock] = (("A", 100, 100), ("B", 250, 100), ("C", 999, 100))
"""What a shop holds at first, and after a reset."""


@dataclass(frozen=True)
class Share:
    """The accounts and items that a crowd uses, and nobody else.

    :ivar prefix: what their names begin with.
    :ivar secret: what its passwords end with: accounts stay when it has gone.
    :ivar items: what it buys; the last one is there at times only.
    :ivar counted: those whose stock the operator only ever changes by an amount, so
        that what was given can be added up from outside (S7).
    :ivar names: how many usernames are fought for.
    :ivar probes: how many accounts are made, at most, to see that groups take writes.
    :ivar whole: whether the shop is all its own, and may be reset.
    :ivar initial: of the items, at first.
    """

    prefix: str = ""
    secret: str = ""
    items: tuple[str, ...] = ("A", "B", "C", "D")
    counted: frozenset[str] = frozenset()
    names: int = 12
    probes: int = 100
    whole: bool = True
    initial: Stock = FRESH

    @classmethod
    def corner(cls, prefix: str, secret: str) -> Share:
        """Make a share of a shop where others buy and sell at the same time."""
        items = tuple(f"{prefix}{letter}" for letter in "ABCD")
        counted = frozenset(items[:2])
        return cls(prefix, secret, items, counted, 2, 12, whole=False, initial=())

    def password(self, whose: str) -> str:
        return f"password of {whose}{self.secret}"

    def only(self, answer: Any) -> Any:
        """Take others' items out of what was read of the inventory."""
        if self.whole or "revision" not in answer:
            return answer
        own = [each for each in answer["items"] if self.has(each["id"])]
        return {**answer, "items": own}

    def has(self, item: str) -> bool:
        return self.whole or item in self.items
