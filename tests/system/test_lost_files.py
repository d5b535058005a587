"""Files of replicas that are lost, replaced by old copies, or altered (S1, S4)."""

from __future__ import annotations

import re
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import closing
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
            for stock in range(times):
                told = partial(admin.do, f"stock A {stock}")
                expected = f"A  {stock}\n"
                eventually(lambda told=told, e=expected: told() == e, expected)

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
    """A group stops whose files were altered in most places, until it is repaired."""

    def test_stopped_group(self) -> None:
        """The documented script makes a new file count beside the one that is sound."""
        with running(Path(self.mktemp()), INVENTORY_OF_THREE) as cluster:
            cluster.start_all()
            cluster.wait_until_leads("it0")
            cluster.do("stock A 42")
            cluster.wait_until_caught_up("it")
            self._damage_two(cluster)
            eventually(lambda: cluster.leader("it") is None, "it has stopped")
            cluster.stop()

            db = cluster.folder / "db"
            manual = (TOP / "docs" / "operations.md").read_text("utf-8")
            (script,) = re.findall(r"(?ms)^ +```python\n(.*?)^ +```$", manual)
            repair = [sys.executable, "-c", textwrap.dedent(script)]
            subprocess.run([*repair, db / "it0.db", db / "it1.db"], check=True)

            cluster.start_all()
            eventually(lambda: "learner" not in cluster.do("list"), "all count")
            cluster.wait_until_caught_up("it")
            self.assertRegex(cluster.do("stock"), r"(?m)^A +42$")
            cluster.stop()
            self.assertEqual(cluster.tool("check").returncode, 0)

    def _damage_two(self, cluster: Cluster) -> None:
        db = cluster.folder / "db"
        names = ("it1", "it2")
        for name in names:
            cluster.do(f"kill {name}")
            with closing(sqlite3.connect(db / f"{name}.db")) as file, file:
                file.execute("UPDATE items SET stock = 7")
        for name in names:
            cluster.do(f"start {name}")
        for name in names:
            eventually((db / f"{name}.db.set-aside-1").exists, f"{name} is set aside")
