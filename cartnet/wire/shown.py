"""What strangers sent, fit to stand in a message or a log line."""

from __future__ import annotations

import json

from cartnet.limits import SHOWN_CHARACTERS_MAX


def shown(value: object) -> str:
    """Show a JSON value in printable ASCII, cut at ``SHOWN_CHARACTERS_MAX``."""
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list | tuple):
        return "a list"
    if isinstance(value, bytes):
        value = value[: SHOWN_CHARACTERS_MAX + 1].decode("latin-1")
    if isinstance(value, str):
        value = value[: SHOWN_CHARACTERS_MAX + 1]
    text = json.dumps(value, default=repr).replace("\x7f", "\\u007f")
    if len(text) <= SHOWN_CHARACTERS_MAX:
        return text
    return text[: SHOWN_CHARACTERS_MAX - 3] + "..."


def one_line(text: str, characters_max: int = 300) -> str:
    """Escape a sentence from elsewhere: printable ASCII on one line, and an end."""
    escaped = json.dumps(text[:characters_max])[1:-1].replace("\x7f", "\\u007f")
    return escaped.replace('\\"', '"')[:characters_max]
