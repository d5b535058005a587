"""What one process runs: what its command asks for, held against the configuration."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from cartnet.topology.address import place, split
from cartnet.topology.configuration import (
    Configuration,
    check_exposure,
    check_places,
)
from cartnet.topology.groups import Kind, Member
from cartnet.topology.listening import listening
from cartnet.topology.original import regrouped
from cartnet.topology.wanted import ALL, CONSOLE, KINDS, ROLES, Wanted, refuse


@dataclass(frozen=True)
class Plan:
    """What this process runs.

    :ivar replicas: the names of the replicas here, group after group.
    :ivar databases: the files of those replicas that are not at their usual place.
    :ivar admin: the admin port's endpoint string, or None for no admin port.
    :ivar admin_given: whether ``--admin`` named it, so that it must be had.
    :ivar console: the console's endpoint string, or None for no console.
    :ivar processes: whether each replica has an operating-system process of its own.
    :ivar host_given: whether ``--host`` said which host of the configuration this is.
    :ivar regrouped: the name of the group whose members the command line gave.
    """

    configuration: Configuration
    replicas: tuple[str, ...]
    databases: Mapping[str, Path] = field(default_factory=dict)
    admin: str | None = None
    admin_given: bool = False
    console: str | None = None
    processes: bool = False
    host_given: bool = False
    regrouped: str | None = None

    @property
    def whole(self) -> bool:
        """Whether every replica of the cluster is here."""
        return self.replicas == self.configuration.topology.names

    def options(self, replica_name: str) -> tuple[str, ...]:
        """What a process that runs this one replica is told besides its name.

        The replica may be another host's: it is then told where it is, not where this
        process is.
        """
        configuration = self.configuration
        return (
            *("--config", configuration.source),
            *("--data", str(configuration.data), "--logs", str(configuration.logs)),
            *("--db", str(self.database(replica_name))),
            *self._placing(replica_name),
        )

    def _placing(self, replica_name: str) -> tuple[str, ...]:
        """The options that put a replica where it belongs, but for ``--replica``."""
        group = self.configuration.topology.group_of(replica_name)
        host, port = split(group.member(replica_name).address)
        placing = ("--host", host) if self.host_given else ()
        if group.name != self.regrouped:
            return placing
        shard = ("--shard", group.name) if group.kind == "shard" else ()
        peers = [each.address for each in group.members if each.name != replica_name]
        return (
            *("--role", group.kind, *shard, *placing),
            *("--port", str(port), "--peers", ",".join(peers)),
        )

    def database(self, replica_name: str) -> Path:
        """The SQLite file of a replica."""
        usual = self.configuration.data / f"{replica_name}.db"
        return self.databases.get(replica_name, usual)


def make_plan(
    wanted: Wanted, configuration: Configuration, is_here: Callable[[str], bool]
) -> Plan:
    """Decide which replicas this process runs, and with what.

    :param is_here: says whether a host (bare, no brackets) is an address of this
        machine.
    :raises OptionError: if an option is unknown here or contradicts another one.
    :raises ConfigurationError: if what follows from the options is contradictory.
    """
    configuration = _overridden(wanted, configuration)
    kinds = _kinds(wanted.roles)
    console = _console(wanted, configuration)
    shard = _shard(wanted, configuration, kinds)
    if wanted.port is not None or wanted.peers is not None:
        configuration, name = regrouped(wanted, configuration, kinds, shard)
        replicas: tuple[str, ...] = (name,)
        group: str | None = configuration.topology.group_of(name).name
    else:
        group = None
        replicas = ()
        if kinds:
            replicas = _placed(wanted, configuration, kinds, shard, is_here)
    check_places(configuration)
    check_exposure(configuration)
    databases = {}
    if wanted.db is not None:
        if len(replicas) != 1:
            refuse(
                "--db", str(wanted.db), f"{len(replicas)} replicas start here, not one"
            )
        databases[replicas[0]] = wanted.db
    return Plan(
        configuration,
        replicas,
        databases,
        # Without a replica there is nothing for it to kill here.
        admin=configuration.admin_listen if replicas or wanted.admin else None,
        admin_given=wanted.admin is not None,
        console=console,
        processes=wanted.processes,
        host_given=wanted.host is not None,
        regrouped=group,
    )


def _overridden(wanted: Wanted, configuration: Configuration) -> Configuration:
    """The configuration with the command's endpoints and folders."""
    return replace(
        configuration,
        admin_listen=_endpoint("--admin", wanted.admin, configuration.admin_listen),
        console_listen=_endpoint(
            "--console", wanted.console, configuration.console_listen
        ),
        data=wanted.data or configuration.data,
        logs=wanted.logs or configuration.logs,
    )


