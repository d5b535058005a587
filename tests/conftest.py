"""What pytest does for every test, so that trial's TestCases feel at home."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Have what tests start hear of SIGINT: a shell's background jobs ignore it, and so
    would all that they start."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _working_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Work in a temporary folder, as trial does: ``mktemp`` makes its paths there."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("tests"))
    yield
    os.chdir(before)
