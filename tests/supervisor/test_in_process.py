"""Replicas that share a process."""

from __future__ import annotations

import gc
from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from cartnet.errors import Refused
from cartnet.limits import (
    DRAIN_SECONDS_MAX,
    STOP_SECONDS_MAX,
    SUPERVISE_REPLY_SECONDS,
)
from tests.supervisor.replicas import Process, World


class InProcessTests(SynchronousTestCase):
    """Killing, starting, stopping."""

    def setUp(self) -> None:
        self.world = World()
        self.clock = Clock()
        self.process = Process(self.world, self.clock, "s1r0", "s1r1")
        self.supervisor = self.process.supervisor

    def run_all(self) -> None:
        self.done(self.process.start())
        self.world.events.clear()

    def done(self, work: Coroutine[Any, Any, Any] | Deferred[Any]) -> Any:
        return self.successResultOf(work)

    def refused(
        self, work: Coroutine[Any, Any, Any] | Deferred[Any]
    ) -> tuple[str, str]:
        error = self.failureResultOf(work, Refused).value
        return error.code, error.message

    def state(self, name: str) -> str:
        status = self.supervisor.status(name)
        assert status is not None
        return status.state

    def test_all_are_claimed_before_any_starts(self) -> None:
        """Whatever cannot be had is found before any replica takes part."""
        self.done(self.process.start())

        self.assertEqual(
            self.world.events,
            ["s1r0 claimed", "s1r1 claimed", "s1r0 started", "s1r1 started"],
        )

    def test_failed_claim_lets_go(self) -> None:
        """A replica that cannot be claimed ends the start; those before let go."""
        self.world.held.add("s1r1")

        with self.assertRaisesRegex(RuntimeError, "the file of s1r1 is in use"):
            self.supervisor.claim()

        self.assertEqual(self.world.events[-2:], ["s1r0 crashed", "s1r1 crashed"])

    def test_failed_making_lets_go(self) -> None:
        """A replica that cannot even be made ends the start likewise."""
        self.world.unmakeable.add("s1r1")

        with self.assertRaisesRegex(RuntimeError, "s1r1 has no log"):
            self.supervisor.claim()

        self.assertEqual(self.world.events, ["s1r0 claimed", "s1r0 crashed"])

    def test_kill(self) -> None:
        """A killed replica is dead at once, and its neighbour lives."""
        self.run_all()

        self.done(self.supervisor.kill("s1r0"))

        self.assertEqual(self.world.events, ["s1r0 crashed"])
        self.assertEqual((self.state("s1r0"), self.state("s1r1")), ("dead", "alive"))

    def test_kill_of_a_dead_one(self) -> None:
        """A dead replica cannot be killed again, nor can one that is not here."""
        self.run_all()
        self.done(self.supervisor.kill("s1r0"))

        self.assertEqual(
            self.refused(self.supervisor.kill("s1r0")),
            ("conflict", "s1r0 is dead already"),
        )
        self.assertEqual(self.refused(self.supervisor.kill("it0"))[0], "not_found")

    def test_start_of_a_living_one(self) -> None:
        """A living replica cannot be started, nor can one that is not here."""
        self.run_all()

        self.assertEqual(
            self.refused(self.supervisor.start("s1r0")), ("conflict", "s1r0 is alive")
        )
        self.assertEqual(self.refused(self.supervisor.start("it0"))[0], "not_found")
        self.assertEqual(self.refused(self.supervisor.restart("x"))[0], "not_found")

    def test_kill_during_a_start(self) -> None:
        """Whoever waits for a start hears that the replica was killed before that."""
        self.run_all()
        self.done(self.supervisor.kill("s1r0"))
        self.world.starting["s1r0"] = Deferred()
        starting = self.supervisor.start("s1r0")

        self.done(self.supervisor.kill("s1r0"))

        self.assertEqual(self.refused(starting)[0], "unavailable")
        self.assertEqual(self.state("s1r0"), "dead")

    def test_start_waits_for_the_end(self) -> None:
        """A new incarnation is not made before the old one has let go of its file."""
        self.run_all()
        ending = self.world.ending["s1r0"] = Deferred()
        killing = self.supervisor.kill("s1r0")
        starting = self.supervisor.start("s1r0")
        self.assertEqual(self.world.events, ["s1r0 crashed"])
        self.assertEqual(self.refused(self.supervisor.start("s1r0"))[0], "conflict")

        ending.callback(None)

        self.done(killing)
        self.done(starting)
        self.assertEqual(self.world.events[1:], ["s1r0 claimed", "s1r0 started"])
        self.assertEqual(self.state("s1r0"), "alive")

    def test_start_right_after_a_killed_start(self) -> None:
        """Who starts a replica anew as soon as a start of it was killed waits for the
        end of what was killed."""
        self.run_all()
        self.done(self.supervisor.kill("s1r0"))
        self.world.starting["s1r0"] = Deferred()
        first = self.supervisor.start("s1r0")
        ending = self.world.ending["s1r0"] = Deferred()
        second: list[Deferred[None]] = []
        first.addErrback(lambda _: second.append(self.supervisor.start("s1r0")))
        self.world.events.clear()

        killing = self.supervisor.kill("s1r0")

        self.assertEqual(self.world.events, ["s1r0 crashed"])
        del self.world.starting["s1r0"]
        ending.callback(None)
        self.done(killing)
        self.done(second[0])
        self.assertEqual(self.world.events[1:], ["s1r0 claimed", "s1r0 started"])
        self.assertEqual(self.state("s1r0"), "alive")

    def test_start_without_a_log(self) -> None:
        """A replica that cannot even be made says why, is dead, and is told of where
        it was the last."""
        self.run_all()
        self.done(self.supervisor.kill("s1r0"))
        self.world.unmakeable.add("s1r1")

        self.assertEqual(
            self.refused(self.supervisor.restart("s1r1")),
            ("unavailable", "s1r1 did not start: s1r1 has no log"),
        )
        self.assertEqual(self.state("s1r1"), "dead")
        self.assertEqual(self.process.emptied, ["s1r1 did not start: s1r1 has no log"])

    def test_failed_start(self) -> None:
        """A replica that cannot start says why, is dead, and can be started later."""
        self.run_all()
        self.done(self.supervisor.kill("s1r0"))
        self.world.held.add("s1r0")

        self.assertEqual(
            self.refused(self.supervisor.start("s1r0")),
            ("unavailable", "s1r0 did not start: the file of s1r0 is in use"),
        )
        self.assertEqual(self.state("s1r0"), "dead")

        self.world.held.clear()
        self.done(self.supervisor.start("s1r0"))
        self.assertEqual(self.state("s1r0"), "alive")

    def test_restart(self) -> None:
        """A restart is a crash and a start, or a start alone."""
        self.run_all()

        self.done(self.supervisor.restart("s1r0"))
        self.done(self.supervisor.kill("s1r1"))
        self.done(self.supervisor.restart("s1r1"))

        self.assertEqual((self.state("s1r0"), self.state("s1r1")), ("alive", "alive"))
        self.assertEqual(self.process.emptied, [])

    def test_a_replica_that_stops_itself(self) -> None:
        """A replica that fails is crashed, reported as dead, and can be started."""
        self.run_all()

        self.world.replicas["s1r0"].failed.callback("its disk is full")

        self.assertEqual(self.world.events, ["s1r0 crashed"])
        self.assertEqual(self.state("s1r0"), "dead")
        self.done(self.supervisor.start("s1r0"))

    def test_a_late_failure_of_the_dead(self) -> None:
        """What an earlier incarnation says does not touch the living one."""
        self.run_all()
        old = self.world.replicas["s1r0"]
        self.done(self.supervisor.restart("s1r0"))

        old.failed.errback(RuntimeError("too late"))

        self.assertEqual(self.state("s1r0"), "alive")

    def test_emptied(self) -> None:
        """A process hears when its last replica is gone, and why that was not asked
        for."""
        self.run_all()

        self.done(self.supervisor.kill("s1r0"))
        self.assertEqual(self.process.emptied, [])
        self.world.replicas["s1r1"].failed.callback("gone")

        self.assertEqual(self.process.emptied, ["s1r1 stopped itself: gone"])
        self.done(self.supervisor.start("s1r0"))
        self.done(self.supervisor.kill("s1r0"))
        self.assertEqual(self.process.emptied[1:], [None])

    def test_stop(self) -> None:
        """An orderly stop stops the living, waits for the dying, starts no more."""
        self.run_all()
        ending = self.world.ending["s1r0"] = Deferred()
        killing = self.supervisor.kill("s1r0")
        starting = self.supervisor.start("s1r0")

        stopped = self.supervisor.stop()
        self.assertNoResult(stopped)
        ending.callback(None)

        self.done(stopped)
        self.done(killing)
        self.assertEqual(self.refused(starting)[0], "unavailable")
        self.assertEqual(self.refused(self.supervisor.start("s1r1"))[0], "unavailable")
        self.assertEqual(self.world.events, ["s1r0 crashed", "s1r1 stopped"])
        self.assertEqual(self.process.emptied, [])

    def test_stop_with_the_whole_group(self) -> None:
        """Where all members of a group stop here nobody is left to be handed over to;
        where another process has one, it is."""
        process = Process(self.world, self.clock, "lb0", "lb1", "s1r2", "it0")
        self.done(process.start())
        self.world.events.clear()

        self.done(process.supervisor.stop())

        self.assertEqual(
            self.world.events,
            [
                "lb0 stopped with its group",
                "lb1 stopped with its group",
                "s1r2 stopped",
                "it0 stopped with its group",
            ],
        )

    def test_stop_is_bounded(self) -> None:
        """A replica that does not stop in time is cut off."""
        self.run_all()
        self.world.ending["s1r0"] = Deferred()
        stopped = self.supervisor.stop()

        self.clock.advance(STOP_SECONDS_MAX)

        self.done(stopped)
        self.assertIn("s1r0 crashed", self.world.events)
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_stop_with_requests_in_hand(self) -> None:
        """Answers that do not come leave a stop the rest of its time, and no more."""
        self.run_all()
        self.world.draining["s1r0"] = Deferred()
        self.world.ending["s1r0"] = Deferred()
        stopped = self.supervisor.stop()
        self.assertEqual(self.world.events, [])

        self.clock.advance(DRAIN_SECONDS_MAX)
        self.assertIn("s1r0 stopped", self.world.events)
        self.assertNoResult(stopped)
        self.clock.advance(STOP_SECONDS_MAX - DRAIN_SECONDS_MAX)

        self.done(stopped)
        self.assertIn("s1r0 crashed", self.world.events)
        gc.collect()  # A Deferred's unheard failure is logged when it goes.
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_call_through_another_port(self) -> None:
        """What another replica's port is asked for has happened at the reply."""
        self.run_all()

        self.done(self.supervisor.call("kill", "s1r0", via="s1r1"))
        self.assertEqual(self.state("s1r0"), "dead")
        self.done(self.supervisor.call("start", "s1r0", via="s1r1"))
        self.assertEqual(self.state("s1r0"), "alive")
        self.done(self.supervisor.call("restart", "s1r0", via="s1r1"))
        self.assertEqual(self.done(self.supervisor.call("status", "s1r0")).term, 3)

    def test_call_through_its_own_port(self) -> None:
        """A kill through the victim's own port waits until the reply has left."""
        self.run_all()

        self.done(self.supervisor.call("kill", "s1r0", via="s1r0"))
        self.assertEqual(self.state("s1r0"), "alive")
        self.clock.advance(SUPERVISE_REPLY_SECONDS)
        self.assertEqual(self.state("s1r0"), "dead")

        self.done(self.supervisor.call("restart", "s1r1", via="s1r1"))
        self.clock.advance(SUPERVISE_REPLY_SECONDS)
        self.assertEqual(
            self.world.events[-3:], ["s1r1 crashed", "s1r1 claimed", "s1r1 started"]
        )

    def test_call_twice_through_its_own_port(self) -> None:
        """Two kills on their way at once are one."""
        self.run_all()

        self.done(self.supervisor.call("kill", "s1r0", via="s1r0"))
        self.done(self.supervisor.call("kill", "s1r0", via="s1r0"))
        self.clock.advance(SUPERVISE_REPLY_SECONDS)

        self.assertEqual(self.world.events, ["s1r0 crashed"])

    def test_bad_calls(self) -> None:
        """Other commands, and replicas of other processes, are refused."""
        self.run_all()

        self.assertEqual(
            self.refused(self.supervisor.call("maim", "s1r0"))[0], "bad_request"
        )
        self.assertEqual(
            self.refused(self.supervisor.call("kill", None)),
            ("bad_request", "supervise kill needs a replica's name"),
        )
        self.assertEqual(
            self.refused(self.supervisor.call("kill", "it0"))[0], "not_found"
        )
