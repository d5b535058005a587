"""The leader replicates its log, commits what a majority has, and confirms reads."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, assert_never

from cartnet.consensus.messages import (
    AppendEntries,
    AppendEntriesReply,
    Diverged,
    Entry,
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
from cartnet.consensus.preference import HandOver
from cartnet.consensus.progress import Mode, Progress
from cartnet.consensus.quorum import majority, reached_by_majority
from cartnet.consensus.reads import Reads
from cartnet.limits import APPEND_BYTES_MAX, APPEND_ENTRIES_MAX

if TYPE_CHECKING:
    from cartnet.consensus.raft import Raft


class Leader:
    """The role of the replica that won its term's election.

    :ivar progress: each voter's, this replica's own among them.
    :ivar handing_over_to: the voter that is to lead next; proposals wait meanwhile.
    """

    in_lease = True
    """While it leads a majority hears it, else it steps down (check-quorum, 6.2)."""

    def __init__(self, raft: Raft) -> None:
        self.raft = raft
        self.leader: str | None = raft.name
        self.handing_over_to: str | None = None
        next_index = raft.log.last_index + 1
        self.progress = {voter: Progress(next_index) for voter in raft.voters}
        self.reads = Reads()
        self._hand_over = HandOver(raft.preference.preferred, raft.ticks)
        self._hand_over_ticks = 0
        self._timeout_now_sent = False
        self._round = 0
        self._ticks_to_heartbeat = 0
        self.first_index = next_index

    # --- what the outside asks ------------------------------------------------------

    def flush(self) -> None:
        """Send what has come together since the last time: appends, commits, reads."""
        if self.reads and not self.reads.round_under_way and self.may_read:
            self._heartbeat()
        for voter in self.raft.others:
            self._replicate(voter)
        if self.handing_over_to is not None:
            self._continue_hand_over(self.handing_over_to)

    @property
    def may_read(self) -> bool:
        """Whether an entry of this term is committed: only then the commit index
        is known to be the newest (6.4, step 1)."""
        return self.raft.commit_index >= self.first_index

    def hand_over(self, voter: str) -> None:
        """Bring ``voter`` up to date, then ask it to campaign at once (3.10)."""
        assert voter in self.raft.others
        self.raft.hand_over_pause.handed_over()
        self.handing_over_to = voter
        self._hand_over_ticks = 0
        self._timeout_now_sent = False

    def forget(self, voter: str) -> None:
        """Nothing is known of ``voter``'s log any more."""
        self.progress[voter] = Progress(self.raft.log.last_index + 1)

    def connected(self, voter: str) -> None:
        """A new connection: what was sent on the old one may be lost."""
        self.progress[voter].probe()

    def fetched(self, voter: str, entries: Sequence[Entry]) -> None:
        """Entries that are too old for memory were read from disk for ``voter``."""
        progress = self.progress[voter]
        if progress.fetching:
            progress.fetching = False
            log, next_index = self.raft.log, progress.next_index
            # Read before an earlier office was lost, they may have been overwritten;
            # read before the log was compacted, nobody knows what they follow on.
            own = all(log.term(entry.index) == entry.term for entry in entries)
            if own and entries and log.base_index < entries[0].index == next_index:
                self._append(voter, progress, tuple(entries))

    # --- time ----------------------------------------------------------------------

    def tick(self) -> None:
        raft = self.raft
        for voter in raft.others:
            self.progress[voter].tick(raft.ticks.election)
        heard = self._heard()
        raft.digests.tick(heard, raft.ticks.election)
        if 1 + len(heard) < majority(len(raft.voters)):
            raft.become_follower(leader=None)
            return
        self._ticks_to_heartbeat -= 1
        if self._ticks_to_heartbeat <= 0:
            self._hand_over.heartbeat(raft.commit_index, self.progress)
            self._heartbeat()
        if self.handing_over_to is not None:
            self._hand_over_ticks += 1
            if self._hand_over_ticks >= raft.ticks.election:
                self.handing_over_to = None
        elif raft.hand_over_pause.over:
            if raft.disk_stalls:
                target = self._who_could_lead(heard)
            else:
                target = self._hand_over.target(raft.name, heard, self.progress)
            if target is not None:
                self.hand_over(target)

    def put_off(self, sender: str, asked: PreVote) -> None:
        """Who asks cannot hear this leader, or not yet: heartbeats will tell."""

    def _who_could_lead(self, heard: frozenset[str]) -> str | None:
        """The most preferred voter that holds all that is committed."""
        for voter in self.raft.voters:
            if voter in heard and self.raft.has_caught_up(voter):
                return voter
        return None

    def voted(self) -> None:
        raise AssertionError("a leader has its own vote")

    def loop_was_held(self) -> None:
        """Acks may lie unread in a socket: do not count this replica's own silence."""
        for voter in self.raft.others:
            progress = self.progress[voter]
            grace = self.raft.ticks.election - 2 * self.raft.ticks.heartbeat
            progress.ticks_unheard = min(progress.ticks_unheard, max(0, grace))

    def leader_crashed(self, leader: str) -> None:
        """Whoever led before: this replica leads."""

    def _heard(self) -> frozenset[str]:
        """The other voters that were heard within the election timeout."""
        return frozenset(
            voter
            for voter in self.raft.others
            if self.progress[voter].ticks_unheard < self.raft.ticks.election
            and voter not in self.raft.uncounted
        )

    # --- what comes in -------------------------------------------------------------

    def step(self, sender: str, message: PeerMessage) -> None:
        progress = self.progress[sender]
        progress.ticks_unheard = 0
        match message:
            case AppendEntriesReply(rejected_index=None):
                if progress.matched(message.match_index):
                    self._commit()
            case AppendEntriesReply():
                self._rejected(sender, progress, message)
            case HeartbeatReply():
                progress.hears = frozenset(message.hears)
                progress.acked_round = max(progress.acked_round, message.round)
                self._confirm_reads()
                self._compare_digests(sender, message)
            case InstallSnapshotReply():
                progress.snapshot_goes_on()
                self.raft.snapshot_replies.append((sender, message))
            case (
                PreVoteReply()
                | RequestVoteReply()
                | TimeoutNow()
                | Forgotten()
                | Diverged()
            ):
                pass  # From the election that this replica has won.
            case AppendEntries() | Heartbeat() | InstallSnapshot():
                raise AssertionError("a term has one leader")
            case PreVote() | RequestVote():
                raise AssertionError("votes are considered before the roles")
            case _:
                assert_never(message)

    def _commit(self) -> None:
        """Commit what a majority has synced, by counting this term's alone (3.6.2)."""
        raft = self.raft
        index = self._reached_by_majority(lambda progress: progress.match_index)
        if index > raft.commit_index and raft.log.term(index) == raft.term:
            raft.commit_through(index)

    def _reached_by_majority(self, value: Callable[[Progress], int]) -> int:
        """What a majority of all voters has reached; who is not counted, nothing."""
        return reached_by_majority(
            0 if voter in self.raft.uncounted else value(progress)
            for voter, progress in self.progress.items()
        )

    def _rejected(
        self, voter: str, progress: Progress, reply: AppendEntriesReply
    ) -> None:
        """Go back to where the follower's log may join on (3.5)."""
        assert reply.rejected_index is not None
        if progress.lacks_what_it_had(reply.rejected_index):
            term = self.raft.log.term(reply.rejected_index)
            if term is None:
                progress.probe()  # Compacted since it was sent: a snapshot follows.
            else:
                forgotten = Forgotten(self.raft.term, reply.rejected_index, term)
                self.raft.send(voter, forgotten)
            return
        next_index = reply.conflict_index
        own = self.raft.log.last_index_of_term(reply.conflict_term)
        if own is not None and own <= reply.rejected_index:
            next_index = own + 1
        progress.rejected(reply.rejected_index, next_index)

    def _confirm_reads(self) -> None:
        self.progress[self.raft.name].acked_round = self._round
        round_ = self._reached_by_majority(lambda progress: progress.acked_round)
        self.raft.confirmed_reads += self.reads.confirmed(round_)

    def _compare_digests(self, sender: str, reply: HeartbeatReply) -> None:
        """Send those in the minority to begin anew; this replica may be one of them.

        Only once an entry of this term is committed: what was before it is final (6.4).
        """
        raft, index = self.raft, reply.digest_index
        if not index or not self.may_read or sender in raft.uncounted:
            return
        digest = raft.digests.heard(index, sender, reply.digest)
        if digest is None:
            return
        for voter in raft.digests.differing(index, digest):
            if voter == raft.name:
                raft.has_diverged = True
            else:
                raft.send(voter, Diverged(raft.term, index, digest))
                raft.digests.forget(voter)

    # --- what goes out -------------------------------------------------------------

    def _heartbeat(self) -> None:
        raft = self.raft
        self._ticks_to_heartbeat = raft.ticks.heartbeat
        self._round += 1
        if self.may_read:
            self.reads.ask(self._round, raft.commit_index)
        for voter in raft.others:
            progress = self.progress[voter]
            commit_index = min(raft.commit_index, progress.match_index)
            progress.commit_sent = max(progress.commit_sent, commit_index)
            dispute = raft.digests.dispute
            raft.send(voter, Heartbeat(raft.term, commit_index, self._round, dispute))
        if not raft.others:
            self._confirm_reads()

    def _replicate(self, voter: str) -> None:
        progress, log = self.progress[voter], self.raft.log
        if voter not in self.raft.connected:
            return
        if progress.may_send and progress.next_index <= log.base_index:
            if self.raft.digests.in_doubt:
                return  # Whoever copies tables cannot say whose are right.
            progress.needs_snapshot()
            self.raft.snapshots.append(voter)
        while progress.may_send and progress.next_index <= log.last_index:
            entries = log.slice(
                progress.next_index, APPEND_ENTRIES_MAX, APPEND_BYTES_MAX
            )
            if entries is None:
                progress.fetching = True
                self.raft.fetches.append((voter, progress.next_index))
                return
            self._append(voter, progress, entries)
        if progress.may_send and self._owes_commit(progress):
            self._append(voter, progress, ())

    def _owes_commit(self, progress: Progress) -> bool:
        """Whether to send an append without entries: to find the place to go on from,
        or the newest commit index, where no entry will carry it."""
        if progress.mode is Mode.PROBING:
            return True
        commit_index = self.raft.commit_index
        return (
            progress.match_index == self.raft.log.last_index == commit_index
            and progress.commit_sent < commit_index
        )

    def _append(
        self, voter: str, progress: Progress, entries: tuple[Entry, ...]
    ) -> None:
        raft = self.raft
        previous_index = progress.next_index - 1
        previous_term = raft.log.term(previous_index)
        assert previous_term is not None, "what is sent follows on what is there"
        commit_index = raft.commit_index
        raft.send(
            voter,
            AppendEntries(
                raft.term, previous_index, previous_term, commit_index, entries
            ),
        )
        progress.sent(entries)
        progress.commit_sent = max(progress.commit_sent, commit_index)

    def _continue_hand_over(self, voter: str) -> None:
        progress = self.progress[voter]
        if self._timeout_now_sent or progress.match_index < self.raft.log.last_index:
            return
        self._timeout_now_sent = True
        self.raft.send(voter, TimeoutNow(self.raft.term))
