"""Customers whose histories are judged: ``cartnet check --live`` beside the storm."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Final

CALM_SECONDS: Final = 5.0
"""So long after the storm its customers go on, so that they see the healed shop."""

VERDICT_SECONDS_MAX: Final = 240.0
"""So long after all was healed it has its answers, and has thought about them."""


class Judge:
    """Shops while it is entered, and says afterwards whether what it was told can be.

    :param folder: the cluster's; ``history.jsonl`` and ``report.html`` are put there.
    :param way: a command that becomes the command behind it.
    """

    def __init__(
        self, folder: Path, way: Sequence[str], seconds: float, seed: int
    ) -> None:
        self._folder = folder
        script = Path(sysconfig.get_path("scripts")) / "cartnet"
        self._command = [
            *(*way, sys.executable, str(script), "check", "--live"),
            *("--seconds", f"{seconds + CALM_SECONDS:g}", "--seed", str(seed)),
            *("--history", "history.jsonl", "--report", "report.html"),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Judge:
        with (self._folder / "verdict.txt").open("wb") as out:
            self._process = subprocess.Popen(
                self._command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def check(self) -> None:
        """Hear the verdict.

        :raises AssertionError: it found something, or came to no end.
        """
        assert self._process is not None
        try:
            status: int | None = self._process.wait(VERDICT_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            status = None
        assert status == 0, (status, self.verdict())

    def verdict(self) -> str:
        return (self._folder / "verdict.txt").read_text(errors="replace")
