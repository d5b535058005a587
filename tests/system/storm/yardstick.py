"""How much time the machine gave: a process that does a little work at intervals.

Run as a script it does that work, and prints when each piece was due, when it was done,
and how long a file took after it to be on the disk.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Final, NamedTuple

WORK_SECONDS: Final = 0.02
"""Of a core's time."""

PAUSE_SECONDS: Final = 0.25

SLOWNESS_USUAL: Final = 2.0
"""Work takes so many times as long where the storm has the machine for itself."""

SMOOTHED: Final = 5
"""So many pieces together say how slow the machine was: one alone may be lucky."""

ENOUGH_SHARE: Final = 0.8
"""A machine that gave at least so much of a storm's time has shown what the cluster
does: where it gave less, pauses of seconds lie between what is measured."""

ENOUGH_SYNC_SECONDS: Final = 1.0
"""And its disk never took longer for a file: half of what a call may take, and of what
a leader may wait for its disk."""


class Machine(NamedTuple):
    """What a storm had of its machine.

    :ivar given: seconds, as the machine gave them.
    :ivar passed: seconds by the clock.
    :ivar sync_seconds: the longest that its disk took.
    """

    given: float
    passed: float
    sync_seconds: float

    @property
    def gave_enough(self) -> bool:
        """Whether calls that were late must have another cause."""
        share = self.given / self.passed
        return share >= ENOUGH_SHARE and self.sync_seconds <= ENOUGH_SYNC_SECONDS

    def __str__(self) -> str:
        return (
            f"the machine gave {self.given:.0f} s of {self.passed:.0f},"
            f" its disk took {self.sync_seconds:.2f} s at most"
        )


class Yardstick:
    """Measures while it is entered.

    :param path: a file for what is measured, on the disk that is.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Yardstick:
        with self._path.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, __file__, f"{self._path}.synced"], stdout=out
            )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def given(self) -> GivenTime:
        """The clock that all processes share, as the machine slowed it down."""
        return GivenTime([(due, done) for due, done, _ in self._pieces()])

    def machine(self, begin: float, end: float) -> Machine:
        """What there was of the machine between two instants."""
        given = self.given()
        synced = [took for due, _, took in self._pieces() if begin <= due < end]
        longest = max(synced, default=0.0)
        return Machine(given(end) - given(begin), end - begin, longest)

    def _pieces(self) -> list[tuple[float, float, float]]:
        lines = self._path.read_text().splitlines(keepends=True)
        whole = [map(float, line.split()) for line in lines if line.endswith("\n")]
        return [(due, done, took) for due, done, took in whole]


class GivenTime:
    """A clock that goes slower while the machine has many others to serve.

    A second in which work takes six times as long, instead of twice, counts for a
    third: elections, and calls, take so much longer then, and nobody is to blame.

    :param pieces: when each piece of work was due, and done; without any it is the
        clock as it is.
    """

    def __init__(self, pieces: Sequence[tuple[float, float]] = ()) -> None:
        slowness = [(done - due) / WORK_SECONDS for due, done in pieces]
        self._begins = [due for due, _ in pieces]
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


def measure(path: str) -> None:
    """Work, say how long it took, pause, until killed.

    Work is due when the pause is over: who gets the machine late has waited for it.
    """
    due = time.monotonic()
    with open(path, "wb", buffering=0) as file:
        while True:
            enough = time.thread_time() + WORK_SECONDS
            while time.thread_time() < enough:
                pass
            done = time.monotonic()
            file.write(b".")
            os.fsync(file.fileno())
            synced = time.monotonic()
            print(due, done, synced - done, flush=True)
            due = synced + PAUSE_SECONDS
            time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    measure(sys.argv[1])
