"""One seed is one history, and nothing of the real world is in it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from cartnet.simulator.world import EPOCH, World
from tests.simulator import echoes
from tests.simulator.processes import said


class HistoryTests(SynchronousTestCase):
    """What a run depends on."""

    def test_same_seed(self) -> None:
        """One seed gives one history, another seed another."""
        self.assertEqual(echoes.digest(1), echoes.digest(1))
        self.assertNotEqual(echoes.digest(1), echoes.digest(2))

    def test_other_process(self) -> None:
        """Nor does it depend on the process, the hash seed or a global reactor."""
        digests = {
            said("tests.simulator.echoes", 1, hash_seed=hash_seed)
            for hash_seed in (0, 77)
        }

        self.assertEqual(digests, {echoes.digest(1)})

    def test_streams_are_apart(self) -> None:
        """A further draw for one purpose changes nothing for another."""
        one, other = World(5), World(5)
        one.host("a").seams.random.random()

        self.assertEqual(
            one.host("b").seams.random.random(), other.host("b").seams.random.random()
        )
        self.assertEqual(
            one.host("a").seams.token_bytes(16), other.host("a").seams.token_bytes(16)
        )


class HostTests(SynchronousTestCase):
    """What a host's process is handed."""

    def setUp(self) -> None:
        self.world = World(1)
        self.host = self.world.host("a")

    def test_wall_clock(self) -> None:
        """The wall clock runs with the true time, and may be off."""
        self.world.clock.run_until(10)
        self.host.wall_offset = -3600.0

        self.assertEqual(self.host.seams.wall(), EPOCH + 10 - 3600)

    def test_in_thread(self) -> None:
        """A long computation's result or failure comes after a while."""
        result = self.host.seams.in_thread(pow, 2, 10)
        failure = self.host.seams.in_thread(int, "x")
        self.assertNoResult(result)

        self.world.clock.run_for(1)

        self.assertEqual(self.successResultOf(result), 1024)
        self.failureResultOf(failure, ValueError)

    def test_new_process(self) -> None:
        """After a crash nothing of the old process comes back; tokens are new."""
        old = self.host.seams
        result = old.in_thread(pow, 2, 10)

        self.host.crash()
        self.world.clock.run_for(1)

        self.assertNoResult(result)
        self.assertNotEqual(old.token_bytes(16), self.host.seams.token_bytes(16))

    def test_pause(self) -> None:
        """What falls due while a process hangs happens once it goes on, in order, and
        can be cancelled until then."""
        happened: list[str] = []
        clock = self.host.seams.clock
        late = clock.callLater(2, happened.append, "late")
        clock.callLater(1, late.cancel)
        clock.callLater(3, happened.append, "later")
        clock.callLater(20, happened.append, "last")
        self.host.pause()
        self.world.clock.run_for(10)
        self.assertEqual(happened, [])

        self.host.resume()
        self.world.clock.run_for(1)
        self.assertEqual(happened, ["later"])
        self.world.clock.run_for(10)
        self.assertEqual(happened, ["later", "last"])

    def test_crash_of_a_paused_process(self) -> None:
        """What has waited in a process that is killed never happens."""
        happened: list[str] = []
        self.host.seams.clock.callLater(1, happened.append, "never")
        self.host.pause()
        self.world.clock.run_for(2)
        self.host.crash()
        self.host.resume()
        self.world.clock.run_for(2)

        self.assertEqual(happened, [])
