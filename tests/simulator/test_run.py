"""Runs of ``cartnet simulate``: swarms of options, one history a seed.

``CARTNET_SIMULATE=A..B`` runs those of one virtual minute instead.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

import cartnet
from cartnet.simulator.options import FAULTS, draw
from cartnet.simulator.run import RARE, Run
from cartnet.workload.findings import Incorrect, Stuck
from tests.simulator.processes import said
from tests.simulator.running import assert_clean

ISOLATING = 85
"""A seed that heals a balancer which has lost lines of several connections: they were
once cut in the order of a set."""


def seeds() -> list[tuple[int, float]]:
    asked = os.environ.get("CARTNET_SIMULATE")
    if asked is None:
        return [(seed, 0.2) for seed in range(1, 6)]
    first, _, last = asked.partition("..")
    return [(seed, 1.0) for seed in range(int(first), int(last or first) + 1)]


class Failing(Run):
    """A run that ends at once."""

    def __init__(self, error: Exception) -> None:
        super().__init__(1, draw(1))
        self.error = error

    @override
    def safety(self, seconds: float) -> None:
        raise self.error


class Sticking(Run):
    """A run that goes on for a moment, then sticks, with a write that is gone."""

    @override
    def safety(self, seconds: float) -> None:
        super().safety(1.0)
        history = self.crowd.history
        args = {"item": "A", "quantity": 1}
        lost = history.begin("user0", "add_to_cart", args, "a key")
        lost.answer = {"version": 1, "items": [args]}
        history.end(lost, "ok")
        raise Stuck("no leader")


class RunTests(SynchronousTestCase):
    """Faults, then peace, then a verdict."""

    def test_seeds(self) -> None:
        """Every guarantee is kept, whatever the seed draws."""
        for seed, minutes in seeds():
            assert_clean(seed, minutes)

    def test_rare_paths(self) -> None:
        """What tells that a rare path was taken is what the product says there."""
        package = Path(cartnet.__file__).parent
        modules = [p for p in package.rglob("*.py") if "simulator" not in p.parts]
        code = "".join(path.read_text("utf-8") for path in modules)

        self.assertEqual([mark for mark in RARE if mark not in code], [])

    def test_one_seed_is_one_history(self) -> None:
        """In any process, whatever the hash seed is."""
        for seed in (3, ISOLATING):
            arguments = ("simulate", "--seed", seed, "--minutes", 0.2)
            one, other = (
                said("cartnet", *arguments, hash_seed=hash_seed) for hash_seed in (1, 2)
            )

            self.assertEqual(one, other)
            self.assertRegex(one.splitlines()[-1], "^digest [0-9a-f]{64}$")
            self.assertEqual(one.splitlines()[0], f"seed {seed}")

    def test_statuses(self) -> None:
        """Crashes, what never comes, and broken guarantees are told apart."""
        for error, status in (
            (ZeroDivisionError("by us"), 127),
            (Stuck("no leader"), 128),
            (Incorrect("S1 durable", "it is gone"), 129),
        ):
            outcome = Failing(error).run(1.0)
            self.assertEqual(outcome.status, status)
            self.assertIn(str(error), outcome.told)

    def test_stuck_and_broken(self) -> None:
        """A run that sticks is told for what its logs show to be broken, if anything
        is."""
        outcome = Sticking(1, draw(1)).run(1.0)

        self.assertEqual(outcome.status, 129)
        self.assertIn("what was acknowledged is in the log", outcome.told)

    def test_options(self) -> None:
        """Seeds differ in what they do, and together do everything."""
        drawn = [draw(seed) for seed in range(200)]

        self.assertEqual({kind for each in drawn for kind in each.faults}, {*FAULTS})
        sizes = {size for each in drawn for size in each.sizes.values()}
        self.assertEqual(sizes, {1, 2, 3, 4, 5})
        self.assertTrue(any(each.target for each in drawn))
        self.assertTrue(any(each.target is None for each in drawn))
