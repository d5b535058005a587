"""What can be asked of the simulator; apart, since that loads slowly."""

from __future__ import annotations

import argparse
from typing import Final

from cartnet.tools.option_types import whole

DESCRIPTION: Final = """\
Run a cluster's replicas, production code all of it, on simulated time, network and
disks, while customers shop and faults of every kind strike; then heal all, and hold
what is there, and what customers were told, against the guarantees. The seed draws the
cluster, its customers and its faults: one seed is one history, on any machine, and its
digest is the last line.
"""
EPILOG: Final = """\
exit status: 0 all is well, 127 the product crashed, 128 something that must come to
pass did not, 129 a guarantee was broken
"""

SEED_MAX: Final = 1_000_000
MINUTES_MAX: Final = 1440
"""A day."""

JOBS_MAX: Final = 256


def add_options(tool: argparse.ArgumentParser) -> None:
    """Add which seeds are to be run, for how long, and how."""
    which = tool.add_mutually_exclusive_group()
    which.add_argument(
        "--seed",
        type=whole(0, SEED_MAX),
        default=1,
        metavar="N",
        help="which history [default: 1]",
    )
    which.add_argument("--seeds", metavar="A..B", help="all of these, one by one")
    tool.add_argument(
        "--minutes",
        type=_minutes,
        default=1.0,
        metavar="M",
        help="virtual minutes of faults, before peace [default: 1]",
    )
    tool.add_argument(
        "--jobs",
        type=whole(1, JOBS_MAX),
        default=1,
        metavar="J",
        help="processes at work on --seeds [default: 1]",
    )
    tool.add_argument(
        "--trace", action="store_true", help="a line for each event, as it happens"
    )


def _minutes(text: str) -> float:
    try:
        minutes = float(text)
    except ValueError:
        minutes = 0.0
    if not 0 < minutes <= MINUTES_MAX:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number above 0 and up to {MINUTES_MAX} (a day)"
        )
    return minutes
