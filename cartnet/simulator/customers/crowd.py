"""All customers of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from cartnet.simulator.customers.device import Device
from cartnet.simulator.customers.history import History
from cartnet.simulator.customers.operator import Operator
from cartnet.simulator.customers.prober import Prober
from cartnet.simulator.customers.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Awaitable
    from typing import Any

    from cartnet.simulator.cluster import SimulatedCluster
    from cartnet.simulator.findings import Tally
    from cartnet.simulator.options import Options


class Crowd:
    """Shoppers with their devices, the operator, and watchers, each on a host.

    :ivar hosts: where they are.
    """

    def __init__(
        self, cluster: SimulatedCluster, options: Options, tally: Tally
    ) -> None:
        self.history = History()
        self.hosts: list[str] = []
        self.devices: list[Device] = []
        self.watchers: list[Watcher] = []
        self._cluster = cluster
        self._busy = 0
        self._failures: list[Failure] = []
        random = cluster.world.random("customers")
        for number in range(options.users):
            user = f"user{number}"
            devices = random.choice((1, 2))
            for each in range(devices):
                host = self._host(f"{user}.{each}")
                self.devices.append(
                    Device(
                        user,
                        each,
                        devices,
                        cluster.clients(host),
                        cluster.world.host(host).seams,
                        cluster.world.random(f"{host} wishes"),
                        self.history,
                        tally,
                        options.think_seconds,
                    )
                )
        host = self._host("operator")
        self.operator = Operator(
            cluster.clients(host)["lb"],
            cluster.world.host(host).seams,
            cluster.world.random("operator wishes"),
            self.history,
            tally,
            3 * options.think_seconds,
            options.stock,
        )
        host = self._host("prober")
        self.prober = Prober(
            host,
            cluster.clients(host)["lb"],
            cluster.world.host(host).seams,
            cluster.world.random("prober wishes"),
            self.history,
            tally,
        )
        for number in range(2):
            host = self._host(f"watcher{number}")
            self.watchers.append(Watcher(host, cluster.world.host(host).seams, tally))

    @property
    def _callers(self) -> list[Device | Operator]:
        return [*self.devices, self.operator]

    def _host(self, name: str) -> str:
        self.hosts.append(name)
        return name

    def begin(self) -> None:
        for watcher in self.watchers:
            watcher.follow(self._cluster.clients(watcher.name)["lb"])
        for caller in self._callers:
            self._follow(caller.live())

    def stop(self) -> None:
        """Ask all to end with the operation that they have in hand."""
        for caller in self._callers:
            caller.stopping = True

    def probe(self) -> None:
        """Have each group take a write."""
        shards = [group.name for group in self._cluster.topology.shards]
        self._follow(self.prober.probe(shards, self.operator))

    def unproven(self) -> str | None:
        """Which groups have not taken a write since; None once all have."""
        self.check()
        return ", ".join(self.prober.unproven) or None

    def settle(self) -> None:
        """Have all find out what they do not know; call it once all have ended."""
        for caller in self._callers:
            self._follow(caller.settle())

    def check(self) -> None:
        """:raises Exception: what went wrong with one of them."""
        for failure in self._failures:
            failure.raiseException()

    def at_work(self) -> str | None:
        """Who has not ended yet; None once all have.

        :raises Exception: what went wrong with one of them.
        """
        self.check()
        return f"{self._busy} are at work" if self._busy else None

    def _follow(self, work: Awaitable[None]) -> None:
        def ended(result: Any) -> None:
            self._busy -= 1
            if isinstance(result, Failure):
                self._failures.append(result)

        self._busy += 1
        Deferred.fromCoroutine(work).addBoth(ended)  # type: ignore[arg-type] # a coroutine
