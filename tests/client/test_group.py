from __future__ import annotations

from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from cartnet.client.group import GroupClient
from cartnet.errors import Refused
from cartnet.limits import (
    ANSWER_GRACE_SECONDS,
    CALLS_PER_GROUP_MAX,
    CALLS_PER_LINK_MAX,
    SWEEP_SECONDS,
)
from tests.client.scripted import ScriptedGroup, error, ok


class Calling(SynchronousTestCase):
    """A group of three and one client."""

    def setUp(self) -> None:
        self.group = ScriptedGroup()
        self.clock = self.group.world.clock
        self.members = self.group.members
        self.client = self.group.client()
        self.addCleanup(self.client.stop)

    def lead(self, leader: int) -> None:
        self.group.lead(leader)
        self.members[leader].answer = lambda request: ok(by=leader)

    def call(self, client: GroupClient | None = None, **options: Any) -> Any:
        options = {"call": "checkout", "args": {}, "resend": True, **options}
        coroutine = (client or self.client).call(**options)
        return msgspec.json.decode(self.group.run(coroutine))

    def refused(self, **options: Any) -> Refused:
        with self.assertRaises(Refused) as caught:
            self.call(**options)
        refused: Refused = caught.exception
        return refused

    def begin(self, **options: Any) -> list[Any]:
        """Make a call and let it go on; its result appears in the list."""
        options = {"call": "checkout", "args": {}, "resend": True, **options}
        results: list[Any] = []
        coroutine = self.client.call(**options)
        Deferred.fromCoroutine(coroutine).addBoth(results.append)
        return results


class FindingTests(Calling):
    """Finding the leader (L4)."""

    def test_finds_leader(self) -> None:
        """The member that leads is found, whichever it is, and asked alone."""
        for leader in range(3):
            self.lead(leader)
            self.assertEqual(self.call(self.group.client()), {"by": leader})
        self.assertEqual([len(one.asked_for) for one in self.members], [1, 1, 1])

    def test_stays_with_leader(self) -> None:
        """Once found it is asked at once: one connection, one round trip a call."""
        self.lead(1)
        for _ in range(5):
            self.call()

        self.assertEqual(self.client.leader, "s1r1")
        self.assertEqual(len(self.members[1].conversations), 1)
        self.assertEqual(self.members[0].asked_for, [])

    def test_follows_directions(self) -> None:
        """``not_leader`` with an address leads straight there."""
        self.lead(0)
        self.call()
        self.lead(2)
        started = self.clock.seconds()

        self.assertEqual(self.call(), {"by": 2})
        self.assertLess(self.clock.seconds() - started, 0.02)

    def test_waits_for_election(self) -> None:
        """While nobody leads the call is held, and sent as soon as someone does."""
        results = self.begin()
        self.clock.run_for(1.5)
        self.assertEqual(results, [])

        self.lead(1)
        self.clock.run_for(0.06)

        self.assertEqual(msgspec.json.decode(results[0]), {"by": 1})

    def test_no_leader_in_time(self) -> None:
        """Without a leader by the deadline it is unavailable: nothing was done."""
        started = self.clock.seconds()
        refused = self.refused()

        self.assertEqual(refused.code, "unavailable")
        self.assertEqual(sum(len(one.asked_for) for one in self.members), 0)
        self.assertLessEqual(self.clock.seconds() - started, 3 + 2 * SWEEP_SECONDS)

    def test_all_members_down(self) -> None:
        """With every port closed it is unavailable too, and tried all the time."""
        for member in self.members:
            member.crash()

        self.assertEqual(self.refused().code, "unavailable")

    def test_crash_is_noticed_at_once(self) -> None:
        """When the leader's connection breaks the next leader is found quickly."""
        self.lead(0)
        self.call()
        self.members[0].crash()
        results = self.begin()
        self.clock.run_for(0.2)
        self.lead(1)
        self.clock.run_for(0.06)

        self.assertEqual(msgspec.json.decode(results[0]), {"by": 1})

    def test_hung_leader_is_tried_around(self) -> None:
        """A leader that hangs, its sockets open, is left for the next one."""
        self.lead(0)
        self.call()
        self.members[0].hangs = True
        results = self.begin()
        self.clock.run_for(0.5)
        self.lead(2)
        self.clock.run_for(0.6)

        self.assertEqual(msgspec.json.decode(results[0]), {"by": 2})

    def test_slow_is_not_hung(self) -> None:
        """An answer that takes its time is waited for: nothing is sent twice."""
        self.lead(0)
        self.members[0].answer = lambda request: None
        results = self.begin()
        self.clock.run_for(2.8)
        first = self.members[0].asked_for[0]["id"]
        self.members[0].conversations[-1].reply(first, ok(late=True))
        self.clock.run_for(0.1)

        self.assertEqual(msgspec.json.decode(results[0]), {"late": True})
        self.assertEqual(len(self.members[0].asked_for), 1)

    def test_deposed_leader_without_answer(self) -> None:
        """A leader cut off from its peers alone steps down: its calls go elsewhere."""
        self.lead(0)
        self.members[0].answer = lambda request: None
        results = self.begin()
        self.clock.run_for(0.1)
        self.lead(1)
        self.members[0].answer = lambda request: None
        self.clock.run_for(1.5)

        self.assertEqual(msgspec.json.decode(results[0]), {"by": 1})

    def test_member_of_another_secret(self) -> None:
        """A member that does not know the secret is not spoken to."""
        self.lead(0)
        self.members[0].secret = b"another"

        self.assertEqual(self.refused().code, "unavailable")
        self.assertEqual(self.members[0].asked_for, [])


