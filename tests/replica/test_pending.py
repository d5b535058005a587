from __future__ import annotations

from typing import Any

from msgspec import Raw
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from cartnet.errors import Refused
from cartnet.limits import PROPOSALS_WAITING_MAX
from cartnet.replica.pending import Proposals

TIMEOUT = 3.0


class ProposalsTests(SynchronousTestCase):
    """What those who propose are told in the end (S10)."""

    def setUp(self) -> None:
        self.clock: Any = Clock()
        self.proposals = Proposals(self.clock, TIMEOUT)

    def propose(self, index: int, term: int) -> Deferred[Any]:
        answered = self.proposals.add(Raw(b"{}"))
        self.assertEqual(len(self.proposals.payloads()), 1)
        self.proposals.proposed(index, term)
        return answered

    def code(self, answered: Deferred[Any]) -> str:
        refused = self.failureResultOf(answered, Refused).value
        assert isinstance(refused, Refused)
        return refused.code

    def test_applied(self) -> None:
        """A command gets its own entry's answer, and no other index's."""
        answered = self.propose(7, term=2)
        self.proposals.applied(6, 2, "another")
        self.assertNoResult(answered)

        self.proposals.applied(7, 2, "its own")

        self.assertEqual(self.successResultOf(answered), "its own")
        self.assertEqual(len(self.proposals), 0)

    def test_counted(self) -> None:
        """Answered commands are counted, and how long each took from its asking."""
        self.propose(7, term=2)
        self.propose(8, term=2)
        lost = self.propose(9, term=2)
        self.clock.advance(0.02)

        self.proposals.applied(7, 2, None)
        self.proposals.applied(8, 2, None)
        self.proposals.applied(9, 3, None)

        self.assertEqual(self.code(lost), "unavailable")
        self.assertEqual(self.proposals.answered, 2)
        latencies = self.proposals.latencies
        median = latencies.quantile(self.clock.seconds(), 0.5)
        self.assertApproximates(median, 0.02, 0.001)

    def test_overwritten(self) -> None:
        """Only another term's entry at its index proves that it was not done."""
        answered = self.propose(7, term=2)
        self.proposals.refuse_waiting(lambda: Refused("not_leader", "elsewhere"))
        self.assertNoResult(answered)

        self.proposals.applied(7, 3, None)

        self.assertEqual(self.code(answered), "unavailable")

    def test_applied_after_two_offices(self) -> None:
        """An entry gone from this log, and proposed over, may be applied all the same:
        another replica kept it, and leads."""
        first = self.propose(7, term=2)
        second = self.propose(7, term=4)

        self.proposals.applied(7, 2, "the first")

        self.assertEqual(self.successResultOf(first), "the first")
        self.assertEqual(self.code(second), "unavailable")
        self.assertEqual(len(self.proposals), 0)

    def test_overwritten_by_this_replica(self) -> None:
        """Of two at one index the other is told that it was not done."""
        first = self.propose(7, term=2)
        second = self.propose(7, term=4)

        self.proposals.applied(7, 4, "the second")

        self.assertEqual(self.code(first), "unavailable")
        self.assertEqual(self.successResultOf(second), "the second")

    def test_passed_by_a_snapshot(self) -> None:
        """What became of the entries that a snapshot holds is not known here."""
        passed = [self.propose(7, term=2), self.propose(7, term=4)]
        after = self.propose(8, term=4)

        self.proposals.passed(7)

        self.assertEqual([self.code(answered) for answered in passed], ["timeout"] * 2)
        self.assertNoResult(after)
        self.proposals.applied(8, 4, "applied")
        self.assertEqual(self.successResultOf(after), "applied")

    def test_late(self) -> None:
        """What is not applied in time may still be: unknown, and never told again."""
        answered = self.propose(7, term=2)
        self.clock.advance(TIMEOUT)

        self.proposals.expire()

        self.assertEqual(self.code(answered), "timeout")
        self.proposals.applied(7, 2, "too late")

    def test_not_proposed(self) -> None:
        """What waits when the office is lost is in no log: not done."""
        answered = self.proposals.add(Raw(b"{}"))

        self.proposals.refuse_waiting(lambda: Refused("not_leader", "elsewhere"))

        self.assertEqual(self.code(answered), "not_leader")
        self.assertEqual(self.proposals.payloads(), [])

    def test_late_before_it_was_proposed(self) -> None:
        """Whoever has been answered is not proposed any more."""
        answered = self.proposals.add(Raw(b"{}"))
        self.clock.advance(TIMEOUT)

        self.proposals.expire()

        self.assertEqual(self.code(answered), "timeout")
        self.assertEqual(self.proposals.payloads(), [])

    def test_bounded(self) -> None:
        """One more than may wait is refused, whether or not the log has the others."""
        for _ in range(PROPOSALS_WAITING_MAX):
            self.proposals.add(Raw(b"{}"))
        self.proposals.proposed(1, 2)

        with self.assertRaises(Refused) as raised:
            self.proposals.add(Raw(b"{}"))

        self.assertEqual(raised.exception.code, "overloaded")
