"""A role becomes its services: the only place where the parts meet.

The way through the code starts here: a :class:`~cartnet.topology.placement.Plan` says
what this process runs, and each of its replicas is put together from a file, a Raft, a
port, and the calls of its kind of group.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, assert_never

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from cartnet.calls.catalogue import Catalogue
from cartnet.calls.directory import DirectoryCalls, located_by
from cartnet.calls.inventory import InventoryCalls
from cartnet.calls.password_file import PasswordFile
from cartnet.calls.passwords import Argon2Hasher, Hasher, Passwords
from cartnet.calls.router import Router
from cartnet.calls.shard import ShardCalls
from cartnet.client.group import GroupClient
from cartnet.consensus.timing import Ticks
from cartnet.limits import SWITCH_INTERVAL_SECONDS, TICK_SECONDS
from cartnet.observability.logs import LoggedService, Logs
from cartnet.outside import outside
from cartnet.process import Process
from cartnet.replica.gate import Gate
from cartnet.replica.gated import gated
from cartnet.replica.membership import Membership
from cartnet.replica.replica import Replica
from cartnet.shop.machine import machine_for
from cartnet.storage.owner import Owner, StartError
from cartnet.storage.storage import Storage
from cartnet.supervisor.child import command
from cartnet.supervisor.child_processes import ChildProcesses
from cartnet.supervisor.cluster import Cluster
from cartnet.supervisor.in_process import InProcess

if TYPE_CHECKING:
    from twisted.application.service import IService
    from twisted.python.failure import Failure

    from cartnet.console.service import Console
    from cartnet.replica.ports import Calls, Log
    from cartnet.seams import Seams
    from cartnet.supervisor.hosting import Supervisor
    from cartnet.topology.configuration import Configuration
    from cartnet.topology.groups import Group
    from cartnet.topology.placement import Plan
    from cartnet.wire.arguments import Supervise
    from cartnet.wire.hello import Purpose


def make_service(plan: Plan, reactor: Any, *, background: bool) -> IService:
    """Make what ``twistd`` runs.

    :param background: whether it will run without the terminal that it is made at.
    :raises StartError: the log files cannot be had.
    """
    configuration = plan.configuration
    try:
        logs = Logs(configuration.logs)
    except OSError as error:
        raise _no_log(error) from None
    seams = outside(reactor)
    log = Logger("cartnet.process", observer=logs.process)
    read_log = partial(seams.in_thread, logs.tail)
    supervisor: InProcess | ChildProcesses
    if plan.processes:
        supervisor = ChildProcesses(
            seams.clock,
            reactor,
            configuration.topology,
            plan.replicas,
            lambda name: command(name, plan.options(name)),
            read_log,
            log,
        )
    else:
        # A dozen writer threads hand the interpreter to each other and to the reactor:
        # each hand-over waits for this long.
        sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
        replicas = Replicas(plan, seams, logs)
        supervisor = replicas.supervisor = InProcess(
            seams.clock,
            configuration.topology,
            plan.replicas,
            replicas.make,
            read_log,
            log,
            emptied=lambda why: process.emptied(why),
            chaos=configuration.chaos,
        )
    clients = group_clients(configuration, seams, "admin")
    cluster = cluster_view(plan, seams, supervisor, clients)
    console = make_console(plan, reactor, seams, cluster, log)
    process = Process(
        plan, reactor, seams, supervisor, cluster, console, log, background=background
    )
    return LoggedService(logs.process, process)


def cluster_view(
    plan: Plan,
    seams: Seams,
    supervisor: Supervisor,
    clients: Mapping[str, GroupClient],
) -> Cluster:
    """What the admin line sees: every replica, wherever it runs."""
    return Cluster(
        seams.clock,
        seams.network,
        plan.configuration.topology,
        supervisor,
        clients,
        lambda name: " ".join(
            ["twistd -n --pidfile= cartnet --replica", name, *plan.options(name)]
        ),
        group_clients(plan.configuration, seams, "admin", "supervisor"),
        chaos=plan.configuration.chaos,
    )


def make_console(
    plan: Plan, reactor: Any, seams: Seams, cluster: Cluster, log: Logger
) -> Console | None:
    """Make the console, where this process is to serve one."""
    if plan.console is None:
        return None
    # Here, since it costs a moment to import, and Klein installs the reactor.
    from cartnet.console.service import Console

    clients = group_clients(plan.configuration, seams, "console")
    return Console(
        plan.console, plan.configuration, reactor, seams, cluster, clients, log
    )


def group_clients(
    configuration: Configuration,
    seams: Seams,
    name: str,
    purpose: Purpose = "client",
) -> dict[str, GroupClient]:
    """A client of every group, by the group's name; ``name`` is who calls."""
    return {
        group.name: GroupClient(
            group,
            seams,
            configuration.topology.cluster,
            configuration.secret,
            name,
            configuration.timing.request_timeout,
            purpose,
        )
        for group in configuration.topology.groups
    }


