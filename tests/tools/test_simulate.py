"""``cartnet simulate``: what it prints, and how it ends."""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from cartnet.simulator.run import Outcome
from cartnet.tools.main import main
from cartnet.tools.simulate import summarize
from cartnet.workload.findings import Tally
from tests.system.waiting import eventually


class SimulateTests(SynchronousTestCase):
    """The command, with runs that are as short as can be."""

    def run_tool(self, *arguments: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(["simulate", *arguments])
        return status, out.getvalue(), err.getvalue()

    def test_one_seed(self) -> None:
        """The seed comes first, then its options, a summary, and the digest last."""
        status, out, err = self.run_tool("--seed", "5", "--minutes", "0.02")

        lines = out.splitlines()
        self.assertEqual((status, err, lines[0]), (0, "", "seed 5"))
        self.assertRegex(lines[1], "^  sizes +lb=")
        self.assertRegex(lines[-1], "^digest [0-9a-f]{64}$")
        self.assertIn("failed: none", out)
        for check in ("R1 ", "S4 ", "S5 ", "S7 "):
            self.assertRegex(out, rf"(?m)^ +[0-9]+ {check}")

    def test_many_seeds(self) -> None:
        """Several seeds are one summary and one digest, whatever the order they end."""
        status, out, _ = self.run_tool("--seeds", "5..6", "--minutes", "0.02")

        self.assertEqual(status, 0)
        self.assertEqual(out.splitlines()[0], "seeds 5..6")
        self.assertIn("2 seeds, ", out)

    def test_trace(self) -> None:
        """A trace is a line for each event, with its time."""
        _, out, _ = self.run_tool("--seed", "5", "--minutes", "0.02", "--trace")

        self.assertRegex(out, r"(?m)^0\.[0-9]{3} it0 term=1 leads$")
        self.assertRegex(out, r"(?m)^[0-9.]+ - all is healed$")

    def test_failure(self) -> None:
        """A seed that failed is named, with what it found and how to see it again."""
        outcomes = [
            Outcome(seed, status, told, "0" * 64, 61.0, Tally())
            for seed, status, told in ((5, 0, ""), (6, 129, "S1 durable: it is gone"))
        ]
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            summarize(outcomes, 1.0)

        self.assertIn("failed: 6\n", out.getvalue())
        self.assertIn("S1 durable: it is gone", out.getvalue())
        self.assertIn("cartnet simulate --seed 6 --minutes 1 --trace", out.getvalue())

    def test_killed(self) -> None:
        """A search that is killed leaves no process behind."""
        seeds = ("--seeds", "1..1000", "--jobs", "2")
        command = [sys.executable, "-m", "cartnet", "simulate", *seeds]
        search = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        self.addCleanup(search.wait)
        self.addCleanup(search.kill)
        eventually(lambda: len(_children(search.pid)) > 2, "it has its processes")
        children = _children(search.pid)

        search.kill()
        search.wait()

        eventually(lambda: not any(map(_runs, children)), "they have ended")

    def test_interrupted(self) -> None:
        """Ctrl-C, which a terminal sends to all processes, ends a search at once, and
        what has been found by then is summed up."""
        seeds = ("--seeds", "1..1000", "--jobs", "2")
        command = [sys.executable, "-m", "cartnet", "simulate", *seeds]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, start_new_session=True
        ) as search:
            eventually(lambda: len(_children(search.pid)) > 2, "it has its processes")
            os.killpg(search.pid, signal.SIGINT)
            out, _ = search.communicate(timeout=30)

        self.assertEqual(search.returncode, 130)
        through = "[0-9]+ seeds?, .*, interrupted; failed: "
        self.assertRegex(out, f"(?m)^({through}|interrupted before the first seed)")

    def test_nobody_reads(self) -> None:
        """A trace whose reader has gone ends without a word of that."""
        arguments = ("--seed", "5", "--minutes", "1", "--trace")
        command = [sys.executable, "-m", "cartnet", "simulate", *arguments]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as traced:
            assert traced.stdout is not None
            assert traced.stderr is not None
            traced.stdout.readline()
            traced.stdout.close()
            said = traced.stderr.read()

        self.assertEqual((traced.returncode, said), (1, ""))

    def test_misuse(self) -> None:
        """Options that make no sense are one line each."""
        status, out, err = self.run_tool("--seeds", "9..2")
        self.assertEqual((status, out), (2, ""))
        self.assertIn("such as 1..100", err)

        status, _, err = self.run_tool("--seeds", "1..2", "--trace")
        self.assertEqual(status, 2)
        self.assertEqual(len(err.splitlines()), 1)


def _children(process: int) -> list[Path]:
    found = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return [Path("/proc") / each for each in found]


def _runs(process: Path) -> bool:
    try:
        state = (process / "stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
