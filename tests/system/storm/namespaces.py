"""A network of the kernel's own: each replica's process in a network namespace, with
an address and a cable to a router, which loses packets where it is told to.

So connections do what they do where packets are lost: they wait, and send again later
and later. And each process has a file system of its own for its data, which can be
full. It takes a process that may make namespaces and is alone in its own
(:func:`command_alone`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.system.storm.network import Damage, Direction, Weather

ALONE: Final = "STORM_ALONE"
"""Set in the environment of a process that has namespaces to itself."""

UNSHARES: Final = (["unshare", "-nm"], ["unshare", "-Urnm"])
SECRET: Final = "of a storm off loopback"
PASSWORD: Final = "of the operator in a storm"
DISK_MIB: Final = 256
HOSTS: Final = [f"10.77.{100 + n}.2" for n in range(100)]
"""The addresses of replicas, in their order as text, too."""


def command_alone(command: Sequence[str]) -> list[str] | None:
    """A command that runs another one in namespaces of its own; None where this
    machine does not let that be done."""
    for unshare in UNSHARES:
        trial = [*unshare, "sh", "-c", f"{PREPARE} && ip netns add trial"]
        with contextlib.suppress(FileNotFoundError):
            if subprocess.run(trial, capture_output=True, check=False).returncode == 0:
                return [
                    *(*unshare, "sh", "-c", f'{PREPARE} && exec env {ALONE}=1 "$@"'),
                    *("sh", *command),
                ]
    return None


PREPARE: Final = (
    # Where `ip` keeps the names of namespaces: nobody else shall see them.
    "mount -t tmpfs none /run && ip link set lo up"
    " && echo 1 > /proc/sys/net/ipv4/ip_forward"
)


def is_alone() -> bool:
    return ALONE in os.environ


class Namespaces:
    """The router, and a namespace for each replica.

    :param addresses: those of the replicas, each at another of :data:`HOSTS`, by name.
    :param folder: for the sockets of admin lines.
    """

    kinds: Sequence[str] = ("cut off", "deaf", "mute", "parted", "one way")
    outside: Sequence[str] = ()

    def __init__(self, addresses: Mapping[str, str], folder: Path) -> None:
        self.counts: Counter[str] = Counter()
        self._hosts = {n: a.rpartition(":")[0] for n, a in addresses.items()}
        self._addresses = addresses
        self._folder = folder
        self._disks = folder / "disks"
        self._db = folder / "db"
        self._cut: Counter[Direction] = Counter()

    def start(self) -> None:
        for name, address in self._hosts.items():
            router = address.removesuffix("2") + "1"
            _ip(f"netns add {name}")
            _ip(f"link add {name} type veth peer name eth0 netns {name}")
            _ip(f"addr add {router}/30 dev {name}")
            _ip(f"link set {name} up")
            _ip(f"-n {name} addr add {address}/30 dev eth0")
            _ip(f"-n {name} link set eth0 up")
            _ip(f"-n {name} link set lo up")
            _ip(f"-n {name} route add default via {router}")
            disk = self.files(name)
            disk.mkdir(parents=True)
            size = f"size={DISK_MIB}m,mode=700"
            _run("mount", "-t", "tmpfs", "-o", size, "none", str(disk))
        self._db.mkdir(mode=0o700)
        (self._db / "operator-password").write_text(PASSWORD)

    def stop(self) -> None:
        """All of it ends with the last process in it; what the replicas leave is put
        where tools look for it."""
        for name in self._hosts:
            disk = self.files(name)
            for path in disk.iterdir():
                if path.is_file():
                    shutil.copy(path, self._db)
            _run("umount", str(disk))

    def way(self, dialer: str) -> list[str]:
        """What becomes the command behind it, at its place in this network."""
        if dialer not in self._hosts:
            return []
        # That has mounts of its own, too: there the data folder is the disk.
        mount = f'mount --bind {self.files(dialer)} {self._db} && exec "$@"'
        return ["ip", "netns", "exec", dialer, "sh", "-c", mount, "sh"]

    def files(self, name: str) -> Path:
        """Where a replica's files are, seen from outside: a file system of its own."""
        return self._disks / name

    def entrances(self, names: Iterable[str]) -> dict[str, str]:
        """Where people find replicas: their names by address."""
        return {self._addresses[name]: name for name in names}

    def admin(self, name: str) -> tuple[str, str]:
        """A replica's admin line, for its process and for others."""
        path = str(self._folder / f"{name}.admin")
        return f"unix:{path}", path

    def begin(self, directions: Iterable[Direction], weather: Weather) -> None:
        assert weather.held, weather
        for direction in directions:
            self._cut[direction] += 1
            if self._cut[direction] == 1:
                self._rule("add", direction)

    def end(
        self, directions: Iterable[Direction], weather: Weather, *, resets: bool
    ) -> None:
        """Let packets pass again; no network resets connections for that."""
        for direction in directions:
            self._cut[direction] -= 1
            if not self._cut[direction]:
                self._rule("del", direction)

    def clear(self) -> None:
        for direction in +self._cut:
            self._rule("del", direction)
        self._cut.clear()

    def suffered(self) -> list[Damage]:
        return []

    def _rule(self, verb: str, direction: Direction) -> None:
        sender, receiver = map(self._hosts.__getitem__, direction)
        _ip(f"rule {verb} blackhole from {sender} to {receiver} priority 10")
        self.counts[f"rules of the router: {verb}"] += 1


def _ip(arguments: str) -> None:
    _run("ip", *arguments.split())


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stderr)
