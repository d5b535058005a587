"""One read for all who ask at once."""

from __future__ import annotations

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from cartnet.calls.shared_read import SharedRead
from cartnet.errors import Refused


class SharedReadTests(SynchronousTestCase):
    """Whoever asks gets an answer of its own time, whoever else asks."""

    @override
    def setUp(self) -> None:
        self.clock = Clock()
        self.reads: list[tuple[float, Deferred[msgspec.Raw]]] = []
        self.shared = SharedRead(self.clock, self.read)

    async def read(self, deadline: float) -> msgspec.Raw:
        reading: Deferred[msgspec.Raw] = Deferred()
        self.reads.append((deadline, reading))
        return await reading

    def ask(self, deadline: float = 3.0) -> Deferred[msgspec.Raw]:
        return Deferred.fromCoroutine(self.shared.ask(deadline))

    def answer(self, text: bytes) -> None:
        self.reads[-1][1].callback(msgspec.Raw(text))

    def refuse(self, code: str = "unavailable") -> None:
        self.reads[-1][1].errback(Refused(code, "no leader"))

    def test_many_share_the_next_read(self) -> None:
        """Who asks while a read is under way gets no answer older than the question."""
        first = self.ask()
        others = [self.ask() for _ in range(50)]
        self.answer(b"1")

        self.assertEqual(bytes(self.successResultOf(first)), b"1")
        self.assertEqual(len(self.reads), 2)
        for other in others:
            self.assertNoResult(other)
        self.answer(b"2")
        for other in others:
            self.assertEqual(bytes(self.successResultOf(other)), b"2")
        self.assertEqual(len(self.reads), 2)

    def test_nothing_is_kept(self) -> None:
        """Who asks when nothing is under way has a read of its own."""
        for text in (b"1", b"2"):
            asking = self.ask()
            self.answer(text)
            self.assertEqual(bytes(self.successResultOf(asking)), text)

    def test_refusal_is_everybodys(self) -> None:
        """A read that is refused before its deadline is refused to all who share it."""
        self.ask()
        sharing = [self.ask(), self.ask(4.0)]
        self.answer(b"1")
        self.refuse("overloaded")

        for asking in sharing:
            refused = self.failureResultOf(asking, Refused).value
            self.assertEqual(refused.code, "overloaded")
        asking = self.ask()
        self.answer(b"2")
        self.assertEqual(bytes(self.successResultOf(asking)), b"2")

    def test_each_has_its_own_deadline(self) -> None:
        """Where the oldest gives up, those with time left have it tried again."""
        first = self.ask(3.0)
        early, late = self.ask(3.1), self.ask(5.0)
        self.answer(b"1")
        self.successResultOf(first)
        self.assertEqual(self.reads[-1][0], 3.1)
        self.clock.advance(3.1)
        self.refuse()

        self.failureResultOf(early, Refused)
        self.assertNoResult(late)
        self.assertEqual(self.reads[-1][0], 5.0)
        self.clock.advance(1.9)
        self.refuse()
        self.failureResultOf(late, Refused)
        self.assertEqual(len(self.reads), 3)
