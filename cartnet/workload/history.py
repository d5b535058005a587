"""Every operation of every customer, in the order of their calls and returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

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
    :ivar by: which customer did it.
    :ivar called: when, in seconds; nothing is judged by it.
    :ivar ended: when it was known how it ended, or given up.
    :ivar sendings: how often it was sent.
    :ivar direct: to the group itself, past the balancers.
    :ivar stale: a read that was content with an old answer.
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
    by: str = ""
    called: float = 0.0
    ended: float | None = None
    sendings: int = 0
    direct: bool = False
    stale: bool = False

    def __str__(self) -> str:
        args = " ".join(f"{name}={value}" for name, value in self.args.items())
        parts = [f"{self.call} {args}".rstrip()]
        parts += [f"of {self.user}"] if self.user else []
        parts += [f"under {self.key}"] if self.key is not None else []
        code = f" {self.refused.code}" if self.refused is not None else ""
        returned = "" if self.returned is None else self.returned
        told = f"{' '.join(parts)}: {self.ending}{code} [{self.invoked}..{returned}]"
        if self.ending != "ok":
            return told if self.refused is None else f"{told} {self.refused}"
        came = self.answer
        if isinstance(came, dict) and "session" in came:
            came = {**came, "session": "..."}
        return f"{told} {msgspec.json.encode(came).decode()}"


@dataclass
class History:
    """All operations, oldest call first.

    :ivar clock: gives the seconds that they are noted with; without one they are 0.
    """

    operations: list[Operation] = field(default_factory=list)
    clock: Callable[[], float] = float
    _moments: int = 0

    def moment(self) -> int:
        """The next place in the order of calls and returns."""
        self._moments += 1
        return self._moments

    def begin(
        self,
        user: str,
        call: str,
        args: dict[str, Any],
        key: str | None,
        by: str = "",
    ) -> Operation:
        operation = Operation(user, call, args, key, self.moment(), by=by)
        operation.called = self.clock()
        self.operations.append(operation)
        return operation

    def end(self, operation: Operation, ending: Ending) -> None:
        """Note how it ended; an unknown end is none: it may be done at any time."""
        operation.ending = ending
        operation.ended = self.clock()
        if ending != "unknown":
            operation.returned = self.moment()
