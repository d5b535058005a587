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
