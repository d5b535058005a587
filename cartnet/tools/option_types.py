"""Numbers on the command line."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable


def whole(least: int, most: int) -> Callable[[str], int]:
    """A type of option: a whole number between two others, both included."""

    def number(text: str) -> int:
        if not re.fullmatch("[0-9]{1,10}", text) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(
                f"{text!r} is no number from {least} to {most}"
            )
        return int(text)

    return number
