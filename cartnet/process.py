"""One process: it claims what it needs, says what it serves, and stops in order."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, NoReturn

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from typing_extensions import override

import cartnet
from cartnet.admin.holder import holder
from cartnet.admin.protocol import AdminFactory
from cartnet.errors import Refused
from cartnet.limits import CONSOLE_ALONE_SECONDS_MAX, LEADER_POLL_SECONDS
from cartnet.observability.terminal import complain, give_up, say
from cartnet.storage.owner import StartError
from cartnet.supervisor.hosting import observe
from cartnet.supervisor.in_process import InProcess
from cartnet.supervisor.lifeline import report_started
from cartnet.topology.address import split
from cartnet.topology.listening import listening
from cartnet.transport.listening import listen

if TYPE_CHECKING:
    from twisted.internet.interfaces import IListeningPort
    from twisted.logger import Logger

    from cartnet.console.service import Console
    from cartnet.seams import Seams
    from cartnet.supervisor.child_processes import ChildProcesses
    from cartnet.supervisor.cluster import Cluster
    from cartnet.topology.placement import Plan


class Process(Service):
    """The replicas of one process, its admin port and its console."""

    def __init__(
        self,
        plan: Plan,
        reactor: Any,
        seams: Seams,
        supervisor: InProcess | ChildProcesses,
        cluster: Cluster,
        console: Console | None,
        log: Logger,
        *,
        background: bool = False,
    ) -> None:
        self._plan = plan
        self._background = background
        self._reactor = reactor
        self._clock = seams.clock
        self._supervisor = supervisor
        self._cluster = cluster
        self._console = console
        self._log = log
        self._admin_port: IListeningPort | None = None
        self._began = self._clock.seconds()

    # --- start ----------------------------------------------------------------------

    @override
    def startService(self) -> None:
        """Claim files and ports, before the reactor runs; what cannot be had, or goes
        wrong, ends the process with one line."""
        super().startService()
        self._reactor.addSystemEventTrigger("before", "shutdown", _stop_only_once)
        try:
            self._open()
        except StartError as error:
            self._log.error("{error}", error=error)
            self._give_up(str(error))
        except Exception as error:
            # twistd itself would tell the log alone.
            self._log.failure("the start failed")
            self._give_up(
                f"the start failed: {type(error).__name__}: {error}; the traceback is"
                f" in {self._plan.configuration.logs}/"
            )
        started = Deferred.fromCoroutine(self._start())
        started.addErrback(self._did_not_start)

    def _give_up(self, line: str) -> NoReturn:
        if self._background:
            # What twistd left at the terminal waits, for good, for a start or an
            # exception; an exit is neither.
            raise StartError(line)
        give_up(line)

    def _open(self) -> None:
        """Claim the files and the ports, say at the terminal where they are, and let
        the console watch."""
        if isinstance(self._supervisor, InProcess):
            self._supervisor.claim()
        admin_note = self._listen_admin()
        if self._console is not None:
            self._console.listen()
        self._greet(admin_note)
        if self._console is not None:
            self._console.start()

    async def _start(self) -> None:
        if isinstance(self._supervisor, InProcess):
            await self._supervisor.start_claimed()
        else:
            await self._supervisor.start_all()
        report_started()
        await self._say_when_serving()

    def _did_not_start(self, failure: Failure) -> None:
        if failure.check(StartError, Refused) is None:
            self._log.failure("the start failed", failure)
        complain(f"cartnet: {failure.value}")
        self._end_process(exit_status=1)

    def _greet(self, admin_note: str) -> None:
        here = len(self._supervisor.names)
        topology = self._plan.configuration.topology
        replicas = "replica" if here == 1 else "replicas"
        what = f"{here} {replicas} here" if here else "its console, no replica here"
        say(f"cartnet {cartnet.__version__}, cluster {topology.cluster}: {what}")
        balancers = [name for name in self._supervisor.names if name in self._balancers]
        if balancers:
            host, port = split(topology.member(balancers[0]).address)
            say(f"shop     nc {host} {port}")
        say(f"admin    {admin_note}")
        if self._console is not None:
            say(f"console  {self._console.url}")
        password = self._plan.configuration.operator_password_file
        # Unlike Path.exists it never raises: a console alone may not be let look.
        if self._makes_operator or os.path.exists(password):
            say(f"operator password in {password}")

    @property
    def _balancers(self) -> tuple[str, ...]:
        return self._plan.configuration.topology.balancers.names

    @property
    def _makes_operator(self) -> bool:
        """Whether the operator's first password is likely to be put into a file here:
        by the replica that wins the inventory's first election."""
        configuration = self._plan.configuration
        first = configuration.topology.inventory.preference[0]
        return (
            configuration.operator_password is None and first in self._supervisor.names
        )

    async def _say_when_serving(self) -> None:
        """Wait until every group that has a replica here has a leader; of a console
        alone, until all groups have."""
        topology = self._plan.configuration.topology
        groups = dict.fromkeys(
            topology.group_of(name).name
            for name in self._supervisor.names or topology.names
        )
        leaders: list[str] = []
        for group in groups:
            while (leader := await self._cluster.leader(group)) is None:
                await deferLater(self._clock, LEADER_POLL_SECONDS)
            leaders.append(leader)
        if topology.inventory.name in groups:
            await self._inventory_served()
        seconds = self._clock.seconds() - self._began
        verb = "leads" if len(leaders) == 1 else "lead"
        say(f"serving after {seconds:.1f} s: {' '.join(leaders)} {verb}")

    async def _inventory_served(self) -> None:
        """Wait until the inventory has all that its first leader sees to, such as the
        operator's password."""
        while True:
            try:
                await self._cluster.inventory.call("get_inventory", {}, resend=True)
            except Refused:
                await deferLater(self._clock, LEADER_POLL_SECONDS)
            else:
                return

    # --- the admin port --------------------------------------------------------------

    def _listen_admin(self) -> str:
        """Take the admin port, if there is to be one; say how to reach it.

        :raises StartError: it is not to be had.
        """
        text = self._plan.admin
        if text is None:
            return "none here"
        factory = AdminFactory(
            self._clock,
            self._cluster,
            self._plan.configuration.admin_password,
            self._end_process,
            self._log,
        )
        try:
            self._admin_port = listen(self._reactor, text, factory, "admin")
        except StartError:
            # Another process of this cluster may have it.
            cluster = self._plan.configuration.topology.cluster
            optional = not (self._plan.whole or self._plan.admin_given)
            if optional and holder(text) == cluster:
                return f"none here: another process of cluster {cluster} has {text}"
            raise
        place = listening(text)
        if place.port is None:
            return f"{text}, or: cartnet ctl list"
        return f"telnet {place.host} {place.port}, or: cartnet ctl list"

    # --- end ------------------------------------------------------------------------

    def emptied(self, why: str | None) -> None:
        """The last replica here is dead: where no admin line could start one again,
        the process has nothing left to do.

        :param why: it has failed, None where it was killed.
        """
        if self._admin_port is not None:
            return
        if why is not None:
            complain(f"cartnet: {why}")
        self._end_process(exit_status=0 if why is None else 1)

    def _end_process(self, exit_status: int = 0) -> None:
        if exit_status:
            # twistd has no way to end with a status of its own.
            self._reactor.addSystemEventTrigger(
                "after", "shutdown", os._exit, exit_status
            )
        if self._reactor.running:
            self._reactor.stop()

    @override
    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        console = None
        if self._console is not None:
            # What it has in hand needs the replicas, if that does not take too long.
            console = Deferred.fromCoroutine(self._console.stop())
            # Whatever becomes of it, the replicas have to stop in order.
            console.addErrback(self._console_failed)
            waited = observe(console).addTimeout(CONSOLE_ALONE_SECONDS_MAX, self._clock)
            waited.addErrback(lambda failure: failure.trap(DeferredTimeoutError))
            await waited
        await self._supervisor.stop()
        if console is not None:
            await console
        if self._admin_port is not None:
            await maybeDeferred(self._admin_port.stopListening)
        self._cluster.stop()
        here = self._supervisor.names
        where = f"; data is in {self._plan.configuration.data}/" if here else ""
        say(f"stopped{where}")

    def _console_failed(self, failure: Failure) -> None:
        self._log.failure("the console did not stop in order", failure)


def _stop_only_once() -> None:
    """Ignore signals to stop from now on: Twisted would log a failure for each."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
