"""What a leader knows of one follower, and how much it may have under way to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import Final

from cartnet.consensus.log import size
from cartnet.consensus.messages import Entry
from cartnet.limits import (
    WINDOW_BYTES_MAX,
    WINDOW_ENTRIES_MAX,
    WINDOW_MESSAGES_MAX,
)

SNAPSHOT_PATIENCE: Final = 20
"""Election timeouts that a part of a snapshot, or its installation, may take."""


class Mode(Enum):
    PROBING = "probing"
    """Where the logs part is being looked for: one append at a time."""

    STREAMING = "streaming"
    """The logs joined: appends go out without waiting for acks (10.2.1)."""

    SNAPSHOT = "snapshot"
    """What it needs is compacted away: it gets the machine's tables instead (5.2)."""


class Progress:
    """One follower, as the leader sees it.

    :ivar match_index: the highest index known to be synced and equal there.
    :ivar next_index: the next index to send.
    :ivar ticks_unheard: since anything came from it.
    :ivar commit_sent: the highest commit index it was told.
    :ivar acked_round: the highest heartbeat round it has answered.
    :ivar hears: the voters that it says it is connected to.
    :ivar fetching: whether entries for it are being read from disk.
    """

    def __init__(self, next_index: int) -> None:
        self.match_index = 0
        self.next_index = next_index
        self.mode = Mode.PROBING
        self.ticks_unheard = 0
        self.commit_sent = 0
        self.acked_round = 0
        self.hears: frozenset[str] = frozenset()
        self.fetching = False
        self._probe_sent = False
        self._ticks_unacked = 0
        self._window: deque[tuple[int, int, int]] = deque()
        self._window_entries = 0
        self._window_bytes = 0

    @property
    def streaming(self) -> bool:
        return self.mode is Mode.STREAMING

    @property
    def may_send(self) -> bool:
        """Whether another append with entries may leave now."""
        if self.fetching or self.mode is Mode.SNAPSHOT:
            return False
        if self.mode is Mode.PROBING:
            return not self._probe_sent
        return (
            len(self._window) < WINDOW_MESSAGES_MAX
            and self._window_entries < WINDOW_ENTRIES_MAX
            and self._window_bytes < WINDOW_BYTES_MAX
        )

    def sent(self, entries: Sequence[Entry]) -> None:
        """An append with ``entries`` has left."""
        if self.mode is Mode.PROBING:
            self._probe_sent = True
            self._ticks_unacked = 0
            return
        if not entries:
            return
        if not self._window:
            self._ticks_unacked = 0
        size_bytes = sum(map(size, entries))
        self._window.append((entries[-1].index, len(entries), size_bytes))
        self._window_entries += len(entries)
        self._window_bytes += size_bytes
        self.next_index = entries[-1].index + 1

    def matched(self, match_index: int) -> bool:
        """An append was acknowledged; say whether that was news."""
        while self._window and self._window[0][0] <= match_index:
            _, entries, size_bytes = self._window.popleft()
            self._window_entries -= entries
            self._window_bytes -= size_bytes
        self._ticks_unacked = 0
        news = match_index > self.match_index
        self.match_index = max(self.match_index, match_index)
        self.next_index = max(self.next_index, self.match_index + 1)
        if self.mode is not Mode.STREAMING:
            self.mode = Mode.STREAMING
            self._probe_sent = False
            self.next_index = self.match_index + 1
        return news

    def needs_snapshot(self) -> None:
        """Send nothing until a snapshot has been installed, or has got stuck."""
        self.probe()
        self.mode = Mode.SNAPSHOT
        self._ticks_unacked = 0

    def snapshot_goes_on(self) -> None:
        """A part of the snapshot has been kept."""
        self._ticks_unacked = 0

    def lacks_what_it_had(self, rejected_index: int) -> bool:
        """Whether a probe at what it has acknowledged was rejected all the same."""
        return (
            self.mode is Mode.PROBING
            and 0 < rejected_index == self.match_index == self.next_index - 1
        )

    def rejected(self, rejected_index: int, next_index: int) -> None:
        """An append did not join on at ``rejected_index``: probe at ``next_index``,
        unless that answers a message from before what is known by now."""
        if rejected_index <= self.match_index or self.mode is Mode.SNAPSHOT:
            return
        if self.mode is Mode.PROBING and rejected_index != self.next_index - 1:
            return
        self.probe(min(next_index, rejected_index))

    def probe(self, next_index: int | None = None) -> None:
        """Forget what is under way; look for the place to go on from.

        Without a ``next_index`` it is behind the last ack, or, as long as there was
        none, where it was looked for before: a new leader's log need not go out again.
        """
        if next_index is None and self.mode is Mode.PROBING:
            next_index = self.next_index
        self.mode = Mode.PROBING
        self.next_index = max(next_index or 0, self.match_index + 1)
        self.fetching = False
        self._probe_sent = False
        self._window.clear()
        self._window_entries = self._window_bytes = 0

    def tick(self, ticks_unacked_max: int) -> None:
        """Let time pass; what stays unacknowledged for too long is taken as lost."""
        self.ticks_unheard += 1
        patience = 1
        if self.mode is Mode.SNAPSHOT:
            patience = SNAPSHOT_PATIENCE
        elif not (self._window or self._probe_sent):
            return
        self._ticks_unacked += 1
        if self._ticks_unacked >= patience * ticks_unacked_max:
            self.probe()
            self._ticks_unacked = 0
