"""Groups of real replicas that lose files, and each other, while they form."""

from __future__ import annotations

import sqlite3
from random import Random
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from cartnet.simulator.cluster import SimulatedCluster
from cartnet.simulator.network import Link
from cartnet.storage import owner

BIRTHS: Final = 60
STEPS: Final = 60
FORMING_SECONDS_MAX: Final = 10.0

FILES_LOST_MAX: Final = 1
"""With more of three lost a group may not come together, whose founders they were."""


class Birth:
    """The first seconds of one group of three."""

    def __init__(self, seed: int) -> None:
        self._random = random = Random(f"{seed} birth")
        delay = random.choice((0.001, 0.01, 0.05))
        self._cluster = SimulatedCluster(seed, new_link=lambda: Link(delay_mean=delay))
        self._names = self._cluster.topology.group("s1").names
        self._pause_max = random.choice((0.01, 0.1, 0.5))
        self._lost_max = random.choice((FILES_LOST_MAX, STEPS))
        self._lost = 0
        self._cluster.start(*self._names)

    def step(self) -> None:
        """Do one kind of harm, or none, for a while."""
        what = self._random.choice(("cut", "heal", "end", "nothing", "nothing"))
        network = self._cluster.world.network
        name = self._random.choice(self._names)
        others = [other for other in self._names if other != name]
        if what == "cut":
            network.cut([name], [self._random.choice(others)])
        elif what == "heal":
            network.heal()
        elif what == "end":
            self._cluster.kill(name)
            # Once others know its file, only the log may put another in its place.
            if not any(map(self._founders, others)) and self._random.random() < 0.5:
                self._lose(name)
            self._cluster.start(name)
        self._cluster.run_for(self._random.uniform(0, self._pause_max))

    def _lose(self, name: str) -> None:
        if self._lost < self._lost_max:
            self._lost += 1
            self._cluster.world.hosts[name].disk.wipe()

    def _founders(self, name: str) -> dict[str, str]:
        """Those that are on a replica's disk."""
        if not self._cluster.world.hosts[name].disk.files:
            return {}
        try:
            return owner.founders(owner.read(self._cluster.plain_cursor(name)))
        except sqlite3.OperationalError:
            return {}  # Its file is not begun.

    def foundings(self) -> int:
        """How many groups have been founded, as their members' disks have it."""
        if any("is admitted" in line for line in self._cluster.logs.lines):
            return 1  # Each disk hears of a new file in its own time.
        founders = [tuple(self._founders(name).items()) for name in self._names]
        return len({each for each in founders if each})

    def unknowing(self) -> list[str]:
        """Who has heard of a term, and does not know the founders."""
        return [
            name
            for name, replica in self._cluster.replicas.items()
            if replica.raft is not None
            and replica.raft.term > 0
            and not self._founders(name)
        ]

    def calm(self) -> None:
        """All is healed: the group forms."""
        self._cluster.world.network.heal()
        self._cluster.run_until(
            lambda: self._cluster.leader("s1") is not None or self._has_stopped(),
            seconds_max=FORMING_SECONDS_MAX,
        )

    def _has_stopped(self) -> bool:
        if self._lost <= FILES_LOST_MAX:
            return False
        return any(
            replica.status().stopped for replica in self._cluster.replicas.values()
        )


class FoundingTests(SynchronousTestCase):
    def test_once(self) -> None:
        """No two disks ever have different founders, nobody takes part who does not
        know them, and in peace the group forms."""
        for seed in range(BIRTHS):
            birth = Birth(seed)
            for step in range(STEPS):
                birth.step()
                self.assertLessEqual(birth.foundings(), 1, f"seed {seed}, step {step}")
                self.assertEqual(birth.unknowing(), [], f"seed {seed}, step {step}")
            birth.calm()
            self.assertEqual(birth.foundings(), 1, f"seed {seed}")
