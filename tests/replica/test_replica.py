from __future__ import annotations

from typing import Any, Final, cast

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.messages import Heartbeat, PeerMessage
from cartnet.errors import Refused
from cartnet.limits import DRAIN_SECONDS_MAX, HELLO_AGAIN_SECONDS, STOP_SECONDS_MAX
from cartnet.replica.listener import Host, Listener
from cartnet.replica.peers import Peers
from cartnet.simulator.cluster import SMALL, SimulatedCluster
from cartnet.wire.hello import Identity
from tests.replica.listening import REQUEST_TIMEOUT

A_WHILE: Final = HELLO_AGAIN_SECONDS / 10
"""Seconds in which everything arrives, and nobody says hello again by himself."""

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


class Founder:
    """A member, ``s1r0``, that says what the test wants of the founders."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self.secret = cluster.configuration.secret
        self.founders: dict[str, str] = {}
        self.dialled = 0
        self._group = cluster.topology.group("s1")
        member = self._group.member("s1r0")
        seams = cluster.world.host(member.name, member.address).seams
        listener = Listener(cast("Host", self), seams, Logger(), REQUEST_TIMEOUT)
        seams.network.server(member.address).listen(listener.factory)
        self.peers = Peers(self, self._group, "s1r0", seams, Logger())
        self.peers.start()

    def identity(self) -> Identity:
        return Identity(
            "simulated",
            "s1r0",
            "peer",
            group="s1",
            members=self._group.members_hash,
            incarnation="now",
            file="file of s1r0",
            starts=1,
            founders=self.founders,
        )

    def unwelcome(self, identity: Identity) -> str | None:
        return None

    def peer_connected(self, identity: Identity) -> None:
        self.dialled += 1
        self.file_met = identity.file or ""

    def peer_up(self, name: str, identity: Identity) -> None:
        """Its own connection is proven."""

    def peer_lost(self, name: str) -> None:
        """Its own connection was made anew."""

    def peer_absent(self, name: str) -> None:
        """Nobody has told it where the leader is."""

    def peer_message(self, sender: str, message: PeerMessage) -> None:
        """It takes no part."""


class UnfoundedTests(SynchronousTestCase):
    """A replica that has missed how its group was founded."""

    def setUp(self) -> None:
        self.cluster = SimulatedCluster(1)
        self.founder = Founder(self.cluster)
        self.cluster.start("s1r2")
        self.cluster.run_for(A_WHILE)

    def test_asks_who_speaks_of_the_log(self) -> None:
        """It takes nothing of Raft's before it knows the founders, and asks for them at
        once, not when it would say hello again."""
        replica = self.cluster.replicas["s1r2"]
        self.assertEqual((self.founder.dialled, replica.status().role), (1, "learner"))
        names = self.cluster.topology.group("s1").names
        files = {name: f"file of {name}" for name in names}
        self.founder.founders = {**files, "s1r2": self.founder.file_met}
        heartbeat = Heartbeat(term=7, commit_index=0, round=1)

        self.founder.peers.send("s1r2", heartbeat)
        self.cluster.run_for(A_WHILE)
        self.assertEqual((self.founder.dialled, replica.term), (2, 0))
        self.assertNotEqual(replica.status().role, "learner")
        self.founder.peers.send("s1r2", heartbeat)
        self.cluster.run_for(A_WHILE)

        self.assertEqual((self.founder.dialled, replica.term), (2, 7))
