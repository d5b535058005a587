"""One run: customers of a running cluster, from the first login to the last look."""

from __future__ import annotations

from datetime import UTC, datetime
from signal import SIG_IGN, signal
from typing import TYPE_CHECKING, Any, Final

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.task import deferLater

from cartnet.errors import Refused
from cartnet.outside import outside
from cartnet.tools.check_files import CannotCheck
from cartnet.tools.check_report import count
from cartnet.tools.live.chaos import Chaos
from cartnet.tools.live.ending import Ending
from cartnet.tools.live.observer import Observer
from cartnet.tools.live.place import Place
from cartnet.tools.live.seen import Seen
from cartnet.tools.reacting import ENDINGS
from cartnet.workload.crowd import Crowd
from cartnet.workload.demand import Demand
from cartnet.workload.history import History
from cartnet.workload.operator import NAME
from cartnet.workload.share import Share

if TYPE_CHECKING:
    from collections.abc import Callable

    from cartnet.tools.live.options import Options
    from cartnet.topology.configuration import Configuration

THINK_SECONDS: Final = 0.2
STOCK: Final = 200
LOGINS: Final = 0.2
"""Of the wishes to log in so many are followed: a password's hash is dear."""

OPENING_SECONDS_MAX: Final = 10.0
"""How long a cluster is looked for."""

REFUSING_SECONDS_MAX: Final = 1.0
"""How long all balancers may refuse connections: they may be about to start."""

PUTTING_SECONDS_MAX: Final = 30.0
TELLING_SECONDS: Final = 0.25


class LiveRun:
    """A run against the cluster of a configuration.

    :ivar seen: what it has seen so far.
    """

    def __init__(
        self,
        reactor: Any,
        configuration: Configuration,
        operator_password: str,
        options: Options,
        progress: Callable[[str], object],
    ) -> None:
        """:raises CannotCheck: ``options`` ask for what is not allowed here."""
        self._reactor = reactor
        self._configuration = configuration
        self._password = operator_password
        self._options = options
        self._progress = progress
        self._seams = outside(reactor)
        self._clock = self._seams.clock
        token = self._seams.token_bytes
        share = Share.corner(f"check-{token(4).hex()}-", f" {token(12).hex()}")
        topology = configuration.topology
        self._place = Place(configuration, self._seams, options.seed)
        demand = Demand(
            options.users, THINK_SECONDS, STOCK, operator_password, LOGINS, share
        )
        groups = tuple(group.name for group in topology.groups)
        history = History(clock=self._clock.seconds)
        self.seen = Seen(options, topology.cluster, groups, share, history)
        crowd = Crowd(self._place, demand, self.seen.findings, history)
        self._crowd = crowd
        self.seen.watchers = crowd.watchers
        self._observer = Observer(
            self._place.clients("observer"), self._clock, self.seen
        )
        self._ending = Ending(crowd, self._clock, self.seen)
        self._chaos: Chaos | None = None
        if options.chaos:
            random = self._place.random("chaos")
            self._chaos = Chaos(
                configuration,
                self._seams,
                random,
                self._place.clients("chaos", "supervisor"),
                self._observer.leader,
                self.seen,
            )
        self._ended: Deferred[None] = Deferred()

    async def run(self) -> Seen:
        """Do all of it.

        :raises ToolError: there is no such cluster, or it lets the operator not in.
        """
        # Who interrupts it gets a verdict on what was seen, and a clean shop.
        self._reactor.addSystemEventTrigger("before", "shutdown", self._interrupted)
        try:
            await self._open()
            await self._shop()
            self._progress("waiting for the last answers")
            await self._ending.settle()
            await self._observer.compare()
        finally:
            await self._close()
        return self.seen

    def _interrupted(self) -> Deferred[None] | None:
        if self._ended.called:
            return None
        # The end has its bounds; who asks once more is not to hear of the reactor.
        for each in ENDINGS:
            signal(each, SIG_IGN)
        self.seen.interrupted = True
        return self._ended

    async def _close(self) -> None:
        self._observer.stop()
        try:
            self._progress("removing what was put in")
            await self._ending.clean_up()
        finally:
            self._place.stop()
            self._progress("")
            self._ended.callback(None)

    # --- Before ----------------------------------------------------------------------

    async def _open(self) -> None:
        """Log the operator in, and put the run's own items in stock."""
        self._progress("looking for the cluster")
        await self._find()
        operator = self._crowd.operator
        credentials = {"username": NAME, "password": self._password}
        try:
            raw = await self._place.clients("operator")["lb"].call(
                "login",
                credentials,
                resend=True,
                deadline=self._clock.seconds() + OPENING_SECONDS_MAX,
            )
        except Refused as refused:
            raise self._shut(refused) from None
        operator.session = msgspec.json.decode(raw)["session"]
        if self._chaos is not None:
            await self._chaos.try_out()
        for item in self.seen.share.items:
            putting = Deferred.fromCoroutine(operator.put(item, STOCK, insist=True))
            try:
                put = await putting.addTimeout(PUTTING_SECONDS_MAX, self._clock)
            except DeferredTimeoutError:
                raise CannotCheck(
                    f"the inventory takes no item within {PUTTING_SECONDS_MAX:g} s"
                ) from None
            if put.ending != "ok":
                raise CannotCheck(f"the inventory takes no item: {put.refused}")

    async def _find(self) -> None:
        """Spare who has started no cluster the wait for one that answers."""
        addresses = self._balancers
        end = self._clock.seconds() + REFUSING_SECONDS_MAX
        while await self._place.is_refused(addresses):
            if self._clock.seconds() >= end:
                raise CannotCheck(
                    f"connection refused at {', '.join(addresses)}, where the balancers"
                    " should be: is the cluster running, and is this its configuration?"
                )
            await deferLater(self._clock, TELLING_SECONDS)

    @property
    def _balancers(self) -> list[str]:
        members = self._configuration.topology.balancers.members
        return [member.address for member in members]

    def _shut(self, refused: Refused) -> CannotCheck:
        if refused.code == "unauthenticated":
            return CannotCheck(
                f"the operator's password is refused: {refused.message}"
                " --password-file tells another"
            )
        return CannotCheck(
            f"cannot log in as the operator at {', '.join(self._balancers)}:"
            f" {refused.message};"
            " is the cluster running, and is this its configuration?"
        )

    # --- Meanwhile -------------------------------------------------------------------

    async def _shop(self) -> None:
        self._observer.start()
        seen = self.seen
        seen.began = self._clock.seconds()
        started = datetime.fromtimestamp(self._seams.wall(), UTC)
        seen.started = started.strftime("%Y-%m-%d %H:%M:%S UTC")
        self._crowd.begin()
        raging = None
        if self._chaos is not None:
            raging = Deferred.fromCoroutine(self._chaos.rage())
        try:
            end = seen.began + self._options.seconds
            while (left := end - self._clock.seconds()) > 0 and not seen.interrupted:
                self._tell(self._options.seconds - left)
                await deferLater(self._clock, min(left, TELLING_SECONDS))
        finally:
            seen.stopped = self._clock.seconds()
            if self._chaos is not None and raging is not None:
                self._progress("ending the last fault")
                self._chaos.stop()
                await raging

    def _tell(self, seconds: float) -> None:
        seen = self.seen
        faults = f", {count(len(seen.faults), 'fault')}" if self._options.chaos else ""
        wrong = f", {seen.findings.broken} WRONG" if seen.findings.broken else ""
        self._progress(
            f"{seconds:.0f} of {self._options.seconds:g} s,"
            f" {count(len(seen.operations), 'operation')}{faults}{wrong}"
        )
