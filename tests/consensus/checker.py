"""What must hold of a group at every moment, whatever happens to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cartnet.consensus.leader import Leader
from cartnet.consensus.messages import RequestVoteReply

if TYPE_CHECKING:
    from cartnet.consensus.messages import Entry, PeerMessage
    from cartnet.consensus.reads import ConfirmedRead
    from tests.consensus.replicas import Replica

Identity = tuple[int, bytes]
"""An entry's term and command."""


class Checker:
    """Stands outside the replicas and remembers the one true history.

    :ivar committed: every entry that any replica held for committed, by index.
    """

    def __init__(self) -> None:
        self.committed: dict[int, Identity] = {}
        self.elections = 0
        self.reads = 0
        self._leaders: dict[int, str] = {}
        self._votes: dict[tuple[str, int], str] = {}
        self._terms: dict[str, int] = {}
        self._entries: dict[tuple[int, int], tuple[bytes, int]] = {}
        self._commit_seen: dict[str, int] = {}
        self._leader_log: dict[str, tuple[int, int]] = {}

    @property
    def last_committed(self) -> int:
        return len(self.committed)

    def started(self, replica: Replica) -> None:
        """A term, once said, is never forgotten."""
        name, raft = replica.name, replica.raft
        assert raft.term >= self._terms.get(name, 0), f"{name} forgot its term"
        self._commit_seen[name] = 0
        self._leader_log.pop(name, None)
        self.looked_at(replica)

    def looked_at(self, replica: Replica) -> None:
        """Look at a replica after each of its steps."""
        name, raft = replica.name, replica.raft
        if isinstance(raft.role, Leader):
            self._check_leader(replica)
        else:
            self._leader_log.pop(name, None)
        seen = self._commit_seen[name]
        assert raft.commit_index >= seen, f"{name}'s commit index fell"
        for index in range(seen + 1, raft.commit_index + 1):
            self._commit(name, _entry(replica, index))
        self._commit_seen[name] = raft.commit_index
        assert raft.applied_index <= raft.commit_index <= raft.log.last_index

    def wrote(self, replica: Replica, entries: tuple[Entry, ...]) -> None:
        """Logs with an equal index and term are equal up to there (3.5).

        Held against one true entry a pair of index and term, and its predecessor.
        """
        log = replica.written.log
        for entry in entries:
            previous_term = log[entry.index - 2].term if entry.index > 1 else 0
            found = (bytes(entry.command), previous_term)
            known = self._entries.setdefault((entry.index, entry.term), found)
            assert found == known, f"{replica.name} has another {entry}"

    def said(self, replica: Replica, receiver: str, message: PeerMessage) -> None:
        """A voter votes once in a term, over all its lives (3.4)."""
        name = replica.name
        if isinstance(message, RequestVoteReply) and message.granted:
            first = self._votes.setdefault((name, message.term), receiver)
            assert first == receiver, f"{name} voted twice in term {message.term}"
            self._terms[name] = max(self._terms.get(name, 0), message.term)

    def confirmed(self, read: ConfirmedRead, floor: int) -> None:
        """A read sees all that was committed when it came (6.4)."""
        self.reads += 1
        assert read.read_index >= floor, f"{read} is older than {floor}"

    def _check_leader(self, replica: Replica) -> None:
        name, raft = replica.name, replica.raft
        leader = self._leaders.setdefault(raft.term, name)
        assert leader == name, f"{leader} and {name} lead term {raft.term}"
        term, last_index = self._leader_log.get(name, (0, 0))
        if term == raft.term:
            assert raft.log.last_index >= last_index, "a leader never takes back"
        else:
            self.elections += 1
            for index, (entry_term, _) in self.committed.items():
                assert raft.log.term(index) == entry_term, (
                    f"{name} leads term {raft.term} without committed entry {index}"
                )
        self._leader_log[name] = (raft.term, raft.log.last_index)

    def _commit(self, name: str, entry: Entry) -> None:
        found = (entry.term, bytes(entry.command))
        known = self.committed.setdefault(entry.index, found)
        assert found == known, f"{name} commits {found} at {entry.index}, not {known}"


def _entry(replica: Replica, index: int) -> Entry:
    """An entry of a replica's log, from memory or, where it is older, from its file."""
    found = replica.raft.log.slice(index, 1, 0)
    return replica.written.log[index - 1] if found is None else found[0]
