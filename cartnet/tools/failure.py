"""How a tool says that it cannot do what it was asked for."""

from __future__ import annotations


class ToolError(Exception):
    """Ends a tool with exit status 1; the message is for a person."""
