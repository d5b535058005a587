"""Waiting for what must come to be."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

CONDITION_SECONDS_MAX = 90.0
"""A busy machine is slow: what takes longer does not happen."""

POLL_SECONDS = 0.02


def eventually(
    condition: Callable[[], T | None], what: str, pause: float = POLL_SECONDS
) -> T:
    """Ask again, after a pause (in seconds), until there is something other than None
    or False."""
    deadline = time.monotonic() + CONDITION_SECONDS_MAX
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, f"not in {CONDITION_SECONDS_MAX} s: {what}"
        time.sleep(pause)
