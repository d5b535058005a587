"""A candidate asks for votes; before that it asks whether it could win (9.6)."""

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
from cartnet.consensus.quorum import majority

if TYPE_CHECKING:
    from cartnet.consensus.raft import Raft


class _Campaign:
    """What pre-candidates and candidates have in common: the count of votes."""

    leader: str | None = None
    in_lease = False

    def __init__(self, raft: Raft) -> None:
        self.raft = raft
        self.granted: set[str] = set()
        self.ticks_waited = 0

    @property
    def has_majority(self) -> bool:
        return len(self.granted) >= majority(len(self.raft.voters))

    def put_off(self, sender: str, asked: PreVote) -> None:
        raise AssertionError("a campaign has no lease")

    def voted(self) -> None:
        """A vote for another, of a term that this campaign is not in any more."""
        self.raft.become_follower(leader=None)

    def loop_was_held(self) -> None:
        self.ticks_waited = 0

    def leader_crashed(self, leader: str) -> None:
        """Whoever led before: this replica campaigns already."""

    def step(self, sender: str, message: PeerMessage) -> None:
        match message:
            case AppendEntries() | Heartbeat() | InstallSnapshot():
                self.raft.become_follower(leader=sender).step(sender, message)
            case PreVoteReply() | RequestVoteReply():
                if sender not in self.raft.uncounted:
                    self.answered(sender, message)
            case (
                AppendEntriesReply()
                | HeartbeatReply()
                | Diverged()
                | Forgotten()
                | InstallSnapshotReply()
                | TimeoutNow()
            ):
                pass  # From a term in which this replica had another role.
            case PreVote() | RequestVote():
                raise AssertionError("votes are considered before the roles")
            case _:
                assert_never(message)

    def answered(self, sender: str, reply: PreVoteReply | RequestVoteReply) -> None:
        raise AssertionError("each campaign counts its own kind of votes")


class PreCandidate(_Campaign):
    """Asks every voter whether it would vote for this replica in the next term.

    Its term stays, so a replica that was cut off disturbs nobody when it returns.
    """

    def __init__(self, raft: Raft) -> None:
        super().__init__(raft)
        self.granted.add(raft.name)
        self._ask()

    def _ask(self) -> None:
        raft = self.raft
        asked = PreVote(raft.term + 1, raft.log.last_index, raft.log.last_term)
        for voter in raft.others:
            raft.send(voter, asked)

    def tick(self) -> None:
        """Ask again; each rank at its own pace, so that two seldom win together."""
        self.ticks_waited += 1
        if self.ticks_waited >= self.raft.preference.pre_vote_ticks():
            self.ticks_waited = 0
            self.granted = {self.raft.name}
            self._ask()

    def answered(self, sender: str, reply: PreVoteReply | RequestVoteReply) -> None:
        match reply:
            case PreVoteReply(granted=True) if reply.term == self.raft.term + 1:
                self.granted.add(sender)
                if self.has_majority:
                    self.raft.become_candidate(handed_over=False)
            case _:
                pass


class Candidate(_Campaign):
    """Stands for election in its term; its own vote counts once it is synced."""

    def __init__(self, raft: Raft, *, handed_over: bool) -> None:
        super().__init__(raft)
        self.refused: set[str] = set()
        self.ticks_allowed = raft.preference.election_ticks()
        log = raft.log
        asked = RequestVote(raft.term, log.last_index, log.last_term, handed_over)
        own = RequestVoteReply(raft.term, granted=True)
        raft.send_when_synced(raft.name, own)
        for voter in raft.others:
            raft.send_when_synced(voter, asked)

    def tick(self) -> None:
        """An election that nobody wins is tried again (3.4)."""
        self.ticks_waited += 1
        if self.ticks_waited >= self.ticks_allowed:
            self.raft.become_pre_candidate()

    def answered(self, sender: str, reply: PreVoteReply | RequestVoteReply) -> None:
        match reply:
            case RequestVoteReply(granted=True) if reply.term == self.raft.term:
                self.granted.add(sender)
                if self.has_majority:
                    self.raft.become_leader()
            case RequestVoteReply(granted=False) if reply.term == self.raft.term:
                self.refused.add(sender)
                if self._has_lost:
                    self._try_again_soon()
            case _:
                pass

    @property
    def _has_lost(self) -> bool:
        """Whether too few voters are left that could still grant their vote."""
        left = self.raft.connected - self.refused - self.granted
        # Its own vote may still be on its way to the disk.
        own = self.granted | {self.raft.name}
        return len(own | left) < majority(len(self.raft.voters))

    def _try_again_soon(self) -> None:
        """Two that stood at one moment, as after a crash, need not wait for long: each
        asks again at its own pace, so that one is the first."""
        soon = self.ticks_waited + self.raft.preference.pre_vote_ticks()
        self.ticks_allowed = min(self.ticks_allowed, soon)
