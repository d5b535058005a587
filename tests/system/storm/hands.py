"""How replicas get into trouble and out again: by signals, by the admin line, by the
network, and by their disks."""

from __future__ import annotations

import abc
import json
import signal
from collections.abc import Callable, Mapping, Set
from contextlib import AbstractContextManager
from random import Random
from typing import Any, Final, TypeAlias

from typing_extensions import override

from tests.system.clusters import Cluster
from tests.system.lines import Admin
from tests.system.storm.disks import Disks
from tests.system.storm.links import Links
from tests.system.storm.network import JUDGE, Network
from tests.system.storm.outages import Outages
from tests.system.waiting import eventually

ADMIN_SECONDS_MAX: Final = 10.0
"""A process without an admin answer for longer is taken for one that hangs."""

SUFFERED_SECONDS_MAX: Final = 10.0
"""So long after a damaged message its connection has ended."""

Act: TypeAlias = "Callable[[str], None]"
"""Something that is done to the replica of this name."""


class Hands(abc.ABC):
    """What the script can do to a cluster.

    :ivar faults: how to begin and how to end each, by its name.
    :ivar losing: those after which a replica may have lost its data.
    :ivar latent: those after which it may find that out at any later time.
    :ivar estranged: keeps a replica, while it is entered, apart from another group;
        None where that cannot be done.
    :ivar entrances: where clients find the balancers: their names by address.
    """

    faults: Mapping[str, tuple[Act, Act]]
    losing: Set[str] = frozenset({"wipe"})
    latent: Set[str] = frozenset()
    estranged: Callable[[str, str], AbstractContextManager[None]] | None = None

    def __init__(self, cluster: Cluster, disks: Disks, random: Random) -> None:
        self._cluster = cluster
        self._random = random
        self._disks = disks
        balancers = cluster.members("lb")
        self.entrances = {cluster.addresses[name]: name for name in balancers}

    @abc.abstractmethod
    def start(self) -> None:
        """Start the cluster."""

    def stop(self) -> None:
        """Stop it, as it should be stopped."""
        self._cluster.stop()

    def judges_way(self) -> list[str]:
        """What becomes the command behind it, whose connections are in the storm."""
        return []

    def clear(self) -> None:  # noqa: B027 # not all hands have something to do
        """End what troubles have left that could not be ended one by one."""

    def report(self) -> dict[str, int]:
        """How often things happened that were not counted when they were begun."""
        return {}

    def suffered(self, given: Callable[[float], float]) -> list[str]:
        """What went on that should have ended, by such a clock."""
        return []

    @abc.abstractmethod
    def ask(self, command: str) -> dict[str, Any]:
        """Do an admin command; return its reply, ``ok`` or ``error``."""


class OneProcess(Hands):
    """Everything runs in one process, which is never hurt itself."""

    def __init__(self, cluster: Cluster, random: Random) -> None:
        db = cluster.folder / "db"
        super().__init__(cluster, Disks(cluster, lambda name: db, random), random)
        self.faults = {
            "kill": (self._do("kill"), self._do("start")),
            "wipe": (self._wipe, self._do("start")),
            "pause": (self._do("pause"), self._do("resume")),
            "isolate": (self._do("isolate"), self._do("heal")),
        }

    @override
    def start(self) -> None:
        self._cluster.start_all()

    @override
    def ask(self, command: str) -> dict[str, Any]:
        reply: dict[str, Any] = json.loads(self._cluster.do(f"json {command}"))
        return reply

    def _do(self, verb: str) -> Act:
        return lambda name: insist(self, f"{verb} {name}")

    def _wipe(self, name: str) -> None:
        insist(self, f"kill {name}")
        self._disks.wipe(name)


class ProcessEach(Hands):
    """Each replica has a process, and each process an admin port of its own: what must
    be typed is typed at one that is not in trouble itself.

    :param network: all that they say to each other goes through it.
    """

    losing = frozenset({"wipe", "damage", "old copy"})
    latent = frozenset({"damage"})

    def __init__(
        self, cluster: Cluster, outages: Outages, network: Network, random: Random
    ) -> None:
        super().__init__(cluster, Disks(cluster, network.files, random), random)
        self._outages = outages
        self._network = network
        self.entrances = network.entrances(cluster.members("lb"))
        groups = {group: cluster.members(group) for group in cluster.groups}
        links = Links(network, groups, random)
        self.estranged = links.estranged
        self.faults = {
            "kill": (self._kill, self._start),
            "wipe": (self._spoil(self._disks.wipe), self._start),
            "damage": (self._spoil(self._disks.damage), self._start),
            "old copy": (self._spoil(self._disks.swap), self._start),
            "full": (self._fill, self._start_with_room),
            **links.faults,
            "stop": (self._signal(signal.SIGSTOP), self._signal(signal.SIGCONT)),
            "pause": (self._do("pause"), self._do("resume")),
            "isolate": (self._do("isolate"), self._do("heal")),
        }

    @override
    def start(self) -> None:
        self._network.start()
        try:
            for name in self._cluster.addresses:
                self._start(name)
            self._cluster.wait_until_serving()
        except BaseException:
            self._network.stop()
            raise

    @override
    def stop(self) -> None:
        try:
            self._cluster.stop()
        finally:
            self._network.stop()

    @override
    def clear(self) -> None:
        self._network.clear()

    @override
    def report(self) -> dict[str, int]:
        return {**self._network.counts, **self._disks.counts}

    @override
    def suffered(self, given: Callable[[float], float]) -> list[str]:
        return [
            each.what
            for each in self._network.suffered()
            if given(each.until) - given(each.since) > SUFFERED_SECONDS_MAX
            # Who hangs ends nothing.
            and not self._outages.was_in_trouble(each.receiver, each.since, each.until)
        ]

    @override
    def ask(self, command: str) -> dict[str, Any]:
        names = list(self._cluster.addresses)
        self._random.shuffle(names)
        # Where nobody is well, some process may answer all the same.
        for name in sorted(names, key=self._outages.in_trouble):
            try:
                _, place = self._network.admin(name)
                with Admin(place, ADMIN_SECONDS_MAX) as admin:
                    said = admin.do(f"json {command}")
            except OSError:
                continue
            if said:
                reply: dict[str, Any] = json.loads(said)
                return reply
        return {"error": {"code": "unavailable", "message": "no process answers"}}

    def _start(self, name: str) -> None:
        admin, _ = self._network.admin(name)
        way = self._network.way(name)
        self._cluster.start(name, "--replica", name, "--admin", admin, wrapper=way)

    @override
    def judges_way(self) -> list[str]:
        return self._network.way(JUDGE)

    def _kill(self, name: str) -> None:
        self._cluster.kill(name)

    def _spoil(self, spoil: Act) -> Act:
        def act(name: str) -> None:
            self._cluster.kill(name)
            spoil(name)

        return act

    def _fill(self, name: str) -> None:
        if self._disks.has_its_own(name):
            self._cluster.kill(name)
            self._disks.fill(name)
            self._start(name)
        else:
            self._disks.limit(name)

    def _start_with_room(self, name: str) -> None:
        """Start one whose disk was full: it has stopped, unless it had little to
        write. Its process goes on for the sake of its admin line."""
        self._disks.see_stop(name)
        self._cluster.kill(name)
        self._disks.make_room(name)
        self._start(name)

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
