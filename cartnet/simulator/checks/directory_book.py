"""The directory's log, kept in books of our own: who lives where."""

from __future__ import annotations

import msgspec


class DirectoryBook:
    """What the directory is after the entries so far.

    :ivar time: the latest stamp.
    :ivar homes: each username's shard: the first claim's, for ever.
    """

    def __init__(self) -> None:
        self.time = 0
        self.homes: dict[str, str] = {}

    def apply(self, index: int, payload: bytes) -> None:
        """Apply an entry."""
        stamp, command = msgspec.json.decode(payload)
        self.time = max(self.time, stamp)
        if command["do"] == "assign_shard":
            self.homes.setdefault(command["username"], command["shard"])
