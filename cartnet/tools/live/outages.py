"""For how long each group answered nobody of those who waited for it."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cartnet.tools.live.seen import Seen
    from cartnet.workload.history import Operation

PERHAPS_OF_ITEMS: Final = frozenset({"add_to_cart", "set_quantity"})
"""Balancers ask the inventory first where they do not know the item."""


@dataclass(frozen=True)
class Wait:
    """An operation under way.

    :ivar needs: the groups that it certainly waits for.
    :ivar may_need: those that it may wait for.
    """

    called: float
    ended: float
    needs: frozenset[str]
    may_need: frozenset[str]


@dataclass(frozen=True)
class Silence:
    """From when somebody waits for a group to its next answer to anybody."""

    since: float
    until: float
    waits: tuple[Wait, ...]


class Outages:
    """How groups were waited for, from when customers begin until all have ended.

    A group is silent while somebody waits for it and it answers nobody: whom nobody
    asks owes no answer, and a silence goes on when customers are told to stop.

    :ivar longest: how long each group's longest silence was, in seconds, and when it
        began; of groups alone that have answered.
    :ivar asked: the groups that somebody has certainly waited for.
    :ivar unplaced: how many unanswered calls waited for a shard that is not known.
    """

    def __init__(self, seen: Seen) -> None:
        answers: dict[str, list[float]] = defaultdict(list)
        waits: dict[str, list[Wait]] = defaultdict(list)
        homes: dict[str, str | None] = {}
        self.unplaced = 0
        for each in seen.operations:
            # Who may be answered with what is old may be answered by anybody.
            if each.stale or (each.ended is not None and each.ended <= seen.began):
                continue
            if each.user not in homes:
                homes[each.user] = seen.shard(each.user)
            home = homes[each.user]
            needs = _groups(each, home)
            answered = each.ended is not None and each.ending in ("ok", "refused")
            if each.ended is not None and answered:
                for group in needs:
                    answers[group].append(each.ended)
            if home is None and each.user not in ("", "operator"):
                self.unplaced += not answered
                continue  # It may be any shard that keeps it waiting.
            ended = inf if each.ended is None else each.ended
            may_need = needs | {"it"} if each.call in PERHAPS_OF_ITEMS else needs
            wait = Wait(each.called, ended, needs, may_need)
            for group in needs:
                waits[group].append(wait)
        end = max(
            (t for e in seen.operations for t in (e.called, e.ended or 0)), default=0
        )
        self.asked = frozenset(waits)
        silences = {g: _silences(waits[g], answers[g], end) for g in waits}
        none = (0.0, seen.began)
        self.longest = {
            group: max(
                (_own(group, s, silences) for s in silences[group]), default=none
            )
            for group in seen.groups
            if group in waits and answers[group]
        }


def _groups(operation: Operation, home: str | None) -> frozenset[str]:
    groups = set()
    if operation.call in ("get_inventory", "checkout") or operation.user == "operator":
        groups.add("it")
    if home is not None:
        groups.add(home)
    if not operation.direct:
        groups.add("lb")
    return frozenset(groups)


def _silences(waits: list[Wait], answers: list[float], end: float) -> list[Silence]:
    """All silences of a group, in order."""
    found = []
    coming = sorted(waits, key=lambda wait: wait.called, reverse=True)
    waiting: list[Wait] = []
    before = 0.0
    for answer in (*sorted(answers), end):
        while coming and coming[-1].called < answer:
            waiting.append(coming.pop())
        waiting = [each for each in waiting if each.ended > before]
        if waiting:
            since = max(before, min(each.called for each in waiting))
            until = min(answer, max(each.ended for each in waiting))
            found.append(Silence(since, until, tuple(waiting)))
        before = answer
    return found


def _own(
    group: str, silence: Silence, silences: Mapping[str, list[Silence]]
) -> tuple[float, float]:
    """How much of a silence is the group's own, and since when.

    Who waits for two groups is kept waiting by one of them. As long as all who wait for
    this group wait for another too, it is taken to be the other, if that is silent for
    most of the time and was so before; or, where both began at once, if that keeps
    others waiting sooner or is silent for longer.
    """
    since = silence.since
    most = (silence.since + silence.until) / 2
    for other in frozenset().union(*(each.may_need for each in silence.waits)):
        theirs = silences.get(other, [])
        place = bisect_right(theirs, silence.since, key=lambda each: each.since)
        if other == group or place == 0:
            continue
        rival = theirs[place - 1]
        alone, rival_alone = _first(silence, other), _first(rival, group)
        rank = silence.since, alone, -silence.until
        before = (rival.since, rival_alone, -rival.until) < rank
        if before and rival.until > most:
            since = max(since, min(alone, rival.until, silence.until))
    return silence.until - since, since


def _first(silence: Silence, other: str) -> float:
    """When somebody waited who did not wait for another group, too."""
    alone = (each.called for each in silence.waits if other not in each.may_need)
    return max(silence.since, min(alone, default=inf))
