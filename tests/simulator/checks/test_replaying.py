"""Replays of whole logs."""

from __future__ import annotations

import sqlite3

from twisted.trial.unittest import SynchronousTestCase

from cartnet.simulator.checks.replaying import replay
from cartnet.simulator.checks.truth import Truth
from cartnet.simulator.cluster import SimulatedCluster
from cartnet.workload.findings import Tally


class ReplayTests(SynchronousTestCase):
    def test_given_back(self) -> None:
        """The tables of a replay that nobody looks at any more take no memory."""
        group = SimulatedCluster(seed=1).topology.group("it")
        tables = replay(Truth(group, Tally()), Tally())
        connection = tables.connection

        del tables

        with self.assertRaisesRegex(sqlite3.ProgrammingError, "closed"):
            connection.execute("SELECT 1")
