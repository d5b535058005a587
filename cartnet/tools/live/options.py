"""What can be asked of a live check; apart, since the check itself loads slowly."""

from __future__ import annotations

import argparse
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cartnet.limits import LIVE_SECONDS_MAX, LIVE_USERS_MAX
from cartnet.tools.option_types import whole

DESCRIPTION: Final = """\

--live holds a running cluster against them instead: customers shop through its
balancers for some seconds, in a corner of their own (accounts and items whose names
begin with check-; in the end the items are removed, the carts emptied and the
accounts logged out, and what stays are the accounts with their orders), and what
they were told must be what some order of their operations explains. It needs the
operator's password, and disturbs nobody; with --chaos it also kills, pauses, isolates
and deposes replicas, one at a time, and brings each of them back. An outage is no
violation, but all must have their answers within a minute of the end.

  cartnet check --live
  cartnet check --live --seconds 60 --chaos --report report.html
"""

SEED_MAX: Final = 9_999_999_999
"""The time in seconds is a seed, too."""


@dataclass(frozen=True)
class Options:
    """What was asked for.

    :ivar seconds: how long customers shop.
    :ivar seed: draws what they wish for.
    :ivar chaos: whether faults are injected.
    """

    seconds: float = 30.0
    users: int = 3
    seed: int = 1
    chaos: bool = False


def add_options(tool: argparse.ArgumentParser) -> None:
    """Add ``--live``, and what means nothing without it."""
    tool.add_argument(
        "--live", action="store_true", help="check the running cluster, with customers"
    )
    live = tool.add_argument_group("with --live")
    for name, kind, metavar, what in (
        (
            "--seconds",
            _seconds,
            "S",
            f"how long they shop, 1 to {LIVE_SECONDS_MAX} [default: 30]",
        ),
        (
            "--users",
            whole(1, LIVE_USERS_MAX),
            "N",
            f"how many accounts, 1 to {LIVE_USERS_MAX} [default: 3]",
        ),
        ("--seed", whole(0, SEED_MAX), "N", "draws what they do [default: 1]"),
        ("--report", Path, "FILE.html", "the verdict with a timeline"),
        ("--history", Path, "FILE.jsonl", "every operation, one a line"),
        (
            "--password-file",
            Path,
            "FILE",
            "the operator's password [default: as configured, or as in DIR]",
        ),
    ):
        live.add_argument(name, type=kind, metavar=metavar, help=what)
    live.add_argument(
        "--chaos",
        action="store_true",
        help="inject faults as well; needs [admin] chaos = yes",
    )


def options(parsed: argparse.Namespace) -> Options:
    default = Options()
    return Options(
        default.seconds if parsed.seconds is None else parsed.seconds,
        default.users if parsed.users is None else parsed.users,
        default.seed if parsed.seed is None else parsed.seed,
        parsed.chaos,
    )


def misuse(parsed: argparse.Namespace) -> str | None:
    """What is wrong with the options together, or None."""
    if not parsed.live:
        for name in (
            "seconds",
            "users",
            "seed",
            "report",
            "history",
            "password_file",
            "chaos",
        ):
            if getattr(parsed, name) not in (None, False):
                return f"--{name.replace('_', '-')} is for check --live"
    files = [each.resolve() for each in (parsed.report, parsed.history) if each]
    if len(set(files)) < len(files):
        return f"--report and --history are to be two files, not {parsed.report}"
    return None


def _seconds(text: str) -> float:
    seconds = float(text) if re.fullmatch(r"[0-9]{1,4}(\.[0-9]+)?", text) else 0.0
    if not 1 <= seconds <= LIVE_SECONDS_MAX:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number from 1 to {LIVE_SECONDS_MAX}"
        )
    return seconds
