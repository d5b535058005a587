"""The clean end."""

from __future__ import annotations

import json
import socket
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.system.clusters import running
from tests.system.customers import PASSWORD, Customer
from tests.system.lines import Line, Lost

REQUESTS = 12


class StopTests(SynchronousTestCase):
    """SIGTERM (S1, S10)."""

    def test_requests_in_hand(self) -> None:
        """Requests in hand at SIGTERM get their answers, what these say is true after
        the next start, and all ports are closed in between."""
        with running(Path(self.mktemp())) as cluster:
            cluster.start_all()
            requests = [
                {
                    "id": n,
                    "call": "create_account",
                    "args": {"username": f"user{n}", "password": PASSWORD},
                    "key": "create",
                }
                for n in range(REQUESTS)
            ]
            with Line(cluster.balancers[0]) as line:
                # At once, so that all are in hand when the first one is answered; each
                # takes its while, for the password's sake.
                line.send(b"".join(json.dumps(r).encode() + b"\n" for r in requests))
                answers = [line.receive()]
                cluster.terminate()
                answers.append(line.receive())
                # Whoever is in a hurry says it again; that changes nothing.
                cluster.terminate()
                answers += [line.receive() for _ in requests[2:]]
                self.assertRaises(Lost, line.receive)
            cluster.wait_for_end()
            for port in cluster.ports:
                with socket.socket() as probe:
                    self.assertNotEqual(probe.connect_ex(("127.0.0.1", port)), 0)

            self.assertEqual({each["id"] for each in answers}, set(range(REQUESTS)))
            created = {each["id"] for each in answers if "ok" in each}
            self.assertEqual(created, set(range(REQUESTS)), answers)
            cluster.start_all()
            for n in created:
                with Customer(f"user{n}", cluster.balancers) as customer:
                    customer.log_in()
            cluster.stop()

    def test_stop_under_way(self) -> None:
        """A stop while people shop loses nothing that was acknowledged."""
        with running(Path(self.mktemp())) as cluster:
            cluster.start_all()
            with cluster.crowd(4) as crowd:
                for _ in range(2):
                    crowd.shop_on()
                    cluster.stop()
                    cluster.start_all()
                crowd.verify()
            cluster.stop()
