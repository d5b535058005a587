"""Clusters of real processes on free ports, started, killed and started again."""

from __future__ import annotations

import contextlib
import fcntl
import os
import random
import re
import signal
import socket
import subprocess
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from tests.system.customers import PASSWORD, Customer
from tests.system.lines import Admin, Line, Lost, Refused, tokens_in
from tests.system.shoppers import Crowd
from tests.system.waiting import CONDITION_SECONDS_MAX, eventually

FOUR_GROUPS: Mapping[str, int] = {"lb": 3, "s1": 3, "s2": 3, "it": 3}
"""The demo's groups and how many replicas each has."""

SAID = re.compile(
    r"cartnet \d\S*, cluster test:"
    r" (\d+ replicas?|its console, no replica) here\n"
    r"(shop     nc \S+ \d+\n)?"
    r"admin    .+\n"
    r"(console  http://127\.0\.0\.1:\d+/\n)?"
    r"(operator password in db/operator-password\n)?"
    r"(serving after \d+\.\d s: [a-z0-9 ]+ leads?\n)?"
    r"(stopped(; data is in db/)?\n)?"
)
"""All that a process may print to its standard output, in this order."""

STALE = r"Removing stale pidfile .*\n"
"""What twistd itself says and logs when it starts after a crash."""

TROUBLE = re.compile(
    rf"(?m)^(?:.*(?:Traceback|Unhandled).*|\S+ critical (?!cartnet {STALE}).*)$"
)
"""What no log may contain, whatever a client or a crash does."""


LAST_LINES = 5
"""Of each log, where a process has ended by itself."""


PORTS: Final = range(20_000, 32_000)
"""Below those that the kernel hands out."""

PORTS_A_PROCESS: Final = 3_000
"""More than all tests are given, of which none is given twice."""

_given: set[int] = set()
"""The ports that :func:`free_ports` has returned: nobody may be listening there yet."""


