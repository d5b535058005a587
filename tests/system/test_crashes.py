"""Processes that are killed in the middle of writes."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.system.clusters import Cluster, running
from tests.system.waiting import eventually


class CrashTests(SynchronousTestCase):
    """SIGKILL to everything at once, and a start (S1, S2, S6 to S8)."""

    def test_one_process(self) -> None:
        """The one process killed in mid-write, twice, loses nothing acknowledged and
        does nothing twice."""
        with running(Path(self.mktemp())) as cluster:
            cluster.start_all()
            with cluster.crowd(6) as crowd:
                for _ in range(2):
                    terms = self._terms(cluster)
                    crowd.shop_on()
                    cluster.kill("all")
                    cluster.start_all()
                    self._terms_went_on(cluster, terms)
                crowd.shop_on()
                crowd.verify()
            cluster.stop()

    def test_twelve_processes(self) -> None:
        """Twelve processes killed at once in mid-write lose nothing acknowledged and do
        nothing twice."""
        with running(Path(self.mktemp())) as cluster:
            cluster.start_each()
            with cluster.crowd(4) as crowd:
                terms = self._terms(cluster)
                crowd.shop_on()
                cluster.kill(*cluster.addresses)
                cluster.start_each()
                self._terms_went_on(cluster, terms)
                crowd.shop_on()
                crowd.verify()
            cluster.stop()

    def _terms(self, cluster: Cluster) -> dict[str, int]:
        beats = {name: cluster.heartbeat(name) for name in cluster.addresses}
        return {name: beat["term"] for name, beat in beats.items() if beat}

    def _terms_went_on(self, cluster: Cluster, before: dict[str, int]) -> None:
        """Terms and votes not on disk: a restart would begin at term 0 again, and two
        leaders could be elected in one term."""
        for group in cluster.groups:
            highest = max(before.get(name, 0) for name in cluster.members(group))
            eventually(
                partial(self._leads_in_later_term, cluster, group, highest),
                f"{group} has a leader in a term after {highest}",
            )

    def _leads_in_later_term(self, cluster: Cluster, group: str, term: int) -> bool:
        beat = cluster.heartbeat(cluster.wait_for_leader(group))
        return beat is not None and beat["role"] == "leader" and beat["term"] > term
