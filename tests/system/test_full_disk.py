"""A disk that takes no more ends its replica, and no other, until there is room."""

from __future__ import annotations

import contextlib
import os
import re
import resource
import subprocess
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

from twisted.trial.unittest import SynchronousTestCase

from tests.system.clusters import Cluster, running
from tests.system.lines import Admin
from tests.system.waiting import CONDITION_SECONDS_MAX, eventually

INVENTORY_OF_THREE = {"lb": 1, "s1": 1, "it": 3}
WRITES_MAX = 5_000
"""After so many writes whatever room a full disk had left is used."""


class FullDiskTests(SynchronousTestCase):
    """The disk of the inventory's replica it2 is full (L1, L5)."""

    def test_full_file_system(self) -> None:
        """Beside the others in one process a replica stops, alone, when its file
        system has no room; once there is, `start` brings it back."""
        folder = Path(self.mktemp()).absolute()
        unshare = may_mount()
        disk = LimitedFiles() if unshare is None else SmallFileSystem(unshare, folder)
        self._stops_alone(folder, disk)

    def test_limited_files(self) -> None:
        """In a process of its own a replica stops, alone, when its files may not grow;
        once they may, `start` brings it back."""
        self._stops_alone(Path(self.mktemp()).absolute(), LimitedFiles())

    def test_process_of_its_own(self) -> None:
        """A process whose only replica has stopped itself ends with one line, and not
        as if all were well."""
        with running(Path(self.mktemp()), INVENTORY_OF_THREE) as cluster:
            cluster.start_each()
            cluster.wait_until_leads("it0")
            cluster.wait_until_caught_up("it")
            limit_files(cluster, "it2")
            process = cluster.processes.pop("it2")
            operator = cluster.operator()
            for stock in range(WRITES_MAX):
                if process.poll() is not None:
                    break
                change = {"item": "A", "quantity_change": 1 if stock % 2 else -1}
                operator.call("update_inventory", change)

            self.assertEqual(process.wait(CONDITION_SECONDS_MAX), 1)
            said = cluster.folder / "it2.err"
            self.assertRegex(
                said.read_text(), r"\Acartnet: it2 stopped itself: disk I/O error\n\Z"
            )
            said.write_text("")
            operator.close()
            cluster.start_replica("it2")
            cluster.wait_until_caught_up("it")
            cluster.stop()

    def _stops_alone(self, folder: Path, disk: Disk) -> None:
        with running(folder, INVENTORY_OF_THREE) as cluster:
            disk.start(cluster)
            cluster.wait_until_leads("it0")
            cluster.wait_until_caught_up("it")
            disk.fill()
            with cluster.admin() as admin:
                self._write_until_dead(admin)
                self.assertEqual(admin.do("list").count("  alive  "), 4)
                self.assertEqual(admin.do("leader it"), "it0\n")
                self._has_complained_once(folder)
                set_stock(admin, 42)

                disk.make_room()
                # A process takes a moment to end.
                told = partial(admin.do, "start it2")
                eventually(lambda: told() == "started it2\n", "it2 starts")
                cluster.wait_until_caught_up("it")
                # With it1 away nothing is written but by the one that came back.
                self.assertEqual(admin.do("kill it1"), "killed it1\n")
                set_stock(admin, 43)
                self.assertEqual(admin.do("start it1"), "started it1\n")
            cluster.wait_until_caught_up("it")
            self._has_complained_once(folder)
            cluster.stop()
            disk.end()

    def _write_until_dead(self, admin: Admin) -> None:
        for stock in range(WRITES_MAX):
            set_stock(admin, stock)
            if re.search(r"(?m)^it2 .* dead ", admin.do("list")):
                return
        self.fail("it2 goes on")

    def _has_complained_once(self, folder: Path) -> None:
        """One line of its log says what is the matter. That no log has a traceback is
        looked at when a cluster has ended."""
        log = (folder / "logs" / "it2.log").read_text()
        complaints = re.findall(r"(?m)^\S+ (?:error|critical) .*$", log)
        self.assertEqual(len(complaints), 1, log)
        self.assertRegex(
            complaints[0], "this replica stops: its disk says .*; start it once"
        )


class Disk(Protocol):
    """What it2 writes to."""

    def start(self, cluster: Cluster) -> None:
        """Start the cluster, with it2 on this disk."""

    def fill(self) -> None: ...

    def make_room(self) -> None: ...

    def end(self) -> None:
        """The cluster has ended."""


class SmallFileSystem:
    """A file system of its own, which only the processes of the cluster see."""

    def __init__(self, unshare: Sequence[str], folder: Path) -> None:
        self._unshare = unshare
        self._folder = folder
        self._link = folder / "db" / "it2.db"

    def start(self, cluster: Cluster) -> None:
        small = self._folder / "small"
        small.mkdir()
        self._link.parent.mkdir(mode=0o700)
        self._link.symlink_to(small / "it2.db")
        mount = f"mount -t tmpfs -o size=16m none {small} && exec"
        wrapper = [*self._unshare, "sh", "-c", f'{mount} "$@"', "sh"]
        process = cluster.start("all", "--role", "all", wrapper=wrapper)
        cluster.wait_until_serving()
        self._ballast = Path(f"/proc/{process.pid}/root{small}/ballast")

    def fill(self) -> None:
        with contextlib.suppress(OSError), self._ballast.open("wb", 0) as file:
            while file.write(bytes(4096)):
                pass

    def make_room(self) -> None:
        self._ballast.unlink()

    def end(self) -> None:
        # It leads nowhere any more.
        self._link.unlink()


class LimitedFiles:
    """it2's process may not make its database any larger."""

    def start(self, cluster: Cluster) -> None:
        cluster.start_all("--processes")
        self._cluster = cluster

    def fill(self) -> None:
        limit_files(self._cluster, "it2")

    def make_room(self) -> None:
        """The next process is without this one's limit."""

    def end(self) -> None: ...


def limit_files(cluster: Cluster, name: str) -> None:
    """Let a replica's process make no file larger than its database's is now."""
    pid = cluster.pid(name)
    assert pid is not None
    wal = cluster.folder / "db" / f"{name}.db-wal"
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limits = (wal.stat().st_size, hard)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)


def may_mount() -> Sequence[str] | None:
    """Say how a process comes to mounts of its own; None where it may not."""
    for unshare in (["unshare", "-m"], ["unshare", "-Urm"]):
        mount = [*unshare, "mount", "-t", "tmpfs", "none", os.curdir]
        with contextlib.suppress(FileNotFoundError):
            if subprocess.run(mount, capture_output=True, check=False).returncode == 0:
                return unshare
    return None


def set_stock(admin: Admin, stock: int) -> None:
    told = partial(admin.do, f"stock A {stock}")
    expected = f"A  {stock}\n"
    eventually(lambda: told() == expected, expected)
