from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from cartnet.console.groups import Groups
from cartnet.console.report import Event
from cartnet.console.timeline import Timeline
from cartnet.limits import DONE_SECONDS_MAX, TIMELINE_EVENTS_MAX, TIMELINE_SHOWN_FIRST
from cartnet.replica.status import Status
from cartnet.topology.groups import group_of_addresses

GROUP = group_of_addresses("s1", "shard", ("h:1", "h:2", "h:3"))


class TimelineTests(SynchronousTestCase):
    """What has happened to a group of three."""

    def setUp(self) -> None:
        self.now = 1000.0
        self.timeline = Timeline(lambda: self.now)
        self.groups = Groups([GROUP])
        self.statuses: dict[str, Status] = {}
        for name in GROUP.names:
            role = "leader" if name == "s1r0" else "follower"
            self.set(name, "alive", role=role, term=3, leader="s1r0")
        self.look()
        self.position = self.timeline.position

    def look(self, seconds: float = 0.25) -> None:
        self.now += seconds
        known = list(self.statuses.values())
        self.timeline.look(known, self.groups.look(known, self.now))

    def set(self, name: str, state: Any, **more: Any) -> None:
        address = GROUP.member(name).address
        known = {"uptime_seconds": 60.0, **more} if state == "alive" else {}
        self.statuses[name] = Status(name, address, "s1", state, **known)

    def become(self, name: str, state: Any, **more: Any) -> None:
        """Have a replica be in a state, and somebody look."""
        self.set(name, state, **more)
        self.look()

    def lead(self, leader: str | None, term: int) -> None:
        """Have one lead those that are alive, and somebody look."""
        for name, status in self.statuses.items():
            role = "leader" if name == leader else "follower"
            if status.state == "alive":
                self.set(name, "alive", role=role, term=term, leader=leader)
        self.look()

    def news(self) -> list[Event]:
        """What is new since this was asked last."""
        position, self.position = self.position, self.timeline.position
        return list(self.timeline.since(position))

    def said(self) -> list[tuple[str, str, str | None]]:
        return [(event.kind, event.text, event.by) for event in self.news()]

    def test_first_look(self) -> None:
        """What is as it is found has not happened."""
        self.assertEqual(self.timeline.since(0), ())
        self.look()
        self.assertEqual(self.timeline.since(0), ())

    def test_failover(self) -> None:
        """A leader's death, the time without one and its successor are told."""
        self.become("s1r0", "dead")
        self.lead(None, 3)
        self.lead("s1r1", 4)

        events = self.news()

        self.assertEqual(
            [(e.kind, e.replica, e.term, e.text) for e in events],
            [
                ("died", "s1r0", 3, "s1r0 died"),
                ("no_leader", None, 3, "s1 has no leader"),
                ("leader", "s1r1", 4, "s1r1 leads s1 in term 4"),
            ],
        )
        self.assertEqual([event.id for event in events], [1, 2, 3])
        self.assertEqual([event.at for event in events], [1000.5, 1000.5, 1001.0])
        self.assertEqual({event.group for event in events}, {"s1"})

    def test_states(self) -> None:
        """Whatever becomes of a replica is told, and what becomes of it then."""
        for state, became, again in (
            ("dead", "s1r1 died", "s1r1 was started"),
            ("paused", "s1r1 is paused", "s1r1 goes on"),
            (
                "unreachable",
                "s1r1 cannot be reached",
                "s1r1 can be reached again",
            ),
        ):
            self.become("s1r1", state)
            self.become("s1r1", "alive")
            self.assertEqual([text for _, text, _ in self.said()], [became, again])

    def test_restart_between_looks(self) -> None:
        """A replica that died and came back unseen shows by its age."""
        self.become("s1r1", "alive", uptime_seconds=0.2)
        self.become("s1r1", "alive", uptime_seconds=0.4)

        self.assertEqual(self.said(), [("started", "s1r1 was started again", None)])

    def test_led_again(self) -> None:
        """A leader that is elected again leads in a new term; no event tells twice."""
        self.lead("s1r0", 5)
        self.lead("s1r0", 5)

        self.assertEqual(self.said(), [("leader", "s1r0 leads s1 in term 5", None)])

    def test_leader_that_only_we_cannot_reach(self) -> None:
        """While the others hear their leader the group has one."""
        self.become("s1r0", "unreachable")

        self.assertEqual(self.said(), [("unreachable", "s1r0 cannot be reached", None)])

    def test_term_of_a_lone_candidate(self) -> None:
        """A member that tries to be elected is no new leader's term."""
        self.become("s1r2", "alive", role="candidate", term=9)

        self.assertEqual(self.said(), [])

    # --- Done by an operator ---------------------------------------------------------

    def kill(self) -> None:
        self.timeline.noted("died", "s1", "s1r1", "s1r1 was killed", "operator")

    def test_done_then_seen(self) -> None:
        """What an operator did and what is seen of it later are one event."""
        self.kill()
        self.become("s1r1", "dead")

        self.assertEqual(self.said(), [("died", "s1r1 was killed", "operator")])

    def test_seen_then_done(self) -> None:
        """An event whose reason is known later is told again, as the same."""
        self.become("s1r1", "dead")
        (seen,) = self.news()
        self.kill()
        (done,) = self.news()

        self.assertEqual((seen.text, seen.by), ("s1r1 died", None))
        self.assertEqual((done.text, done.by), ("s1r1 was killed", "operator"))
        self.assertEqual((done.id, done.at, done.term), (seen.id, seen.at, seen.term))
        self.assertEqual(self.timeline.since(0), (done,))

    def test_not_mine(self) -> None:
        """What happens to others, or at another time, is not the operator's doing."""
        self.become("s1r2", "dead")
        self.become("s1r1", "dead")
        self.become("s1r1", "alive")
        self.look(DONE_SECONDS_MAX + 1)
        self.kill()
        self.look(DONE_SECONDS_MAX + 1)
        self.become("s1r1", "dead")

        done = [event.by for event in self.timeline.since(0)]
        self.assertEqual(done, [None, None, None, "operator", None])

    def test_killed_twice(self) -> None:
        """Each kill is an event of its own."""
        for _ in range(2):
            self.become("s1r1", "dead")
            self.kill()
            self.become("s1r1", "alive")
            self.timeline.noted("started", "s1", "s1r1", "s1r1 was started", "operator")

        self.assertEqual(
            [text for _, text, _ in self.said()],
            ["s1r1 was killed", "s1r1 was started"] * 2,
        )

    def test_faults(self) -> None:
        """A replica that is isolated looks unreachable: one event all the same."""
        for first in (True, False):
            for kind, text, state in (
                ("isolated", "s1r1 was isolated", "unreachable"),
                ("healed", "s1r1 was healed", "alive"),
            ):
                if first:
                    self.become("s1r1", state)
                known: Any = kind
                self.timeline.noted(known, "s1", "s1r1", text, "operator")
                if not first:
                    self.become("s1r1", state)
                self.assertEqual(self.said(), [(kind, text, "operator")])

    def test_transferred(self) -> None:
        """An office that was handed over is one event: the new leader's."""
        for first, leader in ((True, "s1r1"), (False, "s1r2")):
            term = 4 if first else 5
            if first:
                self.lead(leader, term)
            text = f"s1 was transferred to {leader}"
            self.timeline.noted("transferred", "s1", leader, text, "operator")
            if not first:
                self.lead(leader, term)

            (event,) = self.news()
            self.assertEqual(
                (event.kind, event.text, event.term, event.by),
                ("leader", f"{text}, which leads s1 in term {term}", term, "operator"),
            )

    # --- Bounds ----------------------------------------------------------------------

    def test_bounded(self) -> None:
        """The newest events are remembered, and of those the newest shown first."""
        for _ in range(TIMELINE_EVENTS_MAX):
            self.become("s1r1", "dead")
            self.become("s1r1", "alive")
        last = 2 * TIMELINE_EVENTS_MAX

        first = self.timeline.since(0)
        self.assertEqual(len(first), TIMELINE_SHOWN_FIRST)
        self.assertEqual(first[-1].id, last)
        self.assertEqual(len(self.timeline.since(1)), TIMELINE_EVENTS_MAX)
        self.assertEqual(self.timeline.since(self.timeline.position), ())
