"""Faults of disks."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from cartnet.simulator.disk import Speed

if TYPE_CHECKING:
    from cartnet.simulator.faults.victims import Victims

WRITES: Final = ("INSERT", "UPDATE", "DELETE", "COMMIT")


class Disks:
    """Each says whether it could strike."""

    def __init__(self, victims: Victims, usual: Speed) -> None:
        self._victims = victims
        self._cluster = victims.cluster
        self._random = victims.random
        self._usual = usual

    def slow(self) -> bool:
        name = self._victims.any()
        speed = Speed(job=0.001, sync=self._random.choice((0.01, 0.05, 0.3)))
        self._cluster.world.hosts[name].disk.speed = speed
        return True

    def stall(self) -> bool:
        name = self._victims.leader() or self._victims.any()
        self._cluster.world.hosts[name].disk.stall(self._random.uniform(0.5, 6))
        return True

    def full(self) -> bool:
        """Nothing more can be written until there is room again."""

        def before(sql: str) -> None:
            if sql.startswith(WRITES):
                raise sqlite3.OperationalError("database or disk is full")

        name = self._victims.any()
        self._cluster.world.hosts[name].disk.before = before
        return True

    def write_error(self) -> bool:
        """One write, or sync, that comes soon fails."""
        disk = self._cluster.world.hosts[self._victims.any()].disk
        left = self._random.randrange(20)

        def before(sql: str) -> None:
            nonlocal left
            left -= sql.startswith(WRITES)
            if left < 0:
                disk.before = None
                raise sqlite3.OperationalError("disk I/O error")

        disk.before = before
        return True

    def wipe(self) -> bool:
        name = self._victims.spare()
        if name is None:
            return False
        self._cluster.kill(name, power_lost=True)
        self._cluster.world.hosts[name].disk.wipe()
        return True

    def old_copy(self) -> bool:
        """Put an old copy in place of a replica's disk."""
        name = self._victims.spare()
        if name is None:
            return False
        disk = self._cluster.world.hosts[name].disk
        self._cluster.kill(name)
        copy = disk.copy()
        self._cluster.start(name)
        self._cluster.run_for(self._random.uniform(1, 3))
        if not self._victims.all_count(name):
            return False
        self._cluster.kill(name)
        disk.restore(copy)
        self._cluster.start(name)
        return True

    def flip(self) -> bool:
        """Change one byte of a log entry or of a state table, behind SQLite's back."""
        name = self._victims.spare()
        if name is None:
            return False
        self._cluster.kill(name)
        disk = self._cluster.world.hosts[name].disk
        (image,) = disk.copy().values()
        if not image:
            return False
        place = self._random.randrange(len(image))
        flipped = bytes([image[place] ^ (1 << self._random.randrange(8))])
        (path,) = disk.files
        disk.restore({path: image[:place] + flipped + image[place + 1 :]})
        return True

    def mend(self) -> None:
        for name in self._cluster.topology.names:
            disk = self._cluster.world.hosts[name].disk
            disk.speed = self._usual
            disk.before = None
            disk.stall(0)