def _endpoint(option: str, given: str | None, configured: str | None) -> str | None:
    """Where to listen: as the option says, else as the configuration does."""
    if given is None:
        return configured
    if given == "none":
        return None
    try:
        listening(given)
    except ValueError as error:
        refuse(option, given, f"expected none or an endpoint; {error}")
    return given


def _console(wanted: Wanted, configuration: Configuration) -> str | None:
    """The endpoint of the console, where this process serves one."""
    listen = configuration.console_listen
    one_replica = wanted.replicas or wanted.port is not None or wanted.peers is not None
    asked = CONSOLE in wanted.roles
    if not one_replica and (asked or not wanted.roles or ALL in wanted.roles):
        if asked and listen is None:
            refuse("--role", CONSOLE, "needs [console] listen, or --console ENDPOINT")
        return listen
    if asked:
        refuse("--role", CONSOLE, "does not go with --replica, --port and --peers")
    if wanted.console not in (None, "none"):
        refuse("--console", wanted.console, "goes with --role all or --role console")
    return None


def _kinds(roles: tuple[str, ...]) -> tuple[Kind, ...]:
    for role in roles:
        if role not in ROLES:
            refuse("--role", role, f"expected one of {', '.join(ROLES)}")
    if not roles or ALL in roles:
        return KINDS
    return tuple(kind for kind in KINDS if kind in roles)


def _shard(
    wanted: Wanted, configuration: Configuration, kinds: tuple[Kind, ...]
) -> str | None:
    """The name of the one shard that is asked for; ``shard1`` is ``s1``."""
    if wanted.shard is None:
        return None
    if kinds == KINDS or "shard" not in kinds:
        refuse("--shard", wanted.shard, "goes with --role shard")
    name = re.sub(r"^shard(?=[0-9])", "s", wanted.shard)
    known = [group.name for group in configuration.topology.shards]
    if name not in known:
        refuse(
            "--shard",
            wanted.shard,
            f"{configuration.source} has {', '.join(known)}",
        )
    return name


def _placed(
    wanted: Wanted,
    configuration: Configuration,
    kinds: tuple[Kind, ...],
    shard: str | None,
    is_here: Callable[[str], bool],
) -> tuple[str, ...]:
    """The replicas that the configuration places here."""
    topology = configuration.topology
    members = [
        member
        for group in topology.groups
        if group.kind in kinds
        and (shard is None or group.kind != "shard" or group.name == shard)
        for member in group.members
    ]
    for name in wanted.replicas:
        if name not in topology.names:
            refuse("--replica", name, f"expected one of {', '.join(topology.names)}")
        if name not in [member.name for member in members]:
            refuse("--replica", name, "is not of the given --role and --shard")
    hosts = {member.address: split(member.address)[0] for member in members}
    if wanted.host is None:
        here = {host: is_here(host) for host in dict.fromkeys(hosts.values())}
    else:
        this = place(wanted.host.strip("[]"), 0)
        here = {host: place(host, 0) == this for host in hosts.values()}

    def runs_here(member: Member) -> bool:
        return here[hosts[member.address]]

    if wanted.replicas:
        for member in members:
            if member.name in wanted.replicas and not runs_here(member):
                where = f"host {wanted.host}" if wanted.host else "this machine"
                refuse("--replica", member.name, f"is at {member.address}, not {where}")
        members = [member for member in members if member.name in wanted.replicas]
    replicas = tuple(member.name for member in members if runs_here(member))
    if not replicas:
        why = (
            "no replica of the given role is placed on this host;"
            f" {configuration.source} has {', '.join(dict.fromkeys(hosts.values()))}"
        )
        refuse("--host", wanted.host or "(this machine)", why)
    return replicas
