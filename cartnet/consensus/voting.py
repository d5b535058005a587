"""Who gets a vote: the same in every role (3.4, 3.6.1, 4.2.3, 9.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cartnet.consensus.messages import (
    PreVote,
    PreVoteReply,
    RequestVote,
    RequestVoteReply,
)

if TYPE_CHECKING:
    from cartnet.consensus.raft import Raft


def consider_pre_vote(raft: Raft, sender: str, asked: PreVote) -> None:
    """Say whether ``sender`` could have our vote; nothing changes by it (9.6)."""
    grantable = (
        raft.admitted
        and asked.term > raft.term
        and raft.log.is_up_to_date(asked.last_index, asked.last_term)
    )
    if grantable and raft.role.in_lease:
        raft.role.put_off(sender, asked)
    granted = grantable and not raft.role.in_lease
    term = asked.term if granted else raft.term
    raft.send(sender, PreVoteReply(term=term, granted=granted))


def ignores(raft: Raft, asked: RequestVote) -> bool:
    """Whether a lease protects the leader from this request's term (4.2.3).

    The term is not even looked at: a replica that was cut off must not depose a
    leader that a majority hears.
    """
    return raft.role.in_lease and not asked.handed_over and asked.term > raft.term


def consider_vote(raft: Raft, sender: str, asked: RequestVote) -> None:
    """Vote at most once a term, for a log at least as up to date as ours (3.6.1)."""
    assert asked.term <= raft.term, "the term rule comes first"
    granted = (
        raft.admitted
        and asked.term == raft.term
        and raft.vote in (None, sender)
        and raft.log.is_up_to_date(asked.last_index, asked.last_term)
    )
    if granted:
        raft.vote = sender
        raft.role.voted()
    reply = RequestVoteReply(term=raft.term, granted=granted)
    raft.send_when_synced(sender, reply)
