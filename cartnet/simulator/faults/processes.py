"""Crashes, at any moment and at chosen points, and processes that hang."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cartnet.errors import Refused
from cartnet.simulator.disk import Killed
from cartnet.simulator.faults.hooks import Hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from cartnet.replica.gate import Fault
    from cartnet.simulator.faults.victims import Victims
    from cartnet.workload.findings import Tally

STATEMENTS_MAX: Final = 60
MESSAGES_MAX: Final = 30
"""A crash point lies at most so many statements or messages ahead."""

STEPS: Final = (b"begin_checkout", b'"take"', b'"taken"', b"finish_checkout")
"""Marks of what is written about a checkout: requests, entries and answers."""

HANG_SECONDS: Final = (0.05, 0.3, 1.0, 3.0, 20.0, 60.0)


class Processes:
    """Faults of processes; each says whether it could strike."""

    def __init__(self, victims: Victims, tally: Tally) -> None:
        self._victims = victims
        self._cluster = victims.cluster
        self._random = victims.random
        self._tally = tally
        self._hooks = Hooks()

    def kill(self, name: str) -> None:
        if name in self._cluster.replicas:
            self._cluster.kill(name, power_lost=self._random.random() < 0.5)

    def crash(self) -> bool:
        name = self._victims.running()
        if name is not None:
            self.kill(name)
        return name is not None

    def crash_leader(self) -> bool:
        name = self._victims.leader()
        if name is not None:
            self.kill(name)
        return name is not None

    def crash_all(self) -> bool:
        """All of one group at once."""
        group = self._random.choice(self._victims.groups)
        running = [name for name in group.names if name in self._cluster.replicas]
        for name in running:
            self.kill(name)
        return bool(running)

    def power_cut(self) -> bool:
        """Everywhere at once; all come back together, or one by one."""
        names = [name for name in self._victims.names if name in self._cluster.replicas]
        self._cluster.kill(*names, power_lost=True)
        if names and self._random.random() < 0.5:
            self._cluster.start(*names)
        return bool(names)

    # --- At chosen points ------------------------------------------------------------

    def crash_at_statement(self) -> bool:
        """Before the n-th SQL statement from now: inside a transaction, or a start."""
        name = self._victims.running()
        if name is None:
            return False
        disk = self._cluster.world.hosts[name].disk
        left = self._random.randrange(STATEMENTS_MAX)

        def before(sql: str) -> None:
            nonlocal left
            left -= 1
            if left < 0:
                disk.before.pop(before)
                self._tally.reached[f"crashed before {_head(sql)}"] += 1
                raise Killed(lambda: self.kill(name))

        self._hooks.add(disk.before, before)
        return True

    def crash_after_commit(self) -> bool:
        """After a COMMIT, before anybody hears of it."""
        name = self._victims.running()
        if name is None:
            return False
        disk = self._cluster.world.hosts[name].disk
        left = self._random.randrange(5)

        def after(sql: str) -> None:
            nonlocal left
            left -= sql == "COMMIT"
            if left < 0:
                disk.after.pop(after)
                self._tally.reached["crashed after COMMIT"] += 1
                raise Killed(lambda: self.kill(name))

        self._hooks.add(disk.after, after)
        return True

    def crash_at_message(self) -> bool:
        """Before or after the n-th write to any connection from now."""
        name = self._victims.running()
        if name is None:
            return False
        left = self._random.randrange(MESSAGES_MAX)

        def is_it(data: bytes) -> bool:
            nonlocal left
            left -= 1
            return left < 0

        self._crash_at_write(name, is_it, "a message")
        return True

    def crash_at_checkout(self) -> bool:
        """Before or after the next write that is about a certain step of a checkout."""
        name = self._victims.leader()
        if name is None:
            return False
        step = self._random.choice(STEPS)
        self._crash_at_write(name, lambda data: step in data, "a step of a checkout")
        return True

    def _crash_at_write(
        self, name: str, is_it: Callable[[bytes], bool], told: str
    ) -> None:
        hooks = self._cluster.world.network.before_write.setdefault(name, {})
        after = self._random.random() < 0.5

        def before(data: bytes) -> None:
            if is_it(data):
                hooks.pop(before)
                self._tally.reached[f"crashed at {told}"] += 1
                # Within the write itself nothing else can be between it and the end.
                self._cluster.world.clock.callLater(
                    0, self.kill, name
                ) if after else self.kill(name)

        self._hooks.add(hooks, before)

    def disarm(self) -> None:
        """Forget the crash points that nobody has come to."""
        self._hooks.clear()

    # --- Hanging ---------------------------------------------------------------------

    def pause(self) -> bool:
        """As SIGSTOP: the whole process hangs."""
        name = self._rather_a_leader()
        if name is not None:
            self._pause(name, self._random.choice(HANG_SECONDS))
        return name is not None

    def pause_all(self) -> bool:
        """All of one group at once, as on a machine that is suspended."""
        group = self._random.choice(self._victims.groups)
        seconds = self._random.choice(HANG_SECONDS)
        running = [name for name in group.names if name in self._cluster.replicas]
        for name in running:
            self._pause(name, seconds)
        return bool(running)

    def _pause(self, name: str, seconds: float) -> None:
        host = self._cluster.world.hosts[name]
        process = host.process
        host.pause()

        def go_on() -> None:
            if host.process is process:
                host.resume()

        self._cluster.world.clock.callLater(seconds, go_on)

    def resume(self) -> None:
        """Have everybody who hangs go on."""
        for name in self._cluster.topology.names:
            if self._cluster.world.hosts[name].process.asleep:
                self._cluster.world.hosts[name].resume()

    def _rather_a_leader(self) -> str | None:
        """Who is deposed without a crash may not know it."""
        leader = self._victims.leader() if self._random.random() < 0.5 else None
        return leader or self._victims.running()

    def product_pause(self) -> bool:
        return self._for_a_while("pause", "resume")

    def isolate(self) -> bool:
        return self._for_a_while("isolate", "heal")

    def _for_a_while(self, begin: Fault, end: Fault) -> bool:
        """The product's own faults, behind the admin line."""
        name = self._rather_a_leader()
        if name is None:
            return False
        replica = self._cluster.replicas[name]

        def inject(fault: Fault) -> Callable[[], bool]:
            def injected() -> bool:
                if self._cluster.replicas.get(name) is not replica:
                    return False
                try:
                    replica.gate.inject(fault)
                except Refused:
                    return False
                return True

            return injected

        seconds = self._random.uniform(0, 4)
        self._cluster.world.clock.callLater(seconds, inject(end))
        return inject(begin)()

    def open_gates(self) -> None:
        for replica in self._cluster.replicas.values():
            if replica.gate.frozen:
                replica.gate.inject("resume")
            if replica.gate.isolated:
                replica.gate.inject("heal")

    def transfer(self) -> bool:
        """Have a leader hand over."""
        name = self._victims.leader()
        if name is None or self._cluster.replicas[name].gate.shut:
            return False
        group = self._cluster.topology.group_of(name)
        try:
            self._cluster.replicas[name].transfer(self._random.choice(group.names))
        except Refused:
            return False
        return True


def _head(sql: str) -> str:
    """Which statement it is, in a few words."""
    words = sql.split()
    return " ".join(words[:3] if words[0] in ("INSERT", "DELETE") else words[:2])
