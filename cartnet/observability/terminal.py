"""Lines for the person at the terminal, which are not log lines.

twistd turns ``sys.stdout`` and ``sys.stderr`` into the log once it has started;
these write to the streams that the process was started with.
"""

from __future__ import annotations

import contextlib
import sys
from typing import NoReturn, TextIO


def say(line: str) -> None:
    """Write a line to standard output."""
    _write(sys.__stdout__, line)


def complain(line: str) -> None:
    """Write a line to standard error."""
    _write(sys.__stderr__, line)


def give_up(line: str) -> NoReturn:
    """End a process that cannot start: one line on standard error, exit status 1.

    A line given to SystemExit itself would go into the log once twistd has started.
    """
    complain(f"cartnet: {' '.join(line.split())}")
    raise SystemExit(1)


def _write(stream: TextIO | None, line: str) -> None:
    if stream is None:
        return
    # Whoever read the terminal may be gone; that is no reason to stop serving.
    with contextlib.suppress(OSError, ValueError):
        stream.write(f"{line}\n")
        stream.flush()
