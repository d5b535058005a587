"""How much time the machine gave: a process that does a little work at intervals.

Run as a script it does that work, and prints when each piece began and ended.
"""

from __future__ import annotations

import subprocess
import sys
import time
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Final

WORK_SECONDS: Final = 0.02
"""Of a core's time."""

PAUSE_SECONDS: Final = 0.25

SLOWNESS_USUAL: Final = 2.0
"""Work takes so many times as long where the storm has the machine for itself."""

SMOOTHED: Final = 5
"""So many pieces together say how slow the machine was: one alone may be lucky."""


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

    def given(self) -> GivenTime:
        """The clock that all processes share, as the machine slowed it down."""
        lines = self._path.read_text().splitlines(keepends=True)
        whole = [line.split() for line in lines if line.endswith("\n")]
        return GivenTime([(float(began), float(ended)) for began, ended in whole])


class GivenTime:
    """A clock that goes slower while the machine has many others to serve.

    A second in which work takes six times as long, instead of twice, counts for a
    third: elections, and calls, take so much longer then, and nobody is to blame.

    :param pieces: when each piece of work began and ended; without any it is the
        clock as it is.
    """

    def __init__(self, pieces: Sequence[tuple[float, float]] = ()) -> None:
        slowness = [(ended - began) / WORK_SECONDS for began, ended in pieces]
        self._begins = [began for began, _ in pieces]
        self._speeds = [
            min(
                1.0,
                SLOWNESS_USUAL / fmean(slowness[max(0, at - SMOOTHED + 1) : at + 1]),
            )
            for at in range(len(pieces))
        ]
        self._given = self._begins[:1]
        for (begin, end), speed in zip(
            pairwise(self._begins), self._speeds, strict=False
        ):
            self._given.append(self._given[-1] + (end - begin) * speed)

    def __call__(self, at: float) -> float:
        """What such a clock shows at an instant of the one that all share."""
        piece = bisect_right(self._begins, at) - 1
        if piece < 0:
            return at
        return self._given[piece] + (at - self._begins[piece]) * self._speeds[piece]


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
