"""A console in a process of its own, and the tools that speak to it."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.system.clusters import Cluster, running
from tests.system.waiting import eventually

CATALOGUE = "id,name,price,stock\nmug,Mug,450,7\nteapot,Teapot,2300,2\n"


class ConsoleAloneTests(SynchronousTestCase):
    """``--role console``, beside a cluster that other processes run."""

    def test_tools(self) -> None:
        """``ctl`` and ``import-catalog`` do through a console what they do without;
        what they cannot do they say in a line."""
        with running(Path(self.mktemp()), console=True) as cluster:
            cluster.start("cluster", "--role", "all", "--console", "none")
            cluster.start("console", "--role", "console")
            cluster.wait_until_serving()
            cluster.wait_until_says("console", "serving after")
            cluster.operator_password()

            listed = self.tool(cluster, "list")
            self.assertEqual(len(listed.splitlines()), len(cluster.addresses))
            self.assertRegex(listed, r"s1r0 +\S+ +alive +leader +term=\d+ commit=\d+")
            self.assertEqual(self.tool(cluster, "kill", "s1r0"), "killed s1r0\n")
            cluster.wait_for_leader("s1", other_than="s1r0")
            self.assertEqual(self.tool(cluster, "start", "s1r0"), "started s1r0\n")
            cluster.wait_until_caught_up("s1")
            transferred = self.tool(cluster, "transfer", "s2", "s2r1")
            self.assertEqual(transferred, "transferred s2 to s2r1\n")
            self.assertEqual(self.tool(cluster, "stock", "A", "55"), "A  55\n")
            as_json = self.tool(cluster, "json", "stock", "A")
            self.assertEqual(json.loads(as_json), {"ok": {"A": 55}})

            (cluster.folder / "more.csv").write_text(CATALOGUE)
            imported = self.run_tool(cluster, "import-catalog", "more.csv")
            self.assertRegex(imported.stdout, r"\Aimported 2 items from more.csv;")
            self.assertEqual(self.tool(cluster, "stock", "mug"), "mug  7\n")
            reset = self.tool(cluster, "reset-inventory")
            self.assertEqual(reset, "A  100\nB  100\nC  100\n")

            for words, said in (
                (("kill", "s9r9"), "error: no replica is called s9r9\n"),
                (("start", "s1r0"), "error: s1r0 is alive\n"),
                (("exit",), "error: exit is for the admin port alone\n"),
            ):
                run = self.run_tool(cluster, "ctl", *words)
                self.assertEqual(
                    (run.stdout, run.stderr, run.returncode), ("", said, 1)
                )
            (cluster.folder / "wrong").write_text("not the password")
            wrong = self.run_tool(
                cluster, "ctl", "--password-file", "wrong", "list", status=1
            )
            self.assertRegex(wrong.stderr, r"\Acartnet: http://\S+: .*password.*\n\Z")
            cluster.stop()
            nobody = self.run_tool(cluster, "ctl", "list", status=1)
            self.assertRegex(
                nobody.stderr,
                r"\Acartnet: no answer from the console at http://\S+: .*refused.*;"
                r" is it running\?\n\Z",
            )

    def test_foreign_data(self) -> None:
        """A console needs nothing of the data folder: it starts where it may not even
        look into it."""
        with running(Path(self.mktemp()), console=True) as cluster:
            cluster.start("cluster", "--role", "all", "--console", "none")
            cluster.start("console", "--role", "console", "--data", "x" * 300)
            cluster.wait_until_says("console", "serving after")
            cluster.stop()

    def test_outlives_the_cluster(self) -> None:
        """A console goes on while no group answers: it says that it is not ready, and
        serves again once they do."""
        with running(Path(self.mktemp()), console=True) as cluster:
            cluster.start("console", "--role", "console")
            cluster.start("cluster", "--role", "all", "--console", "none")
            eventually(lambda: self.ready(cluster), "the console is ready")
            cluster.kill("cluster")
            eventually(lambda: not self.ready(cluster), "the console is not ready")
            cluster.start("cluster", "--role", "all", "--console", "none")
            eventually(lambda: self.ready(cluster), "the console is ready again")
            cluster.stop()

    def ready(self, cluster: Cluster) -> bool:
        url = f"http://127.0.0.1:{cluster.console_port}/readyz"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return bool(json.load(answer) == {"status": "ready"})
        except OSError:
            return False

    def tool(self, cluster: Cluster, *words: str) -> str:
        run = self.run_tool(cluster, "ctl", *words, status=0)
        self.assertEqual(run.stderr, "")
        return str(run.stdout)

    def run_tool(
        self, cluster: Cluster, tool: str, *words: str, status: int | None = None
    ) -> Any:
        url = f"http://127.0.0.1:{cluster.console_port}"
        run = cluster.tool(tool, "--url", url, *words)
        if status is not None:
            self.assertEqual(run.returncode, status, run.stderr)
        return run
