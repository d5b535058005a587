"""``twistd cartnet``: its options, and the one module that imports the reactor.

Nothing imported here at module level may import the reactor, or ``twistd
--reactor=...`` would come too late.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from twisted.application.service import IService, MultiService
from twisted.python import usage
from typing_extensions import override

from cartnet import __version__
from cartnet.observability.terminal import give_up
from cartnet.topology.configuration import ConfigurationError, load
from cartnet.topology.placement import make_plan
from cartnet.topology.wanted import Wanted

if TYPE_CHECKING:
    from cartnet.topology.placement import Plan


class Options(usage.Options):
    """What ``twistd cartnet`` can be told; ``plan`` is what that comes to."""

    synopsis = "[options]"
    longdesc = (
        "Run the replicas of a cartnet cluster that belong on this host. Without"
        " options: the whole cluster of ./cartnet.ini, else of the packaged demo."
    )
    optParameters = [  # noqa: N815, RUF012 # Twisted's own attribute
        ["config", "c", None, "Configuration [default: ./cartnet.ini, else a demo]"],
        ["host", None, None, "Which host of the configuration this process is"],
        ["shard", None, None, "With --role shard: only this shard, such as s1"],
        ["port", None, None, "With --peers: run the one replica at this port"],
        ["peers", None, None, "The others of its group: HOST:PORT,HOST:PORT,..."],
        ["db", None, None, "The database file of the one replica that starts here"],
        ["admin", None, None, "The admin port's server endpoint string, or none"],
        ["console", None, None, "The console's server endpoint string, or none"],
        ["data", None, None, "Folder of the database files"],
        ["logs", None, None, "Folder of the log files"],
    ]
    optFlags = [  # noqa: N815, RUF012 # Twisted's own attribute
        ["processes", None, "Run each replica in a process of its own"],
    ]

    plan: Plan

    @override
    def __init__(self) -> None:
        super().__init__()
        self["role"] = []
        self["replica"] = []

    def opt_role(self, role: str) -> None:
        """What to run: all (the default), balancer, shard, inventory or console; may be
        repeated."""
        self["role"].append(role)

    opt_r = opt_role

    def opt_replica(self, name: str) -> None:
        """Run only this replica, such as s1r0; repeatable."""
        self["replica"].append(name)

    @override
    def opt_version(self) -> NoReturn:
        """Print cartnet's version and exit."""
        print(f"cartnet {__version__}")  # noqa: T201 # what the option is for
        raise SystemExit(0)

    @override
    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        # twistd answers a usage error with a page of help; one line says it better.
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            give_up(f"{error}; see twistd cartnet --help")
        except ConfigurationError as error:
            give_up(str(error))

    @override
    def parseArgs(self, *arguments: str) -> None:
        if arguments:
            raise usage.UsageError(f"{arguments[0]!r} is no option")

    @override
    def postOptions(self) -> None:
        if not __debug__:
            give_up(
                "python -O takes out the checks that stop a faulty replica: start"
                " without it, and without PYTHONOPTIMIZE"
            )
        configuration = load(None if self["config"] is None else Path(self["config"]))
        self.plan = make_plan(self._wanted(), configuration, is_here)

    def _wanted(self) -> Wanted:
        peers = self["peers"]
        if peers is not None:
            peers = tuple(peer.strip() for peer in peers.split(",") if peer.strip())
        return Wanted(
            roles=tuple(self["role"]),
            host=self["host"],
            replicas=tuple(self["replica"]),
            shard=self["shard"],
            port=self._port(),
            peers=peers,
            db=self._path("db"),
            admin=self["admin"],
            console=self["console"],
            data=self._path("data"),
            logs=self._path("logs"),
            processes=bool(self["processes"]),
        )

    def _path(self, option: str) -> Path | None:
        if self[option] == "":
            raise usage.UsageError(f"--{option}: expected a path")
        return None if self[option] is None else Path(self[option])

    def _port(self) -> int | None:
        if self["port"] is None:
            return None
        if not re.fullmatch("[0-9]{1,5}", self["port"]):
            raise usage.UsageError(f"--port {self['port']!r}: expected a port number")
        return int(self["port"])


def is_here(host: str) -> bool:
    """Say whether ``host`` is an address of this machine, by trying to bind to it."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)
    except OSError:
        return False
    for family, kind, protocol, _, address in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.bind(address)
                return True
        except OSError:
            continue
    return False


def makeService(options: Options) -> IService:  # noqa: N802 # twistd calls it so
    """Make the service that runs what the options come to."""
    from twisted.internet import reactor

    from cartnet.outside import keep_steady_time
    from cartnet.roles import make_service
    from cartnet.storage.owner import StartError

    keep_steady_time(reactor)
    twistd = options.parent or {"nodaemon": True}
    try:
        service = make_service(options.plan, reactor, background=not twistd["nodaemon"])
    except (ConfigurationError, StartError) as error:
        give_up(str(error))
    if twistd.get("logfile"):
        # Who names a log file to twistd gets it: the service is one step away from
        # the application, whose log it would otherwise replace.
        parent = MultiService()
        service.setServiceParent(parent)
        return parent
    return service
