"""A cluster of real replicas in a simulated world, each on a host of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, Logger, globalLogPublisher
from twisted.python.failure import Failure
from zope.interface import implementer

from cartnet.calls.passwords import SALT_BYTES
from cartnet.client.group import GroupClient
from cartnet.replica.scrubber import is_disk_trouble
from cartnet.roles import Replicas, group_clients
from cartnet.simulator.network import Link
from cartnet.simulator.options import OPERATOR_PASSWORD
from cartnet.simulator.world import World
from cartnet.storage.snapshot import OWN_TABLES
from cartnet.topology.configuration import parse
from cartnet.topology.placement import Plan
from cartnet.workload.findings import Incorrect

if TYPE_CHECKING:
    from random import Random

    from cartnet.observability.logs import Logs
    from cartnet.replica.replica import Replica
    from cartnet.seams import Seams

T = TypeVar("T")

SMALL = f"""
[cluster]
name = simulated
data = nowhere
secret = a secret of simulated replicas only

[balancer]
replicas = 10.0.0.1:8005 10.0.0.2:8005 10.0.0.3:8005

[shard:s1]
replicas = 10.0.1.1:5005 10.0.1.2:5005 10.0.1.3:5005

[inventory]
replicas = 10.0.2.1:7105 10.0.2.2:7105 10.0.2.3:7105

[operator]
password = {OPERATOR_PASSWORD}
"""

CALL_SECONDS_MAX = 30.0
"""A call that is not answered by then is a bug: each has its own time-out."""


class QuickHasher:
    """A salted hash of passwords that costs nothing: the simulator's time is dear."""

    dummy: Final = "-"

    def hash(self, password: str, salt: bytes) -> str:
        return salt.hex() + sha256(salt + password.encode()).hexdigest()

    def verify(self, password_hash: str, password: str) -> bool:
        if password_hash == self.dummy:
            return False
        salt = bytes.fromhex(password_hash[: 2 * SALT_BYTES])
        return password_hash == self.hash(password, salt)


