"""Snapshots on their way: sent part by part, taken, and put in place.

A part or its answer may be lost, or come while the other end cannot take it: what has
no answer is sent again, and what is kept already is answered again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from twisted.internet.defer import maybeDeferred

from cartnet.consensus.messages import InstallSnapshot, InstallSnapshotReply
from cartnet.storage.digest import is_damage

if TYPE_CHECKING:
    from twisted.logger import Logger
    from twisted.python.failure import Failure

    from cartnet.consensus.raft import Raft
    from cartnet.storage.snapshot import Snapshot
    from cartnet.storage.storage import Storage


@dataclass
class _Sending:
    """A snapshot on its way to one voter, one part in flight."""

    term: int
    snapshot: Snapshot
    part: int = 0
    ticks_unanswered: int = 0


@dataclass
class _Taking:
    """A snapshot that a leader sends; ``part`` is awaited."""

    leader: str
    term: int
    last_index: int
    last_term: int
    founders: dict[str, str]
    digest: str
    part: int = 0
    staging: bool = False
    complete: bool = False

    def is_of(self, leader: str, sent: InstallSnapshot) -> bool:
        return (self.leader, self.term, self.last_index) == (
            leader,
            sent.term,
            sent.last_index,
        )


class Snapshots:
    """Both ends of one replica's snapshots, between its Raft and its storage."""

    def __init__(
        self,
        raft: Raft,
        storage: Storage,
        tell: Callable[[Callable[[Raft], None]], None],
        failed: Callable[[Failure], None],
        log: Logger,
    ) -> None:
        """
        :param tell: runs something on the Raft in the driver's turn.
        :param failed: told when the file is damaged, or cannot be written.
        """
        self._raft = raft
        self._storage = storage
        self._tell = tell
        self._failed = failed
        self._log = log
        self._wanted: list[str] = []
        self._copying = False
        self._sending: dict[str, _Sending] = {}
        self._taking: _Taking | None = None
        self._installing = False
        self._stopped = False

    def go_on(self) -> None:
        """Do what the Raft has asked for since the last time."""
        raft = self._raft
        snapshots, raft.snapshots = raft.snapshots, []
        replies, raft.snapshot_replies = raft.snapshot_replies, []
        parts, raft.snapshot_parts = raft.snapshot_parts, []
        if not raft.leads:
            self._forget()
        for voter in snapshots:
            self._end(voter)
            self._wanted.append(voter)
        if self._wanted and not self._copying:
            self._copy()
        for voter, reply in replies:
            self._replied(voter, reply)
        for leader, part in parts:
            self._take(leader, part)

    def tick(self) -> None:
        """Let one tick pass; what has no answer for an election timeout goes again.

        The last part is answered for good when it is installed, with all the rest.
        """
        for voter, sending in list(self._sending.items()):
            sending.ticks_unanswered += 1
            if not self._raft.awaits_snapshot(voter):
                self._end(voter)
            elif sending.ticks_unanswered >= self._raft.ticks.election:
                self._send(voter)

    def stop(self) -> None:
        """Let go of the snapshots that were being sent."""
        self._stopped = True
        self._forget()

    # --- sending --------------------------------------------------------------------

    def _copy(self) -> None:
        self._copying = True
        voter = self._wanted.pop(0)
        copied = maybeDeferred(self._storage.snapshot)
        copied.addCallbacks(
            partial(self._copied, voter, self._raft.term),
            partial(self._not_copied, voter),
        )
        copied.addErrback(self._failed)

    def _not_copied(self, voter: str, reason: Failure) -> None:
        """Nobody relies on a copy: no room for one is no reason to stop.

        The Raft asks again, once its patience with this one has ended.
        """
        self._copying = False
        if is_damage(reason.value):
            self._failed(reason)
        elif not self._stopped:
            self._log.warn(
                "the tables cannot be copied for {voter} now, but later: {why}",
                voter=voter,
                why=reason.value,
            )

    def _copied(self, voter: str, term: int, snapshot: Snapshot) -> None:
        self._copying = False
        if self._raft.leads and self._raft.term == term and not self._stopped:
            self._end(voter)
            self._sending[voter] = _Sending(term, snapshot)
            self._send(voter)
        else:
            snapshot.close()

    def _send(self, voter: str) -> None:
        sending = self._sending[voter]
        sending.ticks_unanswered = 0
        snapshot = sending.snapshot
        part = InstallSnapshot(
            sending.term,
            snapshot.last_index,
            snapshot.last_term,
            sending.part,
            msgspec.Raw(snapshot.part(sending.part)),
            done=sending.part == snapshot.parts - 1,
            founders=snapshot.founders,
            digest=snapshot.digest,
        )
        self._tell(lambda raft: raft.send_snapshot_part(voter, part))

    def _replied(self, voter: str, reply: InstallSnapshotReply) -> None:
        sending = self._sending.get(voter)
        if sending is None or sending.snapshot.last_index != reply.last_index:
            return
        if reply.next_part <= sending.part:
            return
        if reply.next_part < sending.snapshot.parts:
            sending.part = reply.next_part
            self._send(voter)

    def _end(self, voter: str) -> None:
        sending = self._sending.pop(voter, None)
        if sending is not None:
            sending.snapshot.close()

    def _forget(self) -> None:
        self._wanted.clear()
        for voter in list(self._sending):
            self._end(voter)

    # --- taking ---------------------------------------------------------------------

    def _take(self, leader: str, sent: InstallSnapshot) -> None:
        taking = self._taking
        if self._installing or (taking is not None and taking.staging):
            return  # It is sent again.
        if taking is None or not taking.is_of(leader, sent):
            if sent.part != 0:
                return
            taking = self._taking = _Taking(
                leader,
                sent.term,
                sent.last_index,
                sent.last_term,
                sent.founders,
                sent.digest,
            )
        if sent.part < taking.part:
            self._answer(taking)  # The answer was lost.
        if sent.part != taking.part:
            return
        taking.staging = True
        staged = self._storage.stage(sent.part, bytes(sent.rows))
        staged.addCallback(lambda _: self._staged(taking, sent))
        staged.addErrback(self._failed)

    def _staged(self, taking: _Taking, sent: InstallSnapshot) -> None:
        taking.staging = False
        taking.part += 1
        taking.complete = sent.done
        self._answer(taking)

    def _answer(self, taking: _Taking) -> None:
        """Say which part is awaited."""
        self._tell(
            lambda raft: raft.send(
                taking.leader,
                InstallSnapshotReply(raft.term, taking.last_index, taking.part),
            )
        )

    def installs(self, installed: Callable[[int, dict[str, str]], None]) -> bool:
        """Install a snapshot that is complete, once nothing else is being written.

        :return: whether that is under way: nothing else may be written then.
        """
        if self._installing:
            return True
        taking, raft = self._taking, self._raft
        if taking is None or not taking.complete or raft.is_writing:
            return False
        self._taking = None
        if not raft.begins_install(taking.last_index, taking.last_term):
            return False
        self._installing = True

        def done(sound: bool) -> None:
            self._installing = False
            if sound:
                raft.installed(taking.leader, taking.last_index, taking.last_term)
                installed(taking.last_index, taking.founders)
                return
            # The leader hears nothing: it sends the last part again, which may be all
            # there is, and a new copy of its tables once its patience has ended.
            self._log.warn(
                "the snapshot of {leader} at {index} was dropped: its rows differ from"
                " their digest, so the tables of {leader} may be damaged",
                leader=taking.leader,
                index=taking.last_index,
            )
            self._tell(lambda raft: raft.install_refused())

        put_in_place = self._storage.install(
            taking.last_index, taking.last_term, taking.founders, taking.digest
        )
        put_in_place.addCallback(done).addErrback(self._failed)
        return True
