"""A network that can be had to order: a TCP proxy that knows where messages end.

Whoever dials does so by a host of their own (``127.77.0.N``), where the proxy listens
at the port of everybody there is; so that it knows who sends to whom. A direction is
from a sender to a receiver, whoever of them has dialled. What TCP promises it keeps:
bytes come in order and once, or the connection ends. The one exception are messages
that it damages on purpose, so that anybody can tell.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any, Final

from typing_extensions import override

from cartnet.limits import LINE_BYTES_MAX
from tests.system.clusters import free_ports
from tests.system.storm import detour
from tests.system.storm.network import CLIENTS, OUTSIDE, Direction, Weather

HELD_BYTES_MAX: Final = 1024 * 1024
"""Of what waits in one direction of a connection; then nothing more is read."""

SUPERVISOR: Final = b'"purpose":"supervisor"'
"""In the hello of a connection that carries the script's own admin commands: it is
spared all faults."""

LAST_SECONDS: Final = 0.05

SUFFERED_SECONDS_MAX: Final = 10.0
"""So long after a damaged message its connection has ended."""


class Proxy:
    """Listens for all dialers in a thread of its own.

    :ivar counts: connections that were passed on, and messages by what became of them.
    :ivar damaged: connections that go on after a damaged message: since when, and
        what it was.

    :param addresses: everybody who is dialled, by name.
    :param folder: the cluster's.
    """

    kinds: Sequence[str] = (
        *("cut off", "deaf", "mute", "parted", "one way"),
        *("slow", "lossy", "garbled", "reset"),
    )
    outside: Sequence[str] = OUTSIDE

    def __init__(
        self, addresses: Mapping[str, str], folder: Path, random: Random
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.damaged: dict[Pipe, tuple[float, str]] = {}
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

    def suffered(self) -> list[str]:
        """The damaged messages whose connections have gone on for too long."""
        late = self.loop.time() - SUFFERED_SECONDS_MAX
        return [what for since, what in list(self.damaged.values()) if since < late]

    # --- connections ------------------------------------------------------------------

    def _do(self, what: Any) -> None:
        asyncio.run_coroutine_threadsafe(what, self.loop).result()

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
        self.damaged.pop(pipe, None)


class Pipe:
    """One connection that was accepted and the one that it is passed on by.

    :ivar ends: the dialer's, then that of whom it dialled.
    :ivar spared: it has no faults.
    :ivar directions: of the first end's messages, then of the second's.
    """

    def __init__(self, proxy: Proxy, dialer: str, name: str) -> None:
        self.proxy = proxy
        self.spared = False
        self.directions = [(dialer, name), (name, dialer)]
        self.ends = [End(self), End(self)]
        self.streams = [
            Stream(self, self.directions[0], self.ends[0], self.ends[1]),
            Stream(self, self.directions[1], self.ends[1], self.ends[0]),
        ]
        for end, stream in zip(self.ends, self.streams, strict=True):
            end.stream = stream

    def pump(self) -> None:
        for stream in self.streams:
            stream.pump()

    def reset(self) -> None:
        """End both connections at once, as nobody can overhear."""
        for end in self.ends:
            end.reset()
        self.proxy.ended(self)

    def lost(self) -> None:
        """One of them has ended."""
        self.proxy.damaged.pop(self, None)
        if not any(end.open for end in self.ends):
            self.proxy.ended(self)


class End(asyncio.Protocol):
    """The proxy's end of one connection."""

    stream: Stream

    def __init__(self, pipe: Pipe) -> None:
        self.transport: Any = None
        self._writable = False
        self._pipe = pipe
        self._is_over = False
        self._heard_its_last = False
        self._said_its_last = False

    @override
    def connection_made(self, transport: Any) -> None:
        if self._is_over:
            transport.abort()
            return
        self.transport = transport
        self._writable = True
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @override
    def data_received(self, data: bytes) -> None:
        self.stream.feed(data)

    @override
    def eof_received(self) -> bool:
        self._heard_its_last = True
        self.stream.finish(End.half_close)
        self._close_if_over()
        return True

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._writable = False
        self.stream.finish(End.close if exc is None else End.reset)
        self._pipe.lost()

    @override
    def pause_writing(self) -> None:
        self._writable = False

    @override
    def resume_writing(self) -> None:
        self._writable = True
        self._pipe.pump()

    @property
    def takes_more(self) -> bool:
        return self._writable and self.open

    @property
    def open(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    def half_close(self) -> None:
        if self.open:
            self._said_its_last = True
            try:
                self.transport.write_eof()
            except OSError:
                # It was reset, and is about to be told.
                self.reset()
            self._close_if_over()

    def _close_if_over(self) -> None:
        if self._heard_its_last and self._said_its_last:
            self.transport.close()

    def close(self) -> None:
        self._is_over = True
        if self.transport is not None:
            self.transport.close()

    def reset(self) -> None:
        self._is_over = True
        if self.open:
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )
            self.transport.abort()


