"""How a tool says that it cannot do what it was asked for."""

from __future__ import annotations


class ToolError(Exception):
    """Ends a tool with an exit status, 1 as a rule; the message is for a person."""

    status = 1
