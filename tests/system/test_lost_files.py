"""Files of replicas that are lost, replaced by old copies, or altered (S1, S4)."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.system.clusters import Cluster, running
from tests.system.waiting import eventually
from tests.test_readme import TOP

PATIENT = "[timing]\nlog_kept = 20\nelection_timeout = 2\n"
"""A short log, so that snapshots are needed; and no election for a busy machine's
sake."""
INVENTORY_OF_THREE = {"lb": 1, "s1": 1, "it": 3}
INVENTORY_OF_TWO = {"lb": 1, "s1": 1, "it": 2}


def files(cluster: Cluster, name: str) -> list[Path]:
    """A replica's database and what SQLite keeps beside it."""
    db = cluster.folder / "db"
    found = (db / f"{name}.db{suffix}" for suffix in ("", "-wal", "-shm"))
    return [path for path in found if path.exists()]


class LostFileTests(SynchronousTestCase):
    """The inventory's replica it2 begins anew, and is taken back by the others."""

    def _troubled(self, spoil: Callable[[Cluster], None], logged: str) -> Cluster:
        """Run a cluster; while it2 is dead, change the stock and spoil its file."""
        with running(Path(self.mktemp()), INVENTORY_OF_THREE, extra=PATIENT) as cluster:
            cluster.start_all()
            cluster.wait_until_leads("it0")
            self._change_stock(cluster, 50)
            cluster.wait_until_caught_up("it")
            cluster.do("kill it2")
            spoil(cluster)
            cluster.do("start it2")

            eventually(lambda: self._log(cluster).count(logged), logged)
            eventually(lambda: "the new file of it2" in self._log(cluster), "taken")
            cluster.do("kill it1")
            self._change_stock(cluster, 1)
            cluster.do("start it1")
            cluster.wait_until_caught_up("it")
            cluster.stop()
            checked = cluster.tool("check")
            self.assertEqual(checked.returncode, 0, checked.stdout)
        return cluster

    def _change_stock(self, cluster: Cluster, times: int) -> None:
        with cluster.admin() as admin:

            def is_set(stock: int) -> bool:
                return admin.do(f"stock A {stock}") == f"A  {stock}\n"

            for stock in range(times):
                eventually(partial(is_set, stock), f"{stock} of A")

    def _log(self, cluster: Cluster) -> str:
        return (cluster.folder / "logs" / "it2.log").read_text()

    def _aside(self, cluster: Cluster) -> bool:
        return (cluster.folder / "db" / "it2.db.set-aside-1").exists()

    def test_lost(self) -> None:
        """A replica without its file gets a snapshot, since the log does not reach
        back, is admitted, and makes a majority with one other."""

        def lose(cluster: Cluster) -> None:
            for path in files(cluster, "it2"):
                path.unlink()

        cluster = self._troubled(lose, "installed a snapshot")
        self.assertFalse(self._aside(cluster))

    def test_old_copy(self) -> None:
        """The others have met a later start than an old copy's; it is set aside."""

        def restore(cluster: Cluster) -> None:
            old = Path(self.mktemp())
            old.mkdir()
            for path in files(cluster, "it2"):
                shutil.copy(path, old)
            cluster.do("start it2")
            self._change_stock(cluster, 30)
            cluster.wait_until_caught_up("it")
            cluster.do("kill it2")
            for path in files(cluster, "it2"):
                path.unlink()
            for path in old.iterdir():
                shutil.copy(path, cluster.folder / "db")

        cluster = self._troubled(restore, "the database is an old copy")
        self.assertTrue(self._aside(cluster))

    def test_altered(self) -> None:
        """Tables that another program has altered are found at the next start."""

        def alter(cluster: Cluster) -> None:
            self._alter(cluster, "UPDATE items SET stock = 7")

        cluster = self._troubled(alter, "the tables differ from what was applied")
        self.assertTrue(self._aside(cluster))

    def test_altered_with_its_digest(self) -> None:
        """Where the digest fits the altered tables, the other replicas' differ."""

        def alter(cluster: Cluster) -> None:
            self._alter(cluster, "UPDATE items SET name = 'other'", "DROP TABLE digest")

        cluster = self._troubled(alter, "differ from those of the other replicas")
        self.assertTrue(self._aside(cluster))

    def _alter(self, cluster: Cluster, *statements: str) -> None:
        path = cluster.folder / "db" / "it2.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as file:
            for statement in statements:
                file.execute(statement)