class Stream:
    """One direction of one connection: messages, then its end."""

    def __init__(self, pipe: Pipe, direction: Direction, source: End, to: End) -> None:
        self._pipe = pipe
        self._direction = direction
        self._source = source
        self._to = to
        self._rest = b""
        self._waiting: deque[tuple[float, bytes]] = deque()
        self._waiting_bytes = 0
        self._last: Callable[[End], None] | None = None
        self._is_timed = False
        self._loop = pipe.proxy.loop

    def feed(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._take(line + b"\n")
        self.pump()

    def _take(self, line: bytes) -> None:
        pipe = self._pipe
        if SUPERVISOR in line and self is pipe.streams[0]:
            pipe.spared = True
        delay = 0.0
        for weather in self._weather():
            delay += pipe.proxy.random.uniform(0, weather.delay_seconds_max)
            if weather.lost and pipe.proxy.random.random() < weather.lost:
                self._lose(line)
                return
            if weather.damaged and pipe.proxy.random.random() < weather.damaged:
                line = self._damage(line)
        due = self._loop.time() + delay
        if self._waiting:
            due = max(due, self._waiting[-1][0])
        self._waiting.append((due, line))
        self._waiting_bytes += len(line)

    def _weather(self) -> Sequence[Weather]:
        return () if self._pipe.spared else self._pipe.proxy.weather(self._direction)

    def _lose(self, line: bytes) -> None:
        """Lose a message and what would follow; at times half of it arrives."""
        counts, random = self._pipe.proxy.counts, self._pipe.proxy.random
        counts["connections lost with a message"] += 1
        if random.random() < 0.5 and self._to.transport is not None:
            self._to.transport.write(line[: len(line) // 2])
            self._to.close()
        self._pipe.reset()

    def _damage(self, line: bytes) -> bytes:
        """Make of a message what is none, whoever reads it."""
        counts, random = self._pipe.proxy.counts, self._pipe.proxy.random
        kind = random.choice(["garbled", "truncated", "oversized"])
        counts[f"messages {kind}"] += 1
        what = f"a {kind} message from {self._direction[0]} to {self._direction[1]}"
        self._pipe.proxy.damaged[self._pipe] = (self._loop.time(), what)
        at = random.randrange(1, max(2, len(line) - 1))
        match kind:
            case "garbled":
                # No UTF-8 has this byte.
                return line[:at] + b"\xff" + line[at + 1 :]
            case "truncated":
                return line[:at] + b"\n"
            case _:
                return line[:at] + b"x" * LINE_BYTES_MAX + line[at:]

    def finish(self, last: Callable[[End], None]) -> None:
        """The sender has said its last; its receiver hears of it in its turn."""
        if self._rest:
            self._waiting.append((0.0, self._rest))
            self._rest = b""
        self._last = last
        self.pump()

    def pump(self) -> None:
        """Pass on what is due."""
        if not any(weather.held for weather in self._weather()):
            self._pass_on()
        if self._source.transport is not None and self._last is None:
            if self._waiting_bytes > HELD_BYTES_MAX:
                self._source.transport.pause_reading()
            else:
                self._source.transport.resume_reading()

    def _pass_on(self) -> None:
        now = self._loop.time()
        while self._waiting and self._waiting[0][0] <= now and self._to.takes_more:
            _, line = self._waiting.popleft()
            self._waiting_bytes -= len(line)
            self._to.transport.write(line)
        if self._waiting and self._to.takes_more and not self._is_timed:
            self._is_timed = True
            self._loop.call_at(self._waiting[0][0], self._is_due)
        if self._last is not None and not self._waiting:
            self._last(self._to)

    def _is_due(self) -> None:
        self._is_timed = False
        self.pump()
