"""What becomes of time-outs when a process was held and its ticks come late."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.candidate import PreCandidate
from cartnet.consensus.log import Log
from cartnet.consensus.messages import HardState
from cartnet.consensus.raft import Raft
from tests.consensus.replicas import TICKS

VOTERS = ("a", "b", "c")


class HeldLoopTests(SynchronousTestCase):
    """A loop that was held changes who campaigns neither in time nor in order."""

    def test_the_preferred_one_still_comes_first(self) -> None:
        """However long each was about to wait, the smallest rank campaigns first."""
        for seed in range(200):
            random = Random(seed)
            rafts = [
                Raft(
                    voter,
                    VOTERS,
                    ticks=TICKS,
                    random=random,
                    log=Log(),
                    hard_state=HardState(),
                )
                for voter in VOTERS
            ]
            for raft in rafts:
                for _ in range(random.randrange(TICKS.heartbeat)):
                    raft.tick()
                raft.loop_was_held()

            while not any(isinstance(raft.role, PreCandidate) for raft in rafts):
                for raft in reversed(rafts):
                    raft.tick()

            campaigning = [
                raft.name for raft in rafts if isinstance(raft.role, PreCandidate)
            ]
            self.assertEqual(campaigning, ["a"], f"seed {seed}")
