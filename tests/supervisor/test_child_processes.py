"""Replicas that are processes of their own: real ones, that do very little."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger, capturedLogs
from twisted.trial.unittest import SynchronousTestCase, TestCase
from typing_extensions import override

from cartnet.errors import Refused
from cartnet.supervisor import child
from cartnet.supervisor.child_processes import ChildProcesses
from cartnet.supervisor.lifeline import STARTED_FD, SUPERVISED
from tests.supervisor.replicas import topology

ROOT = Path(__file__).resolve().parents[2]

START = "import os, sys, signal; os.write(3, b'started\\n')\n"
WAIT = START + "sys.stdin.read()"
FAIL = "import sys; sys.stderr.write('the port is in use\\n'); sys.exit(1)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + WAIT
ON_LIFELINE = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from cartnet.supervisor import lifeline
lifeline.hold()
lifeline.report_started()
import threading; threading.Event().wait()
"""


class ChildProcessesTests(TestCase):
    """Killing, starting, stopping, ending by themselves."""

    timeout = 20

    @override
    def setUp(self) -> None:
        self.programs = {"s1r0": WAIT, "s1r1": WAIT}
        self.children = ChildProcesses(
            reactor,
            reactor,
            topology(),
            ("s1r0", "s1r1"),
            lambda name: [sys.executable, "-c", self.programs[name]],
            lambda name, lines: succeed([f"the end of {name}'s log"][:lines]),
            Logger(),
        )
        self.addCleanup(self.children.stop)

    def is_dead(self, name: str) -> bool:
        status = self.children.status(name)
        assert status is None or status.state == "dead"
        return status is not None

    async def refusal(self, work: Deferred[None]) -> tuple[str, str]:
        try:
            await work
        except Refused as refused:
            return refused.code, refused.message
        raise AssertionError("it was not refused")

    async def test_life(self) -> None:
        """A child is started, killed by SIGKILL, and started as another process."""
        await self.children.start_all()
        first = self.children.pid("s1r0")
        self.assertFalse(self.is_dead("s1r0"))

        await self.children.kill("s1r0")
        self.assertTrue(self.is_dead("s1r0"))
        self.assertFalse(self.is_dead("s1r1"))

        await self.children.start("s1r0")
        self.assertNotIn(self.children.pid("s1r0"), (None, first))
        await self.children.restart("s1r0")
        self.assertFalse(self.is_dead("s1r0"))

    async def test_refusals(self) -> None:
        """What a replica's state forbids, and names of no replica, are refused."""
        await self.children.start("s1r0")
        refused = self.refusal

        self.assertEqual(
            await refused(self.children.start("s1r0")), ("conflict", "s1r0 is alive")
        )
        self.assertEqual(
            await refused(self.children.kill("s1r1")),
            ("conflict", "s1r1 is dead already"),
        )
        for act in (self.children.kill, self.children.start, self.children.restart):
            self.assertEqual((await refused(act("it0")))[0], "not_found")

    async def test_log(self) -> None:
        """A child's log can be read though it is dead; a stranger's cannot."""
        self.assertEqual(await self.children.log("s1r0", 5), ["the end of s1r0's log"])
        with self.assertRaises(Refused):
            await self.children.log("../s1r0", 5)

    async def test_kill_while_starting(self) -> None:
        """A child can be killed before it has started."""
        self.programs["s1r0"] = "import sys; sys.stdin.read()"
        starting = self.children.start("s1r0")

        await self.children.kill("s1r0")

        code, message = await self.refusal(starting)
        self.assertEqual(code, "unavailable")
        self.assertIn("s1r0 did not start", message)

    async def test_failing_child(self) -> None:
        """A child that cannot start tells why in its last line."""
        self.programs["s1r1"] = FAIL

        with self.assertRaises(Refused) as raised:
            await self.children.start_all()

        self.assertEqual(
            raised.exception.message, "s1r1 did not start: the port is in use"
        )
        self.assertTrue(self.is_dead("s1r1"))

    async def test_kill_during_the_first_start(self) -> None:
        """A child that is killed before it has started is no reason to end them all."""
        starting = Deferred.fromCoroutine(self.children.start_all())

        await self.children.kill("s1r1")
        await starting

        self.assertTrue(self.is_dead("s1r1"))
        self.assertFalse(self.is_dead("s1r0"))

    async def test_unexpected_end(self) -> None:
        """A child that somebody else kills is dead, and the log says so."""
        await self.children.start("s1r0")
        place = self.children._places["s1r0"]
        pid = self.children.pid("s1r0")
        assert pid is not None

        with capturedLogs() as events:
            os.kill(pid, signal.SIGKILL)
            await self.ended(place.ended)

        self.assertTrue(self.is_dead("s1r0"))
        formats = [event.get("log_format") for event in events]
        self.assertIn("{name} ended by itself: {how}", formats)

    def ended(self, waited: Deferred[None]) -> Deferred[None]:
        done: Deferred[None] = Deferred()
        waited.addCallback(lambda _: done.callback(None))
        return done

    async def test_orderly_stop(self) -> None:
        """An orderly stop ends every child, and starts no more."""
        await self.children.start_all()

        await self.children.stop()

        self.assertTrue(self.is_dead("s1r0") and self.is_dead("s1r1"))
        self.assertEqual(
            await self.refusal(self.children.start("s1r0")),
            ("unavailable", "this process is stopping"),
        )

    async def test_stubborn_child(self) -> None:
        """A child that does not stop in time is killed."""
        self.patch(
            sys.modules["cartnet.supervisor.child_processes"], "STOP_SECONDS_MAX", 0.1
        )
        self.programs["s1r0"] = STUBBORN
        await self.children.start("s1r0")

        await self.children.stop()

        self.assertTrue(self.is_dead("s1r0"))


class Ended(ProcessProtocol):
    """Fires when a process has reported its start, and when it has ended."""

    def __init__(self) -> None:
        self.started: Deferred[None] = Deferred()
        self.ended: Deferred[str] = Deferred()

    @override
    def childDataReceived(self, childFD: int, data: bytes) -> None:
        if childFD == STARTED_FD:
            self.started.callback(None)

    @override
    def processEnded(self, reason: object) -> None:
        self.ended.callback(str(reason))


class LifelineTests(TestCase):
    """A child does not outlive its supervisor."""

    timeout = 20

    async def test_end_of_the_pipe(self) -> None:
        """When the supervisor's end of the pipe is gone the child stops, as by TERM."""
        watched = Ended()
        transport = reactor.spawnProcess(
            watched,
            sys.executable,
            [sys.executable, "-c", ON_LIFELINE],
            env={**os.environ, SUPERVISED: "1"},
            childFDs={0: "w", 1: 1, 2: 2, STARTED_FD: "r"},
        )
        await watched.started

        transport.closeStdin()

        self.assertIn(f"signal {int(signal.SIGTERM)}", await watched.ended)


class CommandTests(SynchronousTestCase):
    """How a child is started."""

    def test_command(self) -> None:
        """A child is twistd, in the foreground, with one replica and no admin port."""
        command = child.command("s1r0", ["--config", "my.ini"])

        self.assertEqual(command[0], sys.executable)
        self.assertEqual(
            " ".join(command[-9:]),
            "-n --pidfile= cartnet --replica s1r0 --admin none --config my.ini",
        )
