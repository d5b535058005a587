"""A process: a start that fails is told, and everything stops in order and in time."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactor
from twisted.logger import LogEvent
from twisted.trial.unittest import SynchronousTestCase

from cartnet.limits import CONSOLE_ALONE_SECONDS_MAX
from cartnet.process import Process
from tests.replica.listening import logger, seams


class Ending:
    """A part of a process, which says when it stops.

    :ivar ended: fires when it has stopped.
    :ivar names: of its replicas.
    """

    names = ("s1r0",)

    def __init__(self, name: str, events: list[str]) -> None:
        self.ended: Deferred[None] = Deferred()
        self._name, self._events = name, events

    async def stop(self) -> None:
        self._events.append(f"{self._name} stops")
        await self.ended


class StartTests(SynchronousTestCase):
    """A start that goes wrong in a way that nobody has thought of."""

    def test_unexpected(self) -> None:
        """The terminal is told in one line, and the log has the traceback."""
        err = io.StringIO()
        self.patch(sys, "__stderr__", err)
        logged: list[LogEvent] = []

        def listen() -> None:
            raise ZeroDivisionError("a mistake")

        configuration = SimpleNamespace(data=Path("db"), logs=Path("logs"))
        process = Process(
            cast("Any", SimpleNamespace(configuration=configuration, admin=None)),
            MemoryReactor(),
            seams(Clock()),
            cast("Any", Ending("replicas", [])),
            cast("Any", None),
            cast("Any", SimpleNamespace(listen=listen)),
            logger(logged),
        )

        status = self.assertRaises(SystemExit, process.startService).code

        self.assertEqual(status, 1)
        self.assertEqual(
            err.getvalue(),
            "cartnet: the start failed: ZeroDivisionError: a mistake; the traceback is"
            " in logs/\n",
        )
        (event,) = logged
        self.assertIs(event["log_failure"].type, ZeroDivisionError)


class StopTests(SynchronousTestCase):
    """Replicas beside a console."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.events: list[str] = []
        self.logged: list[LogEvent] = []
        self.console = Ending("console", self.events)
        self.replicas = Ending("replicas", self.events)
        self.replicas.ended = succeed(None)
        configuration = SimpleNamespace(data=Path("db"))
        process = Process(
            cast("Any", SimpleNamespace(configuration=configuration)),
            None,
            seams(self.clock),
            cast("Any", self.replicas),
            cast("Any", SimpleNamespace(stop=lambda: self.events.append("links"))),
            cast("Any", self.console),
            logger(self.logged),
        )
        self.stopping = process.stopService()

    def test_console_first(self) -> None:
        """The console has the replicas at its service, but not for long."""
        self.assertEqual(self.events, ["console stops"])

        self.clock.advance(CONSOLE_ALONE_SECONDS_MAX)

        self.assertEqual(self.events, ["console stops", "replicas stops"])
        self.assertNoResult(self.stopping)
        self.console.ended.callback(None)
        self.successResultOf(self.stopping)
        self.assertEqual(self.events[-1], "links")

    def test_console_at_once(self) -> None:
        """Replicas stop as soon as the console has."""
        self.console.ended.callback(None)

        self.assertEqual(self.events, ["console stops", "replicas stops", "links"])
        self.successResultOf(self.stopping)

    def test_broken_console(self) -> None:
        """A console that breaks at its end keeps no replica from its own."""
        self.console.ended.errback(ZeroDivisionError("a mistake"))

        self.assertEqual(self.events, ["console stops", "replicas stops", "links"])
        self.successResultOf(self.stopping)
        self.assertEqual(len(self.logged), 1)
