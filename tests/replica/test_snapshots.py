"""Snapshots between the drivers of a group: lost, refused, and tried again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, cast

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.log import Log
from cartnet.consensus.messages import (
    AppendEntriesReply,
    InstallSnapshot,
    InstallSnapshotReply,
    PeerMessage,
)
from cartnet.consensus.progress import SNAPSHOT_PATIENCE
from cartnet.consensus.raft import Raft
from cartnet.errors import Refused
from cartnet.replica.driver import Driver
from cartnet.storage import snapshot
from tests.consensus.replicas import TICKS
from tests.replica.listening import logger
from tests.storage.doubles import (
    OWNER,
    InlineDisk,
    InlineWorker,
    sqlite,
    storage,
    till,
)
from tests.storage.limited import no_descriptors

NAMES = ("a", "b", "c")
PATIENCE = SNAPSHOT_PATIENCE * TICKS.election
SETTLED = 2 * TICKS.election
"""Ticks after which whatever was lost once has come."""


class SlowDisk:
    """A disk that can be held for a while: its jobs then wait."""

    def __init__(self) -> None:
        self.disk = InlineDisk()
        self.held = False
        self.waiting: deque[Callable[[], object]] = deque()

    def open(self, path: Path, *, read_only: bool) -> SlowWorker:
        return SlowWorker(self, self.disk.open(path, read_only=read_only))

    def let_go(self) -> None:
        self.held = False
        while self.waiting:
            self.waiting.popleft()()


class SlowWorker:
    def __init__(self, disk: SlowDisk, worker: InlineWorker) -> None:
        self.disk = disk
        self.worker = worker
        self.interrupt = worker.interrupt
        self.close = worker.close

    def run(self, job: Callable[[Any], Any]) -> Deferred[Any]:
        if not self.disk.held:
            return self.worker.run(job)
        done: Deferred[Any] = Deferred()
        self.disk.waiting.append(lambda: self.worker.run(job).chainDeferred(done))
        return done


class Member:
    """One driver on one file, and all that it says to the others."""

    def __init__(self, name: str, path: Path, clock: Any) -> None:
        self.name = name
        self.path = path
        self.disk = SlowDisk()
        self.sent: list[tuple[str, PeerMessage]] = []
        self.failures: list[Failure] = []
        self.events: list[LogEvent] = []
        self.storage = storage(path, self.disk, owner=replace(OWNER, replica=name))
        opened: list[Any] = []
        self.storage.open().addCallback(opened.append)
        (recovered,) = opened
        self.raft = Raft(
            name,
            NAMES,
            ticks=TICKS,
            random=Random(1),
            log=Log(recovered.term_runs, recovered.last_index, recovered.tail),
            hard_state=recovered.hard_state,
        )
        surroundings = cast("Any", self)
        self.driver = Driver(
            self.raft, self.storage, clock, surroundings, 3.0, 2, logger(self.events)
        )

    def till(self) -> tuple[int, int]:
        found: list[tuple[int, int]] = []
        self.storage.read(till).addCallback(found.append)
        return found[0]

    def said(self) -> list[str]:
        return [str(formatEvent(event)) for event in self.events]

    # --- driver.Surroundings --------------------------------------------------------

    def send(self, voter: str, message: PeerMessage) -> None:
        self.sent.append((voter, message))

    def failed_by(self, reason: Failure) -> None:
        self.failures.append(reason)

    def not_leader(self) -> Refused:
        return Refused("not_leader", "somebody else leads")

    def nothing(self, *_: object) -> None:
        """What else a replica is told."""

    applied = installed = file_admitted = may_serve = disputed = standing = nothing


class SnapshotTests(SynchronousTestCase):
    """The leader a and the follower c have compacted what b lacks."""

    def setUp(self) -> None:
        # Every row is a part.
        self.patch(snapshot, "SNAPSHOT_PART_BYTES_MAX", 1)
        self.clock = Clock()
        folder = Path(self.mktemp())
        folder.mkdir()
        self.members = {
            name: Member(name, folder / f"{name}.db", self.clock) for name in NAMES
        }
        self.a, self.b, _ = self.members.values()
        self.cut_off = {"b"}
        self.loses: Callable[[PeerMessage], bool] = lambda message: False
        self.parts: list[int] = []
        for name in ("a", "c"):
            self.connect(name)
        self.pass_time(3 * TICKS.election)
        self.assertTrue(self.a.raft.may_serve)
        for _ in range(10):
            self.a.driver.propose(msgspec.Raw(b"1"))
            self.pass_time(1)
        self.assertGreater(self.a.raft.log.base_index, 0)
        self.assertEqual(self.b.till(), (0, 0))

    def tearDown(self) -> None:
        for member in self.members.values():
            member.driver.stop()
            self.successResultOf(member.storage.close())
            self.assertEqual(member.failures, [], member.name)

    def connect(self, name: str) -> None:
        """Make the connections between a member and all that are not cut off."""
        self.cut_off.discard(name)
        for other in NAMES:
            if other != name and other not in self.cut_off:
                self.meet(name, other)
                self.meet(other, name)

    def meet(self, name: str, other: str) -> None:
        self.members[name].driver.tell(lambda raft: raft.peer_connected(other))

    def pass_time(self, ticks: int) -> None:
        """Let ticks pass for all that are connected, and carry what they say."""
        for _ in range(ticks):
            for name in NAMES:
                if name not in self.cut_off:
                    self.members[name].driver.tick(1)
            self.carry()
            while self.clock.getDelayedCalls():
                self.clock.advance(0)
                self.carry()

    def carry(self) -> None:
        """Carry what the members have said."""
        for member in self.members.values():
            sent, member.sent = member.sent, []
            for to, message in sent:
                if isinstance(message, InstallSnapshot):
                    self.parts.append(message.part)
                if not self.cut_off & {to, member.name} and not self.loses(message):
                    self.members[to].driver.receive(member.name, message)

    def lose_once(self, kind: type[PeerMessage], at: int) -> None:
        """Lose the first message of a kind that has the number ``at``."""
        lost: list[PeerMessage] = []

        def loses(message: PeerMessage) -> bool:
            number = getattr(message, "part", getattr(message, "next_part", None))
            if isinstance(message, kind) and number == at and not lost:
                lost.append(message)
                return True
            return False

        self.loses = loses

    def assert_caught_up(self) -> None:
        self.assertEqual(self.b.till(), self.a.till())
        self.assertEqual(self.b.raft.applied_index, self.a.raft.applied_index)

    def alter(self, by: int) -> None:
        """Change a row of a's, as a failing disk does: no digest hears of it."""
        with closing(sqlite.connect(self.a.path, isolation_level=None)) as connection:
            connection.execute("UPDATE till SET sum = sum + ?", (by,))

    # --- lost ------------------------------------------------------------------------

    def test_nothing_lost(self) -> None:
        """Every part goes once, and is answered once."""
        self.connect("b")

        self.pass_time(SETTLED)

        self.assert_caught_up()
        self.assertGreater(len(self.parts), 1)
        self.assertEqual(self.parts, list(range(len(self.parts))))

    def test_lost_part(self) -> None:
        """A part that was lost is sent again long before a snapshot is begun anew."""
        self.lose_once(InstallSnapshot, 1)
        self.connect("b")

        self.pass_time(SETTLED)

        self.assert_caught_up()
        self.assertEqual(self.parts[:3], [0, 1, 1])

    def test_lost_answer(self) -> None:
        """A part whose answer was lost is answered again, and kept once."""
        self.lose_once(InstallSnapshotReply, 1)
        self.connect("b")

        self.pass_time(SETTLED)

        self.assert_caught_up()
        self.assertEqual(self.parts[:3], [0, 0, 1])

    def test_lost_end(self) -> None:
        """A leader that has not heard that its snapshot is installed, though every
        part was answered, asks by the last part."""
        lost: list[PeerMessage] = []

        def loses(message: PeerMessage) -> bool:
            match message:
                case AppendEntriesReply(rejected_index=None) if not lost:
                    lost.append(message)
                    return True
            return False

        self.loses = loses
        self.connect("b")
        self.pass_time(1)
        self.assertEqual(len(lost), 1)
        self.a.driver.propose(msgspec.Raw(b"1"))

        self.pass_time(SETTLED)

        self.assert_caught_up()

    def test_first_part_while_another_is_kept(self) -> None:
        """A snapshot that is begun anew while a slow disk keeps a part of the former
        is taken once that is done."""
        self.b.disk.held = True
        self.connect("b")
        self.pass_time(1)
        self.assertEqual(self.parts, [0])
        self.a.driver.propose(msgspec.Raw(b"1"))
        self.pass_time(1)
        self.meet("a", "b")
        self.pass_time(1)
        self.assertEqual(self.parts, [0, 0])
        self.b.disk.let_go()

        self.pass_time(SETTLED)

        self.assert_caught_up()

    def test_last_part_while_installing(self) -> None:
        """Whose last answer was lost gets the last part again, now and then, which
        does no harm to an installation that takes its time."""
        self.connect("b")
        last: list[int] = []

        def loses(message: PeerMessage) -> bool:
            if isinstance(message, InstallSnapshot) and message.done:
                self.b.disk.held = self.b.disk.held or not last
                last.append(message.part)
            return isinstance(message, InstallSnapshotReply) and bool(last)

        self.loses = loses
        self.pass_time(1)
        self.b.disk.waiting.popleft()()  # The last part is kept; what follows waits.
        self.pass_time(3 * TICKS.election)
        self.assertEqual(len(last), 4)
        self.assertTrue(self.b.raft.installing)
        self.b.disk.let_go()

        self.pass_time(SETTLED)

        self.assert_caught_up()

    # --- unfit -----------------------------------------------------------------------

    def test_damaged(self) -> None:
        """What a leader with damaged tables sends is dropped: the replica that gets
        it keeps its own file, and goes on as soon as it is sent something better."""
        self.alter(by=7)
        self.connect("b")

        self.pass_time(SETTLED)

        self.assertEqual(self.b.till(), (0, 0))
        self.assertEqual(self.parts.count(0), 1)
        (said,) = self.b.said()
        self.assertIn("the snapshot of a at ", said)
        self.assertIn("the tables of a may be damaged", said)
        self.alter(by=-7)
        self.pass_time(PATIENCE)
        self.assert_caught_up()

    def test_no_descriptors(self) -> None:
        """A leader that cannot open its file for a copy now goes on, and does later."""
        self.connect("b")

        with no_descriptors():
            self.pass_time(SETTLED)

        self.assertEqual(self.parts, [])
        (said,) = self.a.said()
        self.assertIn("the tables cannot be copied for b now, but later: ", said)
        self.assertTrue(self.a.raft.may_serve)
        self.pass_time(PATIENCE)
        self.assert_caught_up()
