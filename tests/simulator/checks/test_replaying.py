"""Replays of whole logs."""

from __future__ import annotations

import sqlite3

from twisted.trial.unittest import SynchronousTestCase

from cartnet.simulator.checks.replaying import replay
from cartnet.simulator.checks.truth import Truth
from cartnet.simulator.cluster import SimulatedCluster
from cartnet.workload.findings import Incorrect, Tally


class ReplayTests(SynchronousTestCase):
    def test_given_back(self) -> None:
        """The tables of a replay that nobody looks at any more take no memory."""
        group = SimulatedCluster(seed=1).topology.group("it")
        tables = replay(Truth(group, Tally()), Tally())
        connection = tables.connection

        del tables

        with self.assertRaisesRegex(sqlite3.ProgrammingError, "closed"):
            connection.execute("SELECT 1")

    def test_gap(self) -> None:
        """A log that is not known whole is not taken for a shorter one."""
        group = SimulatedCluster(seed=1).topology.group("it")
        truth = Truth(group, Tally())
        for index in (1, 3):
            truth.commit("it0", index, 1, b"null")

        with self.assertRaisesRegex(Incorrect, "S3 .* it at 2"):
            replay(truth, Tally())
