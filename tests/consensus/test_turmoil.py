"""Random faults: safety at every step, and recovery after the last.

``CARTNET_SEED=N`` repeats one run, ``CARTNET_SEEDS=N`` makes that many.
"""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus import leader, progress
from tests.consensus.turmoil import Turmoil

SEEDS = int(os.environ.get("CARTNET_SEEDS", "60"))
TICKS = 600


def seeds() -> range:
    one = os.environ.get("CARTNET_SEED")
    return range(SEEDS) if one is None else range(int(one), int(one) + 1)


class TurmoilTests(SynchronousTestCase):
    """What loss, delay, repetition, crashes and power cuts can do to a group."""

    def test_safe_and_lively(self) -> None:
        """No fault breaks safety, and after the last the group recovers.

        Rare events must have happened, else the faults were too tame.
        """
        elections = reads = committed = 0
        for seed in seeds():
            turmoil = Turmoil(seed)
            faults = turmoil.faults
            self.patch(leader, "APPEND_ENTRIES_MAX", faults.append_entries_max)
            self.patch(progress, "WINDOW_MESSAGES_MAX", faults.window_messages_max)
            try:
                turmoil.rage(TICKS)
                turmoil.calm()
            except Exception as error:
                error.add_note(
                    f"at tick {turmoil.now:.3f} of the run that CARTNET_SEED={seed}"
                    " repeats"
                )
                raise
            elections += turmoil.checker.elections
            reads += turmoil.checker.reads
            committed += turmoil.checker.last_committed

        if len(seeds()) == SEEDS:
            self.assertGreater(elections, 2 * SEEDS)
            self.assertGreater(reads, 20 * SEEDS)
            self.assertGreater(committed, 100 * SEEDS)
