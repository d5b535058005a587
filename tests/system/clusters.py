"""Clusters of real processes on free ports, started, killed and started again."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from tests.system.lines import Admin, Line, Lost, Refused

T = TypeVar("T")

CONDITION_SECONDS_MAX = 30.0
"""How long a test waits for what must come to be."""

POLL_SECONDS = 0.02


def eventually(condition: Callable[[], T | None], what: str) -> T:
    """Ask again and again until there is something other than None or False."""
    deadline = time.monotonic() + CONDITION_SECONDS_MAX
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not within {CONDITION_SECONDS_MAX} s: {what}"
        time.sleep(POLL_SECONDS)


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, ascending, below those the kernel hands out."""
    found: list[int] = []
    for port in random.sample(range(20_000, 30_000), 10 * count):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            break
    return sorted(found)


class Cluster:
    """A configuration in a folder of its own, and the processes that run it."""

    def __init__(self, folder: Path, *, shards: int = 2, extra: str = "") -> None:
        self.folder = folder
        groups = ["balancer", *(f"shard:s{n + 1}" for n in range(shards)), "inventory"]
        ports = free_ports(3 * len(groups) + 1)
        self.admin_port = ports.pop()
        self.addresses: dict[str, str] = {}
        sections = []
        for group in groups:
            stem = {"balancer": "lb", "inventory": "it"}.get(group, group[6:] + "r")
            mine = [f"127.0.0.1:{ports.pop(0)}" for _ in range(3)]
            self.addresses |= {f"{stem}{n}": each for n, each in enumerate(mine)}
            sections.append(f"[{group}]\nreplicas = {' '.join(mine)}\n")
        listen = f"tcp:{self.admin_port}:interface=127.0.0.1"
        (folder / "cartnet.ini").write_text(
            "[cluster]\nname = test\n"
            + "".join(sections)
            + f"[admin]\nlisten = {listen}\n{extra}"
        )
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def balancers(self) -> list[str]:
        return [self.addresses[f"lb{n}"] for n in range(3)]

    def start(self, name: str, *options: str) -> subprocess.Popen[bytes]:
        """Run ``twistd -n cartnet`` with ``options`` in the cluster's folder."""
        command = [str(Path(sys.executable).with_name("twistd")), "-n", "--pidfile="]
        with (self.folder / f"{name}.out").open("ab") as out:
            process = subprocess.Popen(
                [*command, "cartnet", *options],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        self.processes[name] = process
        return process

    def start_all(self) -> None:
        """The whole cluster in one process."""
        self.start("all", "--role", "all")
        self.wait_until_serving()

    def start_replica(self, name: str) -> None:
        self.start(name, "--replica", name, "--admin", "none")

    def start_each(self) -> None:
        """The whole cluster, a process a replica."""
        for name in self.addresses:
            self.start_replica(name)
        self.wait_until_serving()

    def output(self, name: str) -> str:
        return (self.folder / f"{name}.out").read_text()

    def kill(self, *names: str) -> None:
        """SIGKILL, all at once."""
        for name in names:
            self.processes[name].kill()
        for name in names:
            self.processes.pop(name).wait()

    def stop(self) -> None:
        """SIGTERM, and the clean end that must follow."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        for process in self.processes.values():
            process.wait(CONDITION_SECONDS_MAX)
        self.processes.clear()

    def wait_until_serving(self) -> None:
        """Wait until every group has a leader that answers."""
        for stem in sorted({name[:-1] for name in self.addresses}):
            eventually(lambda stem=stem: self.leader(stem), f"{stem} has a leader")

    def leader(self, stem: str) -> str | None:
        """The name of the replica that says it leads, such as ``s1r0`` for ``s1r``."""
        best: tuple[int, str] | None = None
        for name, address in self.addresses.items():
            if name[:-1] != stem:
                continue
            with contextlib.suppress(Lost, Refused), Line(address) as line:
                beat = line.call("heartbeat")
                if beat["role"] == "leader":
                    best = max(best or (0, ""), (beat["term"], name))
        return best[1] if best else None

    def admin(self) -> Admin:
        return Admin(self.admin_port)

    def operator_password(self) -> str:
        path = self.folder / "db" / "operator-password"
        return eventually(
            lambda: path.exists() and path.read_text().strip(), "a password"
        )

    def logs(self) -> str:
        """Everything that was logged and printed."""
        files = sorted((self.folder / "logs").glob("*.log*"))
        files += sorted(self.folder.glob("*.out"))
        return "\n".join(path.read_text(errors="replace") for path in files)


@contextlib.contextmanager
def running(folder: Path, *, shards: int = 2, extra: str = "") -> Iterator[Cluster]:
    """A cluster whose processes end with the test, whatever happens."""
    cluster = Cluster(folder, shards=shards, extra=extra)
    try:
        yield cluster
    finally:
        for process in cluster.processes.values():
            process.kill()
            process.wait()