class RepairTests(SynchronousTestCase):
    """A group that has stopped says so, and is repaired as documented."""

    def test_most_are_altered(self) -> None:
        """The documented script makes a new file count beside the one that is sound."""
        with self._running(INVENTORY_OF_THREE) as cluster:
            self._alter(cluster, "it1", "UPDATE items SET stock = 7")
            self._alter(cluster, "it2", "UPDATE items SET stock = 7")
            cluster.do("start it1")
            cluster.do("start it2")
            for name in ("it0", "it1", "it2"):
                self._wait_until_stopped(cluster, name, "files of it1 and it2 are not")
            self._repair(cluster, "it0", "it1")

    def test_group_of_two(self) -> None:
        """It cannot admit a lost file by itself: each says so, and the same script
        helps."""
        with self._running(INVENTORY_OF_TWO) as cluster:
            cluster.do("kill it1")
            self._lose(cluster, "it1")
            cluster.do("start it1")
            for name in ("it0", "it1"):
                self._wait_until_stopped(cluster, name, "file of it1 is not")
            self._repair(cluster, "it0", "it1")

    def test_different_tables(self) -> None:
        """Where all differ an operator chooses; the others' files are moved away, made
        anew, and brought up to date."""
        with self._running(INVENTORY_OF_THREE) as cluster:
            for name in ("it1", "it2"):
                own = f"UPDATE items SET name = '{name}'"
                self._alter(cluster, name, own, "DROP TABLE digest")
            cluster.do("restart it0")
            cluster.do("start it1")
            cluster.do("start it2")
            for name in ("it0", "it1", "it2"):
                self._wait_until_stopped(cluster, name, "hold different tables")
            cluster.stop()
            checked = cluster.tool("check")
            self.assertEqual(checked.returncode, 1)
            self.assertIn("no majority of the group says which", checked.stdout)

            self._lose(cluster, "it1")
            self._lose(cluster, "it2")
            cluster.start("all", "--role", "all")
            for name in ("it0", "it1", "it2"):
                self._wait_until_stopped(cluster, name, "files of it1 and it2 are not")
            self._repair(cluster, "it0", "it1")

    @contextmanager
    def _running(self, groups: dict[str, int]) -> Iterator[Cluster]:
        """A cluster whose inventory has got something to lose."""
        with running(Path(self.mktemp()), groups) as cluster:
            cluster.start_all()
            cluster.wait_until_leads("it0")
            cluster.do("stock A 42")
            cluster.wait_until_caught_up("it")
            yield cluster

    def _alter(self, cluster: Cluster, name: str, *statements: str) -> None:
        cluster.do(f"kill {name}")
        path = cluster.folder / "db" / f"{name}.db"
        with closing(sqlite3.connect(path, isolation_level=None)) as file:
            for statement in statements:
                file.execute(statement)

    def _lose(self, cluster: Cluster, name: str) -> None:
        for path in files(cluster, name):
            path.unlink()

    def _wait_until_stopped(self, cluster: Cluster, name: str, why: str) -> None:
        """Until its log and its status say why, and what to read."""
        log = cluster.folder / "logs" / f"{name}.log"

        def says_so() -> bool:
            (*_, last) = [
                line
                for line in ["", *log.read_text().splitlines()]
                if "the group has stopped" in line or not line
            ]
            return why in last and "Repairing a stopped group" in last

        eventually(says_so, f"{name} says why")
        self.assertRegex(cluster.do(f"status {name}"), f"stopped: .*{why}")

    def _repair(self, cluster: Cluster, *names: str) -> None:
        """Do what the manual says with these replicas' files."""
        cluster.stop()
        db = cluster.folder / "db"
        manual = (TOP / "docs" / "operations.md").read_text("utf-8")
        (script,) = re.findall(r"(?ms)^ +```python\n(.*?)^ +```$", manual)
        repair = [sys.executable, "-c", textwrap.dedent(script)]
        subprocess.run([*repair, *(db / f"{name}.db" for name in names)], check=True)

        cluster.start_all()
        eventually(lambda: "learner" not in cluster.do("list"), "all count")
        cluster.wait_until_caught_up("it")
        self.assertRegex(cluster.do("stock"), r"(?m)^A +42$")
        cluster.stop()
        checked = cluster.tool("check")
        self.assertEqual(checked.returncode, 0, checked.stdout)
