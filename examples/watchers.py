"""Measure live inventory: many WebSockets, many changes, how soon everybody knows.

Run it with the interpreter that cartnet is installed for::

    python examples/watchers.py
    python examples/watchers.py --watchers 200 --changes 20 --seconds 30

It starts a cluster and its console in one process, in a temporary folder on free ports
of 127.0.0.1, and ends it. One watcher stops reading for the middle third of the time.
All must end with the inventory as it is; the exit status says whether they did.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from measure import HOST, cluster, free_ports, wait_for
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.task import LoopingCall, deferLater, react

reactor: Any = _reactor
SETTLE_SECONDS_MAX = 30.0


class Event(msgspec.Struct):
    revision: int
    full: bool
    items: list[dict[str, Any]]
    removed: list[str]


class Message(msgspec.Struct):
    id: int
    ok: msgspec.Raw = msgspec.Raw()
    error: msgspec.Raw = msgspec.Raw()
    event: Event | None = None


decode = msgspec.json.Decoder(Message).decode


class Client(WebSocketClientProtocol):
    """Calls, and follows the inventory.

    :ivar arrivals: when each revision that a frame brought it to was there.
    """

    def __init__(self) -> None:
        super().__init__()
        self.table: dict[str, Any] = {}
        self.revision = 0
        self.arrivals: list[tuple[int, float]] = []
        self.gone: Deferred[None] = Deferred()
        self._asked: dict[int, Deferred[Any]] = {}

    def ask(self, call: str, **args: Any) -> Deferred[Any]:
        number = len(self._asked) + 1
        self._asked[number] = answer = Deferred()
        line = msgspec.json.encode({"id": number, "call": call, "args": args})
        self.sendMessage(line)
        return answer

    def onMessage(self, payload: bytes, _: bool) -> None:
        message = decode(payload)
        if message.event is not None:
            self.follow(message.event)
        elif bytes(message.error):
            self._asked[message.id].errback(ValueError(bytes(message.error)))
        else:
            self._asked[message.id].callback(msgspec.json.decode(message.ok))

    def follow(self, event: Event) -> None:
        if event.full:
            self.table.clear()
        self.table.update((item["id"], item) for item in event.items)
        for item in event.removed:
            del self.table[item]
        if event.revision != self.revision:
            self.revision = event.revision
            self.arrivals.append((event.revision, time.perf_counter()))

    def onClose(self, *how: Any) -> None:
        self.gone.callback(None)


async def connect(port: int) -> Client:
    origin = f"http://{HOST}:{port}"
    factory = WebSocketClientFactory(f"ws://{HOST}:{port}/ws", origin=origin)
    factory.protocol = Client
    factory.noisy = False
    client: Client = await TCP4ClientEndpoint(reactor, HOST, port).connect(factory)
    await client.is_open
    return client


async def until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS_MAX
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what}: not within {SETTLE_SECONDS_MAX:g} s")
        await deferLater(reactor, 0.05)


class Changes:
    """The operator changes the stock of one item after the other.

    :ivar done: by which revision each was done, when it was sent and acknowledged.
    """

    def __init__(self, operator: Client, items: list[str]) -> None:
        self.operator = operator
        self.items = items
        self.done: list[tuple[int, float, float]] = []
        self.in_flight: set[Deferred[None]] = set()
        self.count = 0

    def change(self) -> None:
        item = self.items[self.count % len(self.items)]
        self.count += 1
        done = Deferred.fromCoroutine(self.changed(item))
        self.in_flight.add(done)
        done.addBoth(lambda _: self.in_flight.discard(done))

    async def changed(self, item: str) -> None:
        began = time.perf_counter()
        answer = await self.operator.ask(
            "update_inventory", item=item, quantity_change=random.randint(1, 9)
        )
        self.done.append((answer["revision"], began, time.perf_counter()))


def delays(watchers: list[Client], changes: Changes) -> tuple[list[float], list[float]]:
    """From sending and from the acknowledgement of a change to each watcher's frame."""
    sent, acknowledged = [], []
    for watcher in watchers:
        arrivals = iter(watcher.arrivals)
        revision, at = 0, 0.0
        for changed, began, ended in sorted(changes.done):
            while revision < changed:
                revision, at = next(arrivals)
            sent.append(at - began)
            acknowledged.append(max(0.0, at - ended))
    return sorted(sent), sorted(acknowledged)


