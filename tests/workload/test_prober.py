"""One who wants to know whether every group takes writes."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from cartnet.workload.caller import Means
from cartnet.workload.demand import Demand
from cartnet.workload.findings import Tally
from cartnet.workload.history import History
from cartnet.workload.operator import Operator
from cartnet.workload.prober import Prober
from cartnet.workload.share import Share
from tests.client.scripted import ScriptedGroup, error, ok


class ProberTests(SynchronousTestCase):
    """When the inventory has taken a write."""

    def setUp(self) -> None:
        self.group = ScriptedGroup()
        self.group.lead(0)
        self.client = self.group.client()
        self.addCleanup(self.client.stop)
        self.asked: list[str] = []

    def unproven(self, changed: dict[str, Any]) -> tuple[str, ...]:
        """By an operator who was not in, and whose change is answered so."""

        def answer(request: dict[str, Any]) -> dict[str, Any]:
            self.asked.append(request["call"])
            match request["call"]:
                case "create_account":
                    return ok(user=request["args"]["username"], shard="s1")
                case "login":
                    return ok(session="it.token", user="operator")
                case _:
                    return changed

        self.group.members[0].answer = answer
        seams = self.group.world.host("client").seams
        share = Share.corner("check-", "")
        history, tally = History(), Tally()
        means = Means({"lb": self.client}, seams, Random(1), history, tally, share)
        operator = Operator(means, Demand(1, 1.0, 100, "secret", 1.0, share), None)
        prober = Prober("prober", means)
        self.group.run(prober.probe(["s1"], operator))
        return prober.unproven

    def test_proven(self) -> None:
        """Once a change is made, or the log has refused it; the operator is logged in
        for it."""
        for changed in (
            ok(revision=1, items=[]),
            error("conflict"),
            error("not_found"),
        ):
            self.assertEqual(self.unproven(changed), ())
        self.assertEqual(
            self.asked[:3], ["create_account", "login", "update_inventory"]
        )

    def test_refused(self) -> None:
        """Whatever else it is refused for shows no write."""
        for code in ("forbidden", "unauthenticated", "bad_request"):
            self.assertEqual(self.unproven(error(code)), ("it",))
