"""What one run is like: drawn from its seed, so that each run stresses other things.

After "swarm testing" (Groce et al., 2012): leaving features out at random finds more
than having all of them in every run.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from random import Random
from typing import Final

from cartnet.simulator.disk import Speed
from cartnet.simulator.network import Link
from cartnet.workload.demand import Demand

OPERATOR_PASSWORD: Final = "correct horse battery staple"

GROUP_SIZES: Final = (1, 2, 3, 3, 3, 3, 3, 4, 5, 5)

TIMINGS: Final = ((0.1, 0.6), (0.1, 0.6), (0.05, 0.3), (0.1, 1.0), (0.2, 0.8))
"""Heartbeat and election timeout, in seconds."""

FAULTS: Final = (
    "crash",
    "crash leader",
    "crash all",
    "power cut",
    "crash at statement",
    "crash after commit",
    "crash at message",
    "crash at checkout",
    "pause",
    "product pause",
    "isolate",
    "transfer",
    "partition",
    "one-way cut",
    "partial cut",
    "client cut",
    "group cut",
    "reset",
    "late connection",
    "slow link",
    "replay",
    "slow disk",
    "stalled disk",
    "full disk",
    "write error",
    "wiped disk",
    "old copy",
    "flipped byte",
    "clock jump",
    "corrupt line",
    "cut line",
    "long line",
    "clock strobe",
    "sync error",
    "torn write",
    "failpoint",
    "bridge",
    "ring",
    "lossy link",
    "pause all",
)
"""Every kind of fault; a run has some of them."""

FAULT_SHARES: Final = (0.1, 0.2, 0.45)
"""How many of all kinds a run has: with few, each of them strikes often."""


@dataclass(frozen=True)
class Options:
    """How one run's cluster is made, used and troubled.

    :ivar sizes: replicas by group.
    :ivar delay_min: of links, as ``delay_mean`` and ``split`` (:class:`Link`).
    :ivar disk: how fast disks are.
    :ivar target: the one group that is troubled, None for all of them.
    :ivar faults: which kinds there are.
    :ivar pause_seconds: the mean time between two faults.
    :ivar users: of customers, as ``think_seconds`` and ``stock`` (:class:`Demand`).
    :ivar drift: by what share of the true time replicas' clocks are too fast or slow,
        at most.
    :ivar faults_while_forming: whether faults begin before the groups have formed.
    :ivar user_timeout: whether the end that dialled gives up a connection without
        acknowledgements, as it does on Linux.
    :ivar sale: as ``roaming`` and ``following`` (:class:`Demand`).
    """

    sizes: dict[str, int]
    heartbeat: float
    election_timeout: float
    request_timeout: float
    log_kept: int
    lexical: bool
    delay_min: float
    delay_mean: float
    split: float
    disk: Speed
    target: str | None
    faults: tuple[str, ...]
    pause_seconds: float
    users: int
    think_seconds: float
    stock: int
    drift: float = 0.0
    faults_while_forming: bool = False
    user_timeout: bool = True
    sale: int = 0
    roaming: bool = False
    following: bool = False

    @property
    def configuration(self) -> str:
        """The cluster's ``cartnet.ini``."""
        sections = [
            "[cluster]\nname = simulated\ndata = nowhere\n"
            "secret = a secret of simulated replicas only\n"
            f"prefer = {'lexical' if self.lexical else 'none'}",
            f"[timing]\nheartbeat = {self.heartbeat}\n"
            f"election_timeout = {self.election_timeout}\n"
            f"request_timeout = {self.request_timeout}\nlog_kept = {self.log_kept}",
            "[admin]\nchaos = yes",
            f"[operator]\npassword = {OPERATOR_PASSWORD}",
        ]
        for number, (group, size) in enumerate(self.sizes.items()):
            names = {"lb": "balancer", "it": "inventory"}
            hosts = " ".join(f"10.0.{number}.{i + 1}:5005" for i in range(size))
            section = names.get(group, f"shard:{group}")
            sections.append(f"[{section}]\nreplicas = {hosts}")
        return "\n\n".join(sections) + "\n"

    @property
    def demand(self) -> Demand:
        """What customers ask of it."""
        return Demand(
            self.users,
            self.think_seconds,
            self.stock,
            OPERATOR_PASSWORD,
            sale=self.sale,
            roaming=self.roaming,
            following=self.following,
        )

    def link(self) -> Link:
        """A link as they are while nothing is done to them."""
        return Link(self.delay_min, self.delay_mean, split=self.split)

    def lines(self) -> list[str]:
        """What was drawn, for people."""
        told = []
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name == "sizes":
                value = " ".join(f"{group}={size}" for group, size in value.items())
            elif each.name == "faults":
                value = ", ".join(value)
            told.append(f"{each.name:17} {value}")
        return told


def draw(seed: int) -> Options:
    """The options of a seed."""
    random = Random(f"{seed} options")
    share = Random(f"{seed} faults").choice(FAULT_SHARES)
    shards = random.choice((1, 1, 2, 3))
    groups = ["lb", *(f"s{n + 1}" for n in range(shards)), "it"]
    sizes = {group: random.choice(GROUP_SIZES) for group in groups}
    target = random.choice(groups) if random.random() < 0.5 else None
    if target is not None:
        # The others are only there to be used: small ones are cheap.
        sizes = {g: n if g == target else min(n, 3) for g, n in sizes.items()}
    heartbeat, election_timeout = random.choice(TIMINGS)
    return Options(
        sizes=sizes,
        heartbeat=heartbeat,
        election_timeout=election_timeout,
        request_timeout=random.choice((1.0, 2.0, 3.0)),
        log_kept=random.choice((5, 15, 100, 10_000)),
        lexical=random.random() < 0.85,
        delay_min=random.choice((0.000_1, 0.000_2, 0.001)),
        delay_mean=random.choice((0.000_2, 0.000_5, 0.002, 0.01)),
        split=random.choice((0.0, 0.02, 0.2)),
        disk=Speed(
            job=random.choice((0.000_1, 0.000_3)),
            sync=random.choice((0.000_5, 0.001, 0.005, 0.02)),
        ),
        target=target,
        faults=tuple(kind for kind in FAULTS if random.random() < share) or ("crash",),
        pause_seconds=random.choice((0.3, 1.0, 3.0)),
        users=random.randrange(1, 5),
        think_seconds=random.choice((0.05, 0.2, 0.6)),
        stock=random.choice((20, 100, 1_000)),
        drift=random.choice((0.0, 0.0, 0.01)),
        faults_while_forming=Random(f"{seed} birth").random() < 0.3,
        user_timeout=Random(f"{seed} user timeout").random() < 0.7,
        sale=random.choice((0, 0, 0, 8, 30)),
        roaming=random.random() < 0.5,
        following=random.random() < 0.4,
    )
