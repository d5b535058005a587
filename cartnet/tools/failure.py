"""How a tool says that it cannot do what it was asked for."""

from __future__ import annotations

from typing import Final

CANNOT_CHECK: Final = 2
"""The exit status of a check that could not look, whatever kept it from that."""

INTERRUPTED: Final = 130
"""The exit status after Ctrl-C, as shells have it."""


class ToolError(Exception):
    """Ends a tool with an exit status, 1 as a rule; the message is for a person."""

    status = 1
