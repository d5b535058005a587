"""Measure a cluster on this machine: start, durable adds a second, failover.

Run it with the interpreter that cartnet is installed for::

    python examples/measure.py
    python examples/measure.py --seconds 10 --connections 64 --kills 20

It makes clusters of its own in a temporary folder, on free ports of 127.0.0.1, and
ends them. Each acknowledged add is synced to disk by a majority of three processes.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import react
from twisted.protocols.basic import LineOnlyReceiver

reactor: Any = _reactor
HOST = "127.0.0.1"
USERS = 200
ITEMS = "ABC"
PASSWORD = "correct horse battery"
START_SECONDS_MAX = 60.0


class Cluster:
    """One shard, the balancers and the inventory, three replicas each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        ports = free_ports(9)
        self.ports = {
            stem: [ports.pop(0) for _ in range(3)] for stem in ("lb", "s1r", "it")
        }
        sections = zip(
            ("balancer", "shard:s1", "inventory"), self.ports.values(), strict=True
        )
        (folder / "cartnet.ini").write_text(
            "[cluster]\nname = measured\n"
            + "".join(
                f"[{section}]\nreplicas = {' '.join(f'{HOST}:{p}' for p in mine)}\n"
                for section, mine in sections
            )
        )
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *options: str) -> None:
        twistd = Path(sys.executable).with_name("twistd")
        with (self.folder / f"{name}.out").open("wb") as out:
            self.processes[name] = subprocess.Popen(
                [str(twistd), "-n", "--pidfile=", "cartnet", *options],
                cwd=self.folder,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def start_each(self) -> None:
        """A process a replica."""
        for stem, ports in self.ports.items():
            for n in range(len(ports)):
                self.start(f"{stem}{n}", "--replica", f"{stem}{n}")
        for stem in self.ports:
            wait_for(lambda stem=stem: self.leader(stem), f"a leader of {stem}")

    def leader(self, stem: str) -> str | None:
        """The name of the replica that leads, by its own word."""
        for n, port in enumerate(self.ports[stem]):
            with suppress(OSError, ValueError):
                if ask(port, "heartbeat")["role"] == "leader":
                    return f"{stem}{n}"
        return None

    def port(self, name: str) -> int:
        return self.ports[name[:-1]][int(name[-1])]

    def end(self) -> None:
        for process in self.processes.values():
            process.kill()
            process.wait()


@contextmanager
def cluster() -> Iterator[Cluster]:
    with tempfile.TemporaryDirectory() as folder:
        made = Cluster(Path(folder))
        try:
            yield made
        finally:
            made.end()


def free_ports(count: int) -> list[int]:
    found: list[int] = []
    for port in random.sample(range(20_000, 30_000), 20 * count):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            found.append(port)
        if len(found) == count:
            return sorted(found)
    raise SystemExit("too few free ports")


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + START_SECONDS_MAX
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise SystemExit(f"no {what} within {START_SECONDS_MAX:g} s")
        time.sleep(0.005)
    return found


def ask(port: int, call: str, args: dict[str, Any] | None = None, **fields: Any) -> Any:
    """Do one call on a connection of its own."""
    with socket.create_connection((HOST, port), 5) as connection:
        request = {"id": 1, "call": call, "args": args or {}, **fields}
        connection.sendall(json.dumps(request).encode() + b"\n")
        answer = json.loads(connection.makefile().readline())
    if "error" in answer:
        raise ValueError(answer["error"])
    return answer["ok"]


def add(session: str, key: str) -> dict[str, Any]:
    args = {"item": random.choice(ITEMS), "quantity": 1}
    return {
        "id": 1, "call": "add_to_cart", "args": args, "session": session, "key": key
    }  # fmt: skip


class Adder(LineOnlyReceiver):
    """Adds to carts, one request in flight, until it is time to stop."""

    delimiter = b"\n"
    MAX_LENGTH = 1 << 20

    def __init__(self, sessions: list[str], until: float) -> None:
        self.sessions = sessions
        self.until = until
        self.seconds: list[float] = []
        self.done: Deferred[list[float]] = Deferred()
        self.name = os.urandom(6).hex()

    def connectionMade(self) -> None:
        self.transport.setTcpNoDelay(True)
        self.ask()

    def ask(self) -> None:
        key = f"{self.name}-{len(self.seconds)}"
        self.began = time.perf_counter()
        self.sendLine(json.dumps(add(random.choice(self.sessions), key)).encode())

    def lineReceived(self, line: bytes) -> None:
        if b'"error"' in line:
            raise SystemExit(line.decode())
        self.seconds.append(time.perf_counter() - self.began)
        if time.monotonic() < self.until:
            self.ask()
        else:
            self.transport.loseConnection()
            self.done.callback(self.seconds)


async def adds(port: int, sessions: list[str], connections: int, seconds: float) -> str:
    """Add on many connections at once; return the row of figures."""
    until = time.monotonic() + seconds
    adders = [Adder(sessions, until) for _ in range(connections)]
    for adder in adders:
        factory = Factory.forProtocol(lambda adder=adder: adder)
        factory.noisy = False
        await TCP4ClientEndpoint(reactor, HOST, port).connect(factory)
    began = time.monotonic()
    results = await gatherResults([adder.done for adder in adders])
    took = time.monotonic() - began
    each = sorted(second for result in results for second in result)
    p50, p99 = each[len(each) // 2], each[len(each) * 99 // 100]
    rate = len(each) / took
    return f"{rate:8,.0f} adds/s   p50 {p50 * 1e3:5.1f} ms   p99 {p99 * 1e3:5.1f} ms"


def log_in(port: int) -> list[str]:
    """Make the users; return their sessions."""
    sessions = []
    for n in range(USERS):
        account = {"username": f"user{n}", "password": PASSWORD}
        ask(port, "create_account", account)
        sessions.append(ask(port, "login", account)["session"])
    return sessions


def measure_start() -> None:
    with cluster() as made:
        began = time.monotonic()
        made.start("all", "--role", "all", "--admin", "none")
        out = made.folder / "all.out"
        wait_for(lambda: "serving" in out.read_text(), "serving line")
        took = time.monotonic() - began
        print(f"start to serving, one process, fresh folder: {took:.2f} s")


async def measure_adds(connections: int, seconds: float) -> None:
    with cluster() as made:
        made.start_each()
        sessions = log_in(made.ports["lb"][0])
        print(f"adds, a process a replica, {USERS} users, one request in flight each:")
        for where in ("s1r", "lb"):
            port = made.port(wait_for(lambda where=where: made.leader(where), where))
            name = {"s1r": "the shard's leader", "lb": "a balancer"}[where]
            for count in (1, connections):
                row = await adds(port, sessions, count, seconds)
                print(f"  {name:18}  {count:3} connections {row}")


def measure_failover(kills: int) -> None:
    """SIGKILL the shard's leader; how long until the next add is acknowledged?"""
    with cluster() as made:
        made.start_each()
        port = made.ports["lb"][0]
        account = {"username": "user", "password": PASSWORD}
        ask(port, "create_account", account)
        session = ask(port, "login", account)["session"]
        waits = []
        for n in range(kills):
            leader = wait_for(lambda: made.leader("s1r"), "leader")
            process = made.processes[leader]
            process.send_signal(signal.SIGKILL)
            began = time.monotonic()
            while True:
                with suppress(OSError, ValueError):
                    args = {"item": "A", "quantity": 1}
                    ask(port, "add_to_cart", args, session=session, key=f"k{n}")
                    break
            waits.append(time.monotonic() - began)
            process.wait()
            made.start(leader, "--replica", leader)
            wait_for(lambda name=leader: is_follower(made, name), "return")
        waits.sort()
        print(
            f"failover, SIGKILL of the shard's leader to the next add, {kills} kills:"
            f" p50 {statistics.median(waits) * 1e3:.0f} ms,"
            f" max {waits[-1] * 1e3:.0f} ms"
        )


def is_follower(made: Cluster, name: str) -> bool:
    """Whether a replica is back, has caught up and knows the leader."""
    with suppress(OSError, ValueError):
        status = ask(made.port(name), "status")
        leader = status["leader"]
        if leader is None:
            return False
        applied = ask(made.port(leader), "status")["applied"]
        return bool(status["applied"] >= applied)
    return False


async def main(_: Any, options: argparse.Namespace) -> None:
    print(f"{platform.platform()}, Python {platform.python_version()},")
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    measure_start()
    await measure_adds(options.connections, options.seconds)
    measure_failover(options.kills)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Measure a cluster on this machine.")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=5, help="each run of adds")
    parser.add_argument("--kills", type=int, default=20)
    react(main, [parser.parse_args()])
