"""Hooks that a fault has added, at disks and at the network."""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")


class Hooks:
    """Whoever adds hooks takes off those, and no other's."""

    def __init__(self) -> None:
        self._added: list[tuple[dict[Any, None], Any]] = []

    def add(self, hooks: dict[T, None], hook: T) -> None:
        """Add ``hook`` to those of a disk or a host."""
        hooks[hook] = None
        self._added.append((hooks, hook))

    def clear(self) -> None:
        """Take off all that have not done so themselves."""
        for hooks, hook in self._added:
            hooks.pop(hook, None)
        self._added.clear()
