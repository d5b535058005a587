"""All customers of one run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from cartnet.workload.caller import Means
from cartnet.workload.device import Device
from cartnet.workload.history import History
from cartnet.workload.operator import Operator
from cartnet.workload.prober import Prober
from cartnet.workload.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence
    from random import Random
    from typing import Any

    from cartnet.client.group import GroupClient
    from cartnet.seams import Seams
    from cartnet.workload.demand import Demand
    from cartnet.workload.findings import Tally


class Hosts(Protocol):
    """Where customers are: each on a host of its own, simulated or not."""

    def clients(self, host: str) -> Mapping[str, GroupClient]:
        """Clients of all groups, on that host."""

    def seams(self, host: str) -> Seams:
        """What that host has of an outside."""

    def random(self, purpose: str) -> Random:
        """The stream of chance for one purpose."""


class Crowd:
    """Shoppers with their devices, the operator, and watchers, each on a host.

    :ivar hosts: their names.
    :ivar share: what of the shop they use.
    :ivar busy: how many have not ended yet.
    :ivar failures: what went wrong with those that have.
    :ivar wanted: what a flash sale is of, if there is one.
    """

    def __init__(
        self,
        hosts: Hosts,
        demand: Demand,
        tally: Tally,
        history: History | None = None,
    ) -> None:
        """:param history: where operations are noted; a new one by default."""
        self.share = share = demand.share
        self.history = History() if history is None else history
        self.hosts: list[str] = []
        self.busy = 0
        self.failures: list[Failure] = []
        self.wanted = share.items[1] if demand.sale else None
        self._place = hosts
        self._tally = tally
        self.devices = self._shoppers(demand)
        means = self._means(self._host("operator"))
        self.operator = Operator(means, demand, self.wanted)
        means = self._means(self._host("prober"))
        self.prober = Prober(f"{share.prefix}prober", means)
        self.watchers: list[Watcher] = []
        for number in range(2):
            host = self._host(f"watcher{number}")
            self.watchers.append(Watcher(host, hosts.seams(host), tally, share))
        self._roaming = demand.roaming
        self._steps = hosts.random("a watcher's steps")

    def _shoppers(self, demand: Demand) -> list[Device]:
        random = self._place.random("customers")
        shoppers = []
        for number in range(demand.users):
            user = f"{self.share.prefix}user{number}"
            devices = random.choice((1, 2))
            for each in range(devices):
                host = self._host(f"{user}.{each}")
                shoppers.append(
                    Device(self._means(host), user, each, devices, demand, self.wanted)
                )
        return shoppers

    def _means(self, host: str) -> Means:
        hosts = self._place
        return Means(
            hosts.clients(host),
            hosts.seams(host),
            hosts.random(f"{host} wishes"),
            self.history,
            self._tally,
            self.share,
        )

    @property
    def _callers(self) -> list[Device | Operator]:
        return [*self.devices, self.operator]

    def _host(self, name: str) -> str:
        self.hosts.append(name)
        return name

    def begin(self) -> None:
        for watcher in self.watchers:
            watcher.follow(self._place.clients(watcher.name)["lb"])
        if self._roaming:
            self._follow(self.watchers[-1].roam(self._steps))
        for caller in self._callers:
            self._follow(caller.live())

    def stop(self) -> None:
        """Ask all to end with the operation that they have in hand."""
        for caller in (*self._callers, *self.watchers):
            caller.stopping = True

    def probe(self, shards: Sequence[str]) -> None:
        """Have each group take a write."""
        self._follow(self.prober.probe(shards, self.operator))

    def unproven(self) -> str | None:
        """Which groups have not taken a write since; None once all have."""
        self.check()
        return ", ".join(self.prober.unproven) or None

    def settle(self) -> None:
        """Have all find out what they do not know; call it once all have ended."""
        for caller in self._callers:
            self._follow(caller.find_out())

    def sell_out(self) -> None:
        """End a flash sale: have every shopper buy until there is nothing left."""
        first = {device.user: device for device in reversed(self.devices)}
        for device in first.values():
            assert self.wanted is not None
            self._follow(device.sell_out(self.wanted))

    def check(self) -> None:
        """:raises Exception: what went wrong with one of them."""
        for failure in self.failures:
            failure.raiseException()

    def at_work(self) -> str | None:
        """Who has not ended yet; None once all have.

        :raises Exception: what went wrong with one of them.
        """
        self.check()
        return f"{self.busy} are at work" if self.busy else None

    def _follow(self, work: Coroutine[Any, Any, None]) -> None:
        def ended(result: Any) -> None:
            self.busy -= 1
            if isinstance(result, Failure):
                self.failures.append(result)

        self.busy += 1
        Deferred.fromCoroutine(work).addBoth(ended)
