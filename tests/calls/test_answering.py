from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from cartnet.calls.answering import Answering, Asked
from cartnet.errors import Refused
from cartnet.shop.commands import CloseSession
from cartnet.wire.requests import Request
from tests.calls.memory import MemoryGroup, counting_bytes, memory_seams, quiet
from tests.calls.shop import REPLICA, STRANGER, From

if TYPE_CHECKING:
    from twisted.python.failure import Failure


class AnsweringTests(SynchronousTestCase):
    """What all groups' calls have in common."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.group = MemoryGroup("s1", "shard", self.clock)
        self.group.elect("s1r0")
        self.log = self.group.members["s1r0"]
        self.broken: list[Failure] = []
        self.answering = Answering(
            self.log,
            memory_seams(self.clock, counting_bytes()),
            3.0,
            quiet(),
            self.broken.append,
            public={"ping": self._propose, "status": self._break},
            internal={"locate": self._answer},
        )

    async def _answer(self, asked: Asked) -> object:
        return {"username": asked.args.username}

    async def _propose(self, asked: Asked) -> object:
        return await self.answering.propose(CloseSession(session="x"), asked.deadline)

    async def _break(self, asked: Asked) -> object:
        raise AssertionError("this cannot be")

    def _send(self, call: str, caller: From = REPLICA) -> Deferred[object]:
        args = msgspec.Raw(b'{"username":"ADA"}' if call == "locate" else b"{}")
        return self.answering.answer(Request(1, call, args), caller)

    def _code(self, sent: Deferred[object]) -> str:
        refused = self.failureResultOf(sent, Refused).value
        assert isinstance(refused, Refused)
        return refused.code

    def test_arguments_are_decoded(self) -> None:
        """A method gets its arguments in canonical form."""
        answer = self.successResultOf(self._send("locate"))

        self.assertEqual(answer, {"username": "ada"})

    def test_internal_calls(self) -> None:
        """Calls between replicas are nobody else's."""
        self.assertEqual(self._code(self._send("locate", STRANGER)), "forbidden")

    def test_unknown_calls(self) -> None:
        """What the group does not answer is a bad request."""
        self.assertEqual(self._code(self._send("get_inventory")), "bad_request")

    def test_refusals_of_the_log(self) -> None:
        """What the log refused is the call's answer."""
        self.assertEqual(self._code(self._send("ping")), "unauthenticated")

    def test_in_bounded_time(self) -> None:
        """A proposal without an answer is a timeout, and leaves no timer behind."""
        self.group.holds = True
        sent = self._send("ping")
        self.clock.advance(2.9)
        self.assertNoResult(sent)

        self.clock.advance(0.1)

        self.assertEqual(self._code(sent), "timeout")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_broken_beliefs(self) -> None:
        """A broken belief fails the call and stops the replica."""
        self.failureResultOf(self._send("status"), AssertionError)

        self.assertIs(self.broken[0].type, AssertionError)

    def test_stop(self) -> None:
        """Who waits when the replica stops hears that the outcome is unknown."""
        self.group.holds = True
        sent = self._send("ping")

        self.answering.stop()

        self.assertEqual(self._code(sent), "timeout")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.group.commit()
