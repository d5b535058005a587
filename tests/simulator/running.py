"""Whole runs of the simulator, as tests want them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from cartnet.simulator.options import draw
from cartnet.simulator.run import Outcome, Run

MINUTES = 0.2


def assert_clean(seed: int, minutes: float = MINUTES, **options: Any) -> Outcome:
    """Run a seed, with some of its options as given; nothing may be found."""
    outcome = Run(seed, replace(draw(seed), **options)).run(minutes)
    assert outcome.status == 0, f"seed {seed} with {options}: {outcome.told}"
    return outcome
