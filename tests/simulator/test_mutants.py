"""The checkers are not blind: every mutant is caught, soon, and again."""

from __future__ import annotations

import gc
from dataclasses import dataclass, field, replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from cartnet.simulator.disk import Speed
from cartnet.simulator.options import draw
from cartnet.simulator.run import Outcome, Run
from tests.simulator.mutants.search import MUTANTS, check_of

MINUTES = 0.1

MORE_SEEDS = 4
"""Histories shift with every change of the product: so many more seeds may be tried."""


@dataclass(frozen=True)
class Pinned:
    """A seed that catches a mutant.

    :ivar checks: the guarantees and invariants that it breaks: one of them is named.
    :ivar options: what is not as the seed draws it.
    """

    seed: int
    checks: str
    options: dict[str, Any] = field(default_factory=dict)

    def run(self, name: str | None, seed: int) -> Outcome:
        drawn = replace(draw(seed), **self.options)
        if name is None:
            return Run(seed, drawn).run(MINUTES)
        with MUTANTS[name].alive():
            return Run(seed, drawn).run(MINUTES)


BUSY = {"think_seconds": 0.05, "pause_seconds": 0.3}
SLOW_DISK = {**BUSY, "disk": Speed(job=0.000_3, sync=0.02)}


def pinned(seed: int, checks: str, *faults: str, **options: Any) -> Pinned:
    """By default one shard of three replicas is troubled, which is cheap."""
    if faults:
        options["faults"] = faults
    small = {"sizes": {"lb": 1, "s1": 3, "it": 1}, "target": "s1"}
    return Pinned(seed, checks, {**small, **options})


LONELY = {
    "sizes": {"lb": 1, "s1": 1, "it": 1},
    "users": 1,
    "roaming": False,
    "following": False,
}
TWO_SHARDS = {"sizes": {"lb": 1, "s1": 1, "s2": 1, "it": 1}, "target": None}
INVENTORY = {"sizes": {"lb": 1, "s1": 1, "it": 3}, "target": "it"}
BALANCERS = {"sizes": {"lb": 3, "s1": 1, "it": 1}, "target": "lb"}