def _no_log(error: OSError) -> StartError:
    return StartError(
        f"cannot write logs into {error.filename}: {error.strerror}; change `logs` in"
        " the configuration, or its permissions"
    )


class Replicas:
    """Makes the replicas of this process, incarnation after incarnation.

    :ivar supervisor: whom they ask for what other processes want done to this one's.
    """

    supervisor: InProcess

    def __init__(
        self, plan: Plan, seams: Seams, logs: Logs, hasher: Hasher | None = None
    ) -> None:
        """:param hasher: of passwords; argon2id by default."""
        self._plan = plan
        self._seams = seams
        self._logs = logs
        self._passwords = Passwords(
            hasher or Argon2Hasher(), seams.in_thread, seams.token_bytes
        )

    def make(self, name: str) -> Replica:
        """Put one incarnation together; it touches nothing but its log file before it
        is claimed.

        :raises StartError: that cannot be had.
        """
        configuration = self._plan.configuration
        timing = configuration.timing
        group = configuration.topology.group_of(name)
        try:
            log = self._logs.replica_logger(name, lambda: replica.term)
        except OSError as error:
            raise _no_log(error) from None
        gate = Gate(name, self._seams.clock, log)
        seams = gated(self._seams, gate)
        membership = Membership(
            cluster=configuration.topology.cluster,
            group=group,
            name=name,
            secret=configuration.secret,
            ticks=Ticks.of(timing.heartbeat, timing.election_timeout, TICK_SECONDS),
            lexical=configuration.prefer == "lexical",
            request_timeout=timing.request_timeout,
            log_kept=timing.log_kept,
        )
        storage = Storage(
            self._plan.database(name),
            seams.disk,
            machine_for(group.kind),
            Owner.of(configuration.topology.cluster, group, name),
            seams.token_bytes,
        )
        clients = group_clients(configuration, seams, name)
        catalogue = Catalogue(clients[configuration.topology.inventory.name])
        replica = Replica(
            membership,
            seams,
            storage,
            partial(self._calls, group, seams, clients, catalogue, log),
            partial(self._supervise, name),
            log,
            clients=tuple(clients.values()),
            started=catalogue.start if group.kind == "balancer" else None,
            gate=gate,
        )
        return replica

    def _supervise(self, via: str, asked: Supervise) -> Deferred[object]:
        """Do what another process asks of this one, through the port of ``via``."""
        return Deferred.fromCoroutine(
            self.supervisor.call(
                asked.command,
                asked.replica or via,
                via=via,
                target=asked.target,
                lines=asked.lines,
            )
        )

    def _calls(
        self,
        group: Group,
        seams: Seams,
        clients: Mapping[str, GroupClient],
        catalogue: Catalogue,
        log: Logger,
        replicated: Log,
        broken: Callable[[Failure], None],
    ) -> Calls:
        """What a replica of ``group`` answers, over its replicated log."""
        configuration = self._plan.configuration
        topology, timeout = configuration.topology, configuration.timing.request_timeout
        match group.kind:
            case "balancer":
                located = located_by(replicated, seams.clock)
                router = Router(topology, clients, catalogue, seams, timeout, located)
                shards = [shard.name for shard in topology.shards]
                return DirectoryCalls(
                    replicated, router, shards, seams, timeout, log, broken
                )
            case "shard":
                inventory = clients[topology.inventory.name]
                return ShardCalls(
                    replicated, seams, inventory, self._passwords, timeout, log, broken
                )
            case "inventory":
                return InventoryCalls(
                    replicated,
                    seams,
                    self._passwords,
                    timeout,
                    log,
                    broken,
                    operator_password=configuration.operator_password,
                    first_password=PasswordFile(
                        configuration.operator_password_file, replicated.name
                    ),
                )
            case _:
                assert_never(group.kind)
