"""One who calls, again and again."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from cartnet.workload.caller import Caller, Means
from cartnet.workload.findings import Tally
from cartnet.workload.history import History
from cartnet.workload.share import Share
from tests.client.scripted import ScriptedGroup, error, ok


class CallerTests(SynchronousTestCase):
    """What a customer writes down of a call that was sent more than once."""

    def setUp(self) -> None:
        self.group = ScriptedGroup()
        self.group.lead(0)
        client = self.group.client()
        self.addCleanup(client.stop)
        seams = self.group.world.host("client").seams
        self.history = History()
        means = Means({"lb": client}, seams, Random(1), self.history, Tally(), Share())
        self.caller = Caller("ada", means)
        self.caller.patience = 0.0

    def add(self, *, also: bool) -> str:
        adding = self.history.begin("ada", "add_to_cart", {}, self.caller.key(), "ada")
        if also:
            self.caller.send_also(adding)
        self.group.run(self.caller.repeat(adding))
        return adding.ending

    def test_sent_also(self) -> None:
        """What was sent besides, and not listened to, may have been done, whatever is
        said of the other sending."""
        answers = iter([ok(version=1)])

        def answer(request: dict[str, Any]) -> dict[str, Any]:
            return next(answers, error("unavailable"))

        self.group.members[0].answer = answer
        self.assertEqual(self.add(also=True), "unknown")
        self.assertEqual(self.add(also=False), "nothing")

    def test_log_out(self) -> None:
        """All sessions that a caller was given are ended, whichever it used last, and
        though one has ended before."""
        ended: list[str] = []

        def answer(request: dict[str, Any]) -> dict[str, Any]:
            if request["call"] == "login":
                return ok(session=f"s1.{request['args']['username']}")
            ended.append(request["session"])
            return error("unauthenticated") if len(ended) == 1 else ok()

        self.group.members[0].answer = answer
        for user in ("ada", "bob"):
            login = self.caller.do(user, "login", {"username": user}, anonymous=True)
            self.group.run(login)
        self.caller.session = "s1.eve"
        self.group.run(self.caller.log_out())
        self.assertEqual(ended, ["s1.ada", "s1.bob", "s1.eve"])
        self.assertIsNone(self.caller.session)
