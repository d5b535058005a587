"""Raft's centre: the term rule, the roles, and what the outside has to do.

The outside calls :meth:`Raft.tick`, :meth:`Raft.step`, :meth:`Raft.propose` and
:meth:`Raft.read`, and after each batch of those

1. calls :meth:`Raft.flush` and sends :meth:`Raft.take_messages` at once: nothing in
   them promises what a crash could take back;
2. unless a Ready is under way, takes :meth:`Raft.ready`, writes its hard state and
   entries, applies what is committed, all in one transaction, then sends its messages,
   then calls :meth:`Raft.advance`, and looks for the next.

What arrives during the transaction fills the next Ready: that is the group commit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Protocol

import msgspec

from cartnet.consensus.candidate import Candidate, PreCandidate
from cartnet.consensus.digests import Digests
from cartnet.consensus.follower import Follower
from cartnet.consensus.leader import Leader
from cartnet.consensus.log import Log
from cartnet.consensus.messages import (
    AppendEntries,
    AppendEntriesReply,
    Entry,
    HardState,
    Heartbeat,
    HeartbeatReply,
    InstallSnapshot,
    InstallSnapshotReply,
    PeerMessage,
    PreVote,
    PreVoteReply,
    RequestVote,
    RequestVoteReply,
)
from cartnet.consensus.preference import HandOverPause, Preference
from cartnet.consensus.progress import Mode
from cartnet.consensus.reads import ConfirmedRead
from cartnet.consensus.timing import Ticks
from cartnet.consensus.voting import consider_pre_vote, consider_vote, ignores

Addressed = tuple[str, PeerMessage]

NOBODY = "-"
"""A vote that nobody gets."""

NO_OP = msgspec.Raw(b"null")
"""A leader's first entry: it commits what earlier terms left (3.6.2)."""


class Role(Protocol):
    """What follower, pre-candidate, candidate and leader have in common."""

    leader: str | None

    @property
    def in_lease(self) -> bool: ...

    def tick(self) -> None: ...

    def step(self, sender: str, message: PeerMessage) -> None: ...

    def put_off(self, sender: str, asked: PreVote) -> None: ...

    def voted(self) -> None: ...

    def loop_was_held(self) -> None: ...

    def leader_crashed(self, leader: str) -> None: ...


@dataclass(frozen=True)
class Ready:
    """What is to be done in one transaction, and said after it.

    :ivar hard_state: to be written, None where it is as it was.
    :ivar entries: to be written, in place of any from the first one's index on.
    :ivar commit_index: entries through it may be applied.
    :ivar messages: to be sent once the transaction is synced.
    """

    hard_state: HardState | None
    entries: tuple[Entry, ...]
    commit_index: int
    messages: tuple[Addressed, ...]

    @property
    def must_sync(self) -> bool:
        """Whether its messages promise what it writes; applying alone promises
        nothing, the log has it."""
        return self.hard_state is not None or bool(self.entries)


