from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from cartnet.errors import Refused
from cartnet.limits import DRAIN_SECONDS_MAX, STOP_SECONDS_MAX
from cartnet.simulator.cluster import SMALL, SimulatedCluster

PATIENT = SMALL + "\n[timing]\nrequest_timeout = 20\n"


class ReplicaTests(SynchronousTestCase):
    """A whole replica, among the others of its cluster."""

    def setUp(self) -> None:
        self.cluster = SimulatedCluster(1, PATIENT)
        self.cluster.start()
        self.cluster.run_until_serving()
        self.client = self.cluster.client()

    def test_own_calls_take_no_arguments(self) -> None:
        """A replica's word of itself is asked for without arguments."""
        for call in ("status", "heartbeat"):
            self.cluster.do(self.client.call_member("lb0", call, {}))
            with self.assertRaises(Refused) as raised:
                self.cluster.do(self.client.call_member("lb0", call, {"of": "lb1"}))
            self.assertEqual(raised.exception.code, "bad_request")

    def test_stop_waits_once(self) -> None:
        """What was drained in vain is not drained again: a stop keeps its time."""
        self.cluster.kill("s1r0", "s1r1", "s1r2")
        held: list[Any] = []
        account = {"username": "ada", "password": "correct horse"}
        Deferred.fromCoroutine(
            self.client.call("create_account", account, resend=False)
        ).addBoth(held.append)
        self.cluster.run_for(1)
        replica = self.cluster.replicas.pop("lb0")
        drained = replica.drain()
        self.cluster.run_for(DRAIN_SECONDS_MAX)
        self.assertNoResult(drained)
        self.assertEqual(held, [])

        stopped = replica.stop()
        self.cluster.run_for(STOP_SECONDS_MAX - DRAIN_SECONDS_MAX)

        self.successResultOf(stopped)
