"""The end of a live check, where it does not come to pass."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from cartnet.client.group import GroupClient
from cartnet.seams import Seams
from cartnet.tools.live.ending import ENDING_SECONDS_MAX, SERVING, Ending
from cartnet.workload.crowd import Crowd
from cartnet.workload.demand import Demand
from tests.client.scripted import ScriptedGroup, error, ok
from tests.tools.live_runs import SHARE, HandmadeRun


class EndingTests(SynchronousTestCase):
    """A crowd of two users, one on either shard, whose calls a script answers."""

    @override
    def setUp(self) -> None:
        self.group = ScriptedGroup()
        self.group.lead(0)
        self.group.members[0].answer = self.answer
        self.client = self.group.client()
        self.addCleanup(self.client.stop)
        self.down = {"s1"}
        self.seen = HandmadeRun().seen
        self.seen.groups = ("lb", "s1", "s2", "it")
        demand = Demand(2, 1.0, 100, "secret", 1.0, SHARE)
        self.crowd = Crowd(self, demand, self.seen.findings, self.seen.history)
        self.crowd.operator.session = "it.token"
        for device in self.crowd.devices:
            device.session = "s1.token" if "user0" in device.user else "s2.token"

    def clients(self, host: str) -> Mapping[str, GroupClient]:
        return {"lb": self.client}

    def seams(self, host: str) -> Seams:
        return self.group.world.host("client").seams

    def random(self, purpose: str) -> Random:
        return Random(purpose)

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """New accounts are to be on s1; of others' sessions the shard is known."""
        group = (request.get("session") or "s1.").partition(".")[0]
        if group in self.down:
            return error("unavailable")
        return ok(revision=1, version=1, items=[], orders=[], next=None)

    def missing(self) -> str:
        """What is said to take no writes, once the time is over."""
        ending = Ending(self.crowd, self.seams("").clock, self.seen)
        self.group.run(ending.settle(), 2 * ENDING_SECONDS_MAX)
        self.assertIsNone(self.seen.awaited[SERVING])
        return self.seen.missing[SERVING]

    def test_one_group(self) -> None:
        """Of all groups those are named that take no write, and not those that nobody
        asked for one because another did not answer."""
        self.assertEqual(self.missing(), "s1")

    def test_all_groups(self) -> None:
        """Where none takes a write, all are named."""
        self.down = {"s1", "s2", "it"}
        self.assertEqual(self.missing(), "lb, s1, s2, it")
