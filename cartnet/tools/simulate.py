"""``cartnet simulate``: whole clusters in simulated worlds, one history a seed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from hashlib import sha256
from multiprocessing import get_context, parent_process
from signal import SIG_IGN, SIGINT, signal
from threading import Thread
from typing import TYPE_CHECKING, Final, TextIO, TypeVar

from cartnet.simulator.options import draw
from cartnet.simulator.run import Outcome, Run
from cartnet.tools.failure import INTERRUPTED, ToolError
from cartnet.workload.findings import Tally

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


T = TypeVar("T")
U = TypeVar("U")


class Misuse(ToolError):
    """Options that make no sense together."""

    status = 2


HEADINGS: Final = {
    "faults": "faults, as often as they were begun",
    "operations": "operations",
    "checks": "checks",
    "reached": "rare moments, by what replicas log of them",
}
"""What a :class:`Tally` has, and what people are told that it is."""


def run(parsed: argparse.Namespace) -> int:
    """Run the seeds that were asked for; give the command's exit status."""
    seeds = _seeds(parsed)
    if parsed.trace and len(seeds) > 1:
        raise Misuse("--trace is for one seed: --seed N --trace")
    if len(seeds) == 1:
        return _one(seeds[0], parsed.minutes, trace=parsed.trace)
    return _many(seeds, parsed.minutes, parsed.jobs)


def _seeds(parsed: argparse.Namespace) -> Sequence[int]:
    if parsed.seeds is None:
        return [parsed.seed]
    first, _, last = parsed.seeds.partition("..")
    if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
        raise Misuse(
            f"--seeds {parsed.seeds}: expected two numbers, the lower one first,"
            " such as 1..100"
        )
    return range(int(first), int(last) + 1)


def simulate(seed: int, minutes: float) -> Outcome:
    """Run one seed."""
    return Run(seed, draw(seed)).run(minutes)


def _one(seed: int, minutes: float, *, trace: bool) -> int:
    write = sys.stdout.write
    write(f"seed {seed}\n")
    options = draw(seed)
    write("".join(f"  {line}\n" for line in options.lines()))
    sys.stdout.flush()
    outcome = Run(seed, options, _print if trace else None).run(minutes)
    summarize([outcome], minutes)
    write(f"digest {outcome.digest}\n")
    return outcome.status


def _print(line: str) -> None:
    try:
        sys.stdout.write(f"{line}\n")
    except BrokenPipeError:
        # Whoever read has seen enough, and the product must not hear of it.
        os._exit(1)


def _many(seeds: Sequence[int], minutes: float, jobs: int) -> int:
    sys.stdout.write(f"seeds {seeds[0]}..{seeds[-1]}\n")
    sys.stdout.flush()
    terminal = sys.stderr if sys.stderr.isatty() else None
    outcomes: list[Outcome] = []
    interrupted = False
    try:
        for outcome in in_processes(partial(simulate, minutes=minutes), seeds, jobs):
            outcomes.append(outcome)
            if terminal is not None:
                _progress(terminal, outcomes, len(seeds))
            if outcome.status:
                _tell_failure(outcome, minutes)
    except KeyboardInterrupt:
        # A long search is worth something wherever it ends.
        interrupted = True
    if terminal is not None:
        terminal.write("\r\x1b[K")
    if not outcomes:
        sys.stdout.write("interrupted before the first seed was through\n")
        return INTERRUPTED
    outcomes.sort(key=lambda outcome: outcome.seed)
    summarize(outcomes, minutes, told=True, interrupted=interrupted)
    sys.stdout.write(f"digest {_digest_of_all(outcomes)}\n")
    status = max((outcome.status for outcome in outcomes), default=0)
    return INTERRUPTED if interrupted and not status else status


def in_processes(work: Callable[[T], U], tasks: Iterable[T], jobs: int) -> Iterator[U]:
    """The results as they come; whoever stops listening ends the processes."""
    with get_context("spawn").Pool(jobs, _begin_process) as pool:
        yield from pool.imap_unordered(work, tasks)


def _begin_process() -> None:
    """Have a process end when the search does, however that is ended."""

    def wait() -> None:
        parent = parent_process()
        assert parent is not None
        parent.join()
        os._exit(1)

    # A terminal's Ctrl-C is for the search, which ends its processes.
    signal(SIGINT, SIG_IGN)
    Thread(target=wait, daemon=True).start()


def _digest_of_all(outcomes: Sequence[Outcome]) -> str:
    return sha256("".join(each.digest for each in outcomes).encode()).hexdigest()


def _progress(terminal: TextIO, outcomes: Sequence[Outcome], total: int) -> None:
    failed = sum(outcome.status != 0 for outcome in outcomes)
    terminal.write(f"\r\x1b[K{len(outcomes)} of {total} seeds, {failed} failed")
    terminal.flush()


def _tell_failure(outcome: Outcome, minutes: float) -> None:
    sys.stdout.write(
        f"seed {outcome.seed} failed ({outcome.status}): {outcome.told}\n"
        f"replay it: cartnet simulate --seed {outcome.seed} --minutes {minutes:g}"
        " --trace\n"
    )
    sys.stdout.flush()


def summarize(
    outcomes: Sequence[Outcome],
    minutes: float,
    *,
    told: bool = False,
    interrupted: bool = False,
) -> None:
    """Print what was found and how much was looked at.

    :param told: failures have been told already.
    :param interrupted: more was asked for.
    """
    tally = Tally()
    for outcome in outcomes:
        tally.add(outcome.tally)
        if outcome.status and not told:
            _tell_failure(outcome, minutes)
    failed = [outcome.seed for outcome in outcomes if outcome.status]
    hours = sum(outcome.virtual_seconds for outcome in outcomes) / 3600
    write = sys.stdout.write
    seeds = "1 seed" if len(outcomes) == 1 else f"{len(outcomes)} seeds"
    write(
        f"{seeds}, {hours:.3f} virtual hours, {tally.checks.total()} checks"
        f"{', interrupted' if interrupted else ''};"
        f" failed: {', '.join(map(str, failed)) or 'none'}\n"
    )
    for what, heading in HEADINGS.items():
        write(f"{heading}\n")
        for name, count in sorted(getattr(tally, what).items()):
            write(f"  {count:10} {name}\n")
