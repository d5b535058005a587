"""A simulated cluster under random faults, with shoppers, from one seed."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from cartnet.simulator.cluster import SMALL, SimulatedCluster
from cartnet.simulator.shopper import ITEMS, Shopper

FAULTY_SECONDS = 12.0
SETTLING_SECONDS = 60.0
STOCK = 100

SHORT_LOGS = f"{SMALL}\n[timing]\nlog_kept = 15\n"
"""Whoever was away for long needs a snapshot."""


class TroubledCluster:
    """Faults for some time, then peace, in which everything must come right."""

    def __init__(
        self,
        seed: int,
        shoppers: int = 3,
        checkouts: int = 15,
        faulty_seconds: float = FAULTY_SECONDS,
    ) -> None:
        self.cluster = SimulatedCluster(seed, SHORT_LOGS)
        world = self.cluster.world
        self._random = world.random("faults")
        self._done: list[Any] = []
        self.wiped = 0
        self.restored = 0
        self.shoppers = []
        self._checkouts = checkouts
        self._faulty_seconds = faulty_seconds
        for number in range(shoppers):
            name = f"shopper{number}"
            client = self.cluster.client(name=name)
            self.shoppers.append(Shopper(name, client, world.host(name).seams))

    def run(self) -> None:
        cluster = self.cluster
        cluster.start()
        cluster.run_until_serving()
        for shopper in self.shoppers:
            shopping = Deferred.fromCoroutine(shopper.shop(self._checkouts))
            shopping.addBoth(self._done.append)
        end = cluster.world.clock.seconds() + self._faulty_seconds
        while cluster.world.clock.seconds() < end:
            self._trouble()
            cluster.run_for(self._random.random())
        cluster.world.network.heal()
        for name in cluster.topology.names:
            if name not in cluster.replicas:
                cluster.start(name)
        cluster.run_until(
            lambda: len(self._done) == len(self.shoppers), seconds_max=SETTLING_SECONDS
        )
        for outcome in self._done:
            if isinstance(outcome, Failure):
                outcome.raiseException()
        cluster.run_for(5)

    def _trouble(self) -> None:
        cluster, random = self.cluster, self._random
        names = cluster.topology.names
        stopped = [name for name in names if name not in cluster.replicas]
        network = cluster.world.network
        match random.randrange(10):
            case 8:
                self._wipe(random.choice(names))
            case 9:
                self._restore(random.choice(names))
            case 0 | 1:
                name = random.choice(names)
                if name in cluster.replicas:
                    cluster.kill(name, power_lost=random.random() < 0.5)
            case 2:
                group = random.choice([g.name for g in cluster.topology.groups])
                leader = cluster.leader(group)
                if leader is not None:
                    cluster.kill(leader, power_lost=random.random() < 0.5)
            case 3 | 4:
                if stopped:
                    cluster.start(random.choice(stopped))
            case 5:
                side = [name for name in names if random.random() < 0.4]
                rest = [name for name in names if name not in side]
                network.partition(
                    side, rest, how=random.choice(("held", "lost", "held"))
                )
            case 6:
                network.cut([random.choice(names)], names)
            case _:
                network.heal()

    def _wipe(self, name: str) -> None:
        """Lose a replica's disk; one a group at a time, until it counts again."""
        if self._all_count(name):
            self.cluster.kill(name, power_lost=True)
            self.cluster.world.hosts[name].disk.wipe()
            self.wiped += 1

    def _restore(self, name: str) -> None:
        """Put an old copy in place of a replica's disk.

        The others have met it since the copy was made: what it said to nobody but
        those who are away now would be lost with it, as with any disk.
        """
        cluster = self.cluster
        disk = cluster.world.hosts[name].disk
        self._let_meet(name)
        if not self._all_count(name):
            return
        cluster.kill(name)
        copy = disk.copy()
        cluster.start(name)
        self._let_meet(name)
        if self._all_count(name):
            cluster.kill(name)
            disk.restore(copy)
            cluster.start(name)
            self.restored += 1

    def _let_meet(self, name: str) -> None:
        """Give all members of a replica's group the time to meet."""
        cluster = self.cluster
        cluster.world.network.heal()
        for member in cluster.topology.group_of(name).names:
            if member not in cluster.replicas:
                cluster.start(member)
        cluster.run_for(1)

    def _all_count(self, name: str) -> bool:
        """Whether all members of a replica's group run, with files that count."""
        replicas = self.cluster.replicas
        return all(
            member in replicas
            and replicas[member].status().role not in ("learner", "-")
            for member in self.cluster.topology.group_of(name).names
        )

    def check(self) -> None:
        """What was acknowledged is there, once; nothing else is; nothing is lost."""
        cluster = self.cluster
        self._check_equal_tables()
        placed: dict[str, Any] = {}
        for shopper in self.shoppers:
            listed = cluster.do(shopper.surely("list_orders", {}))["orders"]
            theirs = {order["id"]: order for order in listed}
            assert theirs == shopper.orders, f"{theirs} != {shopper.orders}"
            placed |= theirs
        sold = dict.fromkeys(ITEMS, 0)
        for order in placed.values():
            for line in order["lines"]:
                sold[line["item"]] += line["quantity"]
        inventory = cluster.do(self.shoppers[0].surely("get_inventory", {}))
        stock = {item["id"]: item["stock"] for item in inventory["items"]}
        assert {item: STOCK - sold[item] for item in ITEMS} == stock, (sold, stock)

    def _check_equal_tables(self) -> None:
        for group in self.cluster.topology.groups:
            first, *others = [self.cluster.tables(name) for name in group.names]
            for other in others:
                assert other == first, f"{group.name}: {other} != {first}"
