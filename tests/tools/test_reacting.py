"""A tool's reactor."""

from __future__ import annotations

import subprocess
import sys

from twisted.trial.unittest import SynchronousTestCase

AFTERWARDS = """
import os, signal
from cartnet.tools import reacting

async def tool(reactor):
    return "done"

print(reacting.run(tool), flush=True)
os.kill(os.getpid(), signal.SIGINT)
print("goes on")
"""


class ReactingTests(SynchronousTestCase):
    def test_interrupted_afterwards(self) -> None:
        """Once its reactor has ended Ctrl-C ends a tool, as it does any other."""
        process = subprocess.run(
            [sys.executable, "-c", AFTERWARDS],
            capture_output=True,
            text=True,
            check=False,
        )

        self.assertEqual(process.stdout, "done\n")
        self.assertIn("KeyboardInterrupt", process.stderr)
