"""What comes while a snapshot takes the place of a follower's log."""

from __future__ import annotations

from random import Random

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.log import Log
from cartnet.consensus.messages import (
    AppendEntries,
    AppendEntriesReply,
    Entry,
    HardState,
    Heartbeat,
)
from cartnet.consensus.raft import Raft
from cartnet.consensus.timing import Ticks
from cartnet.limits import TICK_SECONDS


def entries(first: int, last: int) -> tuple[Entry, ...]:
    return tuple(Entry(n, 1, msgspec.Raw(b"1")) for n in range(first, last + 1))


class InstallingTests(SynchronousTestCase):
    """A follower of three that has nothing; its leader has ten entries."""

    def setUp(self) -> None:
        self.raft = Raft(
            "b",
            ("a", "b", "c"),
            ticks=Ticks.of(0.1, 0.6, TICK_SECONDS),
            random=Random(1),
            log=Log((), 0, ()),
            hard_state=HardState(1, None),
        )

    def test_entries_meanwhile(self) -> None:
        """Entries and commits that come during an installation wait for their next
        sending: no ack promises what the installation takes away."""
        raft = self.raft
        self.assertTrue(raft.begins_install(5, 1))
        raft.step("a", AppendEntries(1, 0, 0, 10, entries(1, 10)))
        raft.step("a", Heartbeat(1, 10, 1))
        self.assertEqual((raft.log.last_index, raft.commit_index), (0, 0))
        self.assertEqual(raft.leader, "a")

        raft.installed("a", 5, 1)

        ready = raft.ready()
        assert ready is not None
        acks = [m for _, m in ready.messages if isinstance(m, AppendEntriesReply)]
        self.assertEqual([ack.match_index for ack in acks], [5])
        raft.step("a", AppendEntries(1, 5, 1, 10, entries(6, 10)))
        self.assertEqual((raft.log.last_index, raft.commit_index), (10, 10))

    def test_entries_before(self) -> None:
        """A log that has come to hold all of a snapshot keeps what it has acked."""
        raft = self.raft
        raft.step("a", AppendEntries(1, 0, 0, 0, entries(1, 10)))

        self.assertFalse(raft.begins_install(5, 1))

        self.assertEqual((raft.log.last_index, raft.commit_index), (10, 5))
