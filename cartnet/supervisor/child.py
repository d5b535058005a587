"""A child of ``twistd cartnet --processes``: twistd with one replica, on a lifeline."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from cartnet.supervisor import lifeline


def command(name: str, options: Sequence[str]) -> list[str]:
    """Give the command line of a child that runs the replica ``name``.

    :param options: what it is to be started with besides, as this process was.
    """
    twistd = [sys.executable, "-P", "-m", __name__, "-n", "--pidfile=", "cartnet"]
    return [*twistd, "--replica", name, "--admin", "none", *options]


def main() -> None:
    """Run twistd with this process's arguments."""
    # A terminal's Ctrl-C is for the supervisor, which then stops its children.
    os.setpgid(0, 0)
    lifeline.hold()

    from twisted.scripts.twistd import run

    run()


if __name__ == "__main__":
    main()
