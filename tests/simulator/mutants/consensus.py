"""Mutants of the replicated log. Sections are the Raft dissertation's."""

from __future__ import annotations

from typing import Any

import msgspec

from cartnet.consensus import candidate, leader, quorum, raft
from cartnet.consensus.candidate import Candidate
from cartnet.consensus.follower import Follower
from cartnet.consensus.leader import Leader
from cartnet.consensus.messages import RequestVoteReply
from cartnet.consensus.preference import HandOver
from cartnet.consensus.progress import Progress
from cartnet.consensus.raft import Raft
from cartnet.consensus.reads import ConfirmedRead
from cartnet.replica.formation import Formation
from cartnet.replica.pending import Reads
from tests.simulator.mutants.mutant import Replace, mutant


@mutant("M1", "a leader commits what its own disk has, before a majority's have it")
def _(replace: Replace) -> None:
    def commit(self: Any) -> None:
        self.raft.commit_through(self.progress[self.raft.name].match_index)

    replace(Leader, "_commit", commit)


@mutant("M3", "entries of earlier terms are committed by counting replicas (3.6.2)")
def _(replace: Replace) -> None:
    def commit(self: Any) -> None:
        index = self._reached_by_majority(lambda progress: progress.match_index)
        self.raft.commit_through(index)

    replace(Leader, "_commit", commit)
    # With its own first entry in one batch, what came before never counts alone.
    replace(leader, "APPEND_ENTRIES_MAX", 1)


@mutant("M4", "an append cuts off what follows it in the log, without a conflict (3.5)")
def _(replace: Replace) -> None:
    def append(self: Any, sender: str, sent: Any) -> None:
        log = self.raft.log
        if log.term(sent.previous_index) == sent.previous_term:
            end = max(sent.previous_index, self.raft.commit_index)
            if end < log.last_index:
                self.raft.truncate_after(end)
        former(self, sender, sent)

    former = replace(Follower, "_append", append)


@mutant("M6", "a leader reads its own tables, and asks nobody whether it leads (6.4)")
def _(replace: Replace) -> None:
    def read(self: Any, ticket: int) -> None:
        self.confirmed_reads.append(ConfirmedRead(ticket, self.commit_index))

    replace(Raft, "read", read)


@mutant("M11", "a snapshot is installed though more is committed here already")
def _(replace: Replace) -> None:
    def consider(self: Any, sender: str, sent: Any) -> None:
        self.raft.snapshot_parts.append((sender, sent))

    def begins(self: Any, last_index: int, last_term: int) -> bool:
        self.installing = True
        return True

    def installed(self: Any, sender: str, last_index: int, last_term: int) -> None:
        self.commit_index = min(self.commit_index, last_index - 1)
        former(self, sender, last_index, last_term)

    replace(Follower, "_consider_snapshot", consider)
    replace(Raft, "begins_install", begins)
    former = replace(Raft, "installed", installed)


@mutant("M15", "who is preferred gets every vote, out of date or not")
def _(replace: Replace) -> None:
    def favouring(name: str) -> None:
        def consider(voter: Any, sender: str, asked: Any) -> None:
            if sender == voter.voters[0]:
                asked = msgspec.structs.replace(
                    asked, last_index=2**62, last_term=voter.log.last_term
                )
            former(voter, sender, asked)

        former = replace(raft, name, consider)

    favouring("consider_pre_vote")
    favouring("consider_vote")


@mutant("M16", "half of an even group is a majority")
def _(replace: Replace) -> None:
    for module in (quorum, leader, candidate):
        replace(module, "majority", lambda voters: (voters + 1) // 2)


@mutant("M17", "a vote is said before it is on the disk")
def _(replace: Replace) -> None:
    def send(self: Any, voter: str, message: Any) -> None:
        if isinstance(message, RequestVoteReply) and voter != self.name:
            self.send(voter, message)
        else:
            former(self, voter, message)

    former = replace(Raft, "send_when_synced", send)


@mutant("M18", "entries that conflict with the leader's are kept (3.5)")
def _(replace: Replace) -> None:
    def append(self: Any, sender: str, sent: Any) -> None:
        fresh = [e for e in sent.entries if e.index > self.raft.log.last_index]
        joins = self.raft.log.term(sent.previous_index) == sent.previous_term
        if joins and fresh and fresh != list(sent.entries):
            log, previous = self.raft.log, fresh[0].index - 1
            sent = msgspec.structs.replace(
                sent,
                previous_index=previous,
                previous_term=log.term(previous),
                entries=tuple(fresh),
            )
        former(self, sender, sent)

    former = replace(Follower, "_append", append)


@mutant("M19", "a leader that hands over drops what is not committed yet")
def _(replace: Replace) -> None:
    def hand_over(self: Any, voter: str) -> None:
        self.truncate_after(self.commit_index)
        former(self, voter)

    former = replace(Raft, "hand_over", hand_over)


@mutant("M20", "whoever leads never hands over to who is preferred")
def _(replace: Replace) -> None:
    replace(HandOver, "target", lambda self, name, heard, progress: None)


@mutant("M21", "a replica that has stood for election once does not do so again")
def _(replace: Replace) -> None:
    def campaign(self: Any) -> None:
        if not hasattr(self.raft, "has_stood"):
            self.raft.has_stood = True
            former(self)

    former = replace(Follower, "_campaign", campaign)


@mutant("M23", "a replica with an empty file votes and counts at once")
def _(replace: Replace) -> None:
    def init(self: Any, *args: Any, **named: Any) -> None:
        former(self, *args, **named)
        self.admitted = True

    former = replace(Raft, "__init__", init)
    replace(Raft, "count", lambda self, voter, *, counts: None)


@mutant("M24", "an old copy of a replica's file is taken for the newest")
def _(replace: Replace) -> None:
    replace(Formation, "knows_newer", lambda self, identity: False)
    replace(Progress, "lacks_what_it_had", lambda self, rejected_index: False)


@mutant("M25", "a new leader reads before an entry of its own is committed (6.4)")
def _(replace: Replace) -> None:
    replace(Leader, "may_read", property(lambda self: True))


@mutant("M26", "a read does not wait until what it must see is applied (6.4)")
def _(replace: Replace) -> None:
    def confirmed(self: Any, ticket: int, read_index: int) -> None:
        former(self, ticket, 0)

    former = replace(Reads, "confirmed", confirmed)


@mutant("M56", "a candidate takes a refused vote for a granted one")
def _(replace: Replace) -> None:
    def answered(self: Any, sender: str, reply: Any) -> None:
        former(self, sender, msgspec.structs.replace(reply, granted=True))

    former = replace(Candidate, "answered", answered)


@mutant("M80", "a leader that hands over puts another entry in place of its last")
def _(replace: Replace) -> None:
    def hand_over(self: Any, voter: str) -> None:
        if self.log.last_index > self.commit_index:
            self.truncate_after(self.log.last_index - 1)
            self.propose([raft.NO_OP])
        former(self, voter)

    former = replace(Raft, "hand_over", hand_over)


@mutant("M81", "a replica takes a smaller commit index than it had")
def _(replace: Replace) -> None:
    def commit_through(self: Any, index: int) -> None:
        self.commit_index = index

    replace(Raft, "commit_through", commit_through)


@mutant("M82", "a replica votes on a new file before that is let in")
def _(replace: Replace) -> None:
    def consider(voter: Any, sender: str, asked: Any) -> None:
        admitted, voter.admitted = voter.admitted, True
        former(voter, sender, asked)
        voter.admitted = admitted

    former = replace(raft, "consider_vote", consider)
