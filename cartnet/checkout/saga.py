"""One checkout's way from pending to finished: what comes next, and what it came to.

The decision is one entry in the inventory's log, so the way has two steps, and each may
be done again by anybody at any time: asking once more brings the same decision, and
finishing once more changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, assert_never

from cartnet.shop.answers import (
    CheckoutBegun,
    Order,
    Refusal,
    ShownLine,
    out_of_stock,
    price_changed,
)
from cartnet.shop.commands import (
    Decision,
    FinishCheckout,
    Lapsed,
    OutOfStock,
    PriceChanged,
    Take,
    Taken,
)

if TYPE_CHECKING:
    from cartnet.shop.answers import Answer


@dataclass(frozen=True)
class Superseded:
    """Another coordinator has finished the order, and its shard's log knows how."""


Outcome: TypeAlias = Order | Refusal | Superseded


class Saga:
    """One pending order, on its way.

    :ivar decision: the inventory's, once it is known.
    :ivar outcome: what its caller is told, once the shard's log has it.
    """

    def __init__(self, begun: CheckoutBegun) -> None:
        self.begun = begun
        self.decision: Decision | None = None
        self.outcome: Outcome | None = None

    def next(self, group_id: str, finished: int) -> Take | FinishCheckout | None:
        """Return the command that comes next: the inventory's, the shard's, or none.

        ``group_id`` is the shard's; all its orders up to ``finished`` are finished.
        """
        if self.outcome is not None:
            return None
        begun = self.begun
        if self.decision is not None:
            return FinishCheckout(order=begun.order, decision=self.decision)
        return Take(
            group_id=group_id,
            index=begun.index,
            lines=begun.lines,
            expected_total=begun.expected_total,
            # An order that is found pending in a read that has been overtaken may be
            # finished by now, and counted in; it does not report itself, all the same.
            finished=min(finished, begun.index - 1),
        )

    def decided(self, decision: Decision) -> None:
        """The inventory has answered."""
        assert self.decision is None, "an order is decided once"
        self.decision = decision

    def finished(self, answer: Answer) -> None:
        """The shard's log has the decision, from this coordinator or from another."""
        assert self.decision is not None, "what is finished has been decided"
        assert self.outcome is None, "an order is finished once"
        if isinstance(answer, Order | Refusal):
            self.outcome = answer
        else:
            # It was not pending any more: a former proposal of this coordinator was
            # applied though its answer was lost, or another coordinator came first.
            # Both had the same decision, unless the inventory had forgotten it by now.
            self.outcome = outcome_of(self.begun.order, self.decision)


def outcome_of(order: str, decision: Decision) -> Outcome:
    """Say what a decision means for the order's caller."""
    match decision:
        case Taken():
            return Order(
                id=order,
                status="placed",
                lines=tuple(
                    ShownLine(line.item, line.name, line.quantity, line.price)
                    for line in decision.lines
                ),
                total=decision.total,
                placed_at=decision.taken_at,
            )
        case OutOfStock():
            return out_of_stock(decision)
        case PriceChanged():
            return price_changed(decision)
        case Lapsed():
            return Superseded()
        case _:
            assert_never(decision)