PINNED = {
    "M1": pinned(1, "S1"),
    "M2": pinned(1, "R7"),
    "M3": pinned(2, "R4", "crash leader", **SLOW_DISK),
    "M4": pinned(1, "R3 S1", "replay", **BUSY),
    "M5": pinned(1, "S4", "crash"),
    "M6": pinned(1, "R12", "product pause", **BUSY),
    "M7": pinned(1, "S4", "crash", "wiped disk", log_kept=5),
    "M8": pinned(
        1,
        "S7",
        "crash at checkout",
        **BUSY,
        sizes={"lb": 1, "s1": 3, "it": 3},
        target=None,
    ),
    "M9": pinned(1, "S4"),
    "M10": pinned(6, "S7 F3", **BUSY, stock=20),
    "M11": pinned(1, "R8 S4", "replay", "crash", "isolate", **BUSY, log_kept=5),
    "M12": pinned(1, "S9", **TWO_SHARDS),
    "M13": pinned(1, "S4 R13", "write error", **BUSY),
    "M14": pinned(1, "R7 S1", faults=()),
    "M15": pinned(6, "R4", "crash", **BUSY),
    "M16": pinned(1, "S1 R1", sizes={"lb": 1, "s1": 4, "it": 1}),
    "M17": pinned(1, "R7", "crash leader", "transfer"),
    "M18": pinned(2, "S3 R3", "isolate", **SLOW_DISK, users=8),
    "M19": pinned(2, "R2", "transfer", **SLOW_DISK),
    "M20": pinned(1, "R11", "transfer", "crash leader", lexical=True),
    "M21": pinned(6, "L1", "partition", "isolate", **BUSY),
    "M23": pinned(1, "R9", "wiped disk"),
    "M24": pinned(2, "S4 L1 R11", "old copy"),
    "M25": pinned(1, "R12", "crash leader", "crash", **SLOW_DISK),
    "M26": pinned(2, "R12", "crash leader"),
    "M27": pinned(17, "S3 S4 R3", "flipped byte", pause_seconds=0.3),
    "M28": pinned(4, "S4", "flipped byte", pause_seconds=0.3),
    "M30": pinned(1, "S5 O1 K1 S1"),
    "M31": pinned(1, "S6 O1"),
    "M32": pinned(1, "S7", **BUSY),
    "M33": pinned(1, "S7 F3", **BUSY, users=4),
    "M34": pinned(1, "K1 S1", **BUSY),
    "M35": pinned(1, "K1 S5"),
    "M36": pinned(1, "S10 S6 K1", "slow disk", **LONELY, think_seconds=0.3, stock=5),
    "M37": pinned(1, "S1", users=4),
    "M38": pinned(1, "S6 O1"),
    "M39": pinned(1, "S6", "clock jump", "crash", pause_seconds=0.3),
    "M40": pinned(2, "S10", "isolate", "partition", "product pause", **BUSY),
    "M41": pinned(3, "S8 S6", "crash at checkout", **BUSY, users=4),
    "M42": pinned(2, "S8 S5", "crash at checkout", **BUSY, **INVENTORY),
    "M43": pinned(1, "S8"),
    "M44": pinned(1, "F3", **BUSY),
    "M45": pinned(1, "F1"),
    "M46": pinned(1, "F1"),
    "M47": pinned(1, "F2", "crash", **BALANCERS),
    "M48": pinned(1, "S5 R12"),
    "M50": pinned(2, "R12", "crash leader", "transfer"),
    "M51": pinned(14, "S10", "reset", "late connection", "crash", **BUSY),
    "M52": pinned(1, "S6 S1"),
    "M53": pinned(1, "S5"),
    "M54": pinned(2, "S9 S5 S10", **TWO_SHARDS),
    "M55": pinned(1, "S10 S6", **BUSY, users=4),
    "M56": pinned(4, "R1", "crash leader", sizes={"lb": 1, "s1": 5, "it": 1}),
    "M57": pinned(1, "S1", "sync error", **BUSY),
    "M58": pinned(1, "O2"),
    "M59": pinned(1, "K2", **BUSY),
    "M60": pinned(2, "K4", **BUSY, users=4),
    "M61": pinned(15, "O1", "partition", "one-way cut", **BUSY, **INVENTORY, users=4),
    "M62": pinned(5, "S1"),
    "M63": pinned(1, "S1", faults=()),
    "M64": pinned(1, "R7", "wiped disk", "crash leader", **BUSY),
    "M65": pinned(1, "L1", log_kept=5),
    "M66": pinned(1, "S4", "crash"),
    "M67": pinned(1, "K3", **BUSY, stock=20),
    "M68": pinned(1, "O3", **BUSY, users=4),
    "M69": pinned(1, "L1", think_seconds=3.0, users=1),
    "M70": pinned(1, "W7"),
    "M71": pinned(1, "O5", **BUSY),
    "M72": pinned(1, "S6", **BUSY),
    "M73": pinned(1, "S5", **BUSY),
    "M74": pinned(1, "L1", "wiped disk"),
    "M75": pinned(1, "piles", "pause", "product pause", **BUSY),
    "M76": pinned(
        1, "twisted.internet.defer.CancelledError:", "transfer", "isolate", **BUSY
    ),
    "M77": pinned(1, "I1", **BUSY),
    "M78": pinned(1, "K2", **BUSY),
    "M79": pinned(1, "O2"),
    "M80": pinned(1, "R2", "transfer", **SLOW_DISK),
    "M81": pinned(1, "R8", "transfer"),
    "M82": pinned(1, "R7", "wiped disk", "crash leader", **BUSY),
}
"""Where each is caught."""


class MutantTests(SynchronousTestCase):
    """The product, broken on purpose, under the simulator's eyes."""

    def tearDown(self) -> None:
        # Errors that nobody handles are what some mutants are about.
        gc.collect()
        self.flushLoggedErrors()

    def test_each_is_caught(self) -> None:
        """Every mutant is caught from its pinned seed on, for what it breaks."""
        self.assertEqual(MUTANTS.keys(), PINNED.keys())
        missed = {name: why for name in PINNED if (why := missed_because(name))}

        self.assertEqual(missed, {})

    def test_a_failure_replays(self) -> None:
        """A mutant's failing seed fails again in the same way, to the last byte."""
        pin = PINNED["M9"]
        one, other = (pin.run("M9", pin.seed) for _ in range(2))

        self.assertEqual(one.status, 129)
        self.assertEqual((one.told, one.digest), (other.told, other.digest))

    def test_nothing_stays_broken(self) -> None:
        """After a mutant the product is what it was, and passes the seed."""
        pin = PINNED["M1"]
        pin.run("M1", pin.seed)
        outcome = pin.run(None, pin.seed)

        self.assertEqual(outcome.status, 0, outcome.told)


def missed_because(name: str) -> str | None:
    """Run seeds until a mutant is caught; None where a check that is meant does so."""
    pin = PINNED[name]
    for seed in range(pin.seed, pin.seed + MORE_SEEDS + 1):
        outcome = pin.run(name, seed)
        if outcome.status:
            check = check_of(outcome)
            return None if {*pin.checks.split()} & {*check.split()} else check
    return f"nothing was found in {MORE_SEEDS + 1} seeds"
