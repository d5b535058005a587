"""Every operation of every customer, in the order of their calls and returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from cartnet.errors import Refused

Ending = Literal["ok", "refused", "nothing", "unknown"]
"""``refused``: the shop decided so. ``nothing``: every sending was certainly not done.
``unknown``: it may have been done, or may yet be."""


@dataclass
class Operation:
    """One call under one key, however often it was sent.

    :ivar user: whose cart and orders it is about; ``operator`` for the operator's.
    :ivar invoked: its place among all calls and returns.
    :ivar returned: likewise; None while nothing certain has come back.
    :ivar again: its key was another operation's, whose outcome was known: it has no
        effect of its own.
    :ivar answer: the ``ok``, decoded.
    :ivar refused: why it was refused, or how its last sending ended.
    """

    user: str
    call: str
    args: dict[str, Any]
    key: str | None
    invoked: int
    returned: int | None = None
    ending: Ending = "unknown"
    answer: Any = None
    refused: Refused | None = None
    again: bool = False

    def __str__(self) -> str:
        came = self.answer if self.ending == "ok" else self.refused
        code = f" {self.refused.code}" if self.refused is not None else ""
        return (
            f"{self.call} {self.args} of {self.user} under {self.key}:"
            f" {self.ending}{code} [{self.invoked}..{self.returned}] {came}"
        )


@dataclass
class History:
    """All operations, oldest call first."""

    operations: list[Operation] = field(default_factory=list)
    _moments: int = 0

    def moment(self) -> int:
        """The next place in the order of calls and returns."""
        self._moments += 1
        return self._moments

    def begin(
        self, user: str, call: str, args: dict[str, Any], key: str | None
    ) -> Operation:
        operation = Operation(user, call, args, key, self.moment())
        self.operations.append(operation)
        return operation

    def end(self, operation: Operation, ending: Ending) -> None:
        """Note how it ended; an unknown end is none: it may be done at any time."""
        operation.ending = ending
        if ending != "unknown":
            operation.returned = self.moment()
