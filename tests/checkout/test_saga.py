from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from cartnet.checkout.saga import Saga, Superseded
from cartnet.shop.answers import CheckoutBegun, Nothing, Order, Refusal, ShownLine
from cartnet.shop.commands import (
    FinishCheckout,
    Lapsed,
    OrderLine,
    OutOfStock,
    PriceChanged,
    Shortage,
    Take,
    TakeLine,
    Taken,
)

BEGUN = CheckoutBegun("shard-7", 7, (TakeLine("A", 2),), 200)
TAKEN = Taken((OrderLine("A", "Apple", 2, 100),), 200, 1_000)
PLACED = Order("shard-7", "placed", (ShownLine("A", "Apple", 2, 100),), 200, 1_000)


class SagaTests(SynchronousTestCase):
    """The way of one checkout."""

    def setUp(self) -> None:
        self.saga = Saga(BEGUN)

    def test_take_first(self) -> None:
        """The inventory is asked with the order's own lines, total and number."""
        self.assertEqual(
            self.saga.next("shard", 5),
            Take(
                group_id="shard",
                index=7,
                lines=(TakeLine("A", 2),),
                expected_total=200,
                finished=5,
            ),
        )

    def test_no_order_reports_itself_finished(self) -> None:
        """A take never tells the inventory to forget the very order it is about."""
        take = self.saga.next("shard", 9)

        assert isinstance(take, Take)
        self.assertEqual(take.finished, 6)

    def test_finish_with_exactly_the_answer(self) -> None:
        """What the inventory said goes into the shard's log, word for word."""
        for decision in (
            TAKEN,
            OutOfStock((Shortage("A", 2, 1),)),
            PriceChanged(300, (OrderLine("A", "Apple", 2, 150),)),
            Lapsed(),
        ):
            saga = Saga(BEGUN)
            saga.decided(decision)
            self.assertEqual(
                saga.next("shard", 5),
                FinishCheckout(order="shard-7", decision=decision),
            )

    def test_the_log_has_the_last_word(self) -> None:
        """The outcome is what the shard's log answers, and then nothing comes next."""
        self.saga.decided(TAKEN)

        self.saga.finished(PLACED)

        self.assertEqual(self.saga.outcome, PLACED)
        self.assertIsNone(self.saga.next("shard", 5))

    def test_finished_before(self) -> None:
        """Where it was finished before, the decision says what came of it."""
        refused = OutOfStock((Shortage("A", 2, 1),))
        outcomes = []
        for decision in (TAKEN, refused, PriceChanged(300, ()), Lapsed()):
            saga = Saga(BEGUN)
            saga.decided(decision)
            saga.finished(Nothing())
            outcomes.append(saga.outcome)

        self.assertEqual(outcomes[0], PLACED)
        assert isinstance(outcomes[1], Refusal)
        self.assertEqual(outcomes[1].code, "out_of_stock")
        self.assertEqual(
            outcomes[1].details,
            {"shortages": [{"item": "A", "wanted": 2, "stock": 1}]},
        )
        assert isinstance(outcomes[2], Refusal)
        self.assertEqual(outcomes[2].code, "price_changed")
        self.assertEqual(outcomes[3], Superseded())
