"""What customers were told, against logs that say something else."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from cartnet.simulator.checks import operations
from cartnet.simulator.checks.inventory_book import InventoryBook
from cartnet.simulator.checks.shard_book import OrderBook, ShardBook
from cartnet.workload.findings import Incorrect, Tally
from cartnet.workload.history import History


class UnheardTests(SynchronousTestCase):
    """Ann has never heard what came of her checkout; her order was placed."""

    def setUp(self) -> None:
        self.shard = ShardBook()
        order = OrderBook("ann", "k", [("A", 2)], 200, [("A", 2, 100)])
        self.shard.orders["g-6"] = self.shard.begun["g-6"] = order
        self.shard.keys["ann", "k"] = "checkout"
        self.history = History()

    def asked(self, expected_total: int | None) -> None:
        args = {"expected_total": expected_total}
        self.history.begin("ann", "checkout", args, "k")

    def check(self) -> list[str]:
        inventory, shards = InventoryBook(), {"s1": self.shard}
        found = operations.check(self.history, Tally(), shards, inventory)
        return [str(each.told) for each in found]

    def test_right(self) -> None:
        """An order that was asked for, at this total or any, may be placed."""
        for expected in (200, None):
            self.history.operations.clear()
            self.asked(expected)

            self.assertEqual(self.check(), ["unheard order g-6"])

    def test_another_total(self) -> None:
        """Nobody's order is placed at a total that they did not expect (O3)."""
        self.asked(150)

        self.assertRaisesRegex(Incorrect, "O3 .* taken at 200", self.check)

    def test_not_asked_for(self) -> None:
        """Nor one that nobody has asked for (O1)."""
        self.assertRaisesRegex(Incorrect, "O1 S10", self.check)
