"""Seeds, one after the other, until a mutant is caught."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from cartnet.simulator.options import draw
from cartnet.simulator.run import Outcome, Run
from cartnet.tools.simulate import in_processes
from tests.simulator.mutants import consensus, service, shop, storage
from tests.simulator.mutants.mutant import MUTANTS, Mutant

__all__ = ["MUTANTS", "Found", "Mutant", "check_of", "run", "search", "search_all"]

DEFINED_IN = (consensus, storage, shop, service)


@dataclass(frozen=True)
class Found:
    """What a search has come to.

    :ivar seeds: how many were run.
    :ivar outcome: of the last one; None where every seed passed.
    """

    name: str
    seeds: int
    outcome: Outcome | None


def run(mutant: Mutant | None, seed: int, minutes: float) -> Outcome:
    """Run a seed, of the product as it is or with a mutant alive."""
    if mutant is None:
        return Run(seed, draw(seed)).run(minutes)
    with mutant.alive():
        return Run(seed, draw(seed)).run(minutes)


def search(name: str, seeds: Iterable[int], minutes: float) -> Found:
    """Run seeds until the mutant is caught."""
    count = 0
    for seed in seeds:
        count += 1
        outcome = run(MUTANTS[name], seed, minutes)
        if outcome.status:
            return Found(name, count, outcome)
    return Found(name, count, None)


def search_all(
    names: Sequence[str], seeds: range, minutes: float, jobs: int
) -> Iterator[Found]:
    """Search for each mutant; yield what was found as it comes."""
    return in_processes(partial(search, seeds=seeds, minutes=minutes), names, jobs)


def check_of(outcome: Outcome) -> str:
    """Which check has caught it: its name, or the last line of a crash."""
    if outcome.status == 127:
        return f"crash: {outcome.told.splitlines()[-1]}"
    return outcome.told.partition(": ")[0]
