"""One run: a cluster, its customers, faults for some time, then peace and a verdict."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from twisted.python.failure import Failure

from cartnet.limits import LOGIN_DELAY_SECONDS_MAX, UNACKNOWLEDGED_SECONDS_MAX
from cartnet.simulator.checks.resources import excess
from cartnet.simulator.checks.verdict import Checks
from cartnet.simulator.cluster import SimulatedCluster
from cartnet.simulator.faults.nemesis import Nemesis
from cartnet.workload.crowd import Crowd
from cartnet.workload.findings import Incorrect, Stuck, Tally
from cartnet.workload.watcher import SILENCE_SECONDS_MAX

if TYPE_CHECKING:
    from cartnet.simulator.options import Options

FORMING_SECONDS_MAX: Final = 10.0
FORMING_FAULTS_SECONDS: Final = 2.0
FORMING_PAUSE_SECONDS: Final = 0.05
"""The mean time between two faults while groups would form, which is soon done."""

SERVING_SECONDS_MAX: Final = 5.0
SETTLING_SECONDS_MAX: Final = 30.0
"""How long after all was healed the groups may take to accept writes; and all replicas
to count and to be equal, with no order pending."""

ANSWERING_SECONDS_MAX: Final = LOGIN_DELAY_SECONDS_MAX + SERVING_SECONDS_MAX
"""After that all customers know what came of what they asked for: one with too many
failed logins was told to wait."""

LAST_SECONDS_MAX: Final = 1.0
"""What customers have written last is everywhere this long after, at the latest."""

SALE_SECONDS_MAX: Final = 60.0
"""After that, how long it may take to buy all that is left."""

PREFERRED_SECONDS_MAX: Final = 90.0
"""Repeated hand-overs back off to a minute: so long until the preferred lead again."""


RARE: Final = (
    "installed a snapshot",
    "begins anew",
    "an old copy",
    "does not match its checksum",
    "tables differ",
    "its disk says",
    "the new file of",
    "leads no longer",
    "stays pending for now",
    "is not believed",
    "a bad message: ",
    "a line may have at most",
)
"""What replicas log on paths that are seldom taken: a search should reach all."""


@dataclass
class Outcome:
    """What came of one seed.

    :ivar status: 0 clean, 127 a crash, 128 something did not come to pass, 129 a
        guarantee was broken.
    :ivar told: what went wrong, empty where nothing did.
    :ivar virtual_seconds: how long the history is.
    """

    seed: int
    status: int
    told: str
    digest: str
    virtual_seconds: float
    tally: Tally


class Run:
    """One seed's run under its options."""

    def __init__(
        self, seed: int, options: Options, trace: Callable[[str], None] | None = None
    ) -> None:
        self.tally = Tally()
        self.cluster = SimulatedCluster(seed, options.configuration, options.link)
        world = self.cluster.world
        self._seed = seed
        self._options = options
        self._trace = trace
        if options.user_timeout:
            world.network.user_timeout = UNACKNOWLEDGED_SECONDS_MAX
        for name in self.cluster.topology.names:
            world.hosts[name].disk.speed = options.disk
        self._drift()
        self.cluster.logs.trace = trace
        self.checks = Checks(self.cluster, self.tally)
        self.crowd = Crowd(self.cluster, options.demand, self.tally)
        self.nemesis = Nemesis(
            self.cluster, options, self.crowd.hosts, self.tally, self._tell
        )
        self._random = world.random("pauses")

    def _drift(self) -> None:
        share = self._options.drift
        if share:
            random = self.cluster.world.random("drift")
            for name in self.cluster.topology.names:
                rate = random.uniform(1 - share, 1 + share)
                self.cluster.world.hosts[name].drift(rate)
            self.tally.faults["clock drift (a run)"] += 1

    def run(self, minutes: float) -> Outcome:
        """Faults for so many minutes, then peace; never raises what it finds."""
        told, status = "", 0
        gc.collect()  # What earlier runs in this process have left is not this one's.
        try:
            with self.cluster.logs.unhandled():
                self._live(minutes)
                self.checks.check_all(self.crowd)
                gc.collect()
            self.cluster.check()
        except Incorrect as error:
            told, status = str(error), 129
        except Stuck as error:
            told, status = str(error), 128
        except Exception as error:
            told, status = Failure(error).getTraceback(), 127
        for line in self.cluster.logs.lines:
            for mark in RARE:
                self.tally.reached[mark] += mark in line
        world = self.cluster.world
        disks = [host.disk for host in world.hosts.values()]
        self.tally.reached["a power cut took something"] += sum(d.lost for d in disks)
        self.tally.reached["a power cut left a part"] += sum(d.torn for d in disks)
        return Outcome(
            self._seed, status, told, world.digest, world.clock.seconds(), self.tally
        )

    def _live(self, minutes: float) -> None:
        try:
            self.safety(60 * minutes)
            self.liveness()
        except Stuck:
            # A broken guarantee, if the logs show one, is the worse of the two.
            self.checks.check_logs(self.crowd)
            raise

    def safety(self, seconds: float) -> None:
        """Customers and faults; everything is looked at after each step."""
        cluster = self.cluster
        cluster.start()
        if self._options.faults_while_forming:
            self._trouble(FORMING_FAULTS_SECONDS, FORMING_PAUSE_SECONDS)
            self.nemesis.heal()
        self._await("the groups form", FORMING_SECONDS_MAX, self._unserved)
        self.crowd.begin()
        self._trouble(seconds, self._options.pause_seconds)

    def _trouble(self, seconds: float, pause_seconds: float) -> None:
        clock = self.cluster.world.clock
        end = clock.seconds() + seconds
        while clock.seconds() < end:
            pause = self._random.expovariate(1 / pause_seconds)
            self.cluster.run_for(min(pause, end - clock.seconds()))
            self.crowd.check()
            self.nemesis.strike()

    def liveness(self) -> None:
        """All is healed: what must come to pass then does, in time."""
        self.nemesis.heal()
        healed = self.cluster.world.clock.seconds()
        self.crowd.stop()
        self.crowd.probe([group.name for group in self.cluster.topology.shards])
        self._await(
            "L1 all groups accept writes", SERVING_SECONDS_MAX, self.crowd.unproven
        )
        self._await(
            "S10 customers have answers",
            ANSWERING_SECONDS_MAX,
            self.crowd.at_work,
            healed,
        )
        self._await(
            "S8 O4 no order is pending, though nobody asks for it",
            SETTLING_SECONDS_MAX,
            self.checks.pending,
            healed,
        )
        self.crowd.settle()
        self._await(
            "S6 customers find out", ANSWERING_SECONDS_MAX, self.crowd.at_work, healed
        )
        self._await(
            "S1 L1 all members count again",
            SETTLING_SECONDS_MAX,
            self._uncounted,
            healed,
        )
        equal = "S4 S8 O4 replicas are equal, no order is pending"
        self._await(equal, SETTLING_SECONDS_MAX, self.checks.unsettled, healed)
        if self.crowd.wanted is not None:
            self.crowd.sell_out()
            self._await("W4 all is sold", SALE_SECONDS_MAX, self.crowd.at_work)
            self._await(equal, SETTLING_SECONDS_MAX, self.checks.unsettled)
        self._await("F2 feeds speak", SILENCE_SECONDS_MAX, self._unheard)
        self._await("F2 pages show carts", SILENCE_SECONDS_MAX, self._unshown)
        self._await("nothing piles up", SILENCE_SECONDS_MAX, self._excess)
        if self._options.lexical:
            self._await("R11 the preferred lead", PREFERRED_SECONDS_MAX, self._usurped)

    def _await(
        self,
        what: str,
        seconds_max: float,
        missing: Callable[[], str | None],
        since: float | None = None,
    ) -> None:
        """Run until nothing is missing.

        :param since: from when on it may take so long; by default from now on.
        :raises Stuck: it was in vain.
        """
        clock = self.cluster.world.clock
        began = clock.seconds() if since is None else since
        end = max(began + seconds_max, clock.seconds() + LAST_SECONDS_MAX)
        self.tally.checks[f"{what}, in {seconds_max:g} s"] += 1
        while (missed := missing()) is not None:
            if clock.seconds() >= end:
                raise Stuck(f"{what}, within {seconds_max:g} s: {missed}")
            self.cluster.run_for(0.05)
        self._tell(f"{what}: {clock.seconds() - began:.2f} s")

    def _excess(self) -> str | None:
        return excess(self.cluster)

    def _uncounted(self) -> str | None:
        """In which groups not all members count, with the files that they have now."""
        groups = [group.name for group in self.cluster.topology.groups]
        without = [name for name in groups if not self.cluster.all_count(name)]
        return ", ".join(without) or None

    def _unserved(self) -> str | None:
        groups = [group.name for group in self.cluster.topology.groups]
        without = [name for name in groups if self.cluster.leader(name) is None]
        return f"no leader of {', '.join(without)}" if without else None

    def _usurped(self) -> str | None:
        for group in self.cluster.topology.groups:
            preferred = min(group.members, key=lambda member: member.address).name
            leader = self.cluster.leader(group.name)
            if leader != preferred:
                return f"{leader} leads, not {preferred}"
        return None

    def _unheard(self) -> str | None:
        for watcher in self.crowd.watchers:
            if watcher.silent_seconds > SILENCE_SECONDS_MAX / 2:
                return f"{watcher.name} has heard nothing for {watcher.silent_seconds}"
        return None

    def _unshown(self) -> str | None:
        """Whose page does not show the cart as it is."""
        for device in self.crowd.devices:
            if device.page is None:
                continue
            shard = self.cluster.topology.group(device.shard)
            cursor = self.cluster.plain_cursor(shard.names[0])
            user = (device.user,)
            sql = "SELECT version FROM carts WHERE username = ?"
            row = cursor.execute(sql, user).fetchone() or (0,)
            sql = (
                "SELECT item, quantity FROM cart_lines WHERE username = ?"
                " ORDER BY added_index"
            )
            cart = row[0], cursor.execute(sql, user).fetchall()
            if device.page.seen != cart:
                return f"{device.name} sees {device.page.seen}, not {cart}"
        return None

    def _tell(self, text: str) -> None:
        self.cluster.world.record(text)
        if self._trace is not None:
            self._trace(f"{self.cluster.world.clock.seconds():.3f} - {text}")
