"""The command line."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

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
    options = Options(**vars(parser.parse_args()))
    where = "a process a replica" if options.each else "all in one process"
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
