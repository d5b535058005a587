"""A group of pure replicas under random faults, from one seed."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from random import Random

import msgspec

from cartnet.consensus.messages import PeerMessage
from tests.consensus.checker import Checker
from tests.consensus.replicas import TICKS, Replica

LIVELY_TICKS_MAX = 300
"""After all faults have ended a group has a leader, and equal logs, within this."""

PREFERRED_TICKS_MAX = TICKS.caught_up + TICKS.hand_over_pause_max + LIVELY_TICKS_MAX
"""After that the most preferred replica leads within this."""


class Faults:
    """How likely which faults are; each run draws its own, so that runs differ.

    Delays are in ticks, likelihoods are per message or per tick of the group.

    :ivar append_entries_max: how many entries an append carries: with few, those of
        old terms arrive without those of the newest.
    :ivar window_messages_max: how many appends may be under way to one follower.
    """

    def __init__(self, random: Random) -> None:
        def sometimes(most: float) -> float:
            return random.choice((0.0, most * random.random(), most))

        self.loss = sometimes(0.3)
        self.duplication = sometimes(0.2)
        self.delay = random.choice((0.1, 1.0, 3.0, 10.0))
        self.disk_delay = random.choice((0.01, 0.5, 4.0, 20.0))
        self.crash = sometimes(0.02)
        self.power_cut = sometimes(0.5)
        self.partition = sometimes(0.02)
        self.heal = random.choice((0.01, 0.03, 0.1))
        self.restart = random.choice((0.01, 0.05, 0.2))
        self.reconnection = sometimes(0.05)
        self.stall = sometimes(0.01)
        self.hint = sometimes(0.02)
        self.hand_over = sometimes(0.01)
        self.usurpation = sometimes(0.1)
        self.proposal = random.choice((0.05, 0.3, 1.0))
        self.read = sometimes(1.0)
        self.append_entries_max = random.choice((2, 5, 1_000))
        self.window_messages_max = random.choice((1, 4, 64))


class Turmoil:
    """One run: some time with faults, then peace."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        size = self.random.choice((1, 2, 3, 3, 3, 4, 5, 5, 7))
        self.names = tuple("abcdefg"[:size])
        self.faults = Faults(self.random)
        self.lexical = self.random.random() < 0.8
        self.checker = Checker()
        self.now = 0.0
        self.steps = 0
        self.replicas: dict[str, Replica] = {}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._scheduled = 0
        self._stopped: set[str] = set()
        self._lives = dict.fromkeys(self.names, 0)
        self._cut: set[tuple[str, str]] = set()
        self._proposed = 0
        self._floors: list[int] = []
        for name in self.names:
            replica = Replica(name, self.names, Random(self.random.random()))
            replica.lexical = self.lexical
            self.replicas[name] = replica
            self._start(name)
            self._at(self.random.random(), self._tick, name)

    # --- the run --------------------------------------------------------------------

    def rage(self, ticks: int) -> None:
        """Let time pass with faults."""
        end = self.now + ticks
        self._at(1.0, self._trouble, end)
        self._run_until(end)

    def calm(self) -> None:
        """End all faults, and see the group recover."""
        faults = self.faults
        faults.loss = faults.duplication = 0.0
        faults.delay, faults.disk_delay = 0.1, 0.1
        self._cut.clear()
        for name in sorted(self._stopped):
            self._restart(name)
        # What was lost while nobody noticed must be found to be lost, too.
        if self.random.random() < 0.5:
            self._reconnect_all()
        self._run_until(self.now + LIVELY_TICKS_MAX)
        leader = self._only_leader()
        self._propose(leader)
        # Messages overtake each other even now, which may cost an election timeout.
        self._run_until(self.now + 3 * TICKS.election)
        self._check_equal(leader)
        if self.lexical:
            self._check_preferred()

    def _check_equal(self, leader: str) -> None:
        log = self.replicas[leader].written.log
        assert len(log) == self.checker.last_committed, "all is committed"
        for replica in self.replicas.values():
            assert replica.written.log == log, f"{replica.name} has another log"
            assert replica.written.applied_index == len(log)

    def _check_preferred(self) -> None:
        first = self.replicas[self.names[0]].raft
        end = self.now + PREFERRED_TICKS_MAX
        while not first.leads and self.now < end:
            self._run_until(self.now + TICKS.election)
        assert first.leads, "the most preferred leads in the end"
        self._run_until(self.now + TICKS.election)
        assert self._only_leader() == self.names[0], "and goes on leading"

    def _only_leader(self) -> str:
        leaders = [name for name, r in self.replicas.items() if r.raft.leads]
        assert len(leaders) == 1, f"{leaders} lead"
        return leaders[0]

    # --- time -----------------------------------------------------------------------

    def _at(self, delay: float, function: Callable[..., None], *args: object) -> None:
        self._scheduled += 1
        call = (self.now + delay, self._scheduled, lambda: function(*args))
        heapq.heappush(self._heap, call)

    def _run_until(self, end: float) -> None:
        while self._heap and self._heap[0][0] <= end:
            self.now, _, call = heapq.heappop(self._heap)
            self.steps += 1
            call()
        self.now = end

    def _tick(self, name: str) -> None:
        self._at(1.0, self._tick, name)
        if name not in self._stopped:
            self.replicas[name].raft.tick()
            self._settle(name)

    # --- faults and requests --------------------------------------------------------

    def _trouble(self, end: float) -> None:
        """Once a tick: whatever happens to the group."""
        if self.now + 1 <= end:
            self._at(1.0, self._trouble, end)
        chance, faults = self.random.random, self.faults
        name = self.random.choice(self.names)
        other = self.random.choice(self.names)
        if chance() < faults.crash:
            self._crash(name)
        if self._stopped and chance() < faults.restart:
            self._restart(self.random.choice(sorted(self._stopped)))
        if chance() < faults.partition:
            self._partition()
        if self._cut and chance() < faults.heal:
            self._cut.clear()
        if name != other and chance() < faults.reconnection:
            self._reconnect(name, other)
        for leader in [r.name for r in self._running() if r.raft.leads]:
            if chance() < faults.proposal:
                self._propose(leader)
            if chance() < faults.read:
                self._read(leader)
            if leader != other and chance() < faults.hand_over:
                self.replicas[leader].raft.hand_over(other)
                self._settle(leader)
        if name not in self._stopped:
            raft = self.replicas[name].raft
            if raft.leader not in (None, name) and chance() < faults.hint:
                raft.leader_crashed(raft.leader or "")
            if not raft.leads and chance() < faults.usurpation:
                # Safety must not hang on pre-votes, leases or time-outs.
                raft.become_candidate(handed_over=True)
            if chance() < faults.stall:
                raft.loop_was_held()
            self._settle(name)

    def _propose(self, leader: str) -> None:
        commands = []
        for _ in range(self.random.choice((1, 1, 3))):
            self._proposed += 1
            commands.append(msgspec.Raw(str(self._proposed).encode()))
        self.replicas[leader].raft.propose(commands)
        self._settle(leader)

    def _read(self, leader: str) -> None:
        self._floors.append(self.checker.last_committed)
        self.replicas[leader].raft.read(len(self._floors) - 1)
        self._settle(leader)

    def _partition(self) -> None:
        """Cut the group in two, one way or both, or some links of it."""
        side = [name for name in self.names if self.random.random() < 0.5]
        kind = self.random.choice(("both ways", "one way", "links"))
        for one in self.names:
            for other in self.names:
                if kind == "links":
                    cut = self.random.random() < 0.4
                else:
                    cut = one in side and other not in side
                if cut:
                    self._cut.add((one, other))
                    if kind == "both ways":
                        self._cut.add((other, one))

    def _crash(self, name: str) -> None:
        if name in self._stopped:
            return
        self._stopped.add(name)
        self._lives[name] += 1
        power_lost = self.random.random() < self.faults.power_cut
        self.replicas[name].crash(
            power_lost=power_lost, transaction_kept=self.random.random() < 0.5
        )
        for other in self._running():
            self._at(self._delay(), self._hear_of_crash, other.name, name)

    def _hear_of_crash(self, name: str, crashed: str) -> None:
        if name in self._stopped or crashed not in self._stopped:
            return
        raft = self.replicas[name].raft
        raft.peer_disconnected(crashed)
        raft.leader_crashed(crashed)
        self._settle(name)

    def _restart(self, name: str) -> None:
        self._stopped.discard(name)
        self.replicas[name].tail_entries_max = self.random.choice((0, 3, 2**31))
        self._start(name)

    def _start(self, name: str) -> None:
        replica = self.replicas[name]
        replica.start()
        for other in self._running():
            if other is not replica:
                replica.raft.peer_connected(other.name)
                other.raft.peer_connected(name)
        self.checker.started(replica)
        self._settle(name)

    def _reconnect(self, name: str, other: str) -> None:
        if name not in self._stopped and other not in self._stopped:
            raft = self.replicas[name].raft
            raft.peer_disconnected(other)
            raft.peer_connected(other)
            self._settle(name)

    def _reconnect_all(self) -> None:
        for name in self.names:
            for other in self.names:
                if name != other:
                    self._reconnect(name, other)

    def _running(self) -> list[Replica]:
        return [r for name, r in self.replicas.items() if name not in self._stopped]

    # --- messages and disks ---------------------------------------------------------

    def _delay(self) -> float:
        return self.faults.delay * self.random.random()

    def _settle(self, name: str) -> None:
        """Do all that a driver does after a step."""
        replica = self.replicas[name]
        self._send(replica, replica.speak())
        for read in replica.raft.confirmed_reads:
            self.checker.confirmed(read, self._floors[read.ticket])
        replica.raft.confirmed_reads.clear()
        for voter, first in replica.raft.fetches:
            self._at(self._delay(), self._fetch, name, self._lives[name], voter, first)
        replica.raft.fetches.clear()
        if replica.writing is None and replica.begin_write() is not None:
            delay = self.faults.disk_delay * self.random.random()
            self._at(delay, self._written, name, self._lives[name])
        self.checker.looked_at(replica)

    def _fetch(self, name: str, life: int, voter: str, first: int) -> None:
        if life == self._lives[name]:
            replica = self.replicas[name]
            remembered = replica.raft.log.cached_from
            entries = replica.written.log[first - 1 : remembered - 1][:5]
            replica.raft.fetched(voter, entries)
            self._settle(name)

    def _written(self, name: str, life: int) -> None:
        if life != self._lives[name]:
            return
        replica = self.replicas[name]
        ready = replica.writing
        assert ready is not None
        messages = replica.finish_write()
        self.checker.wrote(replica, ready.entries)
        for receiver, message in ready.messages:
            self.checker.said(replica, receiver, message)
        self._send(replica, messages)
        self._settle(name)

    def _send(self, replica: Replica, messages: list[tuple[str, PeerMessage]]) -> None:
        for receiver, message in messages:
            self.checker.said(replica, receiver, message)
            if (replica.name, receiver) in self._cut:
                continue
            if self.random.random() < self.faults.loss:
                continue
            self._at(self._delay(), self._deliver, replica.name, receiver, message)
            while self.random.random() < self.faults.duplication:
                self._at(
                    3 * self._delay(), self._deliver, replica.name, receiver, message
                )

    def _deliver(self, sender: str, receiver: str, message: PeerMessage) -> None:
        if receiver not in self._stopped and (sender, receiver) not in self._cut:
            self.replicas[receiver].raft.step(sender, message)
            self._settle(receiver)