class OutcomeTests(Calling):
    """What a caller is told (S10)."""

    def test_refusal_is_passed_on(self) -> None:
        """The group's own refusal is raised with its code, message and details."""
        self.lead(0)
        self.members[0].answer = lambda request: error("out_of_stock", shortages=[])

        refused = self.refused()

        self.assertEqual(refused.code, "out_of_stock")
        self.assertEqual(refused.message, "out_of_stock, it says")
        self.assertEqual(refused.details, {"shortages": []})

    def test_leader_unavailable_for_now(self) -> None:
        """What the leader cannot do for now is tried again, more and more slowly."""
        self.lead(0)
        self.members[0].answer = lambda request: error("unavailable")

        refused = self.refused(key="k")

        self.assertEqual(refused.message, "unavailable, it says")
        self.assertIn(len(self.members[0].asked_for), range(6, 20))

    def test_unkeyed_write_is_not_resent(self) -> None:
        """A write without a key that was cut off is a timeout, at once."""
        self.lead(0)
        self.members[0].answer = lambda request: None
        results = self.begin(resend=False)
        self.clock.run_for(0.1)
        self.members[0].crash()
        self.clock.run_for(0.1)

        self.assertEqual(results[0].value.code, "timeout")

    def test_keyed_write_is_resent_with_its_key(self) -> None:
        """A write with a key goes to the next leader with the same key."""
        self.lead(0)
        self.members[0].answer = lambda request: None
        results = self.begin(key="k", session="s1.x")
        self.clock.run_for(0.1)
        first = self.members[0].asked_for[0]
        self.members[0].crash()
        self.lead(1)
        self.clock.run_for(0.2)

        self.assertEqual(msgspec.json.decode(results[0]), {"by": 1})
        second = self.members[1].asked_for[0]
        for name in ("call", "args", "key", "session"):
            self.assertEqual(first[name], second[name])

    def test_line_that_was_not_read(self) -> None:
        """A member that could not read one of this client's lines does not say which:
        what has no answer is asked again, by a new connection."""
        self.lead(0)
        self.members[0].answer = lambda request: None
        results = self.begin(key="k")
        self.clock.run_for(0.1)
        self.lead(0)
        self.members[0].conversations[-1].reply(None, error("bad_request"))
        self.clock.run_for(0.5)

        self.assertEqual(msgspec.json.decode(results[0]), {"by": 0})
        self.assertEqual(self.members[0].calls, ["checkout", "checkout"])

    def test_unknown_stays_unknown(self) -> None:
        """Cut off once, a write ends in the log's answer or a timeout."""
        self.lead(0)
        self.members[0].answer = lambda request: None
        results = self.begin(key="k")
        self.clock.run_for(0.1)
        self.members[0].crash()
        self.group.lead(None)
        self.clock.run_for(3.5)

        self.assertEqual(results[0].value.code, "timeout")

    def test_answer_under_way_is_awaited(self) -> None:
        """At the deadline nothing more is sent, but an answer may still come."""
        self.lead(0)
        self.members[0].answer = lambda request: None
        results = self.begin(key="k")
        self.clock.run_for(3 + ANSWER_GRACE_SECONDS - 0.1)
        first = self.members[0].asked_for[0]["id"]
        self.members[0].conversations[-1].reply(first, error("unavailable"))
        self.clock.run_for(0.3)

        self.assertEqual(results[0].value.code, "unavailable")

    def test_every_call_ends(self) -> None:
        """A leader that never answers makes a timeout within a second of grace."""
        self.lead(0)
        self.members[0].answer = lambda request: None
        started = self.clock.seconds()

        self.assertEqual(self.refused(key="k").code, "timeout")
        self.assertLess(self.clock.seconds() - started, 4)

    def test_own_deadline(self) -> None:
        """A caller's own deadline counts instead of the client's."""
        self.refused(deadline=self.clock.seconds() + 0.5)

        self.assertLess(self.clock.seconds(), 0.7)

    def test_stale_read_needs_no_leader(self) -> None:
        """A stale read is answered by any member while nobody leads."""
        for member in self.members:
            member.answer = lambda request: ok(stale=request.get("stale"))

        self.assertEqual(self.call(call="get_cart", stale=True), {"stale": True})

    def test_stopped(self) -> None:
        """Stopping ends what is under way, each as honestly as it can be said."""
        self.lead(0)
        self.members[0].answer = lambda request: None
        sent = self.begin(key="k")
        self.clock.run_for(0.1)
        self.members[0].leads = False
        self.client.stop()

        self.assertEqual(sent[0].value.code, "timeout")
        self.assertEqual(self.refused().code, "unavailable")

    def test_stopped_while_waiting(self) -> None:
        """What was never sent is unavailable, and no timer is left behind."""
        waiting = self.begin()
        self.clock.run_for(0.1)
        self.client.stop()
        self.clock.run_for(1)

        self.assertEqual(waiting[0].value.code, "unavailable")
        self.assertEqual(self.clock.getDelayedCalls(), ())


