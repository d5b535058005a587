"""All customers of one run."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from cartnet.workload.device import Device
from cartnet.workload.history import History
from cartnet.workload.operator import Operator
from cartnet.workload.prober import Prober
from cartnet.workload.share import Share
from cartnet.workload.watcher import Watcher

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence
    from random import Random
    from typing import Any

    from cartnet.client.group import GroupClient
    from cartnet.seams import Seams
    from cartnet.workload.findings import Tally


class Hosts(Protocol):
    """Where customers are: each on a host of its own, simulated or not."""

    def clients(self, host: str) -> Mapping[str, GroupClient]:
        """Clients of all groups, on that host."""

    def seams(self, host: str) -> Seams:
        """What that host has of an outside."""

    def random(self, purpose: str) -> Random:
        """The stream of chance for one purpose."""


@dataclass(frozen=True)
class Demand:
    """How much is asked of a shop.

    :ivar users: how many shoppers; each has one device or two.
    :ivar think_seconds: the mean time between two operations of a device.
    :ivar stock: what the operator puts in, at most.
    :ivar operator_password: with which the operator logs in.
    :ivar logins: how many of the wishes to log in are followed: each costs a hash.
    :ivar share: what of the shop is asked for.
    :ivar sale: how much of one item, which most then want, there is at most (W4); 0 for
        no such sale.
    :ivar roaming: one watcher comes and goes.
    :ivar following: shoppers' pages follow their carts.
    """

    users: int
    think_seconds: float
    stock: int
    operator_password: str
    logins: float = 1.0
    share: Share = field(default_factory=Share)
    sale: int = 0
    roaming: bool = False
    following: bool = False


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
        self.operator = self._new_operator(demand)
        self.prober = self._new_prober()
        self.watchers: list[Watcher] = []
        for number in range(2):
            host = self._host(f"watcher{number}")
            self.watchers.append(Watcher(host, hosts.seams(host), tally, share))
        self._roaming = demand.roaming
        self._steps = hosts.random("a watcher's steps")

    def _shoppers(self, demand: Demand) -> list[Device]:
        hosts, share = self._place, self.share
        random = hosts.random("customers")
        shoppers = []
        for number in range(demand.users):
            user = f"{share.prefix}user{number}"
            devices = random.choice((1, 2))
            for each in range(devices):
                host = self._host(f"{user}.{each}")
                shoppers.append(
                    Device(
                        user,
                        each,
                        devices,
                        hosts.clients(host),
                        hosts.seams(host),
                        hosts.random(f"{host} wishes"),
                        self.history,
                        self._tally,
                        share,
                        demand.think_seconds,
                        demand.logins,
                        self.wanted,
                        following=demand.following,
                    )
                )
        return shoppers

    def _new_operator(self, demand: Demand) -> Operator:
        hosts, host = self._place, self._host("operator")
        return Operator(
            hosts.clients(host)["lb"],
            hosts.seams(host),
            hosts.random("operator wishes"),
            self.history,
            self._tally,
            self.share,
            3 * demand.think_seconds,
            demand.stock,
            demand.operator_password,
            (self.wanted, demand.sale) if self.wanted is not None else None,
        )

    def _new_prober(self) -> Prober:
        hosts, host = self._place, self._host("prober")
        return Prober(
            f"{self.share.prefix}{host}",
            hosts.clients(host)["lb"],
            hosts.seams(host),
            hosts.random("prober wishes"),
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
