"""What a run finds: what it has looked at, and how it can fail."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


class Incorrect(Exception):
    """A guarantee was broken.

    :ivar check: which one, by its name in the summary.
    """

    def __init__(self, check: str, what: str) -> None:
        super().__init__(check, what)
        self.check = check
        self.what = what

    def __str__(self) -> str:
        return f"{self.check}: {self.what}"


class Stuck(Exception):
    """After all was healed something did not come to pass in time."""


@dataclass
class Tally:
    """Counts of a run, or of many: they add up.

    :ivar checks: how often each check was made.
    :ivar faults: how often each fault was injected.
    :ivar operations: customers' operations by how they ended.
    :ivar reached: how often each of the rare paths was taken.
    """

    checks: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    operations: Counter[str] = field(default_factory=Counter)
    reached: Counter[str] = field(default_factory=Counter)

    def add(self, other: Tally) -> None:
        for name in ("checks", "faults", "operations", "reached"):
            getattr(self, name).update(getattr(other, name))

    def require(self, check: str, holds: object, *about: object) -> None:
        """Make a check.

        :param about: what to tell, piece after piece, where it does not hold.
        :raises Incorrect: it does not hold.
        """
        self.checks[check] += 1
        if not holds:
            raise Incorrect(check, "".join(map(str, about)))
