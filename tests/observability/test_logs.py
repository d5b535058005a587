"""The log files of a process and of its replicas."""

from __future__ import annotations

import re
import stat
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.application.service import Application, Service
from twisted.logger import (
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    LogPublisher,
    globalLogPublisher,
)
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from cartnet.limits import LOG_MESSAGE_CHARACTERS_MAX
from cartnet.observability.logs import LoggedService, Logs, format_line


def event(log_format: str, **fields: object) -> LogEvent:
    """An event of a fixed instant."""
    return {
        "log_format": log_format,
        "log_level": LogLevel.info,
        "log_time": 1_763_820_787.25,
        **fields,
    }


class FormatTests(SynchronousTestCase):
    """What a line looks like."""

    def test_line(self) -> None:
        """A line has the time in UTC, the level, the replica, its term, the message."""
        line = format_line(event("leads {group}", group="s1"), "s1r0", 3)

        self.assertEqual(
            line, "2025-11-22T14:13:07.250Z info     s1r0 term=3 leads s1\n"
        )

    def test_process(self) -> None:
        """A process has no term."""
        line = format_line(event("serving"), "cartnet", None)

        self.assertEqual(line, "2025-11-22T14:13:07.250Z info     cartnet serving\n")

    def test_escapes(self) -> None:
        """Line breaks, terminal commands and marks of direction are written out."""
        line = format_line(event("{x}", x="a\nb\r\x1b[2J\x9b\u202e\u2028\\n"), "r", 1)

        self.assertTrue(
            line.endswith(" a\\nb\\r\\x1b[2J\\x9b\\u202e\\u2028\\\\n\n"), line
        )

    @given(st.text(max_size=50))
    def test_one_event_is_one_line(self, text: str) -> None:
        """Whatever a message holds, it is one line that a terminal only shows."""
        line = format_line(event("{x}", x=text), "r", 1)

        self.assertTrue(line[:-1].isprintable())
        self.assertEqual(line[-1], "\n")

    def test_long_message(self) -> None:
        """A message without an end gets one, which says so."""
        text = "x" * (LOG_MESSAGE_CHARACTERS_MAX + 5)

        line = format_line(event("{x}", x=text), "r", 1)

        self.assertTrue(line.endswith("x... (5 more)\n"))
        self.assertLess(len(line), LOG_MESSAGE_CHARACTERS_MAX + 100)

    def test_traceback(self) -> None:
        """A failure's traceback follows, indented and escaped like the message."""
        try:
            raise ValueError("a\n2025-11-22T14:13:07.250Z info forged \x1b[2J")
        except ValueError:
            failure = Failure()

        lines = format_line(event("broken", log_failure=failure), "r", 1).splitlines()

        self.assertTrue(lines[0].endswith("broken"))
        self.assertTrue(all(line.startswith("    ") for line in lines[1:]))
        self.assertIn("test_traceback", "".join(lines))
        self.assertIn("ValueError: a", "".join(lines))
        self.assertNotIn("\x1b", "".join(lines))


class LogsTests(SynchronousTestCase):
    """Which event goes into which file."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()) / "logs"
        self.publisher = LogPublisher()
        self.logs = Logs(self.folder, self.publisher)
        self.addCleanup(self.logs.close)
        self.publisher.addObserver(self.logs.process)

    def lines(self, name: str) -> list[str]:
        """A file's lines without their times."""
        text = (self.folder / f"{name}.log").read_text()
        for line in text.splitlines():
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z ")
        return [re.sub(r"^\S+ (\S+) +", r"\1 ", line) for line in text.splitlines()]

    def test_private(self) -> None:
        """Nobody but the owner enters the folder or reads its files."""
        self.logs.replica_logger("s1r0", lambda: 1).info("x")

        self.assertEqual(stat.S_IMODE(self.folder.stat().st_mode), 0o700)
        self.assertEqual(
            {stat.S_IMODE(path.stat().st_mode) for path in self.folder.iterdir()},
            {0o600},
        )

    def test_own_file(self) -> None:
        """A replica's events are in its own file and the process's, no other's."""
        term = [1]
        self.logs.replica_logger("s1r0", lambda: term[0]).info("a {x}", x=1)
        self.logs.replica_logger("s1r1", lambda: 7).warn("b")
        term[0] = 2
        self.logs.replica_logger("s1r0", lambda: term[0]).error("c")
        Logger(observer=self.publisher).info("d")

        self.assertEqual(
            self.lines("s1r0"), ["info s1r0 term=1 a 1", "error s1r0 term=2 c"]
        )
        self.assertEqual(self.lines("s1r1"), ["warn s1r1 term=7 b"])
        self.assertEqual(
            self.lines("cartnet"),
            [
                "info s1r0 term=1 a 1",
                "warn s1r1 term=7 b",
                "error s1r0 term=2 c",
                "info cartnet d",
            ],
        )

    def test_failures(self) -> None:
        """A failure is in the replica's file with its traceback."""
        log = self.logs.replica_logger("it0", lambda: 1)

        with log.failuresHandled("applying"):
            raise ValueError("broken")

        text = (self.folder / "it0.log").read_text()
        self.assertIn("critical it0 term=1 applying\n    Traceback", text)
        self.assertIn("    builtins.ValueError: broken\n", text)

    def test_noise(self) -> None:
        """Debugging and Twisted's word on every attempt to connect are left out."""
        log = self.logs.replica_logger("it0", lambda: 1)

        log.debug("x")
        log.info("Starting factory {factory!r}", factory=self)

        self.assertEqual(self.lines("it0"), [])
        self.assertEqual(self.lines("cartnet"), [])

    def test_everyone_hears_a_replica(self) -> None:
        """By default replicas' events reach every observer of the process."""
        heard: list[LogEvent] = []
        globalLogPublisher.addObserver(heard.append)
        self.addCleanup(globalLogPublisher.removeObserver, heard.append)
        logs = Logs(self.folder)
        self.addCleanup(logs.close)

        logs.replica_logger("lb0", lambda: 1).info("hello")

        self.assertIn("hello", [each["log_format"] for each in heard])

    def test_folder_that_cannot_be_made(self) -> None:
        """A process without a place for its log hears so before it starts."""
        with self.assertRaises(OSError):
            Logs(self.folder / "cartnet.log" / "logs")


class LoggedServiceTests(SynchronousTestCase):
    """How twistd learns where the log is."""

    def test_application(self) -> None:
        """The application of a logged service logs to its observer."""
        heard: list[LogEvent] = []
        publisher = LogPublisher(heard.append)
        application = Application("x")
        inner = Service()

        LoggedService(publisher, inner).setServiceParent(application)

        self.assertIs(application.getComponent(ILogObserver), publisher)
        self.assertIsNotNone(inner.parent)
