"""Leaders that are busy keep their office (L3)."""

from __future__ import annotations

import threading
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.system.clusters import Cluster, running
from tests.system.customers import Customer

ONE_SHARD = {"lb": 3, "s1": 3, "it": 3}
LOGINS = 64
ITEMS = 1_000


class BusyTests(SynchronousTestCase):
    """One process with everything in it, and much to do at once."""

    def test_no_election_while_leaders_are_busy(self) -> None:
        """A storm of logins, each of which is slow on purpose, beside the import of a
        large catalogue, changes no term."""
        with running(Path(self.mktemp()), ONE_SHARD) as cluster:
            cluster.start_all()
            for group in cluster.groups:
                cluster.wait_until_leads(cluster.members(group)[0])
            customers = [Customer(f"user{n}", cluster.balancers) for n in range(LOGINS)]
            in_parallel(customers, Customer.enter)
            operator = cluster.operator()
            operator.close()
            terms = self._terms(cluster)

            storm = threading.Thread(
                target=in_parallel, args=(customers, Customer.log_in)
            )
            storm.start()
            catalogue = cluster.folder / "catalogue.csv"
            rows = [f"I{n},Item {n},{n},{n}\n" for n in range(ITEMS)]
            catalogue.write_text("id,name,price,stock\n" + "".join(rows))
            imported = cluster.tool("import-catalog", "catalogue.csv")
            storm.join()

            self.assertEqual(imported.stderr, "")
            self.assertEqual(imported.returncode, 0)
            self.assertTrue(all(customer.session for customer in customers))
            self.assertEqual(self._terms(cluster), terms)
            for customer in customers:
                customer.close()
            cluster.stop()

    def _terms(self, cluster: Cluster) -> dict[str, int]:
        beats = {name: cluster.heartbeat(name) for name in cluster.addresses}
        return {name: beat["term"] for name, beat in beats.items() if beat is not None}


def in_parallel(customers: list[Customer], what: object) -> None:
    """Have all customers do something at once, and wait for them."""
    assert callable(what)
    threads = [threading.Thread(target=what, args=(each,)) for each in customers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
