"""When the machine itself had no time: a process that does a little work at intervals.

Run as a script it does that work, and prints when each piece began and ended.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

WORK_SECONDS: Final = 0.02
"""Of a core's time."""

PAUSE_SECONDS: Final = 0.25

SLOWNESS_MAX: Final = 15.0
"""Work that takes so many times as long shares its core with as many others. A login's
and a checkout's, tens of milliseconds one after the other, then take a second, and
leaders miss heartbeats."""


class Yardstick:
    """Measures while it is entered.

    :param path: a file for what is measured.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Yardstick:
        with self._path.open("wb") as out:
            self._process = subprocess.Popen([sys.executable, __file__], stdout=out)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def starved(self) -> Iterator[tuple[float, float]]:
        """When there was too little time, from and to, in seconds of the clock that
        all processes of a machine share; pieces may overlap."""
        lines = self._path.read_text().splitlines(keepends=True)
        for line in lines:
            if line.endswith("\n"):
                began, ended = map(float, line.split())
                if ended - began > SLOWNESS_MAX * WORK_SECONDS:
                    yield began - PAUSE_SECONDS, ended + PAUSE_SECONDS


def measure() -> None:
    """Work, say how long it took, pause, until killed."""
    while True:
        began = time.monotonic()
        done = time.thread_time() + WORK_SECONDS
        while time.thread_time() < done:
            pass
        print(began, time.monotonic(), flush=True)
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    measure()