def memory(pid: int) -> str:
    """What a process holds, and held at most, in MiB; Linux alone says."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return "not known"
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    now, most = (int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return f"{now:.0f} MiB (at most {most:.0f})"


def row(what: str, seconds: list[float]) -> str:
    p50, p99 = seconds[len(seconds) // 2], seconds[len(seconds) * 99 // 100]
    most = seconds[-1]
    return (
        f"{what:32} p50 {p50 * 1e3:6.1f} ms   p99 {p99 * 1e3:6.1f} ms"
        f"   max {most * 1e3:6.1f} ms"
    )


async def measure(
    port: int, pid: int, password: str, given: argparse.Namespace
) -> bool:
    operator = await connect(port)
    await operator.ask("login", username="operator", password=password)
    items = [f"item-{number:02}" for number in range(given.changes)]
    for item in items:
        await operator.ask("put_item", item=item, name=item, price=100, stock=1_000)
    before = memory(pid)
    clients = [await connect(port) for _ in range(given.watchers)]
    await gatherResults([client.ask("watch_inventory") for client in clients])
    await until(lambda: all(c.revision for c in clients), "a first event for everybody")
    print(
        f"{len(clients)} watchers, {given.changes} changes a second, {len(items)} items"
    )
    print(f"{'memory of the server':32} {before}, with them {memory(pid)}")

    changes = Changes(operator, items)
    deaf, *watchers = clients
    looping = LoopingCall(changes.change)
    looping.start(1 / given.changes)
    for act in (deaf.transport.pauseProducing, deaf.transport.resumeProducing, None):
        await deferLater(reactor, given.seconds / 3)
        if act is not None:
            act()
    looping.stop()
    await until(lambda: not changes.in_flight, "the last acknowledgement")
    final, *_ = max(changes.done)
    await until(lambda: all(c.revision >= final for c in clients), "the last revision")

    inventory = await operator.ask("get_inventory")
    truth = {item["id"]: item for item in inventory["items"]}
    equal = sum(client.table == truth for client in clients)
    sent, acknowledged = delays(watchers, changes)
    frames = sum(len(client.arrivals) for client in watchers) / len(watchers)
    print(f"{'changes acknowledged':32} {len(changes.done)} of {changes.count}")
    print(f"{'frames for each watcher':32} {frames:.0f}, for the deaf one"
          f" {len(deaf.arrivals)}")  # fmt: skip
    print(row("change sent to frame", sent))
    print(row("change acknowledged to frame", acknowledged))
    print(f"{'memory of the server, at the end':32} {memory(pid)}")
    print(f"{'watchers that end as it is':32} {equal} of {len(clients)}")
    for client in (operator, *clients):
        client.sendClose(1000)
    await gatherResults([client.gone for client in (operator, *clients)])
    return equal == len(clients) and len(changes.done) == changes.count


async def main(_: Any, given: argparse.Namespace) -> None:
    print(f"{platform.platform()}, Python {platform.python_version()},")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with cluster() as made:
        [port] = free_ports(1)
        console = f"tcp:{port}:interface={HOST}"
        made.start("all", "--role", "all", "--admin", "none", "--console", console)
        out = made.folder / "all.out"
        wait_for(lambda: "serving" in out.read_text(), "serving line")
        secret = made.folder / "db" / "operator-password"
        password = wait_for(secret.exists, "password") and secret.read_text().strip()
        if not await measure(port, made.processes["all"].pid, password, given):
            raise SystemExit("they do not all end as it is")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure live inventory.")
    parser.add_argument("--watchers", type=int, default=200)
    parser.add_argument("--changes", type=int, default=20, help="a second, and items")
    parser.add_argument("--seconds", type=float, default=30)
    react(main, [parser.parse_args()])
