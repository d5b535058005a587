"""A connection through the proxy: two ends, and a direction from each to the other."""

from __future__ import annotations

import asyncio
import socket
import struct
from bisect import insort
from collections import deque
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from typing_extensions import override

from cartnet.limits import LINE_BYTES_MAX

if TYPE_CHECKING:
    from tests.system.storm.network import Direction, Weather
    from tests.system.storm.proxy import Proxy

HELD_BYTES_MAX: Final = 1024 * 1024
"""Of what waits in one direction of a connection; then nothing more is read."""

SUPERVISOR: Final = b'"purpose":"supervisor"'
"""In the hello of a connection that carries the script's own admin commands: it is
spared all faults."""

MESSAGE: Final = b'{"type":'
"""So begins what members of a group say to each other, after their hellos. The next
life of either has another connection: nobody gets what was not said to them."""

KEPT: Final = 50
"""Of those the last ones of a connection may be played again."""

OVERTAKEN_SECONDS_MAX: Final = 0.2
REPLAYED_SECONDS_MAX: Final = 2.0
"""How much later they come, or come again."""


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
        self.proxy.repaired(self)
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
        self.heard_its_last = False
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
        self.heard_its_last = True
        self._pipe.proxy.repaired(self._pipe)
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
        if self.heard_its_last and self._said_its_last:
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


class Waiting(NamedTuple):
    """What is to be passed on.

    :ivar due: when, in seconds of the loop's clock.
    :ivar damage: what was done to it.
    :ivar again: it has been passed on before.
    """

    due: float
    line: bytes
    damage: str = ""
    again: bool = False


class Stream:
    """One direction of one connection: messages, then its end."""

    def __init__(self, pipe: Pipe, direction: Direction, source: End, to: End) -> None:
        self._pipe = pipe
        self._direction = direction
        self._source = source
        self._to = to
        self._rest = b""
        self._waiting: deque[Waiting] = deque()
        self._waiting_bytes = 0
        self._due = 0.0
        self._said: deque[bytes] = deque(maxlen=KEPT)
        self._last: Callable[[End], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
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
        delay, late, damage, whole = 0.0, 0.0, "", line
        for weather in self._weather():
            delay += pipe.proxy.random.uniform(0, weather.delay_seconds_max)
            if weather.lost and pipe.proxy.random.random() < weather.lost:
                self._lose(line)
                return
            if weather.damaged and pipe.proxy.random.random() < weather.damaged:
                line, damage = self._damage(line)
            if whole.startswith(MESSAGE):
                late += self._mix_up(whole, weather)
        # What was said before stays before it, but for what comes late.
        self._due = max(self._due, self._loop.time() + delay)
        self._wait(Waiting(self._due + late, line, damage))
        if whole.startswith(MESSAGE):
            self._said.append(whole)

    def _wait(self, waiting: Waiting) -> None:
        insort(self._waiting, waiting, key=attrgetter("due"))
        self._waiting_bytes += len(waiting.line)

    def _mix_up(self, line: bytes, weather: Weather) -> float:
        """Let old messages come once more, and this one too; return how late it is."""
        counts, random = self._pipe.proxy.counts, self._pipe.proxy.random
        if random.random() < weather.replayed and self._said:
            counts["messages replayed"] += 1
            self._repeat(random.choice(self._said), REPLAYED_SECONDS_MAX)
        if random.random() < weather.doubled:
            counts["messages doubled"] += 1
            self._repeat(line, OVERTAKEN_SECONDS_MAX)
        if random.random() < weather.overtaken:
            counts["messages overtaken"] += 1
            return random.uniform(0, OVERTAKEN_SECONDS_MAX)
        return 0.0

    def _repeat(self, line: bytes, seconds_max: float) -> None:
        seconds = self._pipe.proxy.random.uniform(0, seconds_max)
        due = max(self._due, self._loop.time()) + seconds
        self._wait(Waiting(due, line, again=True))

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

    def _damage(self, line: bytes) -> tuple[bytes, str]:
        """Make of a message what is none, whoever reads it; say what was done."""
        counts, random = self._pipe.proxy.counts, self._pipe.proxy.random
        kind = random.choice(["garbled", "truncated", "oversized"])
        counts[f"messages {kind}"] += 1
        what = f"a {kind} message from {self._direction[0]} to {self._direction[1]}"
        at = random.randrange(1, max(2, len(line) - 1))
        match kind:
            case "garbled":
                # No UTF-8 has this byte.
                return line[:at] + b"\xff" + line[at + 1 :], what
            case "truncated":
                return line[:at] + b"\n", what
            case _:
                return line[:at] + b"x" * LINE_BYTES_MAX + line[at:], what

    def finish(self, last: Callable[[End], None]) -> None:
        """The sender has said its last; its receiver hears of it in its turn, and of
        nothing once more."""
        self._waiting = deque(each for each in self._waiting if not each.again)
        if self._rest:
            due = self._waiting[-1].due if self._waiting else 0.0
            self._waiting.append(Waiting(due, self._rest))
            self._rest = b""
        self._waiting_bytes = sum(len(each.line) for each in self._waiting)
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
        while self._waiting and self._waiting[0].due <= now and self._to.takes_more:
            passed = self._waiting.popleft()
            self._waiting_bytes -= len(passed.line)
            self._to.transport.write(passed.line)
            if passed.damage and not self._to.heard_its_last:
                receiver = self._direction[1]
                self._pipe.proxy.damaged(self._pipe, receiver, passed.damage)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting and self._to.takes_more:
            self._timer = self._loop.call_at(self._waiting[0].due, self.pump)
        if self._last is not None and not self._waiting:
            self._last(self._to)
