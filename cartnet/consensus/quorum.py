"""Majorities."""

from __future__ import annotations

from collections.abc import Iterable


def majority(voters: int) -> int:
    """The smallest number of voters that overlaps with every other such number."""
    assert voters > 0
    return voters // 2 + 1


def reached_by_majority(values: Iterable[int]) -> int:
    """The greatest value that a majority of the voters has reached, one value each."""
    descending = sorted(values, reverse=True)
    return descending[majority(len(descending)) - 1]
