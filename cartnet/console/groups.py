"""What the replicas of a group say, put together: leader, quorum, pace and digests."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from cartnet.console.report import GroupReport, ReplicaReport
from cartnet.limits import COMMIT_WINDOW_SECONDS, DIGESTS_SEEN_MAX

if TYPE_CHECKING:
    from cartnet.console.report import Digests, Quorum
    from cartnet.replica.status import Status
    from cartnet.topology.groups import Group


class Groups:
    """Puts groups together, look after look."""

    def __init__(self, groups: Iterable[Group]) -> None:
        self._groups = [(group, _Pace(), _Equality(group)) for group in groups]

    def look(self, statuses: Iterable[Status], now: float) -> tuple[GroupReport, ...]:
        """Put the groups together that have these replicas.

        :param now: by any clock, in seconds.
        """
        members: dict[str, list[Status]] = {}
        for status in statuses:
            members.setdefault(status.group, []).append(status)
        return tuple(
            _put_together(group, members.get(group.name, []), now, pace, equality)
            for group, pace, equality in self._groups
        )


def _put_together(
    group: Group,
    statuses: Sequence[Status],
    now: float,
    pace: _Pace,
    equality: _Equality,
) -> GroupReport:
    alive = [status for status in statuses if status.state == "alive"]
    leader = next((each for each in alive if each.role == "leader"), None)
    name, term = _office(statuses, alive, leader)
    commit = max([status.commit for status in alive], default=pace.last)
    majority = len(group.members) // 2 + 1
    digests, digest_index = equality.look(alive)
    return GroupReport(
        name=group.name,
        kind=group.kind,
        leader=name,
        term=term,
        members=group.names,
        alive=len(alive),
        majority=majority,
        quorum=_quorum(len(alive), majority, len(group.members)),
        commit=commit,
        writes_per_second=pace.look(commit, now),
        write_p50_ms=leader.write_p50_ms if leader else None,
        write_p99_ms=leader.write_p99_ms if leader else None,
        digests=digests,
        digest_index=digest_index,
    )


def _office(
    statuses: Sequence[Status], alive: Sequence[Status], leader: Status | None
) -> tuple[str | None, int]:
    """Who leads, and in which term: by the word of others, too."""
    if leader is not None:
        return leader.name, leader.term
    unreachable = [each.name for each in statuses if each.state == "unreachable"]
    hearing = [each for each in alive if each.leader in unreachable]
    if hearing:
        # There is one, only that this console cannot reach it.
        latest = max(hearing, key=lambda each: each.term)
        return latest.leader, latest.term
    return None, max([each.term for each in alive], default=0)


def _quorum(alive: int, majority: int, members: int) -> Quorum:
    if alive == members:
        return "full"
    return "reduced" if alive >= majority else "lost"


def replica_reports(
    statuses: Iterable[Status], groups: Iterable[GroupReport], here: Sequence[str]
) -> tuple[ReplicaReport, ...]:
    """Add to each replica's status what it takes the others to know.

    :param here: which of them run in this process.
    """
    commits = {group.name: group.commit for group in groups}
    return tuple(
        ReplicaReport(
            **{name: getattr(status, name) for name in status.__struct_fields__},
            lag=max(0, commits[status.group] - status.applied)
            if status.state == "alive"
            else None,
            here=status.name in here,
        )
        for status in statuses
    )


class _Pace:
    """How fast a commit index grows.

    :ivar last: the last one seen.
    """

    def __init__(self) -> None:
        self.last = 0
        self._seen: deque[tuple[float, int]] = deque()

    def look(self, commit: int, now: float) -> float:
        """Say how many entries a second it has lately grown by."""
        if commit < self.last:
            # Another majority's, or a group that has begun anew.
            self._seen.clear()
        self.last = commit
        seen = self._seen
        if not seen or now > seen[-1][0]:
            seen.append((now, commit))
        while len(seen) > 2 and seen[1][0] <= now - COMMIT_WINDOW_SECONDS:
            seen.popleft()
        (since, before), (until, latest) = seen[0], seen[-1]
        return round((latest - before) / (until - since), 1) if until > since else 0.0


class _Equality:
    """Whether those alive hold equal tables (S4): as far as their digests tell."""

    def __init__(self, group: Group) -> None:
        self._majority = len(group.members) // 2 + 1
        # Of each replica: since when it runs, its newest digests by index.
        self._seen: dict[str, tuple[float, dict[int, str]]] = {}

    def look(self, alive: Sequence[Status]) -> tuple[Digests, int]:
        """Compare what was recorded at equal indexes.

        ``equal`` takes a majority, ``differ`` any two. What a replica has recorded
        counts until it dies: it may come back with other tables.
        """
        former, self._seen = self._seen, {}
        for status in alive:
            uptime, digests = former.get(status.name, (0.0, {}))
            if status.uptime_seconds < uptime:
                digests = {}
            if status.digest is not None:
                digests.pop(status.digest_index, None)
                digests[status.digest_index] = status.digest
                if len(digests) > DIGESTS_SEEN_MAX:
                    del digests[next(iter(digests))]
            self._seen[status.name] = status.uptime_seconds, digests
        equal_index = 0
        for index in sorted(
            {index for _, digests in self._seen.values() for index in digests},
            reverse=True,
        ):
            values = [
                digests[index] for _, digests in self._seen.values() if index in digests
            ]
            if len(set(values)) > 1:
                return "differ", index
            if len(values) >= self._majority and not equal_index:
                equal_index = index
        if any(status.stopped is not None for status in alive):
            return "differ", equal_index
        return ("equal", equal_index) if equal_index else ("unknown", 0)
