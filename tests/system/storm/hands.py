"""How replicas get into trouble and out again: by signals and by the admin line."""

from __future__ import annotations

import json
import random
import signal
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeAlias

from tests.system.clusters import Cluster, free_ports
from tests.system.lines import Admin
from tests.system.storm.outages import Outages
from tests.system.waiting import eventually

Act: TypeAlias = "Callable[[str], None]"
"""Something that is done to the replica of this name."""


class Hands(Protocol):
    """What the script can do to a cluster.

    :ivar faults: how to begin and how to end each, by its name.
    """

    faults: Mapping[str, tuple[Act, Act]]

    def start(self) -> None:
        """Start the cluster."""

    def ask(self, command: str) -> dict[str, Any]:
        """Do an admin command; return its reply, ``ok`` or ``error``."""


class OneProcess:
    """Everything runs in one process, which is never hurt itself."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.faults: Mapping[str, tuple[Act, Act]] = {
            "kill": (self._do("kill"), self._do("start")),
            "wipe": (self._wipe, self._do("start")),
            "pause": (self._do("pause"), self._do("resume")),
            "isolate": (self._do("isolate"), self._do("heal")),
        }

    def start(self) -> None:
        self._cluster.start_all()

    def ask(self, command: str) -> dict[str, Any]:
        reply: dict[str, Any] = json.loads(self._cluster.do(f"json {command}"))
        return reply

    def _do(self, verb: str) -> Act:
        return lambda name: insist(self, f"{verb} {name}")

    def _wipe(self, name: str) -> None:
        insist(self, f"kill {name}")
        wipe(self._cluster, name)


class ProcessEach:
    """Each replica has a process, and each process an admin port of its own: what must
    be typed is typed at one that is not in trouble itself."""

    def __init__(self, cluster: Cluster, outages: Outages) -> None:
        self._cluster = cluster
        self._outages = outages
        ports = free_ports(len(cluster.addresses))
        self._admin_ports = dict(zip(cluster.addresses, ports, strict=True))
        self.faults: Mapping[str, tuple[Act, Act]] = {
            "kill": (self._kill, self._start),
            "wipe": (self._wipe, self._start),
            "stop": (self._signal(signal.SIGSTOP), self._signal(signal.SIGCONT)),
            "pause": (self._do("pause"), self._do("resume")),
            "isolate": (self._do("isolate"), self._do("heal")),
        }

    def start(self) -> None:
        for name in self._cluster.addresses:
            self._start(name)
        self._cluster.wait_until_serving()

    def ask(self, command: str) -> dict[str, Any]:
        names = [name for name in self._admin_ports if self._is_well(name)]
        for name in random.sample(names, len(names)):
            try:
                with Admin(self._admin_ports[name]) as admin:
                    said = admin.do(f"json {command}")
            except OSError:
                continue
            if said:
                reply: dict[str, Any] = json.loads(said)
                return reply
        return {"error": {"code": "unavailable", "message": "no process answers"}}

    def _is_well(self, name: str) -> bool:
        return not self._outages.in_trouble(name)

    def _start(self, name: str) -> None:
        admin = f"tcp:{self._admin_ports[name]}:interface=127.0.0.1"
        self._cluster.start(name, "--replica", name, "--admin", admin)

    def _kill(self, name: str) -> None:
        self._cluster.kill(name)

    def _wipe(self, name: str) -> None:
        self._cluster.kill(name)
        wipe(self._cluster, name)

    def _signal(self, number: signal.Signals) -> Act:
        return lambda name: self._cluster.processes[name].send_signal(number)

    def _do(self, verb: str) -> Act:
        return lambda name: insist(self, f"{verb} {name}")


def insist(hands: Hands, command: str) -> None:
    """Do an admin command for certain, whoever is in the way of it."""
    replies: list[dict[str, Any]] = []

    def done() -> bool:
        reply = hands.ask(command)
        replies.append(reply)
        # A conflict: a try that nobody has answered has done it.
        return "ok" in reply or (
            len(replies) > 1 and reply["error"]["code"] == "conflict"
        )

    try:
        eventually(done, command)
    except AssertionError as error:
        raise AssertionError(f"{error}: {replies[-1]}") from None


def wipe(cluster: Cluster, name: str) -> None:
    """Delete a dead replica's files; the lock beside them is nobody's data."""
    for path in (cluster.folder / "db").glob(f"{name}.db*"):
        if path.suffix != ".lock":
            path.unlink()
