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


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.system.storm", description="Let a storm blow."
    )
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--shoppers", type=int, default=6)
    parser.add_argument("--shards", type=int, default=2)
    parser.add_argument("--each", action="store_true", help="a process a replica")
    parser.add_argument(
        "--namespaces",
        action="store_true",
        help="a process and a network namespace a replica, where this machine can",
    )
    options = Options(**vars(parser.parse_args()))
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
