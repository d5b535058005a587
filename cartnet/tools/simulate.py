"""``cartnet simulate``: whole clusters in simulated worlds, one history a seed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from cartnet.simulator.troubled import TroubledCluster

if TYPE_CHECKING:
    import argparse


def run(parsed: argparse.Namespace) -> int:
    """Run one seed; give the command's exit status."""
    write = sys.stdout.write
    write(f"seed {parsed.seed}\n")
    troubled = TroubledCluster(parsed.seed, faulty_seconds=60 * parsed.minutes)
    troubled.run()
    troubled.check()
    write(f"digest {troubled.cluster.world.digest}\n")
    return 0
