"""A simulated network: links between hosts, who listens, and every connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Literal

from twisted.internet.error import CannotListenError

from cartnet.topology.address import split

if TYPE_CHECKING:
    from cartnet.simulator.clock import SimulatedClock
    from cartnet.simulator.endpoints import SimulatedPort
    from cartnet.simulator.process import Process
    from cartnet.simulator.transport import Transport

Cut = Literal["held", "lost"]
"""What a cut link does with bytes: hold them until it is healed, as TCP's repetitions
would, or lose them write by write, as a replica does that was told to be isolated."""


@dataclass
class Link:
    """One direction between two hosts.

    :ivar delay_min: seconds that everything takes.
    :ivar delay_mean: seconds, the mean of what comes on top (exponential).
    :ivar loss: how likely a write is lost whole: for protocols of one line a write.
    :ivar lost: what those begin with that may be; by default, whatever is sent.
    :ivar split: how likely a write arrives in two pieces.
    """

    delay_min: float = 0.000_2
    delay_mean: float = 0.000_3
    loss: float = 0.0
    lost: bytes = b""
    split: float = 0.02
    cut: Cut | None = None
    held: deque[Callable[[], None]] = field(default_factory=deque)


class SimulatedNetwork:
    """The hosts' links and connections; one object a simulated world.

    :ivar trace: told of all that arrives: from, to, bytes.
    :ivar writes: how many there were; ``writes_lost`` of them never arrive.
    :ivar processes: those of the hosts; one that sleeps is given nothing.
    :ivar user_timeout: seconds after which the end that dialled gives a connection up,
        if what it wrote cannot be acknowledged, or is not read (RFC 5482); None where
        operating systems know nothing of that, and it waits for the heal.
    :ivar heals: how often :meth:`heal` was called.
    :ivar before_write: hooks, by host, that are called with each of its writes before
        it is made, and may crash it; each is taken off by who added it.
    """

    def __init__(
        self,
        clock: SimulatedClock,
        random: Random,
        trace: Callable[[str, str, bytes], None],
        new_link: Callable[[], Link] = Link,
    ) -> None:
        self.clock = clock
        self.random = random
        self.trace = trace
        self.writes = self.writes_lost = 0
        self.user_timeout: float | None = None
        self.heals = 0
        self.processes: dict[str, Process] = {}
        self.before_write: dict[str, dict[Callable[[bytes], None], None]] = {}
        self._new_link = new_link
        self._links: dict[tuple[str, str], Link] = {}
        self._homes: dict[str, str] = {}
        self._ips: dict[str, str] = {}
        self._ports: dict[str, SimulatedPort] = {}
        self._ends: dict[Transport, None] = {}
        self._ephemeral_port = 40_000

    def place(self, host: str, address: str) -> None:
        """Say where ``address`` is, so that links to it exist while nobody listens."""
        self._homes[address] = host
        self._ips.setdefault(host, split(address)[0])

    def link(self, source: str, target: str) -> Link:
        """The link from one host to another (or to itself)."""
        found = self._links.get((source, target))
        if found is None:
            found = self._links[source, target] = self._new_link()
        return found

    def cut(
        self, sources: Iterable[str], targets: Iterable[str], how: Cut = "held"
    ) -> None:
        """Let nothing pass from ``sources`` to ``targets``; the way back stays open."""
        targets = tuple(targets)
        for source in sources:
            for target in targets:
                if source != target:
                    self.link(source, target).cut = how

    def partition(self, *sides: Iterable[str], how: Cut = "held") -> None:
        """Cut each two of these sides off from each other, both ways."""
        hosts = [tuple(side) for side in sides]
        for one in hosts:
            for other in hosts:
                if one is not other:
                    self.cut(one, other, how)

    def heal(self) -> None:
        """Restore every link; what was held arrives after a delay of its own."""
        self.heals += 1
        for link in self._links.values():
            link.cut = None
            while link.held:
                link.held.popleft()()

    def ends(self, host: str | None = None) -> list[Transport]:
        """The living ends of connections: all, or those of one host, oldest first."""
        return [end for end in self._ends if host is None or end.local == host]

    def crash(self, host: str) -> None:
        """End a host's process: its ports close, and its peers' connections break."""
        for address, port in list(self._ports.items()):
            if port.host == host:
                del self._ports[address]
        for end in self.ends(host):
            end.vanish()

    def asleep(self, host: str) -> bool:
        return host in self.processes and self.processes[host].asleep

    def woke(self, host: str) -> None:
        """Give a process that slept what has come meanwhile."""
        for end in self.ends(host):
            end.deliver()

    def listens(self, address: str) -> bool:
        return address in self._ports

    def renew(self) -> None:
        """Have every link take as long as it did at first, and lose nothing."""
        for link in self._links.values():
            usual = self._new_link()
            link.delay_min, link.delay_mean = usual.delay_min, usual.delay_mean
            link.loss, link.lost = usual.loss, usual.lost

    # --- For endpoints and transports ----------------------------------------------

    def home(self, address: str) -> str:
        """The host at ``address``; an unknown one is a host of its own."""
        return self._homes.get(address, address)

    def ip(self, host: str) -> str:
        return self._ips.get(host, "127.0.0.1")

    def ephemeral_port(self) -> int:
        self._ephemeral_port += 1
        return self._ephemeral_port

    def port(self, address: str) -> SimulatedPort | None:
        return self._ports.get(address)

    def open_port(self, port: SimulatedPort) -> None:
        if port.address in self._ports:
            in_use = OSError(98, "Address already in use")
            raise CannotListenError(*split(port.address), in_use)
        self._homes.setdefault(port.address, port.host)
        self._ports[port.address] = port

    def close_port(self, port: SimulatedPort) -> None:
        if self._ports.get(port.address) is port:
            del self._ports[port.address]

    def add(self, end: Transport) -> None:
        self._ends[end] = None

    def remove(self, end: Transport) -> None:
        self._ends.pop(end, None)

    def loses(self, source: str, target: str, data: bytes = b"") -> bool:
        """Decide whether what is sent now, data or a handshake's, will never arrive."""
        link = self.link(source, target)
        return link.cut == "lost" or (
            link.loss > 0
            and data.startswith(link.lost)
            and self.random.random() < link.loss
        )

    def holds(self, one: str, other: str) -> bool:
        """Whether what is sent between two hosts, or its acknowledgement, is held."""
        ways = self.link(one, other), self.link(other, one)
        return any(way.cut == "held" for way in ways)

    def carry(self, source: str, target: str, arrive: Callable[[], None]) -> None:
        """Let ``arrive`` happen after the link's delay, or after its heal."""
        link = self.link(source, target)
        if link.cut is not None:
            link.held.append(lambda: self.carry(source, target, arrive))
            return
        delay = link.delay_min + link.delay_mean * self.random.expovariate(1)
        self.clock.callLater(delay, arrive)
