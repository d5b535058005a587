"""Files that come with the code: inside an installed package, or beside it."""

from __future__ import annotations

from pathlib import Path


def resource(name: str) -> Path:
    """Find ``cartnet.ini`` or ``web_console``, from a wheel as from a checkout.

    :raises FileNotFoundError: if the installation is incomplete.
    """
    here = Path(__file__).resolve().parent
    for candidate in (here / name, here.parent / name):
        if candidate.exists():
            return candidate
    raise FileNotFoundError(f"{name} is neither in {here} nor beside it")
