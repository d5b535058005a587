"""What a run finds: every broken check is kept, and the run goes on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from typing_extensions import override

from cartnet.limits import LIVE_VIOLATIONS_MAX
from cartnet.workload.findings import Tally
from cartnet.workload.history import Operation


@dataclass
class Violation:
    """A check that did not hold.

    :ivar check: which one; it begins with its guarantee.
    :ivar operations: what it is about, as far as it is about operations.
    """

    check: str
    what: str
    operations: list[Operation] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.check}: {self.what}"


@dataclass
class Findings(Tally):
    """A tally that does not stop at the first broken check.

    :ivar violations: the first of them.
    :ivar broken: how many there were.
    """

    violations: list[Violation] = field(default_factory=list)
    broken: int = 0

    @override
    def require(self, check: str, holds: object, *about: object) -> None:
        """Make a check; nothing is raised where it does not hold."""
        self.checks[check] += 1
        if holds:
            return
        self.broken += 1
        if len(self.violations) < LIVE_VIOLATIONS_MAX:
            operations = [each for each in about if isinstance(each, Operation)]
            what = "".join(map(told, about))
            self.violations.append(Violation(check, what, operations))

    def made(self, *names: str) -> int:
        """How many checks were made whose name begins with one of these."""
        return sum(n for name, n in self.checks.items() if name.startswith(names))


def told(about: object) -> str:
    """What a finding is about, for people."""
    if not isinstance(about, Operation) or about.refused is None:
        return str(about)
    if about.ending != "unknown":
        return str(about)
    # That nothing was done is said of the last sending: an earlier one may have been.
    sendings = "once" if about.sendings == 1 else f"{about.sendings} times"
    last = f"sent {sendings}, in the end {about.refused.code}"
    return f"{replace(about, refused=None)} {last}"


def shown(answer: Any) -> str:
    """An order, for people."""
    lines = ", ".join(f"{e['item']} {e['quantity']}" for e in answer["lines"])
    return f"order {answer['id']} ({lines})"
