"""What pytest does for every test, so that trial's TestCases feel at home."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def _signals() -> None:
    """Have what tests start hear of Ctrl-C and of its terminal's end, whatever runs the
    tests: a shell's background jobs ignore the one, nohup the other, for all below."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        # A handler is this process's own; what it starts has the default.
        signal.signal(signal.SIGHUP, lambda number, frame: None)


@pytest.fixture(scope="session", autouse=True)
def _working_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Work in a temporary folder, as trial does: ``mktemp`` makes its paths there."""
    before = Path.cwd()
    os.chdir(tmp_path_factory.mktemp("tests"))
    yield
    os.chdir(before)
