"""Draws what is done to a cluster next."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from cartnet.simulator.faults.clocks import Clocks
from cartnet.simulator.faults.disks import Disks
from cartnet.simulator.faults.failpoints import Failpoints
from cartnet.simulator.faults.frames import Frames
from cartnet.simulator.faults.links import Links
from cartnet.simulator.faults.processes import Processes
from cartnet.simulator.faults.replays import Replays
from cartnet.simulator.faults.victims import Victims

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cartnet.simulator.cluster import SimulatedCluster
    from cartnet.simulator.options import Options
    from cartnet.workload.findings import Tally

RELIEF: Final = 0.4
"""How often something is mended instead: else soon nothing would be left to strike."""


class Nemesis:
    """Strikes between two runs of the clock, never within a step of a replica.

    :ivar told: told what it does.
    """

    def __init__(
        self,
        cluster: SimulatedCluster,
        options: Options,
        customers: Sequence[str],
        tally: Tally,
        told: Callable[[str], None],
    ) -> None:
        self._cluster = cluster
        self._options = options
        self._tally = tally
        self._told = told
        self._random = cluster.world.random("faults")
        victims = self._victims = Victims(cluster, self._random, options.target)
        processes = self._processes = Processes(victims, tally)
        failpoints = self._failpoints = Failpoints(victims, tally, processes.kill)
        links, disks = Links(victims, customers), Disks(victims, options.disk, tally)
        self._disks = disks
        frames = self._frames = Frames(victims, tally)
        clocks = self._clocks = Clocks(victims)
        kinds: dict[str, Callable[[], bool]] = {
            "crash": processes.crash,
            "crash leader": processes.crash_leader,
            "crash all": processes.crash_all,
            "power cut": processes.power_cut,
            "crash at statement": processes.crash_at_statement,
            "crash after commit": processes.crash_after_commit,
            "crash at message": processes.crash_at_message,
            "crash at checkout": processes.crash_at_checkout,
            "failpoint": failpoints.strike,
            "pause": processes.pause,
            "pause all": processes.pause_all,
            "product pause": processes.product_pause,
            "isolate": processes.isolate,
            "transfer": processes.transfer,
            "partition": links.partition,
            "one-way cut": links.one_way_cut,
            "partial cut": links.partial_cut,
            "bridge": links.bridge,
            "ring": links.ring,
            "lossy link": links.lossy_link,
            "client cut": links.client_cut,
            "group cut": links.group_cut,
            "reset": links.reset,
            "late connection": links.late_connection,
            "slow link": links.slow_link,
            "corrupt line": frames.corrupt,
            "cut line": frames.cut_short,
            "long line": frames.too_long,
            "slow disk": disks.slow,
            "stalled disk": disks.stall,
            "full disk": disks.full,
            "write error": disks.write_error,
            "sync error": disks.sync_error,
            "torn write": disks.tear,
            "wiped disk": disks.wipe,
            "old copy": disks.old_copy,
            "flipped byte": disks.flip,
            "clock jump": clocks.jump,
            "clock strobe": clocks.strobe,
        }
        self._replays: Replays | None = None
        if "replay" in options.faults:
            # It costs: every message is looked at.
            self._replays = Replays(victims)
            kinds["replay"] = self._replays.replay
        self._kinds = {kind: kinds[kind] for kind in options.faults}

    def strike(self) -> None:
        """Do something, or mend something."""
        if self._random.random() < RELIEF:
            self._relieve()
            return
        kind = self._random.choice([*self._kinds])
        if self._kinds[kind]():
            self._tally.faults[kind] += 1
            self._told(f"fault: {kind}")

    def _relieve(self) -> None:
        stopped = [
            name for name in self._victims.names if name not in self._cluster.replicas
        ]
        match self._random.randrange(6):
            case 0:
                self._told("the network is healed")
                self._cluster.world.network.heal()
                self._cluster.world.network.renew()
            case 1:
                self._told("the disks are mended")
                self._disks.mend()
            case _ if stopped:
                name = self._random.choice(stopped)
                self._told(f"{name} starts")
                self._cluster.start(name)

    def heal(self) -> None:
        """End every fault, and start whoever is not running."""
        self._told("all is healed")
        self._processes.disarm()
        self._failpoints.disarm()
        self._frames.disarm()
        if self._replays is not None:
            self._replays.disarm()
        self._processes.resume()
        self._processes.open_gates()
        self._disks.mend()
        self._cluster.world.network.heal()
        self._cluster.world.network.renew()
        self._clocks.heal()
        for name in self._cluster.topology.names:
            if name not in self._cluster.replicas:
                self._cluster.start(name)
