"""One storm, from an empty folder to what was found."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from tests.system.clusters import Cluster, running
from tests.system.storm.attempts import Record
from tests.system.storm.clients import Market
from tests.system.storm.faults import Trouble
from tests.system.storm.hands import Hands, OneProcess, ProcessEach
from tests.system.storm.judge import Judge
from tests.system.storm.namespaces import HOSTS, PASSWORD, SECRET, Namespaces
from tests.system.storm.network import Network
from tests.system.storm.outages import Outages
from tests.system.storm.proxy import Proxy
from tests.system.storm.report import (
    AVAILABILITY,
    Findings,
    availability,
    calls_table,
    faults_table,
    judged,
)
from tests.system.storm.verdict import Verdict
from tests.system.storm.yardstick import GivenTime, Yardstick

REPLICAS: Final = 3

HEALING_SECONDS_MAX: Final = 30.0
"""So long after the last trouble all replicas of a group show the same digest."""

EXTRA: Final = "chaos = yes\n[timing]\nlog_kept = 300\n"
"""A short log, so that snapshots are needed."""


@dataclass(frozen=True)
class Options:
    """What a storm is to be like.

    :ivar each: whether each replica has a process of its own.
    :ivar shards: how many there are, of three replicas like the other groups.
    :ivar namespaces: whether its network is the kernel's own instead of a proxy.
    """

    seconds: float
    seed: int
    shoppers: int
    each: bool
    shards: int
    namespaces: bool = False

    @property
    def groups(self) -> dict[str, int]:
        shards = [f"s{n}" for n in range(1, self.shards + 1)]
        return dict.fromkeys(["lb", *shards, "it"], REPLICAS)


class Storm:
    """One storm over one cluster.

    :param findings: is told which promises the cluster keeps.
    """

    def __init__(self, cluster: Cluster, options: Options, findings: Findings) -> None:
        self._findings = findings
        self._cluster = cluster
        self._options = options
        self._record = Record()
        self._outages = Outages({g: cluster.members(g) for g in cluster.groups})
        self._yardstick = Yardstick(cluster.folder / "yardstick")
        random = Random(f"{options.seed} hands")
        self._hands: Hands = (
            ProcessEach(cluster, self._outages, _network(cluster, options), random)
            if options.each
            else OneProcess(cluster, random)
        )
        way = self._hands.judges_way()
        self._judge = Judge(cluster.folder, way, options.seconds, options.seed)
        self._troubles = [
            Trouble(
                group,
                cluster.members(group),
                self._hands,
                self._outages,
                Random(f"{options.seed} {group}"),
                options.seconds,
            )
            for group in cluster.groups
        ]

    def run(self) -> Iterator[str]:
        """Let it blow, and yield a report's lines."""
        holding = self._findings.holding
        with holding("every group gets a leader at the start"):
            self._hands.start()
        if self._findings.broken:
            return
        began = time.monotonic()
        market = Market(
            self._cluster,
            self._hands.entrances,
            self._record,
            Random(self._options.seed),
        )
        with self._yardstick:
            equal_at = self._shop(market)
            ended = time.monotonic()
        given = self._yardstick.given()
        healed_at = max(trouble.healed_at for trouble in self._troubles)
        with holding(f"digests are equal {HEALING_SECONDS_MAX:g} s after healing"):
            seconds = given(equal_at) - given(healed_at)
            assert seconds <= HEALING_SECONDS_MAX, f"that took {seconds:.1f} s"
        verdict = Verdict(self._outages, given)
        with holding(AVAILABILITY):
            found = list(availability(verdict, self._record, self._outages))
            assert not found, "\n".join(["", *found])
        yield from self._tables(market, verdict, given, began)
        machine = self._yardstick.machine(began, ended)
        self._findings.machine = machine
        yield str(machine)
        if "garbled" in self._hands.faults:
            with holding("a damaged message ends its connection"):
                suffered = self._hands.suffered(given)
                assert not suffered, "\n".join(["", *suffered])
        with holding("every process stops cleanly"):
            self._hands.stop()
        with holding(
            "cartnet check: digests of the files are equal, and all else is sound"
        ):
            checked = self._cluster.tool("check")
            assert checked.returncode == 0, checked.stdout + checked.stderr

    def _shop(self, market: Market) -> float:
        """What clients live through: the storm, the time after it, and the account.

        Return when all digests were equal.
        """
        holding = self._findings.holding
        with self._judge, self._people(market):
            with holding("every group gets well after every trouble"):
                self._blow()
            with holding("all replicas catch up, and show equal digests"):
                for trouble in self._troubles:
                    trouble.wait_until_whole()
                for trouble in self._troubles:
                    trouble.wait_until_equal()
            equal_at = time.monotonic()
            with holding("everybody gets on afterwards"):
                market.shop_on()
            with holding("cartnet check --live: customers were told what can be"):
                self._judge.check()
        with holding("every acknowledged write is there once, no order is pending"):
            market.verify()
        return equal_at

    @contextmanager
    def _people(self, market: Market) -> Iterator[None]:
        market.open(self._options.shoppers)
        try:
            yield
        finally:
            market.close()

    def _blow(self) -> None:
        for trouble in self._troubles:
            trouble.start()
        until = time.monotonic() + self._options.seconds
        while time.monotonic() < until and all(map(Trouble.is_alive, self._troubles)):
            time.sleep(min(1.0, max(0.0, until - time.monotonic())))
        for trouble in self._troubles:
            trouble.enough.set()
        for trouble in self._troubles:
            trouble.join()
        self._hands.clear()
        for trouble in self._troubles:
            if trouble.failure is not None:
                raise trouble.failure

    def _tables(
        self, market: Market, verdict: Verdict, given: GivenTime, began: float
    ) -> Iterator[str]:
        counts = {trouble.group: trouble.counts for trouble in self._troubles}
        yield from faults_table(counts, self._outages, began)
        yield ""
        for what, times in sorted(self._hands.report().items()):
            yield f"{times} {what}"
        yield ""
        yield from calls_table(self._record)
        yield ""
        yield judged(verdict, self._record)
        longest = verdict.longest(self._record.noted)
        yield f"longest wait beside all outages: {longest:.2f} s"
        returns = max(self._outages.returns(given), default=0.0)
        yield f"longest return of a replica with its file: {returns:.2f} s"
        yield from self._judge.verdict().splitlines()
        yield ""
        yield (
            f"{sum(shopper.units for shopper in market.shoppers)} units,"
            f" {sum(len(shopper.orders) for shopper in market.shoppers)} orders,"
            f" {market.guests} guests, {market.operations} changes by the operator"
        )


def _network(cluster: Cluster, options: Options) -> Network:
    if options.namespaces:
        return Namespaces(cluster.addresses, cluster.folder)
    random = Random(f"{options.seed} network")
    return Proxy(cluster.addresses, cluster.folder, random)


def blow(folder: Path, options: Options) -> tuple[list[str], Findings]:
    """Let one storm blow over a new cluster in ``folder``; return the report's lines,
    and what was found."""
    findings = Findings()
    lines: list[str] = []
    kind: dict[str, Any] = {"extra": EXTRA}
    if options.namespaces:
        password = f"[operator]\npassword = {PASSWORD}\n"
        kind = {"extra": EXTRA + password, "hosts": HOSTS, "secret": SECRET}
    with (
        findings.holding("logs and files hold no traceback and no secret"),
        running(folder, options.groups, **kind) as cluster,
    ):
        lines += Storm(cluster, options, findings).run()
    return [*lines, "", *findings.lines()], findings
