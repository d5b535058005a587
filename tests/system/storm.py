"""A storm: clients shop while replicas are killed, hung, cut off, wiped and moved.

Run it for as long as you like, with everything in one process or a process a replica::

    python -m tests.system.storm --seconds 600
    python -m tests.system.storm --seconds 600 --each --seed 7

In each group one replica at a time is in trouble, so that a majority always lives.
Afterwards all that was acknowledged is there once, no order is pending, and ``cartnet
check`` finds nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

from tests.system.clusters import Cluster, running
from tests.system.shoppers import Crowd

EXTRA = "chaos = yes\n[timing]\nlog_kept = 300\n"
"""A short log, so that snapshots are needed."""

TROUBLE_SECONDS_MAX = 3.0
BETWEEN_SECONDS_MAX = 1.0


class Storm:
    """One run's troubles, drawn from its seed."""

    def __init__(self, cluster: Cluster, random: Random, *, each: bool) -> None:
        self._cluster = cluster
        self._random = random
        self._each = each
        self.counts: Counter[str] = Counter()

    def blow(self, seconds: float) -> None:
        """Make trouble, one replica after the other."""
        troubles = ["kill", "kill", "wipe", "pause"]
        if not self._each:
            troubles += ["isolate", "transfer"]
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            group = self._random.choice(sorted(self._cluster.groups))
            trouble = self._random.choice(troubles)
            self.counts[trouble] += 1
            self._trouble(trouble, group)
            time.sleep(self._random.uniform(0, BETWEEN_SECONDS_MAX))
            self._cluster.wait_until_caught_up(group)

    def _trouble(self, trouble: str, group: str) -> None:
        name = self._random.choice(self._cluster.members(group))
        if self._random.random() < 0.5:
            name = self._cluster.wait_for_leader(group)
        if trouble == "transfer":
            self._cluster.do(f"transfer {group} {name}")
            return
        begin, end = {
            "kill": (self._kill, self._start),
            "wipe": (self._wipe, self._start),
            "pause": (self._pause, self._resume),
            "isolate": (self._isolate, self._heal),
        }[trouble]
        begin(name)
        time.sleep(self._random.uniform(0, TROUBLE_SECONDS_MAX))
        end(name)

    def _kill(self, name: str) -> None:
        if self._each:
            self._cluster.kill(name)
        else:
            self._cluster.do(f"kill {name}")

    def _wipe(self, name: str) -> None:
        self._kill(name)
        for path in (self._cluster.folder / "db").glob(f"{name}.db*"):
            if path.suffix != ".lock":
                path.unlink()

    def _start(self, name: str) -> None:
        if self._each:
            self._cluster.start_replica(name)
        else:
            self._cluster.do(f"start {name}")

    def _pause(self, name: str) -> None:
        if self._each:
            self._cluster.processes[name].send_signal(signal.SIGSTOP)
        else:
            self._cluster.do(f"pause {name}")

    def _resume(self, name: str) -> None:
        if self._each:
            self._cluster.processes[name].send_signal(signal.SIGCONT)
        else:
            self._cluster.do(f"resume {name}")

    def _isolate(self, name: str) -> None:
        self._cluster.do(f"isolate {name}")

    def _heal(self, name: str) -> None:
        self._cluster.do(f"heal {name}")


def run(folder: Path, seconds: float, seed: int, shoppers: int, *, each: bool) -> str:
    """Blow a storm; return what there was. Raises AssertionError for what was lost."""
    with running(folder, extra=EXTRA) as cluster:
        if each:
            cluster.start_each()
        else:
            cluster.start_all()
        storm = Storm(cluster, Random(seed), each=each)
        with cluster.crowd(shoppers) as crowd:
            storm.blow(seconds)
            for group in cluster.groups:
                cluster.wait_for_leader(group)
            crowd.shop_on()
            crowd.verify()
            said = _summary(storm, crowd)
        for group in cluster.groups:
            cluster.wait_until_caught_up(group)
        cluster.stop()
        checked = cluster.tool("check")
        assert checked.returncode == 0, checked.stdout + checked.stderr
    return said


def _summary(storm: Storm, crowd: Crowd) -> str:
    troubles = ", ".join(f"{n} {what}" for what, n in sorted(storm.counts.items()))
    units = sum(shopper.units for shopper in crowd.shoppers)
    longest = max(shopper.longest_wait for shopper in crowd.shoppers)
    return f"{troubles}; {units} units acknowledged, longest wait {longest:.1f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--shoppers", type=int, default=6)
    parser.add_argument("--each", action="store_true", help="a process a replica")
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "storm"
        print(
            run(
                folder,
                options.seconds,
                options.seed,
                options.shoppers,
                each=options.each,
            )
        )


if __name__ == "__main__":
    main()
