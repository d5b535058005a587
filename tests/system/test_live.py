"""``cartnet check --live`` against running clusters, well and troubled."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import sysconfig
from contextlib import closing
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.storage.doubles import sqlite
from tests.system.clusters import Cluster, running
from tests.system.waiting import CONDITION_SECONDS_MAX, eventually

CHAOS = "chaos = yes\n"
OWN = re.compile(r"(?m)^check-\w+-[A-D] ")
"""An item of a live check, as the admin line shows it."""


class LiveCheckTests(SynchronousTestCase):
    """The tool as a user runs it: what it prints, its status, what it leaves."""

    def folder(self) -> Path:
        return Path(self.mktemp())

    def assert_as_before(self, cluster: Cluster) -> None:
        """No replica is in trouble, and no item was left."""
        for name in cluster.addresses:
            cluster.wait_until_listed(name, "alive")
        self.assertIsNone(OWN.search(cluster.do("stock")))
        self.assertIn("A  77", cluster.do("stock"))

    def assert_nothing_open(self, cluster: Cluster) -> None:
        """Accounts and orders are left, but no line of a cart and no session."""
        for group in ("s1", "s2", "it"):
            cluster.wait_until_caught_up(group)
        for path in sorted((cluster.folder / "db").glob("*.db")):
            for table in ("cart_lines", "sessions"):
                self.assertEqual(self.rows(path, table), [], path.name)

    def rows(self, path: Path, table: str) -> list[Any]:
        with closing(sqlite.connect(path)) as connection:
            known = connection.execute(
                "SELECT 1 FROM sqlite_master WHERE name = ?", (table,)
            )
            if known.fetchone() is None:
                return []
            return list(connection.execute(f"SELECT * FROM {table}"))

    def test_clean(self) -> None:
        """A cluster that keeps its promises is clean; both files are written, and what
        others have in the shop is as it was."""
        with running(self.folder(), {"lb": 3, "s1": 3, "s2": 1, "it": 3}) as cluster:
            self.start(cluster)
            cluster.do("stock A 77")
            done = cluster.tool(
                "check",
                "--live",
                *("--seconds", "3", "--users", "2", "--seed", "5"),
                *("--report", "report.html", "--history", "history.jsonl"),
            )
            self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
            lines = done.stdout.splitlines()
            self.assertIn("at test: 3 s, 2 users, seed 5, ", lines[0])
            self.assertEqual(lines[-1], "clean")
            for guarantee in ("S1", "S2", "S5", "S6", "S8", "S9", "S10", "L1"):
                (line,) = [each for each in lines if each.startswith(f"{guarantee} ")]
                self.assertRegex(line, r" ok +\S")
            self.assert_as_before(cluster)
            html = (cluster.folder / "report.html").read_text("utf-8")
            self.assertIn("✓ clean", html)
            history = (cluster.folder / "history.jsonl").read_text("utf-8")
            operations = [json.loads(line) for line in history.splitlines()]
            self.assertGreater(len(operations), 10)
            self.assertLessEqual(
                {"add_to_cart", "login"}, {o["call"] for o in operations}
            )
            for text in (html, history, done.stdout):
                self.assertNotIn(cluster.operator_password(), text)
            self.assert_nothing_open(cluster)
            cluster.stop()

    def test_chaos(self) -> None:
        """Faults are injected, all of them end, and the verdict is clean."""
        with running(self.folder(), extra=CHAOS) as cluster:
            self.start(cluster)
            cluster.do("stock A 77")
            done = cluster.tool("check", "--live", "--chaos", "--seconds", "8")
            self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
            self.assertRegex(done.stdout, r"; faults: \w+ \d")
            self.assert_as_before(cluster)
            cluster.stop()

    def test_interrupted(self) -> None:
        """Ctrl-C ends faults, takes the items back and tells what was seen so far, and
        so does the end of its terminal."""
        with running(self.folder(), extra=CHAOS) as cluster:
            self.start(cluster)
            cluster.do("stock A 77")
            script = str(Path(sysconfig.get_path("scripts")) / "cartnet")
            arguments = ["check", "--live", "--chaos", "--seconds", "600"]
            for number in (signal.SIGINT, signal.SIGHUP):
                with subprocess.Popen(
                    [sys.executable, script, *arguments],
                    cwd=cluster.folder,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                ) as tool:
                    eventually(
                        lambda: OWN.search(cluster.do("stock")), "items are there"
                    )
                    tool.send_signal(number)
                    out, err = tool.communicate(timeout=CONDITION_SECONDS_MAX)
                self.assertEqual((tool.returncode, err), (130, ""), out)
                self.assertIn(", interrupted, 3 users", out)
                self.assertTrue(out.endswith("clean\n"), out)
                self.assert_as_before(cluster)
            cluster.stop()

    def test_outage(self) -> None:
        """A cluster that crashes as a whole, and comes back, is no violation."""
        with running(self.folder(), {"lb": 3, "s1": 3, "it": 3}) as cluster:
            self.start(cluster)
            cluster.do("stock A 77")
            script = str(Path(sysconfig.get_path("scripts")) / "cartnet")
            with subprocess.Popen(
                [sys.executable, script, "check", "--live", "--seconds", "12"],
                cwd=cluster.folder,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            ) as tool:
                eventually(lambda: OWN.search(cluster.do("stock")), "items are there")
                cluster.kill("all")
                self.start(cluster)
                out, err = tool.communicate(timeout=CONDITION_SECONDS_MAX)
            self.assertEqual((tool.returncode, err), (0, ""), out)
            self.assert_as_before(cluster)
            cluster.stop()

    def test_cannot(self) -> None:
        """What keeps it from checking is one clear line, and status 2."""
        with running(self.folder(), {"lb": 1, "s1": 1, "it": 1}) as cluster:
            self.assert_line(
                cluster.tool("check", "--live"), "--password-file tells another file"
            )

            wrong = cluster.folder / "wrong"
            wrong.write_text("no such password")
            options = ("check", "--live", "--password-file", str(wrong))
            gone = cluster.tool(*options)
            self.assert_line(
                gone,
                f"connection refused at {cluster.balancers[0]}, ",
                "is the cluster running",
            )

            self.start(cluster)
            kept = cluster.folder / "kept.html"
            kept.write_text("as it was")
            self.assert_line(
                cluster.tool(*options, "--report", str(kept)),
                "the operator's password is refused",
            )
            self.assertEqual(kept.read_text(), "as it was")
            self.assert_line(
                cluster.tool("check", "--live", "--chaos"), "[admin] chaos = yes"
            )
            self.assert_line(
                cluster.tool("check", "--live", "--report", "no/such/folder.html"),
                "cannot write no/such/folder.html: No such file or directory",
            )
            self.assertIsNone(OWN.search(cluster.do("stock")))
            cluster.stop()

    def start(self, cluster: Cluster) -> None:
        """Start all, and wait for what an operator needs."""
        cluster.start_all()
        cluster.operator_password()

    def assert_line(self, done: subprocess.CompletedProcess[str], *parts: str) -> None:
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        self.assertRegex(done.stderr, r"\Acartnet: [^\n]+\n\Z")
        for part in parts:
            self.assertIn(part, done.stderr)
