"""The command line."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from tests.system.storm.namespaces import command_alone, is_alone
from tests.system.storm.storm import Options, blow


def parser() -> argparse.ArgumentParser:
    """What can be asked of a storm."""
    found = argparse.ArgumentParser(
        prog="python -m tests.system.storm",
        description="Let a storm blow: shoppers, a live check and faults of every"
        " kind, all at once, against a cluster of real processes in a temporary"
        " folder. Exit status 0: all is well; 1: something is wrong, the lines say"
        " what, and the folder is left.",
    )
    for name, kind, default, what in (
        ("--seconds", float, 60, "how long it blows"),
        ("--shoppers", int, 6, "how many shop, besides the live check's customers"),
        ("--shards", int, 2, "how many there are, of three replicas each"),
    ):
        found.add_argument(
            name,
            type=kind,
            default=default,
            metavar="S" if kind is float else "N",
            help=f"{what} [default: {default}]",
        )
    found.add_argument(
        "--seed",
        type=int,
        default=int(time.time()),
        metavar="N",
        help="draws faults and wishes; real processes do not repeat themselves, so it"
        " is no replay [default: the time]",
    )
    found.add_argument(
        "--each",
        action="store_true",
        help="a process a replica [default: all in one process]",
    )
    found.add_argument(
        "--namespaces",
        action="store_true",
        help="a process and a network namespace a replica, where this machine can"
        " [default: a proxy between the replicas]",
    )
    return found


def main() -> int:
    options = Options(**vars(parser().parse_args()))
    options = replace(options, each=options.each or options.namespaces)
    if options.namespaces and not is_alone():
        command = command_alone(
            [sys.executable, "-m", "tests.system.storm", *sys.argv[1:]]
        )
        if command is not None:
            os.execvp(command[0], command)
        print("no namespaces can be made here: a proxy is between the replicas")
        options = replace(options, namespaces=False)
    where = "a process a replica" if options.each else "all in one process"
    if options.namespaces:
        where += ", each in a network namespace"
    print(f"seed {options.seed}, {where}, {options.seconds:g} s", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="storm-"))
    lines, findings = blow(folder / "cluster", options)
    print("\n".join(lines))
    if findings.broken:
        print(f"the cluster's folder is left: {folder / 'cluster'}")
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
