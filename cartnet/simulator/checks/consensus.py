"""The replicas' Rafts, after each of their steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cartnet.consensus.leader import Leader
from cartnet.consensus.quorum import majority

if TYPE_CHECKING:
    from cartnet.consensus.raft import Raft
    from cartnet.simulator.checks.files import Files
    from cartnet.simulator.checks.truth import Truth
    from cartnet.workload.findings import Tally


class Consensus:
    """Looks at one group's Rafts."""

    def __init__(self, truth: Truth, files: Files, tally: Tally) -> None:
        self._truth = truth
        self._files = files
        self._tally = tally
        self._leaders: dict[int, str] = {}
        # By index, the term of whoever first showed the entry committed: that in which
        # it was, or a later one.
        self._committed_in: dict[int, int] = {}
        self._seen: dict[str, _Seen] = {}

    def stepped(self, name: str, raft: Raft) -> None:
        """A replica has done something.

        :raises Incorrect: it must not have.
        """
        seen = self._seen.get(name)
        if seen is None or seen.raft is not raft:
            seen = self._seen[name] = _Seen(raft)
        if isinstance(raft.role, Leader):
            self._check_leader(name, raft, seen)
            self._check_followers(name, raft, raft.role)
        changed = (
            raft.commit_index != seen.commit_index or raft.applied_index != seen.applied
        )
        if changed:
            self._check_progress(name, raft, seen)
        # Whatever has changed: a log may be cut while both indexes stay.
        self._tally.require(
            "R8 applied <= commit <= last",
            raft.applied_index <= raft.commit_index <= raft.log.last_index,
            name,
            ": applied ",
            raft.applied_index,
            ", commit ",
            raft.commit_index,
            ", last ",
            raft.log.last_index,
        )
        if changed:
            self._check_commits(name, raft, seen)
        if raft.leads:
            seen.led_term, seen.last = raft.term, _last(raft)
        else:
            seen.led_term = 0

    def _check_progress(self, name: str, raft: Raft, seen: _Seen) -> None:
        self._tally.require(
            "R8 commit and applied index never fall",
            raft.commit_index >= seen.commit_index
            and raft.applied_index >= seen.applied,
            name,
            ": commit ",
            seen.commit_index,
            " -> ",
            raft.commit_index,
            ", applied ",
            seen.applied,
            " -> ",
            raft.applied_index,
        )

    def _check_commits(self, name: str, raft: Raft, seen: _Seen) -> None:
        if seen.led_term == raft.term and raft.commit_index > seen.commit_index:
            self._tally.require(
                "R4 a leader commits by an entry of its own term",
                raft.log.term(raft.commit_index) == raft.term,
                name,
                " commits ",
                raft.commit_index,
                " of ",
                raft.log.term(raft.commit_index),
                " in ",
                raft.term,
            )
        first = max(seen.commit_index, raft.log.base_index) + 1
        for index in range(first, raft.commit_index + 1):
            entries = raft.log.slice(index, 1, 0)
            if entries is None:
                continue  # Older than its memory: others have shown it.
            (entry,) = entries
            command = bytes(entry.command)
            if self._truth.commit(name, index, entry.term, command):
                self._committed_in[index] = raft.term
                self._check_durable(name, index, entry.term)
        seen.commit_index, seen.applied = raft.commit_index, raft.applied_index
        self._truth.applied_index = max(self._truth.applied_index, seen.applied)

    def _check_durable(self, name: str, index: int, term: int) -> None:
        """A majority's disks have what is committed, at the moment it first is (S1)."""
        group = self._truth.group
        having = [
            member
            for member in group.names
            if self._files.holds(member, index, term) and self._counts(member)
        ]
        self._tally.require(
            "S1 R9 a majority that counts has synced what is committed",
            len(having) >= majority(len(group.members)),
            name,
            " commits ",
            index,
            " of term ",
            term,
            ": synced by ",
            having,
        )

    def _counts(self, member: str) -> bool:
        """Whether its file is the one that the group was founded with, or let in."""
        counted = self._files.counted(member)
        return counted is not None and self._files.has_file(member, counted)

    def _check_followers(self, name: str, raft: Raft, role: Leader) -> None:
        """What a follower has acknowledged stays in its log while the term lasts."""
        for member in raft.others:
            match_index = role.progress[member].match_index
            follower = self._seen.get(member)
            if (
                follower is None
                or follower.raft.term != raft.term
                or match_index <= follower.raft.log.base_index
                or self._files.was_replaced(member)
            ):
                continue
            term = raft.log.term(match_index)
            self._tally.require(
                "R3 S1 a follower keeps what it has acknowledged",
                term is None or term == follower.raft.log.term(match_index),
                name,
                " in ",
                raft.term,
                " counts on ",
                match_index,
                " of ",
                term,
                " at ",
                member,
                ", whose log ends at ",
                follower.raft.log.last_index,
            )

    def _check_leader(self, name: str, raft: Raft, seen: _Seen) -> None:
        leader = self._leaders.setdefault(raft.term, name)
        self._tally.require(
            "R1 S2 one leader a term",
            leader == name,
            leader,
            " and ",
            name,
            " lead term ",
            raft.term,
        )
        if seen.led_term == raft.term:
            # Whatever it takes back or replaces, its last entry is among that.
            self._tally.require(
                "R2 a leader never takes back",
                seen.last is None or _has(raft, seen.last),
                name,
                ", whose log ended with ",
                seen.last,
                ", has another there, or ends at ",
                raft.log.last_index,
            )
            return
        self._tally.reached["elections won"] += 1
        self._truth.led_term = max(self._truth.led_term, raft.term)
        for index, (term, _) in self._truth.committed.items():
            # One who slept may win an old term once a later one's leader has committed.
            if index <= raft.log.base_index or self._committed_in[index] >= raft.term:
                continue
            self._tally.require(
                "R4 a leader has all that is committed",
                raft.log.term(index) == term,
                name,
                " leads ",
                raft.term,
                " without ",
                index,
                " of ",
                term,
            )


_Last = tuple[int, int, bytes]
"""Index, term and command of a log's last entry."""


def _last(raft: Raft) -> _Last | None:
    """None where it was compacted away."""
    last_index = raft.log.last_index
    if last_index == raft.log.base_index:
        return None
    entries = raft.log.slice(last_index, 1, 0)
    if not entries:
        return None
    (entry,) = entries
    return entry.index, entry.term, bytes(entry.command)


def _has(raft: Raft, last: _Last) -> bool:
    """Whether that entry is in the log still, as far as this remembers it."""
    index, term, command = last
    if index < raft.log.base_index:
        return True  # Compacted, so committed: others have shown it.
    if raft.log.term(index) != term:
        return False
    if index == raft.log.base_index:
        return True
    entries = raft.log.slice(index, 1, 0)
    return entries is None or bytes(entries[0].command) == command


class _Seen:
    """What one incarnation's Raft was like after its last step.

    :ivar led_term: the term that it led, 0 where it did not lead.
    :ivar last: the last entry of its log while it led.
    """

    def __init__(self, raft: Raft) -> None:
        self.raft = raft
        self.commit_index = 0
        self.applied = 0
        self.led_term = 0
        self.last: _Last | None = None
