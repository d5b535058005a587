"""Pure replicas with simulated files, as the tests of the consensus drive them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING

import msgspec

from cartnet.consensus.log import Log
from cartnet.consensus.messages import (
    Entry,
    HardState,
    PeerMessage,
    RequestVoteReply,
)
from cartnet.consensus.raft import Raft
from cartnet.consensus.timing import Ticks
from cartnet.limits import TICK_SECONDS

if TYPE_CHECKING:
    from cartnet.consensus.raft import Addressed, Ready

BLANK = HardState()
TICKS = Ticks.of(heartbeat=0.1, election_timeout=0.6, tick=TICK_SECONDS)


@dataclass(frozen=True)
class Contents:
    """What one replica's file holds after a transaction.

    :ivar log: every entry, the one at index 1 first.
    """

    hard_state: HardState = BLANK
    log: tuple[Entry, ...] = ()
    commit_index: int = 0
    applied_index: int = 0

    def after(self, ready: Ready) -> Contents:
        """The file after the transaction that a Ready asks for."""
        log = self.log
        if ready.entries:
            first = ready.entries[0].index
            assert first <= len(log) + 1, "a log has no holes"
            assert first > self.applied_index, "an applied entry stays"
            log = log[: first - 1] + ready.entries
        commit_index = max(self.commit_index, ready.commit_index)
        assert commit_index <= len(log)
        return replace(
            self,
            hard_state=ready.hard_state or self.hard_state,
            log=log,
            commit_index=commit_index,
            applied_index=commit_index,
        )


class Replica:
    """One voter: its Raft, its file, and the Ready that is being written.

    :ivar written: what the file holds; a killed process leaves it.
    :ivar synced: what of it a power cut leaves.
    :ivar tail_entries_max: how much of the log a new process keeps in memory.
    """

    def __init__(self, name: str, voters: tuple[str, ...], random: Random) -> None:
        self.name = name
        self.voters = voters
        self.random = random
        self.lexical = True
        self.tail_entries_max = 2**31
        self.written = self.synced = Contents()
        self.writing: Ready | None = None
        self.start()

    def start(self) -> None:
        """Begin a new process, from what the file holds."""
        contents = self.written
        runs: list[tuple[int, int]] = []
        for entry in contents.log:
            if not runs or entry.term > runs[-1][1]:
                runs.append((entry.index, entry.term))
        self.writing = None
        self.raft = Raft(
            self.name,
            self.voters,
            ticks=TICKS,
            random=self.random,
            log=Log(runs, len(contents.log), self._tail()),
            hard_state=contents.hard_state,
            commit_index=contents.commit_index,
            applied_index=contents.applied_index,
            lexical=self.lexical,
        )

    def _tail(self) -> tuple[Entry, ...]:
        """What a process remembers of the log at start."""
        log = self.written.log
        return log[max(0, len(log) - self.tail_entries_max) :]

    def crash(
        self, *, power_lost: bool = False, transaction_kept: bool = False
    ) -> None:
        """End the process: what it has not written is gone.

        :param power_lost: what it wrote without a sync is gone too.
        :param transaction_kept: the transaction in hand was committed, unheard.
        """
        if transaction_kept and self.writing is not None:
            self._write(self.writing)
        if power_lost:
            self.written = self.synced
        self.writing = None

    def speak(self) -> list[Addressed]:
        """Give what may leave now."""
        self.raft.flush()
        return self.raft.take_messages()

    def begin_write(self) -> Ready | None:
        """Hand the next Ready to the disk, if there is one and it is idle."""
        ready = self.raft.ready()
        if ready is not None:
            self.writing = ready
        return ready

    def finish_write(self) -> list[Addressed]:
        """The disk is done: what relied on it may leave."""
        ready = self.writing
        assert ready is not None
        self._write(ready)
        self.writing = None
        self.raft.advance(self.written.applied_index)
        return [message for message in ready.messages if message[0] != self.name]

    def _write(self, ready: Ready) -> None:
        self.written = self.written.after(ready)
        if ready.must_sync:
            self.synced = self.written


def entries(*terms: int, first: int = 1) -> tuple[Entry, ...]:
    """Entries of these terms, from ``first`` on."""
    return tuple(
        Entry(index, term, msgspec.Raw(b'"x"'))
        for index, term in enumerate(terms, first)
    )


def leader(*others: str, tail_entries_max: int = 2**31) -> Replica:
    """Return a, which leads in term 2, with connections to ``others``.

    Ten entries are of term 1, and applied; its own, the eleventh, it has not sent yet.
    """
    replica = Replica("a", ("a", *others), Random(1))
    replica.written = Contents(HardState(1), entries(*[1] * 10), 10, 10)
    replica.tail_entries_max = tail_entries_max
    replica.start()
    for voter in others:
        replica.raft.peer_connected(voter)
    replica.raft.become_candidate(handed_over=True)
    settle(replica)
    for voter in others:
        replica.raft.step(voter, RequestVoteReply(2, granted=True))
    return replica


def settle(replica: Replica) -> list[Addressed]:
    """Write what is ready; return what is said, and to whom."""
    said = replica.speak()
    while replica.begin_write() is not None:
        said += replica.finish_write()
        said += replica.speak()
    return said


def told(replica: Replica, sender: str, message: PeerMessage) -> list[Addressed]:
    """Give it a message of ``sender``; return what it says until all is written."""
    replica.raft.step(sender, message)
    return settle(replica)
