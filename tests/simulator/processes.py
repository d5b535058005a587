"""Runs a module in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
"""What ``tests`` is found in; it need not be installed."""


def said(module: str, *arguments: object, hash_seed: int) -> str:
    """What ``python -m MODULE ARGUMENTS`` prints, under a ``PYTHONHASHSEED``."""
    command = [
        sys.executable,
        "-c",
        "import runpy, sys; sys.path.append(sys.argv.pop(1));"
        f" runpy.run_module({module!r}, run_name='__main__', alter_sys=True)",
        str(ROOT),
        *map(str, arguments),
    ]
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed)}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()
