from __future__ import annotations

from functools import partial
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from cartnet.errors import OUTCOME_UNKNOWN, Refused
from cartnet.limits import ANSWER_GRACE_SECONDS, SWEEP_SECONDS
from tests.client.scripted import ScriptedGroup, error, not_leader, ok

CALLS = 60
REQUEST_TIMEOUT = 2.0


class Chaos:
    """A group that does what a replicated log may do to its callers.

    :ivar done: what was done, by key, once.
    :ivar refused: keys that the log decided against, for good.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.group = ScriptedGroup()
        self.clock = self.group.world.clock
        self.client = self.group.client(REQUEST_TIMEOUT)
        self.done: set[str] = set()
        self.refused: set[str] = set()
        self.down: set[int] = set()
        self.told: dict[str, tuple[object, float]] = {}

    def answer(self, at: int, request: dict[str, Any]) -> dict[str, Any] | None:
        key = request["key"]
        if not self.group.members[at].leads:
            return not_leader(self.random.choice(["127.0.0.1:5005", "nowhere", None]))
        what = self.random.random()
        if what < 0.1:
            return error(self.random.choice(["unavailable", "overloaded"]))
        if what < 0.2:
            # Proposed, and committed some time later, if at all; the answer is lost.
            if self.random.random() < 0.5:
                self.clock.callLater(self.random.random(), self.decide, key)
            return self.random.choice([None, error("timeout"), error("internal")])
        return ok() if self.decide(key) else error("conflict")

    def decide(self, key: str) -> bool:
        """Apply it once: a remembered key has its former answer."""
        if key not in self.done | self.refused:
            chosen = self.done if self.random.random() < 0.8 else self.refused
            chosen.add(key)
        return key in self.done

    def elect(self) -> None:
        alive = [at for at in range(3) if at not in self.down]
        leader = self.random.choice([*alive, None])
        self.group.lead(leader)
        for at, member in enumerate(self.group.members):
            member.answer = partial(self.answer, at)

    def disturb(self) -> None:
        at = self.random.randrange(3)
        member = self.group.members[at]
        match self.random.choice(["crash", "hang", "elect", "elect"]):
            case "crash" if at in self.down:
                self.down.discard(at)
                member.start()
            case "crash":
                self.down.add(at)
                member.leads = False
                member.crash()
            case "hang":
                member.hangs = not member.hangs
            case _:
                self.elect()

    def call(self, key: str) -> None:
        started = self.clock.seconds()

        def ended(result: Any) -> None:
            self.told[key] = (result, self.clock.seconds() - started)

        coroutine = self.client.call("checkout", {}, key=key, resend=True)
        Deferred.fromCoroutine(coroutine).addBoth(ended)

    def run(self) -> None:
        self.elect()
        for at in range(CALLS):
            self.call(f"key{at}")
            self.clock.run_for(self.random.uniform(0, 0.1))
            if self.random.random() < 0.2:
                self.disturb()
        self.clock.run_for(REQUEST_TIMEOUT + 2)
        self.client.stop()


class HonestyTests(SynchronousTestCase):
    """Whatever happens to the group, its callers are told the truth (S10)."""

    @given(st.integers(0, 2**32))
    @settings(max_examples=60, deadline=None)
    def test_told_the_truth(self, seed: int) -> None:
        """An ok is done, a refusal is not and never will be, and every call ends."""
        chaos = Chaos(seed)
        chaos.run()

        self.assertEqual(len(chaos.told), CALLS)
        for key, (result, seconds) in chaos.told.items():
            self.assertLess(
                seconds, REQUEST_TIMEOUT + ANSWER_GRACE_SECONDS + 2 * SWEEP_SECONDS
            )
            if not isinstance(result, Failure):
                self.assertIn(key, chaos.done)
                continue
            refused = result.value
            assert isinstance(refused, Refused), result
            if refused.code not in OUTCOME_UNKNOWN:
                self.assertNotIn(key, chaos.done)

    def test_steady_group(self) -> None:
        """A group that is only busy loses no call."""
        chaos = Chaos(1)
        chaos.group.lead(2)
        chaos.group.members[2].answer = lambda request: ok()
        for at in range(CALLS):
            chaos.call(f"key{at}")
        chaos.clock.run_for(1)
        chaos.client.stop()

        results = [result for result, _ in chaos.told.values()]
        self.assertEqual(len(results), CALLS)
        self.assertFalse(any(isinstance(result, Failure) for result in results))
