from __future__ import annotations

from random import Random
from typing import Any, cast

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import Logger, LogPublisher
from twisted.trial.unittest import SynchronousTestCase

from cartnet.console.load import Load
from cartnet.console.observer import Observer
from cartnet.console.report import ClusterReport, Conservation
from cartnet.errors import Refused
from cartnet.limits import (
    CONSERVATION_SECONDS,
    OBSERVE_PATIENCE_SECONDS,
    OBSERVE_SECONDS,
    OBSERVE_UNWATCHED_SECONDS,
    STATUS_SECONDS_MAX,
    TIMELINE_SHOWN_FIRST,
)
from cartnet.seams import Seams
from tests.supervisor.replicas import Ports, Process, World, cluster_of

EPOCH = 1_700_000_000


class Watcher:
    """An operator's page."""

    def __init__(self) -> None:
        self.writable = True
        self.raw: list[bytes] = []

    def send(self, event: bytes) -> None:
        self.raw.append(event)

    def end(self, refused: Refused) -> None:
        raise AssertionError("nothing ends it")

    @property
    def reports(self) -> list[ClusterReport]:
        return [msgspec.json.decode(event, type=ClusterReport) for event in self.raw]

    @property
    def told(self) -> list[str]:
        """What the timeline has said, report after report."""
        return [event.text for report in self.reports for event in report.timeline]