class Raft:
    """One voter of one group.

    :ivar name: this replica's.
    :ivar voters: all replicas of the group, the most preferred first.
    :ivar admitted: whether it may vote, campaign and be counted; one with an empty
        file may have forgotten a vote.
    :ivar uncounted: the other voters of which the same is known: they are sent
        entries, but what they say makes no majority.
    :ivar connected: the other voters that messages reach.
    :ivar installing: a snapshot is taking the place of tables and log.
    :ivar commit_index: entries through it are committed.
    :ivar applied_index: entries through it are applied and their transaction written.
    :ivar confirmed_reads: reads whose replica still led; taken by the outside.
    :ivar has_forgotten: the file lacks what it has acknowledged: it is an old copy.
    :ivar digests: of the machine's tables, here and at the other voters.
    :ivar has_diverged: a majority's tables are others than this replica's.
    :ivar fetches: ``(voter, first index)`` of entries to be read from disk; likewise.
    :ivar snapshots: voters that are to be sent the machine's tables; likewise.
    :ivar snapshot_replies: what they answered; likewise.
    :ivar snapshot_parts: parts of a snapshot that the leader sent; likewise.
    """

    def __init__(
        self,
        name: str,
        voters: tuple[str, ...],
        *,
        ticks: Ticks,
        random: Random,
        log: Log,
        hard_state: HardState,
        commit_index: int = 0,
        applied_index: int = 0,
        admitted: bool = True,
        lexical: bool = True,
    ) -> None:
        assert log.base_index <= applied_index <= commit_index <= log.last_index
        assert hard_state.term >= log.last_term
        self.name = name
        self.voters = voters
        self.others = tuple(voter for voter in voters if voter != name)
        self.ticks = ticks
        self.preference = Preference(name, voters, ticks, random, lexical=lexical)
        self.hand_over_pause = HandOverPause(ticks)
        self.log = log
        self.term = hard_state.term
        self.vote = hard_state.vote
        self.commit_index = commit_index
        self.applied_index = applied_index
        self.admitted = admitted
        self.uncounted: set[str] = set()
        self.connected: set[str] = set()
        self.confirmed_reads: list[ConfirmedRead] = []
        self.has_forgotten = False
        self.has_diverged = False
        self.digests = Digests(name, len(voters))
        self.fetches: list[tuple[str, int]] = []
        self.snapshots: list[str] = []
        self.snapshot_replies: list[tuple[str, InstallSnapshotReply]] = []
        self.snapshot_parts: list[tuple[str, InstallSnapshot]] = []
        self.role: Role = Follower(self, None, self.preference.start_ticks())
        self._written_hard_state = hard_state
        self._written_index = log.last_index
        self.installing = False
        self._under_way: Ready | None = None
        self._ticks_writing = 0
        self._outbox: list[Addressed] = []
        self._when_synced: list[Addressed] = []

    # --- what the outside tells -----------------------------------------------------

    def tick(self) -> None:
        """Let one tick pass."""
        self.hand_over_pause.tick()
        self._ticks_writing = self._ticks_writing + 1 if self.is_writing else 0
        if self.admitted:
            self.role.tick()

    def loop_was_held(self) -> None:
        """Ticks are late, and messages may be waiting that belong before them."""
        self.role.loop_was_held()

    def admit(self, term: int = 0) -> None:
        """From now on this replica votes, campaigns and counts.

        :param term: that of the entry which admitted its file: what the former file
            voted in it is not known, so there is no vote left for it.
        """
        self.admitted = True
        if self.term <= term and self.vote is None:
            self.vote = NOBODY

    def count(self, voter: str, *, counts: bool) -> None:
        """Say whether ``voter`` has the file that the group knows."""
        if counts:
            self.uncounted.discard(voter)
        else:
            self.uncounted.add(voter)

    def has_new_file(self, voter: str) -> None:
        """What ``voter`` has acknowledged was in another file."""
        self.digests.forget(voter)
        if isinstance(self.role, Leader):
            self.role.forget(voter)

    def has_caught_up(self, voter: str) -> bool:
        """Whether ``voter`` holds all that is committed, as far as a leader knows."""
        return (
            isinstance(self.role, Leader)
            and self.role.progress[voter].streaming
            and self.role.progress[voter].match_index >= self.commit_index
        )

    def awaits_snapshot(self, voter: str) -> bool:
        """Whether ``voter`` is to install the machine's tables, for all that a leader
        knows."""
        return (
            isinstance(self.role, Leader)
            and self.role.progress[voter].mode is Mode.SNAPSHOT
        )

    def peer_connected(self, voter: str) -> None:
        """Messages reach ``voter`` from now on; earlier ones may be lost."""
        self.connected.add(voter)
        if isinstance(self.role, Leader):
            self.role.connected(voter)

    def peer_disconnected(self, voter: str) -> None:
        self.connected.discard(voter)

    def leader_crashed(self, leader: str) -> None:
        """``leader`` closed its connection and does not lead where it listened.

        A hint: it ends this replica's own lease and nobody else's.
        """
        if self.admitted:
            self.role.leader_crashed(leader)

    def step(self, sender: str, message: PeerMessage) -> None:
        """Take a message of another voter."""
        assert sender in self.others
        self._step(sender, message)

    def propose(self, commands: Sequence[msgspec.Raw]) -> int:
        """Append commands to the log; return the first one's index. Leaders alone."""
        assert isinstance(self.role, Leader)
        first = self.log.last_index + 1
        for index, command in enumerate(commands, first):
            self.log.append(Entry(index, self.term, command))
        own = AppendEntriesReply(self.term, match_index=self.log.last_index)
        self.send_when_synced(self.name, own)
        return first

    def read(self, ticket: int) -> None:
        """Ask whether this replica still leads; ``ticket`` comes back in
        :attr:`confirmed_reads`, or never if it does not. Leaders alone."""
        assert isinstance(self.role, Leader)
        self.role.reads.add(ticket)

    def hand_over(self, voter: str) -> None:
        """Make ``voter`` the leader, gracefully (3.10). Leaders alone."""
        assert isinstance(self.role, Leader)
        self.role.hand_over(voter)

    def fetched(self, voter: str, entries: Sequence[Entry]) -> None:
        """Give the entries that :attr:`fetches` asked for."""
        if isinstance(self.role, Leader):
            self.role.fetched(voter, entries)

    def compact(self, through: int) -> None:
        """The entries up to ``through`` are applied, and gone from the disk (5.1)."""
        assert through <= self.applied_index
        self.log.compact(through)

    def send_snapshot_part(self, voter: str, part: InstallSnapshot) -> None:
        """Send a part of a snapshot, in the term in which it was asked for."""
        if self.digests.in_doubt:
            return
        if isinstance(self.role, Leader) and part.term == self.term:
            self.send(voter, part)

    def begins_install(self, last_index: int, last_term: int) -> bool:
        """A snapshot is there whole: say whether it is to be installed.

        It is not where the log has come to hold its last entry: what follows that may
        have been acknowledged, and must not go. While it is installed no entries are
        taken, since the log that they would follow on is being replaced.
        """
        if self.log.term(last_index) == last_term:
            self.commit_through(last_index)
        self.installing = last_index > self.commit_index
        return self.installing

    def install_refused(self) -> None:
        """The snapshot was not sound: tables and log are as they were."""
        assert self.installing
        self.installing = False

    def installed(self, leader: str, last_index: int, last_term: int) -> None:
        """The machine's tables are those of a snapshot; the log begins behind it."""
        assert self._under_way is None
        assert self.installing
        self.installing = False
        assert last_index > self.commit_index
        self.log.replace(last_index, last_term)
        self.commit_index = self.applied_index = self._written_index = last_index
        reply = AppendEntriesReply(self.term, match_index=last_index)
        self.send_when_synced(leader, reply)

    # --- what the outside asks ------------------------------------------------------

    @property
    def leader(self) -> str | None:
        """Whom this replica takes for its term's leader."""
        return self.role.leader

    @property
    def leads(self) -> bool:
        return isinstance(self.role, Leader)

    @property
    def disk_stalls(self) -> bool:
        """Whether one transaction takes so long that another should lead (L3)."""
        return self._ticks_writing >= self.ticks.disk_stall

    @property
    def is_writing(self) -> bool:
        """Whether a Ready is under way."""
        return self._under_way is not None

    @property
    def may_serve(self) -> bool:
        """Whether it leads, has applied an entry of its own term (6.4), and nobody
        disputes its tables (S4)."""
        return (
            isinstance(self.role, Leader)
            and self.applied_index >= self.role.first_index
            and self.digests.dispute is None
        )

    @property
    def handing_over(self) -> bool:
        """Whether proposals are to wait."""
        return isinstance(self.role, Leader) and self.role.handing_over_to is not None

    def flush(self) -> None:
        """Turn what has come together into messages."""
        if isinstance(self.role, Leader):
            self.role.flush()

    def take_messages(self) -> list[Addressed]:
        """The messages that may leave now."""
        messages, self._outbox = self._outbox, []
        return messages

    def ready(self) -> Ready | None:
        """What is to be written, applied and then said; None where nothing is.

        One at a time: the next comes after :meth:`advance`.
        """
        if self._under_way is not None:
            return None
        hard_state = HardState(self.term, self.vote)
        entries = self.log.slice(self._written_index + 1, self.log.last_index, 2**63)
        assert entries is not None, "what is not written yet is in memory"
        changed = hard_state != self._written_hard_state
        applies = self.commit_index > self.applied_index
        if not (changed or entries or applies or self._when_synced):
            return None
        self._under_way = Ready(
            hard_state if changed else None,
            entries,
            self.commit_index,
            tuple(self._when_synced),
        )
        self._written_hard_state = hard_state
        self._written_index = self.log.last_index
        self._when_synced = []
        return self._under_way

    def advance(self, applied_index: int) -> None:
        """The Ready under way is written, and applied through ``applied_index``."""
        ready = self._under_way
        assert ready is not None
        assert self.applied_index <= applied_index <= ready.commit_index
        self._under_way = None
        self._ticks_writing = 0
        self.applied_index = applied_index
        self.log.forget(min(applied_index, self._written_index))
        for receiver, message in ready.messages:
            if receiver == self.name:
                self._step(self.name, message)

    # --- what the roles use ---------------------------------------------------------

    def send(self, voter: str, message: PeerMessage) -> None:
        """Send at once: the message promises nothing that a crash could take back."""
        self._outbox.append((voter, message))

    def send_when_synced(self, voter: str, message: PeerMessage) -> None:
        """Send after the transaction that holds what the message promises.

        A later acknowledgement of the same term stands for the earlier ones.
        """
        if isinstance(message, AppendEntriesReply) and self._when_synced:
            receiver, last = self._when_synced[-1]
            if (
                receiver == voter
                and isinstance(last, AppendEntriesReply)
                and last.term == message.term
                and last.match_index <= message.match_index
            ):
                self._when_synced.pop()
        self._when_synced.append((voter, message))

    def commit_through(self, index: int) -> None:
        assert index <= self.log.last_index
        self.commit_index = max(self.commit_index, index)

    def truncate_after(self, index: int) -> None:
        """Drop the entries after ``index``, which the leader has contradicted."""
        assert index >= self.commit_index, "a committed entry is never dropped"
        self.log.truncate_after(index)
        self._written_index = min(self._written_index, index)

    def become_follower(self, leader: str | None) -> Follower:
        follower = Follower(self, leader, self.preference.election_ticks())
        self.role = follower
        return follower

    def become_pre_candidate(self) -> None:
        """Ask whether an election could be won; alone in the group, it can."""
        campaign = PreCandidate(self)
        self.role = campaign
        if campaign.has_majority:
            self.become_candidate(handed_over=False)

    def become_candidate(self, *, handed_over: bool) -> None:
        """Stand for election in the next term."""
        assert self.admitted
        self.term += 1
        self.vote = self.name
        self.role = Candidate(self, handed_over=handed_over)

    def become_leader(self) -> None:
        """Lead this term, and begin it with an entry of its own."""
        assert self.vote == self.name
        self.role = Leader(self)
        self.propose([NO_OP])

    # --- the term rule --------------------------------------------------------------

    def _step(self, sender: str, message: PeerMessage) -> None:
        match message:
            case PreVote():
                consider_pre_vote(self, sender, message)
                return
            case RequestVote() if ignores(self, message):
                return
            case PreVoteReply(granted=True):
                pass  # Its term is the one that was asked for, not the voter's.
            case _ if message.term > self.term:
                self._raise_term(sender, message)
        if message.term < self.term:
            self._answer_old_term(sender, message)
        elif isinstance(message, RequestVote):
            consider_vote(self, sender, message)
        else:
            self.role.step(sender, message)

    def _raise_term(self, sender: str, message: PeerMessage) -> None:
        """A greater term makes everyone a follower in it (3.3)."""
        self.term = message.term
        self.vote = None
        leads = isinstance(message, AppendEntries | Heartbeat | InstallSnapshot)
        self.become_follower(leader=sender if leads else None)

    def _answer_old_term(self, sender: str, message: PeerMessage) -> None:
        """Tell a leader or candidate of an older term about this one (3.3)."""
        match message:
            case AppendEntries() | Heartbeat() | InstallSnapshot():
                self.send(sender, HeartbeatReply(self.term, round=0))
            case RequestVote():
                self.send(sender, RequestVoteReply(self.term, granted=False))
            case _:
                pass
