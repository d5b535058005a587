from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from cartnet.errors import Refused
from cartnet.shop.answers import Nothing
from cartnet.shop.commands import Found, SetStock
from cartnet.shop.inventory import find, items
from cartnet.shop.machine import group_id
from tests.calls.memory import MemoryGroup


class MemoryLogTests(SynchronousTestCase):
    """The tests' log keeps what a log promises, so that tests on it mean something."""

    def setUp(self) -> None:
        self.group = MemoryGroup("it", "inventory", Clock())
        self.leader, self.follower, _ = self.group.members.values()

    def test_without_a_leader(self) -> None:
        """Nothing is done, nothing but stale reads is answered."""
        refused = self.failureResultOf(self.leader.propose(Found(group_id="x")))

        self.assertEqual(refused.value.code, "not_leader")
        self.assertEqual(refused.value.details, {"leader": None})
        self.failureResultOf(self.leader.read(items), Refused)
        self.successResultOf(self.leader.read(items, stale=True))
        self.assertIsNone(self.leader.leader)

    def test_applied_everywhere(self) -> None:
        """What the leader answers, all have applied and every later read sees."""
        self.group.elect("it0")

        answer = self.successResultOf(self.leader.propose(Found(group_id="x")))

        self.assertEqual(answer, Nothing())
        self.assertEqual(self.successResultOf(self.leader.read(group_id)), "x")
        for log in self.group.members.values():
            reading = log.read(group_id, stale=True)
            self.assertEqual(self.successResultOf(reading), "x")

    def test_followers_say_who_leads(self) -> None:
        """A follower proposes nothing and confirms no read, but names the leader."""
        self.group.elect("it0")

        for failed in (
            self.follower.propose(Found(group_id="x")),
            self.follower.read(items),
        ):
            refused = self.failureResultOf(failed, Refused).value
            self.assertEqual(refused.code, "not_leader")
            self.assertEqual(refused.details, {"leader": "127.0.0.1:5005"})

    def test_a_former_leader_does_nothing(self) -> None:
        """Who was deposed without noticing can neither write nor read what is true."""
        self.group.elect("it0")
        self.group.elect("it1", unnoticed=True)

        self.assertTrue(self.leader.leads)
        self.failureResultOf(self.leader.propose(Found(group_id="x")), Refused)
        self.failureResultOf(self.leader.read(items), Refused)
        self.assertIsNone(self.group.query(group_id))

    def test_answers_come_when_decided(self) -> None:
        """A proposal is answered once it is applied, or certainly will not be."""
        self.group.elect("it0")
        self.successResultOf(self.leader.propose(Found(group_id="x")))
        self.group.holds = True
        first, second = (
            self.leader.propose(SetStock(item="A", stock=stock)) for stock in (1, 2)
        )
        self.assertNoResult(first)

        self.group.commit(1)
        self.group.lose()

        self.successResultOf(first)
        refused = self.failureResultOf(second, Refused).value
        self.assertEqual(refused.code, "unavailable")
        item = self.group.query(lambda cursor: find(cursor, "A"))
        assert item is not None
        self.assertEqual(item.stock, 1)

    def test_laggards(self) -> None:
        """A member that lags shows the past, until it applies what it missed."""
        self.group.elect("it0")
        self.follower.lagging = True
        self.leader.propose(Found(group_id="x"))
        reading = self.follower.read(group_id, stale=True)
        self.assertIsNone(self.successResultOf(reading))

        self.follower.catch_up()

        reading = self.follower.read(group_id, stale=True)
        self.assertEqual(self.successResultOf(reading), "x")
