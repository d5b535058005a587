"""A simulated world: hosts whose outside (:class:`cartnet.seams.Seams`) is one seed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from random import Random
from typing import Any, Final

from twisted.internet.defer import Deferred, execute

from cartnet.seams import Seams
from cartnet.simulator.clock import HostClock, SimulatedClock
from cartnet.simulator.disk import SimulatedDisk, Speed
from cartnet.simulator.endpoints import HostNetwork
from cartnet.simulator.network import Link, SimulatedNetwork

EPOCH: Final = 1_750_000_000
"""The simulated wall clocks' Unix time at the beginning, in seconds."""

COMPUTATION_SECONDS: Final = 0.03
"""The mean of what a call off the reactor takes (a password's hash)."""


class World:
    """Everything outside the product, made from ``seed``.

    Each purpose draws from a stream of its own, so that one more draw somewhere does
    not change what happens elsewhere.

    :ivar clock: the true time; hosts have clocks of their own.
    :ivar hosts: those that exist, by name.
    :ivar heard: those who are told of all that arrives: from, to, bytes.
    """

    def __init__(self, seed: int, new_link: Callable[[], Link] = Link) -> None:
        self.seed = seed
        self.clock = SimulatedClock()
        self.hosts: dict[str, Host] = {}
        self.heard: list[Callable[[str, str, bytes], None]] = []
        self._history = hashlib.sha256()
        self.network = SimulatedNetwork(
            self.clock, self.random("network"), self._arrived, new_link
        )

    def random(self, purpose: str) -> Random:
        """The stream of chance for one purpose."""
        # Seeding with text hashes it with SHA-512, whatever PYTHONHASHSEED is.
        return Random(f"{self.seed} {purpose}")

    def host(self, name: str, address: str | None = None) -> Host:
        """The host ``name``, made at its first mention; ``address`` will be there."""
        if name not in self.hosts:
            self.hosts[name] = Host(self, name)
        if address is not None:
            self.network.place(name, address)
        return self.hosts[name]

    def record(self, *what: object) -> None:
        """Make ``what`` part of the history; its ``repr`` must not hold an address."""
        self._history.update(f"{self.clock.seconds():.9f} {what!r}\n".encode())

    @property
    def digest(self) -> str:
        """A hash of all that has arrived or been recorded, with its time."""
        return self._history.hexdigest()

    def _arrived(self, source: str, target: str, data: bytes) -> None:
        self.record(source, target, data)
        for hear in self.heard:
            hear(source, target, data)


class Host:
    """A machine that runs one process at a time.

    :ivar wall_offset: seconds by which its wall clock is wrong.
    :ivar process: the one that runs on it now.
    """

    def __init__(self, world: World, name: str) -> None:
        self.name = name
        self.wall_offset = 0.0
        self.incarnation = 0
        self._clock_rate = 1.0
        self._world = world
        self._random = world.random(f"{name} threads")
        self.disk = SimulatedDisk(world.clock, world.random(f"{name} disk"), Speed())
        self._begin()

    def drift(self, rate: float) -> None:
        """Have its monotonic clock go so fast; call it before anything happens."""
        assert self._world.clock.events == 0
        self._clock_rate = self._clock.rate = rate

    def crash(self, *, power_lost: bool = False) -> None:
        """End the process at once; what it asked for before it never comes.

        Its timers and callbacks die, its connections are reset, its files stay; a power
        cut may also take from them what was not synced. :attr:`seams` is then a new
        process's.
        """
        self.process.end()
        self._network.crash()
        self._world.network.crash(self.name)
        self.disk.crash(power_lost=power_lost)
        self._world.record("crash", self.name, power_lost)
        self.incarnation += 1
        self._begin()

    def pause(self) -> None:
        """Let the process hang, as SIGSTOP does: its sockets stay, all else waits."""
        self._world.record("pause", self.name)
        self.process.sleep()

    def resume(self) -> None:
        """Let it go on, with what has waited first."""
        self._world.record("resume", self.name)
        self.process.wake()
        self._world.network.woke(self.name)

    def _begin(self) -> None:
        process = f"{self.name} {self.incarnation}"
        self.process = self.disk.process
        self._clock = HostClock(self._world.clock, self.process, self._clock_rate)
        self._network = HostNetwork(self._world.network, self.name)
        self._world.network.processes[self.name] = self.process
        self.seams = Seams(
            clock=self._clock,
            wall=self._wall,
            random=self._world.random(f"{process} choices"),
            token_bytes=self._world.random(f"{process} tokens").randbytes,
            network=self._network,
            disk=self.disk,
            in_thread=self._in_thread,
        )

    def _wall(self) -> float:
        return EPOCH + self._world.clock.seconds() + self.wall_offset

    def _in_thread(
        self, function: Callable[..., Any], *args: Any, **kw: Any
    ) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()

        def finish() -> None:
            if not done.called:  # It may have been cancelled.
                execute(function, *args, **kw).chainDeferred(done)

        delay = COMPUTATION_SECONDS * (0.5 + self._random.random())
        self._clock.callLater(delay, finish)
        return done