@cache
def _own_ports() -> tuple[socket.socket, range]:
    """Ports that no other process draws from while this one lives, and what says so: a
    socket at the one before them."""
    for first in PORTS[::PORTS_A_PROCESS]:
        guard = socket.socket()
        try:
            guard.bind(("127.0.0.1", first))
        except OSError:
            guard.close()
        else:
            return guard, range(first + 1, first + PORTS_A_PROCESS)
    processes = len(PORTS) // PORTS_A_PROCESS
    raise AssertionError(f"{processes} processes run tests already: end one of them")


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, nor was ever told to, ascending."""
    found: list[int] = []
    _, ports = _own_ports()
    for port in random.sample(ports, min(10 * count, len(ports))):
        if port in _given:
            continue
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            found.append(port)
        if len(found) == count:
            break
    assert len(found) == count, f"{len(found)} ports are free, {count} are needed"
    _given.update(found)
    return sorted(found)


class Cluster:
    """A configuration in a folder of its own, and the processes that run it.

    :ivar addresses: every replica's, by name, the smallest of each group first.
    :ivar processes: those that were started and have not been waited for, by a name.

    :param hosts: of the replicas, one after the other, where they differ.
    """

    def __init__(
        self,
        folder: Path,
        groups: Mapping[str, int] = FOUR_GROUPS,
        *,
        host: str = "127.0.0.1",
        hosts: Sequence[str] = (),
        secret: str = "",
        console: bool = False,
        extra: str = "",
    ) -> None:
        self.folder = folder
        self.groups = groups
        ports = free_ports(sum(groups.values()) + 2)
        self.admin_port = ports.pop()
        self.console_port = ports.pop()
        self.addresses: dict[str, str] = {}
        self._secret = secret
        for group, count in groups.items():
            stem = group if group in ("lb", "it") else f"{group}r"
            for n in range(count):
                at = hosts[len(self.addresses)] if hosts else host
                self.addresses[f"{stem}{n}"] = f"{at}:{ports.pop(0)}"
        if console:
            listen = f"tcp:{self.console_port}:interface=127.0.0.1"
            extra += f"[console]\nlisten = {listen}\n"
        self.configure(extra=extra)
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._started: list[str] = []

    def configure(self, *, extra: str = "") -> None:
        """Write the configuration; ``extra`` are its last lines."""
        sections = ["[cluster]\nname = test\n"]
        if self._secret:
            sections.append(f"secret = {self._secret}\n")
        for group in self.groups:
            section = {"lb": "balancer", "it": "inventory"}.get(group, f"shard:{group}")
            mine = " ".join(self.addresses[name] for name in self.members(group))
            sections.append(f"[{section}]\nreplicas = {mine}\n")
        listen = f"tcp:{self.admin_port}:interface=127.0.0.1"
        sections.append(f"[admin]\nlisten = {listen}\n{extra}")
        (self.folder / "cartnet.ini").write_text("".join(sections))

    def members(self, group: str) -> list[str]:
        """The names of a group's replicas."""
        stem = group if group in ("lb", "it") else f"{group}r"
        return [name for name in self.addresses if name[:-1] == stem]

    @property
    def balancers(self) -> list[str]:
        return [self.addresses[name] for name in self.members("lb")]

    @property
    def ports(self) -> list[int]:
        """Every port that the cluster takes."""
        addresses = self.addresses.values()
        return [int(a.rpartition(":")[2]) for a in addresses] + [self.admin_port]

    # --- processes --------------------------------------------------------------------

    def start(
        self, name: str, *options: str, wrapper: Sequence[str] = ()
    ) -> subprocess.Popen[bytes]:
        """Run ``twistd -n cartnet`` with ``options`` in the cluster's folder.

        As documented: without twistd's own ``--pidfile=`` only where it runs alone.

        :param wrapper: a command that becomes the command behind it.
        """
        twistd = [str(Path(sysconfig.get_path("scripts")) / "twistd"), "-n"]
        if name != "all":
            twistd.append("--pidfile=")
        with (
            (self.folder / f"{name}.out").open("ab") as out,
            (self.folder / f"{name}.err").open("ab") as err,
        ):
            process = subprocess.Popen(
                [*wrapper, sys.executable, *twistd, "cartnet", *options],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
        self.processes[name] = process
        self._started.append(name)
        return process

    def start_all(self, *options: str) -> None:
        """The whole cluster in one process."""
        self.start("all", "--role", "all", *options)
        self.wait_until_serving()

    def start_replica(self, name: str) -> None:
        self.start(name, "--replica", name, "--admin", "none")

    def start_each(self) -> None:
        """The whole cluster, a process a replica."""
        for name in self.addresses:
            self.start_replica(name)
        self.wait_until_serving()

    def kill(self, *names: str) -> None:
        """SIGKILL, all at once."""
        for name in names:
            self.processes[name].kill()
        for name in names:
            self.processes.pop(name).wait()

    def stop(self) -> None:
        """SIGTERM, and the clean end that must follow."""
        self.terminate()
        self.wait_for_end()

    def terminate(self) -> None:
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)

    def wait_for_end(self) -> None:
        for name, process in self.processes.items():
            # twistd ends by the signal that it was sent, once all is done.
            assert process.wait(CONDITION_SECONDS_MAX) == -signal.SIGTERM, name
            alone = ", no replica here\n" in self.out(name)
            last = "stopped\n" if alone else "stopped; data is in db/\n"
            assert self.out(name).endswith(f"\n{last}"), self.out(name)
        self.processes.clear()

    def end(self) -> None:
        """SIGKILL to whatever still runs, children of ours' included."""
        self.kill(*self.processes)
        for name in self.addresses:
            pid = self.pid(name)
            if pid is not None:
                os.kill(pid, signal.SIGKILL)

    def pid(self, replica: str) -> int | None:
        """The process that has a replica's database, by the lock beside it.

        Not to be asked while one starts: for a moment the lock is taken here.
        """
        path = self.folder / "db" / f"{replica}.db.lock"
        if not path.exists():
            return None
        with path.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                held = re.match(r"pid (\d+) ", file.read())
                return int(held[1]) if held else None
        return None

    def refused(self, *options: str) -> str:
        """Start what must not start: return its one line, without the name before."""
        process = self.start("refused", *options)
        status = process.wait(CONDITION_SECONDS_MAX)
        del self.processes["refused"]
        self._started.remove("refused")
        out = (self.folder / "refused.out").read_text()
        err = (self.folder / "refused.err").read_text()
        (self.folder / "refused.out").unlink()
        (self.folder / "refused.err").unlink()
        assert status == 1, (status, out, err)
        assert out == "", out
        line = re.fullmatch(r"cartnet: (.+)\n", err)
        assert line is not None, err
        return line[1]

    def tool(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the console script ``cartnet`` to its end."""
        script = str(Path(sysconfig.get_path("scripts")) / "cartnet")
        return subprocess.run(
            [sys.executable, script, *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=CONDITION_SECONDS_MAX,
            check=False,
        )

    # --- what they say ----------------------------------------------------------------

    def out(self, name: str) -> str:
        """What a process printed, all its starts together."""
        return (self.folder / f"{name}.out").read_text()

    def logs(self) -> str:
        """Everything that was logged and printed."""
        return "\n".join(path.read_text(errors="replace") for path in self._logs())

    def _logs(self) -> list[Path]:
        files = sorted((self.folder / "logs").glob("*"))
        files += sorted(self.folder.glob("*.out"))
        files += sorted(self.folder.glob("*.err"))
        return files

    def check_running(self) -> None:
        """Fail, with the ends of all logs, where a process has ended by itself."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                said = [f"{name} has ended with {process.returncode}"]
                for path in self._logs():
                    lines = path.read_text(errors="replace").splitlines()
                    said += [f"{path.name}: {line}" for line in lines[-LAST_LINES:]]
                raise AssertionError("\n".join(said))

    def heartbeat(self, replica: str) -> dict[str, Any] | None:
        """What a replica says of itself; None where it says nothing."""
        with (
            contextlib.suppress(Lost, Refused),
            Line(self.addresses[replica]) as line,
        ):
            return line.call("heartbeat")
        return None

    def leader(self, group: str) -> str | None:
        """The replica that says it leads, in the highest term where there are two."""
        beats = [(name, self.heartbeat(name)) for name in self.members(group)]
        leading = [
            (beat["term"], name)
            for name, beat in beats
            if beat is not None and beat["role"] == "leader"
        ]
        return max(leading)[1] if leading else None

    def wait_until_serving(self) -> None:
        """Wait until every group has a leader."""
        for group in self.groups:
            self.wait_for_leader(group)

    def wait_for_leader(self, group: str, *, other_than: str = "") -> str:
        def found() -> str | None:
            self.check_running()
            leader = self.leader(group)
            return None if leader == other_than else leader

        return eventually(found, f"{group} has a leader other than {other_than!r}")

    def wait_until_leads(self, name: str) -> None:
        """Wait until a replica leads its group."""
        group = next(each for each in self.groups if name in self.members(each))
        eventually(lambda: self.leader(group) == name, f"{name} leads")

    def wait_until_caught_up(self, group: str) -> None:
        """Wait until all of a group's replicas have applied the same."""
        eventually(lambda: self._is_caught_up(group), f"{group} is caught up")

    def wait_until_says(self, name: str, text: str) -> None:
        """Wait until a process has printed ``text``."""
        eventually(lambda: text in self.out(name), f"{name} says {text!r}")

    def wait_until_listed(self, name: str, state: str) -> None:
        """Wait until the admin line lists a replica in a state."""
        line = re.compile(rf"(?m)^{name} +\S+ +{state} ")
        eventually(lambda: line.search(self.do("list")), f"{name} is {state}")

    def _is_caught_up(self, group: str) -> bool:
        indexes = []
        for name in self.members(group):
            with contextlib.suppress(Lost, Refused), Line(self.addresses[name]) as line:
                status = line.call("status")
                indexes += [status["last"], status["applied"]]
        return len(indexes) == 2 * self.groups[group] and len(set(indexes)) == 1

    def admin(self) -> Admin:
        return Admin(self.admin_port)

    def do(self, command: str) -> str:
        """Do one admin command; return its reply."""
        with self.admin() as admin:
            return admin.do(command)

    def operator_password(self) -> str:
        path = self.folder / "db" / "operator-password"

        def found() -> str | None:
            return path.read_text().strip() if path.exists() else None

        return eventually(found, "a password")

    def operator(self) -> Customer:
        """The operator, logged in."""
        operator = Customer("operator", self.balancers, self.operator_password())
        operator.log_in()
        return operator

    @contextlib.contextmanager
    def crowd(self, count: int) -> Iterator[Crowd]:
        """Shoppers who shop all the time; those of a test that fails leave, too."""
        crowd = Crowd(self.balancers, self.operator_password())
        crowd.open(count)
        try:
            yield crowd
        finally:
            crowd.close()

    # --- what must hold in the end ----------------------------------------------------

    def check(self) -> None:
        """Check what processes of any cluster leave behind, once all have ended."""
        for name in dict.fromkeys(self._started):
            starts = self._started.count(name)
            assert re.fullmatch(f"(?:{SAID.pattern}){{0,{starts}}}", self.out(name)), (
                self.out(name)
            )
            err = (self.folder / f"{name}.err").read_text()
            assert re.fullmatch(f"(?:{STALE})*", err), err
        logs = self.logs()
        troubles = TROUBLE.findall(logs)
        if troubles:
            first = logs.index(troubles[0])
            raise AssertionError(logs[first : first + 4000])
        passwords = {PASSWORD, self._first_password()}
        for path in self.folder.glob("db/*.db*"):
            content = path.read_bytes()
            assert not tokens_in(content), path
            assert not any(each.encode() in content for each in passwords), path
        assert not tokens_in(logs.encode())
        assert not any(each in logs for each in passwords)

    def _first_password(self) -> str:
        path = self.folder / "db" / "operator-password"
        return path.read_text().strip() if path.exists() else PASSWORD


@contextlib.contextmanager
def running(
    folder: Path, groups: Mapping[str, int] = FOUR_GROUPS, **options: Any
) -> Iterator[Cluster]:
    """A cluster whose processes end with the test, whatever happens.

    Where the test has found nothing, what every cluster owes is checked.
    """
    folder = folder.absolute()
    folder.mkdir(parents=True)
    cluster = Cluster(folder, groups, **options)
    try:
        yield cluster
    finally:
        cluster.end()
    cluster.check()
