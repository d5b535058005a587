"""Replicas that are operating-system processes: killing one is SIGKILL."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from typing_extensions import override

from cartnet.errors import Refused
from cartnet.limits import (
    CHILD_LINE_CHARACTERS_MAX,
    CHILD_START_SECONDS_MAX,
    STOP_SECONDS_MAX,
)
from cartnet.replica.status import Status, not_alive
from cartnet.supervisor.hosting import ReadLog, observe, require_hosted
from cartnet.supervisor.lifeline import STARTED, STARTED_FD, SUPERVISED

if TYPE_CHECKING:
    from twisted.internet.interfaces import (
        IProcessTransport,
        IReactorProcess,
        IReactorTime,
    )
    from twisted.logger import Logger

    from cartnet.replica.gate import Fault
    from cartnet.topology.groups import Topology


class Child(ProcessProtocol):
    """One child process, from its spawning to its end.

    :ivar started: fires when it says that its replica has started; fails with
        :class:`~cartnet.errors.Refused` where it ends before.
    :ivar ended: fires when it has ended, for whatever reason.
    :ivar expected: its end has been asked for.
    """

    def __init__(self, name: str, log: Logger) -> None:
        self.name = name
        self.started: Deferred[None] = Deferred()
        self.ended: Deferred[None] = Deferred()
        self.expected = False
        self._log = log
        self._has_started = False
        self._unfinished: dict[int, bytes] = {}
        self._last_lines: deque[str] = deque(maxlen=1)

    @property
    def _process(self) -> IProcessTransport:
        return cast("IProcessTransport", self.transport)

    def signal(self, name: str) -> None:
        """Send a signal, such as ``KILL``; nothing where the process has ended."""
        self.expected = True
        try:
            self._process.signalProcess(name)
        except ProcessExitedAlready:
            self._log.debug("{name} has ended already", name=self.name)

    @override
    def childDataReceived(self, childFD: int, data: bytes) -> None:
        lines = (self._unfinished.pop(childFD, b"") + data).split(b"\n")
        self._unfinished[childFD] = lines.pop()[-CHILD_LINE_CHARACTERS_MAX:]
        for line in lines:
            if childFD == STARTED_FD:
                self._has_said(line + b"\n")
            else:
                self._has_printed(line)

    def _has_said(self, line: bytes) -> None:
        if line == STARTED and not self._has_started:
            self._has_started = True
            self.started.callback(None)

    def _has_printed(self, line: bytes) -> None:
        text = line.decode("utf-8", "replace")[:CHILD_LINE_CHARACTERS_MAX].strip()
        if text:
            self._last_lines.append(text)
            self._log.info("{name}: {text}", name=self.name, text=text)

    @override
    def processEnded(self, reason: Failure) -> None:
        for fd, rest in self._unfinished.items():
            if fd != STARTED_FD:
                self._has_printed(rest)
        how = reason.getErrorMessage()
        if not self.expected:
            self._log.error("{name} ended by itself: {how}", name=self.name, how=how)
        # First of all: who hears that it did not start finds its place free.
        self.ended.callback(None)
        if not self._has_started:
            self._has_started = True
            line = self._last_lines[0] if self._last_lines else how
            self.started.errback(
                Refused("unavailable", f"{self.name} did not start: {line}")
            )


@dataclass
class _Place:
    """Where one replica runs, child after child; ``child`` is the living one.

    :ivar unwanted: somebody had it killed before it had started.
    """

    child: Child | None
    ended: Deferred[None]
    starting: bool = False
    unwanted: bool = False


class ChildProcesses:
    """Runs every replica as a process of its own.

    :ivar names: the replicas that it runs, dead or alive.
    """

    def __init__(
        self,
        clock: IReactorTime,
        processes: IReactorProcess,
        topology: Topology,
        names: Sequence[str],
        command: Callable[[str], Sequence[str]],
        read_log: ReadLog,
        log: Logger,
    ) -> None:
        """Run ``names``, all of them dead at first.

        :param command: gives a replica's command line
            (:func:`cartnet.supervisor.child.command`).
        """
        self.names = tuple(names)
        self._clock = clock
        self._processes = processes
        self._topology = topology
        self._command = command
        self._read_log = read_log
        self._log = log
        self._stopping = False
        self._places = {name: _Place(None, succeed(None)) for name in names}

    async def start_all(self) -> None:
        """Start every replica, side by side.

        :raises cartnet.errors.Refused: with the first one's reason not to start; that
            somebody has killed it is none.
        """
        started = DeferredList([self.start(n) for n in self.names], consumeErrors=True)
        results: list[tuple[bool, Any]] = await started
        for name, (_, result) in zip(self.names, results, strict=True):
            if isinstance(result, Failure) and not self._places[name].unwanted:
                result.raiseException()

    def stop(self) -> Deferred[None]:
        self._stopping = True
        stopped = [self._stop_one(p) for p in self._places.values()]
        waited = DeferredList([Deferred.fromCoroutine(each) for each in stopped])
        return waited.addCallback(lambda _: None)

    async def _stop_one(self, place: _Place) -> None:
        child = place.child
        if child is None:
            return
        child.signal("TERM")
        # The child has as long as this itself; it is ended only if it hangs.
        cut_off = self._clock.callLater(STOP_SECONDS_MAX, child.signal, "KILL")
        await observe(place.ended)
        if cut_off.active():
            cut_off.cancel()

    def status(self, name: str) -> Status | None:
        require_hosted(name, self.names)
        if self._places[name].child is None:
            return not_alive(self._topology, name, "dead")
        return None

    def pid(self, name: str) -> int | None:
        """Say which process runs a replica, if one does."""
        child = self._places[name].child
        return None if child is None else child._process.pid

    def kill(self, name: str) -> Deferred[None]:
        return Deferred.fromCoroutine(self._kill(name))

    async def _kill(self, name: str) -> None:
        require_hosted(name, self.names)
        place = self._places[name]
        if place.child is None:
            raise Refused("conflict", f"{name} is dead already")
        place.unwanted = place.starting
        await self._end(place)

    def start(self, name: str) -> Deferred[None]:
        return Deferred.fromCoroutine(self._start(name))

    async def _start(self, name: str) -> None:
        require_hosted(name, self.names)
        place = self._places[name]
        if place.starting:
            raise Refused("conflict", f"{name} is being started already")
        if place.child is not None:
            raise Refused("conflict", f"{name} is alive")
        place.starting, place.unwanted = True, False
        try:
            await observe(place.ended)
            child = self._spawn(name, place)
            late = self._clock.callLater(
                CHILD_START_SECONDS_MAX, self._start_is_late, child
            )
            try:
                await child.started
            finally:
                if late.active():
                    late.cancel()
        finally:
            place.starting = False
        self._log.info("{name} is started", name=name)

    def restart(self, name: str) -> Deferred[None]:
        return Deferred.fromCoroutine(self._restart(name))

    async def _restart(self, name: str) -> None:
        require_hosted(name, self.names)
        place = self._places[name]
        if place.child is not None:
            await self._end(place)
        await self._start(name)

    def inject(self, fault: Fault, name: str) -> bool:
        self._require_alive(name)
        return False

    def transfer(self, name: str, target: str) -> bool:
        self._require_alive(name)
        return False

    def log(self, name: str, lines: int) -> Deferred[list[str]]:
        require_hosted(name, self.names)
        return self._read_log(name, lines)

    def _require_alive(self, name: str) -> None:
        require_hosted(name, self.names)
        if self._places[name].child is None:
            raise Refused("conflict", f"{name} is dead")

    # --- Processes -------------------------------------------------------------------

    def _spawn(self, name: str, place: _Place) -> Child:
        if self._stopping:
            raise Refused("unavailable", "this process is stopping")
        child = Child(name, self._log)
        arguments = list(self._command(name))
        self._processes.spawnProcess(
            child,
            arguments[0],
            arguments,
            env={**os.environ, SUPERVISED: "1"},
            childFDs={0: "w", 1: "r", 2: "r", STARTED_FD: "r"},
        )
        place.child, place.ended = child, child.ended

        def has_ended(_: None) -> None:
            assert place.child is child
            place.child = None

        # First of all: who waits for the end finds the place free.
        child.ended.addCallback(has_ended)
        return child

    def _start_is_late(self, child: Child) -> None:
        self._log.error("{name} does not start: it is killed", name=child.name)
        child.signal("KILL")

    async def _end(self, place: _Place) -> None:
        assert place.child is not None
        self._log.info("{name} is killed", name=place.child.name)
        place.child.signal("KILL")
        await observe(place.ended)
