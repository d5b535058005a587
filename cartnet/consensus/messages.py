"""What replicas of one group say to each other, and what they keep.

Names are those of the Raft dissertation (Ongaro, 2014); sections are its own.
"""

from __future__ import annotations

import msgspec


class Life(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One start of a replica on one file, from which it goes on until it ends.

    :ivar file: the file's random id.
    :ivar starts: how often a replica has started on it, this time included.
    :ivar incarnation: random, drawn at this start.
    """

    file: str
    starts: int
    incarnation: str

    def precedes(self, other: Life) -> bool:
        """Whether this is of an older copy of the file that ``other`` is of.

        A start is on the disk before anybody hears of it, so a file on which the
        start that comes next has been made before is not what it was then.
        """
        return self.file == other.file and (
            self.starts < other.starts
            or (self.starts == other.starts and self.incarnation != other.incarnation)
        )


class Entry(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One entry of the replicated log.

    :ivar index: its position, from 1.
    :ivar term: the term in which a leader made it.
    :ivar command: JSON as the state machine takes it; ``null`` is a leader's first
        entry of its term, which no machine sees (3.6.2, 6.4).
    """

    index: int
    term: int
    command: msgspec.Raw


class Admission(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The one command that is the consensus's own: a replica's new file counts.

    The file of a replica was lost or replaced, and with it what that file had
    acknowledged and voted. Committed by a majority without the replica, the entry
    makes its new file one of the group's.
    """

    admit: str
    file: str


decode_admission = msgspec.json.Decoder(Admission).decode


def is_admission(command: bytes) -> bool:
    """Whether a command is the consensus's own; a machine's is a JSON array."""
    return command.startswith(b"{")


class HardState(msgspec.Struct, frozen=True):
    """What must be on disk before anything that depends on it is said (3.8)."""

    term: int = 0
    vote: str | None = None


class Message(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    tag_field="type",
    omit_defaults=True,
):
    """The base of every message; whom it is from is the connection's affair."""

    term: int


class PreVote(Message, frozen=True, forbid_unknown_fields=True, tag="pre_vote"):
    """Would you vote for me in ``term``? Asked before the term is raised (9.6)."""

    last_index: int
    last_term: int


class PreVoteReply(
    Message, frozen=True, forbid_unknown_fields=True, tag="pre_vote_reply"
):
    """``term`` is the asked-for one where granted, else the voter's own."""

    granted: bool


class RequestVote(Message, frozen=True, forbid_unknown_fields=True, tag="request_vote"):
    """``handed_over``: the leader asked for it, so leases let it pass (4.2.3)."""

    last_index: int
    last_term: int
    handed_over: bool = False


class RequestVoteReply(
    Message, frozen=True, forbid_unknown_fields=True, tag="request_vote_reply"
):
    granted: bool


class AppendEntries(
    Message, frozen=True, forbid_unknown_fields=True, tag="append_entries"
):
    previous_index: int
    previous_term: int
    commit_index: int
    entries: tuple[Entry, ...] = ()


class AppendEntriesReply(
    Message, frozen=True, forbid_unknown_fields=True, tag="append_entries_reply"
):
    """``match_index`` is synced to the follower's disk and equal to the leader's log.

    Where the entries did not join on, ``rejected_index`` is their previous index, and
    the leader goes on at or before the end of the conflicting term (3.5):
    ``conflict_index`` is the first index to try, ``conflict_term`` the term there.
    """

    match_index: int = 0
    rejected_index: int | None = None
    conflict_index: int = 0
    conflict_term: int = 0


class Dispute(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """After ``index`` tables differ, and no majority's are known to be equal (S4).

    :ivar digests: of the tables there, by voter, as far as they are known.
    """

    index: int
    digests: dict[str, str]


class Heartbeat(Message, frozen=True, forbid_unknown_fields=True, tag="heartbeat"):
    """``round`` numbers the leader's heartbeats, so that reads can count acks (6.4).

    :ivar dispute: for which the group serves nobody, None where there is none.
    """

    commit_index: int
    round: int
    dispute: Dispute | None = None


class HeartbeatReply(
    Message, frozen=True, forbid_unknown_fields=True, tag="heartbeat_reply"
):
    """``hears`` are the voters heard from lately, the sender's own name left out.

    :ivar digest_index: the newest index whose digest was recorded, 0 for none.
    :ivar digest: of the machine's tables there.
    """

    round: int
    hears: tuple[str, ...] = ()
    digest_index: int = 0
    digest: str = ""


class TimeoutNow(Message, frozen=True, forbid_unknown_fields=True, tag="timeout_now"):
    """Campaign at once: the leader hands its office over (3.10)."""


class Forgotten(Message, frozen=True, forbid_unknown_fields=True, tag="forgotten"):
    """You have acknowledged the entry of ``entry_term`` at ``index``, and lack it now.

    A file that was replaced by an old copy has forgotten votes as well, perhaps: its
    replica begins anew, as one whose file was lost.
    """

    index: int
    entry_term: int


class Diverged(Message, frozen=True, forbid_unknown_fields=True, tag="diverged"):
    """A majority has ``digest`` after ``index``: begin anew if yours differs (S4)."""

    index: int
    digest: str


class InstallSnapshot(
    Message, frozen=True, forbid_unknown_fields=True, tag="install_snapshot"
):
    """A part of the machine's tables as they are after ``last_index`` (5.2).

    :ivar part: counted from 0; the next leaves when this one is kept.
    :ivar rows: ``[[table, [row, ...]], ...]``.
    :ivar done: no part follows.
    :ivar founders: the file ids that count, by replica name.
    :ivar digest: of the tables, once they are whole.
    """

    last_index: int
    last_term: int
    part: int
    rows: msgspec.Raw
    done: bool = False
    founders: dict[str, str] = {}
    digest: str = ""


class InstallSnapshotReply(
    Message, frozen=True, forbid_unknown_fields=True, tag="install_snapshot_reply"
):
    """``next_part`` of the snapshot at ``last_index`` is awaited."""

    last_index: int
    next_part: int


PeerMessage = (
    PreVote
    | PreVoteReply
    | RequestVote
    | RequestVoteReply
    | AppendEntries
    | AppendEntriesReply
    | Heartbeat
    | HeartbeatReply
    | TimeoutNow
    | Forgotten
    | Diverged
    | InstallSnapshot
    | InstallSnapshotReply
)
