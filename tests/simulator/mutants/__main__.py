"""``python -m tests.simulator.mutants``: how many seeds it takes to catch each."""

from __future__ import annotations

import argparse
import sys
from statistics import median

from tests.simulator.mutants.search import MUTANTS, Found, check_of, search_all

CHECK_CHARACTERS_MAX = 70


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.simulator.mutants",
        description="Break the product, one thing at a time, and see how many seeds"
        " the simulator needs to notice. Exit status 1 if a mutant is not caught.",
    )
    parser.add_argument("--mutant", nargs="+", choices=sorted(MUTANTS, key=number))
    parser.add_argument("--seeds", default="1..500", help="the most to try: 1..500")
    parser.add_argument("--minutes", type=float, default=0.25, help="of each seed")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--markdown", action="store_true", help="print it for docs")
    parsed = parser.parse_args()
    first, _, last = parsed.seeds.partition("..")
    seeds = range(int(first), int(last or first) + 1)
    names = parsed.mutant or list(MUTANTS)
    found = {}
    for each in search_all(names, seeds, parsed.minutes, parsed.jobs):
        found[each.name] = each
        if not parsed.markdown:
            print(*cells(each), sep="  ", flush=True)
    if parsed.markdown:
        print("| Mutant | What is broken | Seeds to catch | Caught by |")
        print("|---|---|--:|---|")
        for name in sorted(found, key=number):
            print("|", " | ".join(cells(found[name])), "|")
    caught = [each.seeds for each in found.values() if each.outcome is not None]
    print(
        f"\n{len(caught)} of {len(found)} mutants caught;"
        f" median seeds to catch: {median(caught) if caught else '-'}"
    )
    return 0 if len(caught) == len(found) else 1


def number(name: str) -> int:
    return int(name.removeprefix("M"))


def cells(found: Found) -> tuple[str, str, str, str]:
    broken = MUTANTS[found.name].broken
    if found.outcome is None:
        return found.name, broken, f"not in {found.seeds}", "-"
    check = check_of(found.outcome)
    return found.name, broken, str(found.seeds), check[:CHECK_CHARACTERS_MAX]


if __name__ == "__main__":
    sys.exit(main())
