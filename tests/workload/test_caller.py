"""One who calls, again and again."""

from __future__ import annotations

from random import Random
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from cartnet.workload.caller import Caller, Means
from cartnet.workload.findings import Incorrect, Tally
from cartnet.workload.history import History, Operation
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

    def answer(self, *answers: dict[str, Any]) -> None:
        """One after the other, then always the last."""
        left = iter(answers)
        self.group.members[0].answer = lambda request: next(left, answers[-1])

    def done(self, *answers: dict[str, Any]) -> Operation:
        """A call that got these answers."""
        self.answer(*answers)
        args = {"item": "A", "quantity": 2}
        adding = self.history.begin("ada", "add_to_cart", args, "k1", "ada")
        self.group.run(self.caller.repeat(adding))
        return adding

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

    def test_repeated(self) -> None:
        """A repeated call may show another cart, but ends as it did, under its key and
        with its arguments; that it has an effect is not expected."""
        adding = self.done(ok(version=1))
        self.answer(ok(version=2))
        again = self.group.run(self.caller.ask_again(adding))

        self.assertTrue(again.again)
        self.assertEqual((again.key, again.args), (adding.key, adding.args))
        self.answer(error("not_found"))
        with self.assertRaisesRegex(Incorrect, "K3 a repeated call ends as it did"):
            self.group.run(self.caller.ask_again(adding))

    def test_repeated_refusal(self) -> None:
        """It is refused for the same reason, to the last detail."""
        refused = self.done(error("out_of_stock", shortages=[1]))
        self.answer(error("out_of_stock", shortages=[1]))
        self.group.run(self.caller.ask_again(refused))
        self.answer(error("out_of_stock", shortages=[2]))
        with self.assertRaisesRegex(Incorrect, "K3 a repeated call ends as it did"):
            self.group.run(self.caller.ask_again(refused))

    def test_used_otherwise(self) -> None:
        """A key that is used with other arguments has to be refused."""
        adding = self.done(ok(version=1))
        self.answer(error("conflict"))
        self.group.run(self.caller.ask_otherwise(adding))

        other = self.history.operations[-1]
        self.assertEqual(other.key, adding.key)
        self.assertNotEqual(other.args, adding.args)
        for wrong in (ok(version=1), error("not_found")):
            self.answer(wrong)
            with self.assertRaisesRegex(Incorrect, "used otherwise is refused"):
                self.group.run(self.caller.ask_otherwise(adding))

    def test_end(self) -> None:
        """A session has ended once the shop says so, also of an earlier sending; and is
        accepted no more."""
        for session, answer in (("s1.a", ok()), ("s1.b", error("unauthenticated"))):
            self.answer(answer)
            self.group.run(self.caller.end("ada", session))
        self.answer(error("unavailable"))
        self.group.run(self.caller.end("ada", "s1.c"))

        self.assertEqual(self.caller.ended, ["s1.a", "s1.b"])
        self.answer(error("unauthenticated"))
        self.group.run(self.caller.come_back("ada", "get_cart", {}, None))
        for wrong in (ok(version=1, items=[]), error("empty_cart")):
            self.answer(wrong)
            with self.assertRaisesRegex(Incorrect, "accepted no more"):
                self.group.run(self.caller.come_back("ada", "get_cart", {}, None))
