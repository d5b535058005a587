"""How scripts write down messages and entries."""

from __future__ import annotations

from cartnet.consensus.messages import (
    AppendEntries,
    AppendEntriesReply,
    Entry,
    Heartbeat,
    HeartbeatReply,
    PeerMessage,
    PreVote,
    PreVoteReply,
    RequestVote,
    RequestVoteReply,
)

COMMAND_CHARACTERS_MAX = 30
"""Longer commands are recorded by their size."""


def entries(listed: tuple[Entry, ...]) -> str:
    """``3/2:"x"``: index, term, command."""

    def command(entry: Entry) -> str:
        text = bytes(entry.command).decode()
        return text if len(text) < COMMAND_CHARACTERS_MAX else f"({len(text)} bytes)"

    return " ".join(f"{entry.index}/{entry.term}:{command(entry)}" for entry in listed)


def described(message: PeerMessage) -> str:
    """One message in the words of the scripts."""
    name = type(message).__name__
    head = f"{name} term={message.term}"
    match message:
        case PreVote() | RequestVote():
            handed = isinstance(message, RequestVote) and message.handed_over
            last = f"{head} last={message.last_index}/{message.last_term}"
            return f"{last} handed_over" if handed else last
        case PreVoteReply() | RequestVoteReply():
            return f"{head} {'granted' if message.granted else 'refused'}"
        case AppendEntries():
            previous = f"{message.previous_index}/{message.previous_term}"
            sent = f" {entries(message.entries)}" if message.entries else ""
            return f"{head} after={previous} commit={message.commit_index}{sent}"
        case AppendEntriesReply(rejected_index=None):
            return f"{head} match={message.match_index}"
        case AppendEntriesReply():
            return (
                f"{head} rejected={message.rejected_index}"
                f" conflict={message.conflict_index}/{message.conflict_term}"
            )
        case Heartbeat():
            return f"{head} round={message.round} commit={message.commit_index}"
        case HeartbeatReply():
            hears = f" hears={','.join(message.hears)}" if message.hears else ""
            return f"{head} round={message.round}{hears}"
        case _:
            return head
