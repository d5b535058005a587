"""The operator, whose account others may use as well."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from cartnet.workload.caller import Means
from cartnet.workload.demand import Demand
from cartnet.workload.findings import Tally
from cartnet.workload.history import History
from cartnet.workload.operator import Operator
from cartnet.workload.share import Share
from tests.client.scripted import ScriptedGroup, error, ok


class OperatorTests(SynchronousTestCase):
    """What becomes of a change whose outcome the operator does not know."""

    def setUp(self) -> None:
        self.group = ScriptedGroup()
        self.group.lead(0)
        self.client = self.group.client()
        self.addCleanup(self.client.stop)

    def ending(self, share: Share) -> str:
        """Of a change that takes too long once, and is asked for again in the end."""
        seams = self.group.world.host("client").seams
        history = History()
        demand = Demand(1, 1.0, 100, "secret", 1.0, share)
        means = Means(
            {"lb": self.client}, seams, Random(1), history, Tally(), demand.share
        )
        operator = Operator(means, demand, None)
        change = history.begin("operator", "update_inventory", {}, "k1", operator.name)
        answers = iter([error("timeout")])

        def answer(request: dict[str, Any]) -> dict[str, Any]:
            return next(answers, ok(revision=1, items=[]))

        self.group.members[0].answer = answer
        self.group.run(operator.repeat(change, once=True))
        self.group.run(operator.find_out())
        return change.ending

    def test_alone(self) -> None:
        """Who is alone knows how many keys have been used since, and asks again."""
        self.assertEqual(self.ending(Share()), "ok")

    def test_among_others(self) -> None:
        """Where others are the operator as well their keys may have displaced its own:
        asking again could do it again."""
        self.assertEqual(self.ending(Share.corner("check-", "")), "unknown")
