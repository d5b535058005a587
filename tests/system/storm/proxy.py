"""A network that can be had to order: a TCP proxy that knows where messages end.

Whoever dials does so by a host of their own (``127.77.0.N``), where the proxy listens
at the port of everybody there is; so that it knows who sends to whom. A direction is
from a sender to a receiver, whoever of them has dialled. What TCP promises it keeps:
bytes come in order and once, or the connection ends. The exceptions are messages that
it damages on purpose, so that anybody can tell, and whole messages between members of a
group, which have to bear that they come twice, late or in another order.
"""

from __future__ import annotations

import asyncio
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.system.clusters import free_ports
from tests.system.storm import detour
from tests.system.storm.network import (
    CLIENTS,
    OUTSIDE,
    Damage,
    Direction,
    Weather,
)
from tests.system.storm.pipe import End, Pipe

LAST_SECONDS: Final = 0.05

SOON_SECONDS: Final = 1.0
"""Who ends a connection sooner, after a damaged message, is not remembered."""


class Proxy:
    """Listens for all dialers in a thread of its own.

    :ivar counts: connections that were passed on, and messages by what became of them.
    :param addresses: everybody who is dialled, by name.
    :param folder: the cluster's.
    """

    kinds: Sequence[str] = (
        *("cut off", "deaf", "mute", "parted", "one way"),
        *("slow", "lossy", "garbled", "reset"),
        *("doubled", "overtaken", "replayed"),
    )
    outside: Sequence[str] = OUTSIDE

    def __init__(
        self, addresses: Mapping[str, str], folder: Path, random: Random
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._damaged: dict[Pipe, tuple[float, str, str]] = {}
        """Connections that go on after a damaged message: since when, who got it, and
        what it was."""
        self._suffered: list[Damage] = []
        self.random = random
        dialers = [*addresses, *OUTSIDE]
        self._hosts = {name: f"127.77.0.{n}" for n, name in enumerate(dialers, 1)}
        self._addresses = addresses
        self._folder = folder
        self._ports = {n: int(a.rpartition(":")[2]) for n, a in addresses.items()}
        self._admin_ports = dict(
            zip(addresses, free_ports(len(addresses)), strict=True)
        )
        self._faults: defaultdict[Direction, list[Weather]] = defaultdict(list)
        self._pipes: set[Pipe] = set()
        self._servers: list[asyncio.Server] = []
        self._is_over = False
        self._dialling: set[asyncio.Task[None]] = set()
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="proxy")

    def start(self) -> None:
        self._thread.start()
        self._do(self._listen())

    def stop(self) -> None:
        async def end() -> None:
            self._is_over = True
            # Who is just being accepted needs the server for a moment.
            await asyncio.sleep(LAST_SECONDS)
            for server in self._servers:
                server.close()
            for pipe in list(self._pipes):
                pipe.reset()
            await asyncio.gather(*self._dialling, return_exceptions=True)
            # What was ended hears of it in the next rounds.
            await asyncio.sleep(LAST_SECONDS)

        self._do(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def way(self, dialer: str) -> list[str]:
        """What becomes the command behind it, but dials by way of the proxy."""
        return [sys.executable, detour.__file__, self._hosts[dialer]]

    def entrances(self, names: Iterable[str]) -> dict[str, str]:
        """Where people find replicas: their names by address."""
        return {f"{self._hosts[CLIENTS]}:{self._ports[name]}": name for name in names}

    def admin(self, name: str) -> tuple[str, int]:
        """A replica's admin line, which nothing troubles."""
        port = self._admin_ports[name]
        return f"tcp:{port}:interface=127.0.0.1", port

    def files(self, name: str) -> Path:
        """Where a replica's files are: with all others'."""
        return self._folder / "db"

    # --- faults -----------------------------------------------------------------------

    def begin(self, directions: Iterable[Direction], weather: Weather) -> None:
        async def begin() -> None:
            for direction in directions:
                self._faults[direction].append(weather)

        self._do(begin())

    def end(
        self, directions: Iterable[Direction], weather: Weather, *, resets: bool
    ) -> None:
        """Let messages pass again: those that were held, or, where it ``resets``, only
        those of new connections."""

        async def end() -> None:
            ended = set(directions)
            for direction in ended:
                self._faults[direction].remove(weather)
            for pipe in list(self._pipes):
                if ended & set(pipe.directions) and not pipe.spared:
                    if resets:
                        pipe.reset()
                    else:
                        pipe.pump()

        self._do(end())

    def clear(self) -> None:
        """End all faults there are."""

        async def clear() -> None:
            self._faults.clear()
            for pipe in list(self._pipes):
                pipe.pump()

        self._do(clear())

    def weather(self, direction: Direction) -> Sequence[Weather]:
        """The faults that a direction has."""
        return self._faults[direction]

    def suffered(self) -> list[Damage]:
        """The damaged messages whose connections went on for a while, or do."""

        async def suffered() -> list[Damage]:
            now = self.loop.time()
            going_on = [
                Damage(what, receiver, since, now)
                for since, receiver, what in self._damaged.values()
                if now - since > SOON_SECONDS
            ]
            return [*self._suffered, *going_on]

        found: list[Damage] = self._do(suffered())
        return found

    # --- connections ------------------------------------------------------------------

    def _do(self, what: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(what, self.loop).result()

    async def _listen(self) -> None:
        for dialer, host in self._hosts.items():
            for name, port in self._ports.items():
                # A replica dials itself, too, where it leads.
                accept = self._accepting(dialer, name)
                server = await self.loop.create_server(accept, host, port)
                self._servers.append(server)

    def _accepting(self, dialer: str, name: str) -> Callable[[], End]:
        def accept() -> End:
            pipe = Pipe(self, dialer, name)
            if self._is_over:
                pipe.reset()
                return pipe.ends[0]
            self._pipes.add(pipe)
            dialling = self.loop.create_task(self._pass_on(pipe, name))
            self._dialling.add(dialling)
            dialling.add_done_callback(self._dialling.discard)
            return pipe.ends[0]

        return accept

    async def _pass_on(self, pipe: Pipe, name: str) -> None:
        host, _, port = self._addresses[name].rpartition(":")
        try:
            await self.loop.create_connection(lambda: pipe.ends[1], host, int(port))
        except OSError:
            pipe.reset()
        else:
            self.counts["connections"] += 1
            pipe.pump()

    def ended(self, pipe: Pipe) -> None:
        self._pipes.discard(pipe)
        self.repaired(pipe)

    def damaged(self, pipe: Pipe, receiver: str, what: str) -> None:
        """A connection goes on after a damaged message."""
        self._damaged.setdefault(pipe, (self.loop.time(), receiver, what))

    def repaired(self, pipe: Pipe) -> None:
        """Somebody ends a connection."""
        if pipe in self._damaged:
            since, receiver, what = self._damaged.pop(pipe)
            now = self.loop.time()
            if now - since > SOON_SECONDS:
                self._suffered.append(Damage(what, receiver, since, now))
