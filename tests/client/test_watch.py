from __future__ import annotations

from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from cartnet.limits import FEED_SILENCE_SECONDS_MAX
from tests.client.scripted import ScriptedGroup, ScriptedMember, error, ok


class WatchTests(SynchronousTestCase):
    """A feed that survives its sources."""

    def setUp(self) -> None:
        self.group = ScriptedGroup("it", "inventory")
        self.clock = self.group.world.clock
        for member in self.group.members:
            member.answer = lambda request: ok()
        self.events: list[Any] = []
        self.states: list[bool] = []
        self.client = self.group.client()
        self.watch = self.client.watch(
            "watch_inventory", self.resume, self.event, self.states.append
        )
        self.addCleanup(self.client.stop)
        self.clock.run_for(0.1)

    def resume(self) -> dict[str, Any]:
        return {"from_revision": self.events[-1]} if self.events else {}

    def event(self, raw: msgspec.Raw) -> None:
        self.events.append(msgspec.json.decode(raw)["revision"])

    def source(self) -> ScriptedMember:
        """The member that was asked last."""
        asked = [
            member for member in self.group.members if "watch_inventory" in member.calls
        ]
        self.assertEqual(len(asked), 1)
        return asked[0]

    def test_events(self) -> None:
        """Each event is handed on, and the first says that the feed is followed."""
        source = self.source()
        self.assertEqual(self.states, [])
        source.push(revision=3)
        source.push(revision=4)
        self.clock.run_for(0.1)

        self.assertEqual(self.events, [3, 4])
        self.assertEqual(self.states, [True])

    def test_resumes_elsewhere(self) -> None:
        """Where a source ends another goes on from the last revision."""
        source = self.source()
        source.push(revision=7)
        self.clock.run_for(0.1)
        source.asked_for.clear()
        source.crash()
        self.clock.run_for(0.5)

        self.assertEqual(self.states, [True, False])
        after = self.source()
        self.assertIsNot(after, source)
        self.assertEqual(after.asked_for[-1]["args"], {"from_revision": 7})

    def test_silent_source_is_replaced(self) -> None:
        """A source that is silent for too long is told to stop, and left."""
        source = self.source()
        source.push(revision=7)
        self.clock.run_for(FEED_SILENCE_SECONDS_MAX - 0.5)
        self.assertEqual(source.calls, ["watch_inventory"])
        self.clock.run_for(1)

        watched = source.asked_for[0]["id"]
        self.assertEqual(source.calls, ["watch_inventory", "cancel"])
        self.assertEqual(source.asked_for[1]["args"], {"id": watched})
        self.assertEqual(self.states, [True, False])

    def test_late_event_of_a_left_source(self) -> None:
        """What a source says after it was left is not handed on."""
        source = self.source()
        source.push(revision=7)
        self.clock.run_for(0.1)
        self.watch.leave()
        source.push(revision=8)
        self.clock.run_for(0.1)

        self.assertEqual(self.events, [7])

    def test_refused(self) -> None:
        """A member that refuses is passed over; all of them are asked in turn."""
        self.watch.stop()
        for member in self.group.members:
            member.asked_for.clear()
            member.answer = lambda request: error("overloaded")
        self.watch = self.client.watch("watch_inventory", self.resume, self.event)
        self.clock.run_for(3)

        counts = [len(member.asked_for) for member in self.group.members]
        self.assertTrue(all(count in range(1, 8) for count in counts), counts)

    def test_users_feed(self) -> None:
        """A user's feed brings the session along, at every source."""
        self.watch.stop()
        self.clock.run_for(0.1)
        for member in self.group.members:
            member.asked_for.clear()
            member.answer = lambda request: error("unavailable")
        self.client.watch("watch_cart", dict, self.event, session="s1.x")
        self.clock.run_for(2)

        for member in self.group.members:
            self.assertEqual({one["session"] for one in member.asked_for}, {"s1.x"})

    def test_end_of_the_session(self) -> None:
        """Who has no session, or none any more, is told once and left alone."""
        self.watch.stop()
        self.clock.run_for(0.1)
        for at_once in (True, False):
            ended: list[str] = []
            answer = error("unauthenticated") if at_once else ok()
            for member in self.group.members:
                member.asked_for.clear()
                member.answer = lambda request, answer=answer: answer
            watch = self.client.watch(
                "watch_cart",
                dict,
                self.event,
                session="s1.x",
                on_end=lambda refused, ended=ended: ended.append(refused.code),
            )
            self.clock.run_for(0.1)
            asked = [member for member in self.group.members if member.asked_for]
            if not at_once:
                request_id = asked[0].asked_for[-1]["id"]
                asked[0].push(revision=1)
                answer = error("unauthenticated")
                asked[0].conversations[-1].reply(request_id, answer)
            self.clock.run_for(5)

            self.assertEqual(ended, ["unauthenticated"])
            self.assertTrue(watch.stopped)
            calls = [call for member in self.group.members for call in member.calls]
            self.assertEqual(calls, ["watch_cart"])

    def test_nobody_there(self) -> None:
        """While nobody is there it is tried again and again, at a bounded rate."""
        for member in self.group.members:
            member.crash()
        self.clock.run_for(10)
        for member in self.group.members:
            member.asked_for.clear()
        self.group.members[2].start()
        self.clock.run_for(2)

        self.assertEqual(self.source(), self.group.members[2])

    def test_stop(self) -> None:
        """A stopped watch is cancelled, and leaves no timer behind."""
        source = self.source()
        self.watch.stop()
        self.clock.run_for(0.1)
        source.push(revision=8)
        self.clock.run_for(0.1)

        self.assertEqual(source.calls, ["watch_inventory", "cancel"])
        self.assertEqual(self.events, [])
        self.assertEqual(self.clock.getDelayedCalls(), ())
