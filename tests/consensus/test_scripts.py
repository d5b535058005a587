"""Conversations among replicas, held against their records in ``scripts/``.

``CARTNET_REWRITE=1`` writes the records anew. Commit what it changes only if you know
what caused each change.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.consensus import script

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.mark.parametrize("path", sorted(SCRIPTS.glob("*.txt")), ids=lambda p: p.stem)
def test_script(path: Path) -> None:
    """The group does and says exactly what the script records."""
    recorded = path.read_text(encoding="utf-8")

    happened = script.run(recorded)

    if os.environ.get("CARTNET_REWRITE") == "1":
        path.write_text(happened, encoding="utf-8")
        return
    assert happened == recorded


def test_there_are_scripts() -> None:
    """The scripts are found: an empty folder proves nothing."""
    assert len(list(SCRIPTS.glob("*.txt"))) >= 15
