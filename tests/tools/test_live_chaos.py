"""Faults of a live check: through a real admin port, and each of them ends."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.trial.unittest import TestCase
from typing_extensions import override

from cartnet.admin.protocol import AdminFactory
from cartnet.outside import outside
from cartnet.tools.check_files import CannotCheck
from cartnet.tools.live import chaos
from cartnet.tools.live.chaos import KINDS, Chaos, Kind
from cartnet.topology.configuration import Configuration
from tests.supervisor.replicas import Ports, Process, World, cluster_of
from tests.system.waiting import CONDITION_SECONDS_MAX
from tests.tools.live_runs import HandmadeRun

SHARD = ("s1r0", "s1r1", "s1r2")
"""The only group with a replica to spare."""


class Quick(Random):
    """Chance that never waits."""

    @override
    def uniform(self, a: float, b: float) -> float:
        return 0.0


class Forgetful(ProtocolWrapper):
    """Pauses replicas, but does not say so."""

    @override
    def dataReceived(self, data: bytes) -> None:
        super().dataReceived(data)
        if data.startswith(b"json pause"):
            self.abortConnection()


class ChaosTests(TestCase):
    """A process of all replicas behind an admin port."""

    timeout = CONDITION_SECONDS_MAX

    @override
    def setUp(self) -> None:
        self.world = World()
        self.seen = HandmadeRun(chaos=True).seen
        self.serve(*self.world.topology.names)

    def serve(self, *names: str) -> None:
        """Have one process run these and serve the admin port, others one each."""
        clock: Any = reactor
        others = [name for name in self.world.topology.names if name not in names]
        self.process = Process(self.world, clock, *names)
        processes = [self.process, *(Process(self.world, clock, n) for n in others)]
        for process in processes:
            Deferred.fromCoroutine(process.start())
        ports = Ports(*processes)
        self.cluster = cluster_of(clock, self.process, ports)
        self.factory = AdminFactory(reactor, self.cluster, None, lambda: None, Logger())
        port = clock.listenTCP(0, self.factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.addCleanup(self.until_alone)
        where = port.getHost()
        assert isinstance(where, IPv4Address)
        self.configuration = Configuration(
            self.world.topology,
            admin_listen=f"tcp:{where.port}:interface=127.0.0.1",
            chaos=True,
        )
        self.doors = dict.fromkeys(("lb", "s1", "it"), ports)
        self.processes = processes

    async def until_alone(self) -> None:
        """A client has gone before its connection's end is known here."""
        while self.factory.connections_count:
            await self.pause()

    def pause(self) -> Deferred[None]:
        clock: Any = reactor
        return deferLater(clock, 0.01)

    def chaos(self) -> Chaos:
        def leader(group: str) -> str | None:
            names = self.world.topology.group(group).names
            return next((n for n in names if n in self.world.leaders), None)

        return Chaos(
            self.configuration,
            outside(reactor),
            Quick(1),
            self.doors,
            leader,
            self.seen,
        )

    async def rage_until(self, enough: Callable[[], bool]) -> None:
        """Strike until that is so, and end."""
        raging = self.chaos()
        done = Deferred.fromCoroutine(raging.rage())
        while not enough():
            await self.pause()
        raging.stop()
        await done

    def state(self, name: str) -> str:
        for process in self.processes:
            if name in process.supervisor.names:
                status = process.supervisor.status(name)
                assert status is not None
                return status.state
        raise KeyError(name)

    def assert_well(self) -> None:
        self.assertEqual({self.state(name) for name in SHARD}, {"alive"})
        self.assertEqual(self.seen.left, [])

    def kinds(self) -> set[str]:
        return {fault.kind for fault in self.seen.faults}

    async def test_every_fault_ends(self) -> None:
        """All kinds strike, at replicas that their group can spare, and end."""
        wanted = {kind.begin for kind in KINDS}
        await self.rage_until(lambda: self.kinds() == wanted)
        self.assert_well()
        self.assertLessEqual({fault.replica for fault in self.seen.faults}, {*SHARD})
        self.assertEqual(self.seen.findings.faults.total(), len(self.seen.faults))
        for fault in self.seen.faults:
            self.assertGreaterEqual(fault.until, fault.since)

    async def test_start_fails_at_first(self) -> None:
        """What does not end at once is told to end until it does."""
        self.patch(chaos, "UNDOING_PAUSE_SECONDS", 0.01)
        self.world.held = {*SHARD}
        raging = self.chaos()
        done = Deferred.fromCoroutine(raging.rage())
        while not any(self.state(name) == "dead" for name in SHARD):
            await self.pause()
        raging.stop()
        for _ in range(5):
            await self.pause()
        self.assertFalse(done.called)
        self.world.held.clear()
        await done
        self.assert_well()

    async def test_never_ends(self) -> None:
        """Where a replica cannot be brought back the verdict says what to do."""
        self.patch(chaos, "UNDOING_PAUSE_SECONDS", 0.01)
        self.patch(chaos, "UNDOING_SECONDS_MAX", 0.1)
        self.world.held = {*SHARD}
        await self.rage_until(lambda: "kill" in self.kinds())
        dead = [name for name in SHARD if self.state(name) == "dead"]
        self.assertEqual(
            self.seen.left[:1],
            [
                f"{dead[0]} could not be told to start; do it yourself:"
                f" cartnet ctl start {dead[0]}"
            ],
        )

    async def test_never_begins(self) -> None:
        """What nobody answers for is no fault that there was."""
        self.patch(chaos, "UNDOING_PAUSE_SECONDS", 0.01)
        self.patch(chaos, "UNDOING_SECONDS_MAX", 0.1)
        self.patch(chaos, "KINDS", (Kind("pause", "resume"),))
        self.configuration = Configuration(
            self.world.topology, admin_listen="unix:nobody", chaos=True
        )
        await self.rage_until(lambda: bool(self.seen.left))
        self.assertEqual(self.seen.faults, [])
        self.assertEqual(self.seen.findings.faults.total(), 0)

    async def test_answer_lost(self) -> None:
        """A fault whose beginning was not answered is known by its end."""
        self.patch(chaos, "KINDS", (Kind("pause", "resume"),))
        forgetful = WrappingFactory(self.factory)
        forgetful.protocol = Forgetful
        clock: Any = reactor
        port = clock.listenTCP(0, forgetful, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.configuration = Configuration(
            self.world.topology,
            admin_listen=f"tcp:{port.getHost().port}:interface=127.0.0.1",
            chaos=True,
        )
        await self.rage_until(lambda: bool(self.seen.faults))
        self.assertEqual(self.kinds(), {"pause"})
        self.assertEqual(self.seen.findings.faults.total(), len(self.seen.faults))
        self.assert_well()

    async def test_alone(self) -> None:
        """A replica whose process dies with it is restarted instead of killed."""
        self.serve("lb0", "lb1", "it0")
        await self.rage_until(lambda: "restart" in self.kinds())
        self.assertNotIn("kill", self.kinds())
        self.assert_well()

    async def test_not_allowed(self) -> None:
        """Where faults are not allowed, or the admin line is not there, it is said."""

        listen = self.configuration.admin_listen

        def refused(**change: Any) -> str:
            fields: dict[str, Any] = {"admin_listen": listen, "chaos": True}
            self.configuration = Configuration(
                self.world.topology, **{**fields, **change}
            )
            return str(self.assertRaises(CannotCheck, self.chaos))

        self.assertIn("[admin] chaos = yes and [admin] listen", refused(chaos=False))
        self.assertIn(
            "[admin] chaos = yes and [admin] listen", refused(admin_listen=None)
        )
        self.patch(chaos, "MEMBERS_MIN", 4)
        self.assertIn("a group of 4 replicas", refused())

    async def test_tried_out(self) -> None:
        """That the admin line answers is known before anybody shops."""
        await self.chaos().try_out()
        self.configuration = Configuration(
            self.world.topology, admin_listen="unix:nobody", chaos=True
        )
        with self.assertRaisesRegex(CannotCheck, "--chaos: nothing answers"):
            await self.chaos().try_out()

    async def test_switched_off(self) -> None:
        """A cluster that was started without faults is told of, and what to set; what
        it was asked for to find that out is nobody's concern."""
        self.cluster.chaos = False
        with self.assertRaises(CannotCheck) as raised:
            await self.chaos().try_out()
        told = str(raised.exception)
        self.assertIn("started with faults switched off", told)
        self.assertIn("put chaos = yes into [admin]", told)
        self.assertNotIn("heal", told)