class BoundTests(Calling):
    """Calls under way have bounds."""

    def test_too_many_calls(self) -> None:
        """One call too many is refused at once, and loses nothing."""
        calls = [self.begin() for _ in range(CALLS_PER_GROUP_MAX)]

        self.assertEqual(self.refused().code, "overloaded")
        self.assertEqual([result for result in calls if result], [])

    def test_full_link(self) -> None:
        """More than a connection's share waits its turn, and every call is done."""
        self.lead(0)
        self.call()
        self.members[0].answer = lambda request: None
        calls = [self.begin() for _ in range(CALLS_PER_LINK_MAX + 5)]
        self.clock.run_for(0.1)
        asked = self.members[0].asked_for[1:]
        self.assertEqual(len(asked), CALLS_PER_LINK_MAX)

        self.members[0].answer = lambda request: ok()
        for request in asked:
            self.members[0].conversations[-1].reply(request["id"], ok())
        self.clock.run_for(0.2)

        self.assertEqual(sum(bool(result) for result in calls), len(calls))

    def test_full_link_at_the_deadline(self) -> None:
        """What never got its turn was certainly not done."""
        self.lead(0)
        self.members[0].answer = lambda request: None
        calls = [self.begin(key="k") for _ in range(CALLS_PER_LINK_MAX + 1)]
        self.clock.run_for(4)

        codes = [result[0].value.code for result in calls]
        self.assertEqual(set(codes[:-1]), {"timeout"})
        self.assertEqual(codes[-1], "unavailable")

    def test_full_link_after_all_deadlines(self) -> None:
        """Where a process was held until those in turn are late, all of them end with
        the first answer that it reads."""
        self.lead(0)
        self.call()
        self.members[0].answer = lambda request: None
        for _ in range(CALLS_PER_LINK_MAX):
            self.begin()
        deadline = self.clock.seconds() + SWEEP_SECONDS / 10
        waiting = [self.begin(key="k", deadline=deadline) for _ in range(300)]
        self.clock.run_for(SWEEP_SECONDS / 2)
        self.assertEqual([result for result in waiting if result], [])

        asked = self.members[0].asked_for[1]
        self.members[0].conversations[-1].reply(asked["id"], ok())
        self.clock.run_for(SWEEP_SECONDS / 4)

        codes = {result[0].value.code for result in waiting}
        self.assertEqual(codes, {"unavailable"})


class MemberTests(Calling):
    """Calls to one member, whoever leads."""

    def ask(self, name: str, **options: Any) -> Any:
        return msgspec.json.decode(
            self.group.run(self.client.call_member(name, "status", **options))
        )

    def test_asks_that_member(self) -> None:
        """The named member is asked, and no other."""
        self.members[2].answer = lambda request: ok(replica="s1r2")

        self.assertEqual(self.ask("s1r2"), {"replica": "s1r2"})
        self.assertEqual(self.members[0].conversations, [])

    def test_refusal(self) -> None:
        """Its refusal is the caller's, ``not_leader`` included."""
        with self.assertRaises(Refused) as caught:
            self.ask("s1r2")
        self.assertEqual(caught.exception.code, "not_leader")

    def test_dead_member(self) -> None:
        """A dead one is unavailable at once, not after the time-out."""
        self.members[2].crash()
        with self.assertRaises(Refused) as caught:
            self.ask("s1r2")

        self.assertEqual(caught.exception.code, "unavailable")
        self.assertLess(self.clock.seconds(), 0.1)

    def test_hung_member(self) -> None:
        """One that does not answer is a timeout within the time given."""
        self.members[2].hangs = True
        with self.assertRaises(Refused) as caught:
            self.ask("s1r2", timeout=0.5)

        self.assertEqual(caught.exception.code, "timeout")
        self.assertLess(self.clock.seconds(), 0.7)

    def test_unknown_member(self) -> None:
        """There is no such member to ask."""
        with self.assertRaises(KeyError):
            self.ask("s9r9")
