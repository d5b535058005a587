"""A follower waits for a leader, takes what it sends, and campaigns without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from cartnet.consensus.messages import (
    AppendEntries,
    AppendEntriesReply,
    Diverged,
    Forgotten,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    InstallSnapshotReply,
    PeerMessage,
    PreVote,
    PreVoteReply,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)
from cartnet.consensus.voting import consider_pre_vote

if TYPE_CHECKING:
    from cartnet.consensus.raft import Raft


class Follower:
    """The role of every replica at start.

    :ivar leader: whom it hears, None while it hears nobody.
    :ivar in_lease: whether it heard a leader within the election timeout: it then
        neither votes nor pre-votes for another (check-quorum, 4.2.3).
    """

    def __init__(self, raft: Raft, leader: str | None, ticks_allowed: int) -> None:
        self.raft = raft
        self.leader = leader
        self.ticks_waited = 0
        self.ticks_allowed = ticks_allowed
        self._put_off: dict[str, PreVote] = {}

    @property
    def in_lease(self) -> bool:
        return self.leader is not None and self.ticks_waited < self.raft.ticks.election

    def tick(self) -> None:
        self.ticks_waited += 1
        if self.ticks_waited >= self.ticks_allowed:
            self._campaign()

    def _campaign(self) -> None:
        self.leader = None
        self.ticks_waited = 0
        self.ticks_allowed = self.raft.preference.election_ticks()
        self.raft.become_pre_candidate()

    def put_off(self, sender: str, asked: PreVote) -> None:
        """Only the lease stands against this pre-vote: it may end soon."""
        self._put_off[sender] = asked

    def voted(self) -> None:
        """Whoever got our vote gets the time to win."""
        self._wait_again()

    def loop_was_held(self) -> None:
        """Heartbeats may lie unread in a socket: leave time to read them first.

        By rank, or whoever was about to campaign would do so all at once.
        """
        ticks = self.raft.ticks
        grace = 2 * ticks.heartbeat + self.raft.preference.rank() * ticks.rank
        self.ticks_waited = min(self.ticks_waited, self.ticks_allowed - grace)

    def leader_crashed(self, leader: str) -> None:
        """The leader's process is gone: end its lease, pre-vote by rank, soon."""
        if self.leader == leader:
            self.leader = None
            self.ticks_waited = 0
            self.ticks_allowed = self.raft.preference.crash_ticks(without=leader)
            # Who noticed the crash first has asked already, and would ask again only
            # after this replica's own turn.
            for sender, asked in self._put_off.items():
                consider_pre_vote(self.raft, sender, asked)
            if self.ticks_allowed == 0:
                self._campaign()

    def step(self, sender: str, message: PeerMessage) -> None:
        match message:
            case AppendEntries():
                self._heard(sender)
                # What is not taken while a snapshot is installed is sent again.
                if not self.raft.installing:
                    self._append(sender, message)
            case Heartbeat():
                self._heard(sender)
                self.raft.digests.dispute = message.dispute
                if not self.raft.installing:
                    self.raft.commit_through(
                        min(message.commit_index, self.raft.log.last_index)
                    )
                self._answer(sender, message.round)
            case InstallSnapshot():
                self._heard(sender)
                self._consider_snapshot(sender, message)
            case Forgotten():
                self._heard(sender)
                if self.raft.log.lacks(message.index, message.entry_term):
                    self.raft.has_forgotten = True
            case Diverged():
                self._heard(sender)
                own = self.raft.digests.own(message.index)
                if own is not None and own != message.digest:
                    self.raft.has_diverged = True
            case TimeoutNow():
                if sender == self.leader and self.raft.admitted:
                    self.raft.become_candidate(handed_over=True)
            case (
                AppendEntriesReply()
                | HeartbeatReply()
                | InstallSnapshotReply()
                | PreVoteReply()
                | RequestVoteReply()
            ):
                pass  # Answers to what this replica asked in another role.
            case PreVote() | RequestVote():
                raise AssertionError("votes are considered before the roles")
            case _:
                assert_never(message)

    def _heard(self, leader: str) -> None:
        """A message of the current term's leader has come."""
        assert self.leader in (None, leader), "a term has one leader"
        if self.leader is None:
            self.leader = leader
        self._put_off.clear()
        self._wait_again()

    def _wait_again(self) -> None:
        self.ticks_waited = 0
        self.ticks_allowed = self.raft.preference.election_ticks()

    def _answer(self, leader: str, round_: int) -> None:
        hears: tuple[str, ...] = ()
        if self.raft.preference.is_preferred_to(leader):
            hears = tuple(sorted(self.raft.connected))
        index = self.raft.digests.last_index
        digest = self.raft.digests.own(index) or ""
        reply = HeartbeatReply(self.raft.term, round_, hears, index, digest)
        self.raft.send(leader, reply)

    def _append(self, leader: str, sent: AppendEntries) -> None:
        raft, log = self.raft, self.raft.log
        if sent.previous_index < log.base_index:
            # Compacted here, so committed, so the same in every later leader's log.
            self._matches(leader, raft.commit_index)
            return
        if log.term(sent.previous_index) != sent.previous_term:
            self._reject(leader, sent)
            return
        match_index = sent.previous_index
        for entry in sent.entries:
            match_index += 1
            assert entry.index == match_index, "entries follow each other"
            if log.term(entry.index) == entry.term:
                continue
            if entry.index <= log.last_index:
                raft.truncate_after(entry.index - 1)
            log.append(entry)
        raft.commit_through(min(sent.commit_index, match_index))
        self._matches(leader, match_index)

    def _matches(self, leader: str, match_index: int) -> None:
        reply = AppendEntriesReply(term=self.raft.term, match_index=match_index)
        self.raft.send_when_synced(leader, reply)

    def _consider_snapshot(self, leader: str, sent: InstallSnapshot) -> None:
        """Take a part of a snapshot, unless the log has all that it holds."""
        raft = self.raft
        if raft.log.term(sent.last_index) == sent.last_term:
            raft.commit_through(sent.last_index)
        if sent.last_index <= raft.commit_index:
            self._matches(leader, raft.commit_index)
        else:
            raft.snapshot_parts.append((leader, sent))

    def _reject(self, leader: str, sent: AppendEntries) -> None:
        """Say where to go on, a whole conflicting term at a time (3.5)."""
        raft, log = self.raft, self.raft.log
        conflict_term = log.term(sent.previous_index)
        if conflict_term is None:
            first, conflict_term = log.last_index + 1, 0
        else:
            first = log.first_index_of_run(sent.previous_index)
        reply = AppendEntriesReply(
            term=raft.term,
            rejected_index=sent.previous_index,
            conflict_index=max(first, raft.commit_index + 1),
            conflict_term=conflict_term,
        )
        raft.send(leader, reply)