class SimulatedLogs:
    """Gives replicas their loggers, and keeps what they log (for ``Logs``).

    :ivar lines: what was said, with its time.
    :ivar failures: the tracebacks among it.
    :ivar trace: told each line as well, if anybody is.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.lines: list[str] = []
        self.failures: list[Failure] = []
        self.trace: Callable[[str], None] | None = None

    def replica_logger(self, name: str, term: Callable[[], int]) -> Logger:
        def observe(event: LogEvent) -> None:
            text = str(event["log_format"]).format(**event)
            line = f"{self._world.clock.seconds():.3f} {name} term={term()} {text}"
            self.lines.append(line)
            if self.trace is not None:
                self.trace(line)
            if event.get("log_failure") is not None:
                self.failures.append(event["log_failure"])

        return Logger(namespace=name, observer=cast("Any", observe))

    @contextmanager
    def unhandled(self) -> Iterator[None]:
        """Meanwhile keep what Twisted itself logs as well: errors that nobody handles,
        once the Deferreds that have them are collected."""

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            if event.get("log_failure") is not None:
                self.failures.append(event["log_failure"])

        globalLogPublisher.addObserver(observe)
        try:
            yield
        finally:
            globalLogPublisher.removeObserver(observe)


class SimulatedCluster:
    """Every replica of a configuration.

    :ivar replicas: those that run, by name.
    :ivar started: told of each replica before it starts.
    :ivar stopped: told of each replica that stops by itself for its disk.
    :ivar stepped: told, after each step of a replica, whose it was.
    """

    def __init__(
        self,
        seed: int,
        configuration: str = SMALL,
        new_link: Callable[[], Link] = Link,
    ) -> None:
        self.world = World(seed, new_link)
        self.configuration = parse(configuration, "simulated")
        self.topology = self.configuration.topology
        self.logs = SimulatedLogs(self.world)
        self.replicas: dict[str, Replica] = {}
        self.started: Callable[[Replica], None] | None = None
        self.stopped: Callable[[Replica], None] | None = None
        self.stepped: Callable[[Replica], None] | None = None
        self._plan = Plan(self.configuration, self.topology.names)
        for group in self.topology.groups:
            for member in group.members:
                self.world.host(member.name, member.address)

    def start(self, *names: str) -> None:
        """Start these replicas, by default all of them."""
        for name in names or self.topology.names:
            assert name not in self.replicas, f"{name} runs already"
            seams = self.world.hosts[name].seams
            replica = self._replicas(seams).make(name)
            self.replicas[name] = replica
            if self.started is not None:
                self.started(replica)
            if self.stepped is not None:
                process = self.world.hosts[name].process
                process.stepped = partial(self.stepped, replica)
            replica.listen()
            replica.start().addErrback(replica.failed_by)
            replica.failed.addErrback(self._failed, replica)

    def _replicas(self, seams: Seams) -> Replicas:
        return Replicas(self._plan, seams, cast("Logs", self.logs), QuickHasher())

    def _failed(self, reason: Failure, replica: Replica) -> None:
        """A replica has stopped by itself: with an unfit file it begins anew."""
        if not (replica.begins_anew or is_disk_trouble(reason)):
            self.logs.failures.append(reason)
            return
        try:
            # Of one that was killed in the act the disk is another process's.
            runs = self.replicas.get(replica.name) is replica
            if self.stopped is not None and runs:
                self.stopped(replica)
        except Incorrect:
            self.logs.failures.append(Failure())
        what = self._begin_anew if replica.begins_anew else self._end
        self.world.clock.callLater(0, what, replica)

    def _begin_anew(self, replica: Replica) -> None:
        if self.replicas.get(replica.name) is replica:
            self.kill(replica.name)
            self.world.hosts[replica.name].disk.wipe()
            self.start(replica.name)

    def _end(self, replica: Replica) -> None:
        """Its process ends, until somebody has mended its disk and starts it."""
        if self.replicas.get(replica.name) is replica:
            self.kill(replica.name)

    def kill(self, *names: str, power_lost: bool = False) -> None:
        """End these processes, as SIGKILL or a power cut does."""
        for name in names:
            del self.replicas[name]
            self.world.hosts[name].crash(power_lost=power_lost)

    def all_count(self, group: str) -> bool:
        """Whether all members of a group run, with files that count for all of them.

        One with an old copy of a file that was replaced believes in it for a while.
        """
        return all(
            (replica := self.replicas.get(member)) is not None
            and replica.gate.state == "alive"
            and replica.status().role not in ("learner", "-")
            and replica.raft is not None
            and not replica.raft.uncounted
            for member in self.topology.group(group).names
        )

    def leader(self, group: str) -> str | None:
        """Who may serve, by its own belief; of two the one of the greater term."""
        leaders = [
            replica
            for name, replica in self.replicas.items()
            if replica.group.name == group and replica.leads
        ]
        return max(leaders, key=lambda replica: replica.term).name if leaders else None

    def run_for(self, seconds: float) -> None:
        self.world.clock.run_for(seconds)
        self.check()

    def run_until(self, condition: Callable[[], bool], *, seconds_max: float) -> float:
        """Run until ``condition`` holds; say how many seconds that took."""
        start = self.world.clock.seconds()
        came = self.world.clock.run_while(
            lambda: not condition(), seconds_max=seconds_max
        )
        self.check()
        assert came, f"it did not come within {seconds_max} s"
        return self.world.clock.seconds() - start

    def run_until_serving(self, *, seconds_max: float = 10.0) -> float:
        groups = [group.name for group in self.topology.groups]
        return self.run_until(
            lambda: all(self.leader(group) for group in groups),
            seconds_max=seconds_max,
        )

    def client(self, group: str = "lb", name: str = "client") -> GroupClient:
        """A client of a group, on a host of its own."""
        return self.clients(name)[group]

    def clients(self, host: str = "client") -> dict[str, GroupClient]:
        """Clients of all groups, on one host of their own."""
        return group_clients(self.configuration, self.seams(host), host)

    def seams(self, host: str) -> Seams:
        """What a customer's host has of an outside."""
        return self.world.host(host).seams

    def random(self, purpose: str) -> Random:
        """The stream of chance for one purpose of a customer's."""
        return self.world.random(purpose)

    def do(self, work: Awaitable[T]) -> T:
        """Run until ``work`` is done; return its result or raise its error."""
        outcome: list[Any] = []
        Deferred.fromCoroutine(cast("Any", work)).addBoth(outcome.append)
        self.run_until(lambda: bool(outcome), seconds_max=CALL_SECONDS_MAX)
        if isinstance(outcome[0], Failure):
            outcome[0].raiseException()
        return cast("T", outcome[0])

    def check(self) -> None:
        """No replica may have met a bug of ours."""
        for failure in self.logs.failures:
            failure.raiseException()

    def tables(self, name: str) -> dict[str, list[Any]]:
        """What a replica's machine holds: every table but the storage's own."""
        cursor = self.cursor(name)
        cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
        own = OWN_TABLES
        found = [table for (table,) in cursor.fetchall() if table not in own]
        return {table: _rows(cursor, table) for table in found}

    def plain_cursor(self, name: str) -> sqlite3.Cursor:
        """A replica's file, for whoever looks on."""
        file = self.world.hosts[name].disk.files[self._plan.database(name)]
        return file.plain_cursor()

    def cursor(self, name: str) -> Any:
        """A replica's file, as any other program sees and changes it."""
        file = self.world.hosts[name].disk.files[self._plan.database(name)]
        return file.connection.cursor()


def _rows(cursor: Any, table: str) -> list[Any]:
    cursor.execute(f"SELECT * FROM {table}")  # noqa: S608 (a name from the schema)
    return sorted(cursor.fetchall(), key=repr)
