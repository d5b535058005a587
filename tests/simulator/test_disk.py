"""Simulated disks."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from cartnet.seams import Worker
from cartnet.simulator.disk import Killed
from cartnet.simulator.faults.hooks import Hooks
from cartnet.simulator.world import World
from cartnet.workload.findings import Incorrect

PATH = Path("db/s1r0.db")


def inserting(number: int, *, sync: bool = True) -> Any:
    """A job like the storage's: one transaction, synced or not."""

    def job(connection: Any) -> int:
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA synchronous = {'FULL' if sync else 'NORMAL'}")
        cursor.execute("BEGIN IMMEDIATE")
        cursor.execute("CREATE TABLE IF NOT EXISTS numbers (number INTEGER)")
        cursor.execute("INSERT INTO numbers VALUES (?)", (number,))
        cursor.execute("COMMIT")
        return number

    return job


def numbers(connection: Any) -> list[int]:
    rows = connection.execute("SELECT number FROM numbers ORDER BY number").fetchall()
    return [number for (number,) in rows]


class DiskTests(SynchronousTestCase):
    """Jobs, and what a crash leaves of them."""

    def setUp(self) -> None:
        self.world = World(3)
        self.host = self.world.host("a")
        self.worker = self.open()

    def open(self, *, read_only: bool = False) -> Worker:
        return self.host.seams.disk.open(PATH, read_only=read_only)

    def run_all(self) -> None:
        self.world.clock.run_for(10)

    def stored(self) -> list[int]:
        """What the file holds, for a process that opens it now."""
        reading = self.open(read_only=True).run(numbers)
        self.run_all()
        found: list[int] = self.successResultOf(reading)
        return found

    def test_jobs_take_time(self) -> None:
        """Jobs of one worker run in order, each after some time."""
        first = self.worker.run(inserting(1))
        second = self.worker.run(inserting(2))
        self.assertNoResult(first)

        self.world.clock.run_while(lambda: not first.called, seconds_max=1)
        self.assertNoResult(second)
        self.run_all()

        self.assertEqual(self.successResultOf(second), 2)
        self.assertEqual(self.stored(), [1, 2])

    def test_failure(self) -> None:
        """A job that raises is rolled back, and fails its Deferred alone."""

        def failing(connection: Any) -> None:
            connection.execute("BEGIN")
            connection.execute("CREATE TABLE other (x)")
            connection.execute("INSERT INTO nowhere VALUES (1)")

        failed = self.worker.run(failing)
        after = self.worker.run(inserting(1))
        self.run_all()

        self.failureResultOf(failed, sqlite3.OperationalError)
        self.assertEqual(self.successResultOf(after), 1)

    def test_crash_is_silent(self) -> None:
        """A crash ends jobs unheard; what they had not committed is not there."""
        done = self.worker.run(inserting(1))
        self.run_all()
        waiting = [self.worker.run(inserting(number)) for number in (2, 3)]

        self.host.crash()
        self.run_all()

        self.successResultOf(done)
        for deferred in waiting:
            self.assertNoResult(deferred)
        self.assertEqual(self.stored(), [1])

    def test_power_cut(self) -> None:
        """A power cut spares what was synced, and takes what was not, or does not."""
        found = set()
        for seed in range(20):
            self.world = World(seed)
            self.host = self.world.host("a")
            worker = self.open()
            jobs: list[Deferred[Any]] = [
                worker.run(inserting(1)),
                worker.run(inserting(2, sync=False)),
                worker.run(inserting(3)),
                worker.run(inserting(4, sync=False)),
            ]
            self.run_all()
            for job in jobs:
                self.successResultOf(job)
            self.host.crash(power_lost=True)
            found.add(tuple(self.stored()))

        self.assertEqual(found, {(1, 2, 3), (1, 2, 3, 4)})

    def test_torn_write(self) -> None:
        """A power cut may take the end alone of what was not synced, in its order."""
        found = set()
        for seed in range(20):
            self.world = World(seed)
            self.host = self.world.host("a")
            worker = self.open()
            worker.run(inserting(1))
            self.run_all()
            self.host.disk.tearing = True
            for number in (2, 3, 4):
                worker.run(inserting(number, sync=False))
            self.run_all()
            self.host.crash(power_lost=True)
            found.add(tuple(self.stored()))

        self.assertEqual(found, {(1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)})

    def test_power_cut_in_a_sync(self) -> None:
        """What a sync was to make safe is lost with it; others have read it before."""
        self.worker.run(inserting(1))
        self.run_all()
        self.host.disk.tearing = True
        self.host.disk.stall(10)
        job = self.worker.run(inserting(2))
        self.world.clock.run_for(1)
        reading = self.open(read_only=True).run(numbers)
        self.world.clock.run_for(1)

        self.host.crash(power_lost=True)

        self.assertNoResult(job)
        self.assertEqual(self.successResultOf(reading), [1, 2])
        self.assertEqual(self.stored(), [1])

    def test_process_crash_spares_unsynced(self) -> None:
        """The operating system keeps what a killed process had written."""
        self.worker.run(inserting(1, sync=False))
        self.run_all()

        self.host.crash()

        self.assertEqual(self.stored(), [1])

    def test_crash_keeps_damage(self) -> None:
        """A file that SQLite can no longer read is as it was after the next crash."""
        self.worker.run(inserting(1))
        self.run_all()
        disk = self.host.disk
        self.host.crash()
        damaged = disk.copy()[PATH].replace(b"CREATE TABLE", b"CREATE TABBY")
        disk.restore({PATH: damaged})
        self.open().run(inserting(2)).addErrback(
            lambda reason: reason.trap(sqlite3.DatabaseError)
        )
        self.run_all()

        self.host.crash()

        self.assertEqual(disk.copy(), {PATH: damaged})

    def test_checks_are_heard(self) -> None:
        """What a check finds within a job goes past the job's caller, who would take
        it for an error of the disk."""

        def find(sql: str) -> None:
            raise Incorrect("S1 a check", "that found something")

        self.host.disk.before[find] = None
        self.worker.run(inserting(1))

        self.assertRaises(Incorrect, self.run_all)

    def test_interrupt(self) -> None:
        """An interrupt fails the job in hand, and no other."""
        in_hand = self.worker.run(inserting(1))
        waiting = self.worker.run(inserting(2))

        self.worker.interrupt()
        self.run_all()
        self.worker.interrupt()
        self.run_all()

        self.failureResultOf(in_hand, sqlite3.OperationalError)
        self.assertEqual(self.successResultOf(waiting), 2)
        self.assertEqual(self.stored(), [2])

    def test_close(self) -> None:
        """Closing waits for the jobs before it."""
        last = self.worker.run(inserting(1))
        closed = self.worker.close()

        self.world.clock.run_while(lambda: not closed.called, seconds_max=1)

        self.assertEqual(self.successResultOf(last), 1)
        self.assertIsNone(self.successResultOf(closed))

    def test_error_at_a_statement(self) -> None:
        """A fault can be put at any statement: here the disk is full at COMMIT."""

        def full(sql: str) -> None:
            if sql == "COMMIT":
                raise sqlite3.OperationalError("database or disk is full")

        self.worker.run(inserting(1))
        self.run_all()
        self.host.disk.before[full] = None
        failed = self.worker.run(inserting(2))
        self.run_all()
        self.host.disk.before.pop(full)

        self.failureResultOf(failed, sqlite3.OperationalError)
        self.assertEqual(self.stored(), [1])

    def test_stall(self) -> None:
        """While a disk stalls no sync ends; reads, and what is not synced, go on."""
        self.worker.run(inserting(1))
        self.run_all()
        self.host.disk.stall(5)
        unsynced = self.worker.run(inserting(2, sync=False))
        synced = self.worker.run(inserting(3))
        reading = self.open(read_only=True).run(numbers)
        self.world.clock.run_for(4.9)
        self.successResultOf(unsynced)
        self.successResultOf(reading)
        self.assertNoResult(synced)

        self.world.clock.run_for(1)

        self.assertEqual(self.successResultOf(synced), 3)
        after = self.worker.run(inserting(4))
        self.world.clock.run_for(0.5)
        self.successResultOf(after)

    def test_stall_that_is_mended(self) -> None:
        """The end of a stall is that of the syncs that it has held up, too."""
        self.worker.run(inserting(1))
        self.run_all()
        self.host.disk.stall(5)
        held = self.worker.run(inserting(2))
        self.world.clock.run_for(1)

        self.host.disk.go_on()
        self.world.clock.run_for(0.001)

        self.assertEqual(self.successResultOf(held), 2)

    def test_hooks_side_by_side(self) -> None:
        """A disk that is full stays so when what else was put at it has struck, or is
        taken off; and it is told what it has failed."""

        def full(sql: str) -> None:
            if sql.startswith("INSERT"):
                raise sqlite3.OperationalError("database or disk is full")

        def die(sql: str) -> None:
            disk.before.pop(die)
            raise Killed(self.host.crash)

        disk = self.host.disk
        others = Hooks()
        disk.before[full] = None
        disk.before[die] = None
        others.add(disk.after, lambda sql: None)
        died = self.worker.run(inserting(1))
        self.run_all()
        self.assertNoResult(died)
        self.assertFalse(disk.refused)

        failed = self.open().run(inserting(2))
        others.clear()
        self.run_all()

        self.failureResultOf(failed, sqlite3.OperationalError)
        self.assertTrue(disk.refused)
        self.assertEqual([*disk.before], [full])
        self.assertEqual(disk.after, {})

    def test_killed_after_a_commit(self) -> None:
        """What a process has committed stays, though it never hears of that: nor do
        its other jobs run."""

        def after(sql: str) -> None:
            if sql == "COMMIT":
                disk.after.pop(after)
                raise Killed(self.host.crash)

        disk = self.host.disk
        disk.after[after] = None
        jobs = [self.worker.run(inserting(n, sync=False)) for n in (1, 2)]
        self.run_all()

        for job in jobs:
            self.assertNoResult(job)
        self.assertEqual(self.stored(), [1])