class ObserverTests(SynchronousTestCase):
    """This process runs the balancers, another the shard and the inventory."""

    def setUp(self) -> None:
        self.world = World()
        self.clock = Clock()
        self.here = Process(self.world, self.clock, "lb0", "lb1")
        self.there = Process(self.world, self.clock, "s1r0", "s1r1", "s1r2", "it0")
        for process in (self.here, self.there):
            self.successResultOf(process.start())
        self.ports = Ports(self.here, self.there)
        self.cluster = cluster_of(self.clock, self.here, self.ports)
        nothing = cast("Any", None)
        clock = cast("Any", self.clock)
        seams = Seams(
            clock=clock,
            wall=lambda: EPOCH + self.clock.seconds(),
            random=Random(1),
            token_bytes=nothing,
            network=nothing,
            disk=nothing,
            in_thread=nothing,
        )
        self.load = Load(clock)
        quiet = Logger(observer=LogPublisher())
        self.observer = Observer(self.cluster, self.load, seams, quiet)
        self.observer.start()
        self.watcher = Watcher()

    def tearDown(self) -> None:
        self.observer.stop()
        self.there.hangs = False
        self.clock.advance(10)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def pass_time(self, seconds: float) -> None:
        self.clock.pump([0.05] * round(seconds / 0.05))

    def look(self) -> None:
        self.pass_time(OBSERVE_SECONDS + 0.05)

    def report(self) -> ClusterReport:
        return self.successResultOf(Deferred.fromCoroutine(self.observer.report()))

    def states(self, report: ClusterReport) -> dict[str, str]:
        return {each.name: each.state for each in report.replicas}

    def asked(self) -> int:
        """How often s1r0 was asked how it is."""
        return self.ports.asked.count(("s1r0", "status"))

    # --- What it says ----------------------------------------------------------------

    def test_report(self) -> None:
        """A report has every group and replica, in the configuration's order."""
        report = self.report()

        self.assertEqual(
            (report.cluster, report.chaos, report.at), ("demo", True, EPOCH)
        )
        self.assertEqual(
            [(each.name, each.here, each.role, each.lag) for each in report.replicas],
            [
                ("lb0", True, "leader", 2),
                ("lb1", True, "follower", 2),
                ("s1r0", False, "leader", 2),
                ("s1r1", False, "follower", 2),
                ("s1r2", False, "follower", 2),
                ("it0", False, "leader", 2),
            ],
        )
        self.assertEqual(
            [(each.name, each.leader, each.quorum) for each in report.groups],
            [("lb", "lb0", "full"), ("s1", "s1r0", "full"), ("it", "it0", "full")],
        )
        self.assertEqual(
            [each.digests for each in report.groups], ["equal", "equal", "equal"]
        )
        self.assertEqual(report.load, self.load.report())
        self.assertEqual(report.timeline, ())

    def test_form(self) -> None:
        """Every event is a whole report, with all of a status in each replica."""
        self.observer.subscribe(self.watcher)
        event = msgspec.json.decode(self.watcher.raw[0])

        self.assertEqual(
            list(event),
            [
                "at",
                "chaos",
                "cluster",
                "groups",
                "replicas",
                "conservation",
                "load",
                "timeline",
            ],
        )
        replica = event["replicas"][2]
        self.assertEqual(
            [replica[key] for key in ("name", "writes", "write_p50_ms", "lag", "here")],
            ["s1r0", 12, 2.25, 2, False],
        )
        peer = {"name": "s1r1", "match": 119, "lag": 2}
        self.assertEqual(replica["peers"][0], peer)

    def test_two_leaders(self) -> None:
        """Of two that say that they lead the one with the higher term does."""
        self.world.leaders["s1r1"] = 4

        report = self.report()

        self.pass_time(OBSERVE_UNWATCHED_SECONDS)
        report = self.report()
        s1 = report.groups[1]
        self.assertEqual((s1.leader, s1.term), ("s1r1", 4))
        self.assertEqual(
            [each.text for each in report.timeline], ["s1r1 leads s1 in term 4"]
        )

    # --- Looks -----------------------------------------------------------------------

    def test_pace(self) -> None:
        """It looks four times a second while watched, and once while not."""
        before = self.asked()
        self.pass_time(10)
        self.assertApproximates(self.asked() - before, 10, 1)

        subscription = self.observer.subscribe(self.watcher)
        before = self.asked()
        self.pass_time(10)
        self.assertApproximates(self.asked() - before, 40, 1)
        self.assertApproximates(len(self.watcher.raw), 41, 1)

        subscription.cancel()
        self.look()
        before = self.asked()
        self.pass_time(10)
        self.assertApproximates(self.asked() - before, 10, 1)
        self.assertLess(len(self.watcher.raw), 43)

    def test_process_that_hangs(self) -> None:
        """A process that hangs holds up nobody, and is asked again when it answers."""
        self.observer.subscribe(self.watcher)
        self.there.hangs = True
        before = self.asked()
        self.successResultOf(self.here.supervisor.kill("lb1"))

        self.look()
        self.pass_time(OBSERVE_PATIENCE_SECONDS)
        first = self.states(self.watcher.reports[-1])
        self.assertEqual((first["lb1"], first["s1r0"]), ("dead", "alive"))
        self.pass_time(STATUS_SECONDS_MAX)
        self.look()
        then = self.states(self.watcher.reports[-1])
        self.assertEqual((then["lb1"], then["s1r0"]), ("dead", "unreachable"))
        self.assertEqual(self.asked(), before)

        self.there.hangs = False
        self.pass_time(STATUS_SECONDS_MAX + OBSERVE_SECONDS)
        self.assertEqual(self.states(self.watcher.reports[-1])["s1r0"], "alive")

    def test_fresh_report(self) -> None:
        """Who asks gets the cluster as it is, and many who ask cost one look."""
        before = self.asked()
        for _ in range(20):
            self.report()
        self.assertEqual(self.asked(), before)

        self.pass_time(OBSERVE_SECONDS)
        self.successResultOf(self.there.supervisor.kill("s1r1"))

        self.assertEqual(self.states(self.report())["s1r1"], "dead")
        self.assertEqual(self.asked(), before + 1)

    def test_report_after_an_action(self) -> None:
        """What was done shows in the very next report, once, with who did it."""
        self.report()
        self.successResultOf(self.there.supervisor.kill("s1r1"))
        self.observer.noted("died", "s1", "s1r1", "s1r1 was killed", "operator")

        report = self.report()

        self.assertEqual(self.states(report)["s1r1"], "dead")
        self.assertEqual(
            [(event.kind, event.text, event.by) for event in report.timeline],
            [("died", "s1r1 was killed", "operator")],
        )

    def test_report_while_a_process_hangs(self) -> None:
        """Who asks waits for those that hang a little, no longer."""
        self.pass_time(OBSERVE_SECONDS)
        self.there.hangs = True
        asking = Deferred.fromCoroutine(self.observer.report())
        self.assertNoResult(asking)

        self.pass_time(OBSERVE_PATIENCE_SECONDS)

        self.assertEqual(self.states(self.successResultOf(asking))["lb0"], "alive")

    def test_stop(self) -> None:
        """Who waits for a report when the console stops is told so."""
        self.pass_time(OBSERVE_SECONDS)
        self.there.hangs = True
        asking = Deferred.fromCoroutine(self.observer.report())

        self.observer.stop()

        self.assertEqual(
            self.failureResultOf(asking, Refused).value.code, "unavailable"
        )

    # --- Watchers --------------------------------------------------------------------

    def test_timeline(self) -> None:
        """A watcher is told at first what was before, then what is new, each once."""
        self.observer.noted("paused", "s1", "s1r2", "s1r2 was paused", "operator")
        self.observer.subscribe(self.watcher)
        self.look()
        self.successResultOf(self.there.supervisor.kill("s1r1"))
        self.look()
        self.successResultOf(self.there.supervisor.start("s1r1"))
        self.look()

        self.assertEqual(
            self.watcher.told, ["s1r2 was paused", "s1r1 died", "s1r1 was started"]
        )
        late = Watcher()
        self.observer.subscribe(late)
        self.assertEqual(late.told, self.watcher.told)

    def test_first_event_is_bounded(self) -> None:
        """Of a long past a watcher is told the newest part."""
        for at in range(TIMELINE_SHOWN_FIRST + 5):
            self.observer.noted("died", "s1", f"s1r{at}", f"{at}", "operator")

        self.observer.subscribe(self.watcher)

        self.assertEqual(len(self.watcher.told), TIMELINE_SHOWN_FIRST)

    def test_one_encoding(self) -> None:
        """Watchers that have been told the same share one encoding."""
        watchers = [Watcher() for _ in range(5)]
        for watcher in watchers:
            self.observer.subscribe(watcher)
        self.successResultOf(self.there.supervisor.kill("s1r1"))
        self.look()

        self.assertEqual(len({id(watcher.raw[-1]) for watcher in watchers}), 1)
        self.assertEqual(watchers[0].told, ["s1r1 died"])

    def test_slow_watcher(self) -> None:
        """A watcher that does not keep up gets one report for all that it missed."""
        subscription = self.observer.subscribe(self.watcher)
        self.watcher.writable = False
        for _ in range(3):
            self.successResultOf(self.there.supervisor.kill("s1r1"))
            self.look()
            self.successResultOf(self.there.supervisor.start("s1r1"))
            self.look()
        self.assertEqual(len(self.watcher.raw), 1)

        self.watcher.writable = True
        subscription.wake()

        self.assertEqual(len(self.watcher.raw), 2)
        self.assertEqual(self.watcher.told, ["s1r1 died", "s1r1 was started"] * 3)

    # --- Conservation ----------------------------------------------------------------

    def test_conservation(self) -> None:
        """Whether stock is conserved is asked every few seconds while watched."""
        self.observer.subscribe(self.watcher)
        self.look()
        conserved = Conservation(conserved=True, items=3, revision=7)
        self.assertEqual(self.watcher.reports[-1].conservation, conserved)

        self.ports.conservation = {"conserved": False, "items": 3, "revision": 8}
        self.pass_time(CONSERVATION_SECONDS + OBSERVE_SECONDS)

        self.assertIs(self.watcher.reports[-1].conservation.conserved, False)

    def test_conservation_in_a_report(self) -> None:
        """Who asks for one report is told of the stock, too."""
        self.assertIs(self.report().conservation.conserved, True)

    def test_nobody_tells_of_the_stock(self) -> None:
        """Where the inventory does not answer it is not known, at once or in time."""
        self.observer.subscribe(self.watcher)
        self.look()
        del self.world.leaders["it0"]
        self.look()
        self.assertIsNone(self.watcher.reports[-1].conservation.conserved)

        self.world.leaders["it0"] = 4
        self.ports.refusal = Refused("unavailable", "no")
        self.pass_time(CONSERVATION_SECONDS + OBSERVE_SECONDS)
        self.assertIsNone(self.watcher.reports[-1].conservation.conserved)

        self.ports.refusal = None
        self.pass_time(CONSERVATION_SECONDS + OBSERVE_SECONDS)
        self.assertIs(self.watcher.reports[-1].conservation.conserved, True)
