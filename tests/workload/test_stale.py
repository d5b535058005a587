"""Reads that may be old."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from cartnet.workload import stale
from cartnet.workload.findings import Incorrect, Tally
from cartnet.workload.history import History, Operation


def shown(revision: int, stock: int, *, is_stale: bool = False) -> dict[str, Any]:
    items = [{"id": "A", "price": 100, "stock": stock}]
    answer = {"revision": revision, "items": items}
    return {**answer, "stale": True} if is_stale else answer


class StaleTests(SynchronousTestCase):
    """What they may show."""

    def setUp(self) -> None:
        self.history = History()

    def read(self, answer: dict[str, Any]) -> Operation:
        operation = self.history.begin("", "get_inventory", {}, None, "somebody")
        operation.stale = "stale" in answer
        operation.answer = answer
        self.history.end(operation, "ok")
        return operation

    def check(self) -> Tally:
        tally = Tally()
        stale.check(self.history, tally)
        return tally

    def test_old(self) -> None:
        """What was so once may be shown later, and is counted."""
        self.read(shown(1, 10))
        self.read(shown(2, 9))
        self.read(shown(1, 10, is_stale=True))
        self.read(shown(2, 9))

        self.assertEqual(self.check().reached["a stale read was behind"], 1)

    def test_never_so(self) -> None:
        """Another content of a revision is found."""
        self.read(shown(1, 10))
        self.read(shown(1, 11, is_stale=True))

        self.assertRaisesRegex(Incorrect, "once was so", self.check)

    def test_gone_again(self) -> None:
        """What was shown although nobody had agreed on it is found."""
        self.read(shown(5, 7, is_stale=True))
        self.read(shown(4, 8))

        self.assertRaisesRegex(Incorrect, "there for all later ones", self.check)

    def test_unmarked(self) -> None:
        """An answer without a majority that does not say so is found."""
        operation = self.read(shown(1, 10))
        operation.stale = True

        self.assertRaisesRegex(Incorrect, "says so", self.check)
