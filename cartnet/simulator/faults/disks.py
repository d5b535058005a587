"""Faults of disks."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Final

from cartnet.simulator.disk import Speed
from cartnet.simulator.faults.hooks import Hooks
from cartnet.storage.snapshot import OWN_TABLES

if TYPE_CHECKING:
    from pathlib import Path

    from cartnet.simulator.disk import SimulatedDisk
    from cartnet.simulator.faults.victims import Victims
    from cartnet.workload.findings import Tally

WRITES: Final = ("INSERT", "UPDATE", "DELETE", "COMMIT")


class Disks:
    """Each says whether it could strike."""

    def __init__(self, victims: Victims, usual: Speed, tally: Tally) -> None:
        self._victims = victims
        self._tally = tally
        self._cluster = victims.cluster
        self._random = victims.random
        self._usual = usual
        self._copies: dict[str, list[dict[Path, bytes]]] = {}
        self._hooks = Hooks()

    def slow(self) -> bool:
        """Syncs take up to hundreds of times as long as usual."""
        name = self._victims.any()
        speed = Speed(job=0.001, sync=self._random.choice((0.01, 0.05, 0.3)))
        self._cluster.world.hosts[name].disk.speed = speed
        return True

    def stall(self) -> bool:
        """No sync ends for some seconds, rather a leader's."""
        name = self._victims.leader() or self._victims.any()
        self._cluster.world.hosts[name].disk.stall(self._random.uniform(0.5, 6))
        return True

    def full(self) -> bool:
        """Nothing more can be written until there is room again."""

        def before(sql: str) -> None:
            if sql.startswith(WRITES):
                raise sqlite3.OperationalError("database or disk is full")

        name = self._victims.any()
        self._hooks.add(self._cluster.world.hosts[name].disk.before, before)
        return True

    def write_error(self) -> bool:
        """One write, or sync, that comes soon fails."""
        disk = self._cluster.world.hosts[self._victims.any()].disk
        left = self._random.randrange(20)

        def before(sql: str) -> None:
            nonlocal left
            left -= sql.startswith(WRITES)
            if left < 0:
                disk.before.pop(before)
                raise sqlite3.OperationalError("disk I/O error")

        self._hooks.add(disk.before, before)
        return True

    def sync_error(self) -> bool:
        """A sync fails, though what it was to make safe stays: its process must write
        nothing more."""
        name = self._victims.any()
        disk = self._cluster.world.hosts[name].disk

        def after(sql: str) -> None:
            if sql != "COMMIT":
                return
            disk.after.pop(after)
            process = disk.process
            self._tally.reached["a sync failed"] += 1

            def before(sql: str) -> None:
                if disk.process is not process:
                    disk.before.pop(before)
                    return
                self._tally.require(
                    "S1 after a sync that failed nothing more is written",
                    sql != "COMMIT",
                    name,
                )

            disk.before[before] = None
            raise sqlite3.OperationalError("disk I/O error")

        self._hooks.add(disk.after, after)
        return True

    def tear(self) -> bool:
        """A power cut takes what is not synced, or only the end of that; at times it
        comes in a sync that takes long, with all that it was to make safe, and to all
        of a group at once."""
        name = self._victims.running()
        if name is None:
            return False
        seconds = self._random.uniform(0.02, 0.7)
        everybody = self._random.random() < 0.4
        for each in (
            self._cluster.topology.group_of(name).names if everybody else [name]
        ):
            if each in self._cluster.replicas:
                self._tear(each, seconds)
        return True

    def _tear(self, name: str, seconds: float) -> None:
        host = self._cluster.world.hosts[name]
        process = host.process
        host.disk.tearing = True
        if self._random.random() < 0.5:
            host.disk.stall(seconds)

        def cut() -> None:
            if host.process is process and host.disk.tearing:
                self._cluster.kill(name, power_lost=True)

        self._cluster.world.clock.callLater(seconds, cut)

    def wipe(self) -> bool:
        """Cut the power of as many replicas as may be lost, and lose all that their
        disks have."""
        names = self._victims.spares()
        self._cluster.kill(*names, power_lost=True)
        for name in names:
            self._cluster.world.hosts[name].disk.wipe()
        return bool(names)

    def old_copy(self) -> bool:
        """Put a copy in place of a replica's disk: the one that was made some seconds
        ago, or one from before other faults."""
        name = self._victims.spare()
        if name is None:
            return False
        disk = self._cluster.world.hosts[name].disk
        self._cluster.kill(name)
        copies = self._copies.setdefault(name, [])
        copies.append(disk.copy())
        self._cluster.start(name)
        self._cluster.run_for(self._random.uniform(1, 3))
        if not self._cluster.all_count(self._cluster.topology.group_of(name).name):
            return False
        self._cluster.kill(name)
        disk.restore(self._random.choice(copies))
        self._cluster.start(name)
        return True

    def flip(self) -> bool:
        """Change one bit, wherever it is, behind SQLite's back; on as many replicas as
        may be lost."""
        names = self._victims.spares()
        self._cluster.kill(*names)
        flipped = [self._flip(self._cluster.world.hosts[name].disk) for name in names]
        return any(flipped)

    def _flip(self, disk: SimulatedDisk) -> bool:
        ((path, image),) = disk.copy().items()
        if not image:
            return False
        # Storage's own rows are few, and small: by chance alone they would be spared.
        own, places = _own_rows(image), range(len(image))
        if own and self._random.random() < 0.5:
            places = self._random.choice(own)
        place = self._random.choice(places)
        flipped = bytes([image[place] ^ (1 << self._random.randrange(8))])
        disk.restore({path: image[:place] + flipped + image[place + 1 :]})
        return True

    def mend(self) -> None:
        """End what goes on: what is lost, old or damaged stays so."""
        for name in self._cluster.topology.names:
            disk = self._cluster.world.hosts[name].disk
            disk.speed = self._usual
            disk.go_on()
            disk.tearing = False
        self._hooks.clear()


def _own_rows(image: bytes) -> list[range]:
    """Where a database has rows of storage's own tables, each table's apart."""
    connection = sqlite3.connect(":memory:")
    try:
        connection.deserialize(image)
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        tables = connection.execute("SELECT name, rootpage FROM sqlite_master")
        pages = [page for name, page in tables if name in OWN_TABLES]
    except (sqlite3.Error, UnicodeDecodeError):
        return []  # It is damaged already.
    finally:
        connection.close()
    places = []
    for page in pages:
        start, end = (page - 1) * size, page * size
        # A page's cells lie at its end, from the offset at its sixth byte on.
        cells = int.from_bytes(image[start + 5 : start + 7])
        places.append(range(start + cells, end))
    return [each for each in places if each]
