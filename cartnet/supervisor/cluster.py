"""Every replica of the cluster, whichever process runs it.

This process's own are at hand. Those of another are reached through a replica port of
that process: any of them answers for all of its replicas (``supervise``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from typing import Protocol as Port

import msgspec
from twisted.internet.defer import Deferred, DeferredList, gatherResults
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.error import ConnectionRefusedError as NothingListensError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from typing_extensions import override

from cartnet.errors import Refused
from cartnet.limits import (
    STATUS_SECONDS_MAX,
    SUPERVISE_REPLY_SECONDS,
    SUPERVISE_SECONDS_MAX,
    TRANSFER_POLL_SECONDS,
    TRANSFER_SECONDS_MAX,
)
from cartnet.replica.gate import Fault, require_chaos
from cartnet.replica.status import Status, not_alive

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from cartnet.seams import Network
    from cartnet.supervisor.hosting import Supervisor
    from cartnet.topology.groups import Group, Topology


class GroupCalls(Port):
    """A group as its clients reach it (:class:`cartnet.client.group.GroupClient`)."""

    async def call(
        self, call: str, args: dict[str, Any], /, *, resend: bool
    ) -> msgspec.Raw:
        """Ask the group's leader, wherever it is."""

    async def call_member(
        self, name: str, call: str, args: dict[str, Any], /, *, timeout: float
    ) -> msgspec.Raw:
        """Ask one member, whatever its role; ``timeout`` is in seconds.

        Refused: ``unavailable`` where it cannot be reached, ``timeout`` where it does
        not answer.
        """

    def stop(self) -> None:
        """Close its connections; nothing is asked after."""


class _Lines(msgspec.Struct):
    lines: list[str]


class Knock(Protocol):
    """A connection that only finds out whether anybody listens."""

    @override
    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.loseConnection()


class Cluster:
    """What an operator sees of the cluster, and does to it.

    :ivar topology: the groups and their members.
    :ivar chaos: whether replicas may be paused and isolated.
    """

    def __init__(
        self,
        clock: IReactorTime,
        network: Network,
        topology: Topology,
        supervisor: Supervisor,
        groups: Mapping[str, GroupCalls],
        run_command: Callable[[str], str],
        doors: Mapping[str, GroupCalls] | None = None,
        *,
        chaos: bool = False,
    ) -> None:
        """See the cluster from the process that ``supervisor`` supervises.

        :param groups: a client of every group, by the group's name.
        :param run_command: gives what to type on a replica's host to run it there.
        :param doors: a client of every group for ``supervise`` alone, which even a
            replica that hangs on purpose lets in; by default ``groups``.
        """
        self.topology = topology
        self._clock = clock
        self._network = network
        self._supervisor = supervisor
        self._groups = groups
        self._doors = groups if doors is None else doors
        self._clients = [*groups.values(), *(doors or {}).values()]
        self.chaos = chaos
        self._run_command = run_command

    @property
    def here(self) -> Sequence[str]:
        """The names of this process's replicas."""
        return self._supervisor.names

    @property
    def inventory(self) -> GroupCalls:
        return self._groups[self.topology.inventory.name]

    def stop(self) -> None:
        """Close the connections to other processes, for good."""
        for group in self._clients:
            group.stop()

    # --- How they are ----------------------------------------------------------------

    async def statuses(self, names: Iterable[str] | None = None) -> list[Status]:
        """Ask all replicas, or those of ``names``, at once; none is waited for long.

        Of two that say that they lead a group the one with the higher term counts.
        """
        asked = self.topology.names if names is None else names
        found = await gatherResults(
            [Deferred.fromCoroutine(self._status(name)) for name in asked]
        )
        return with_one_leader(found)

    async def group_statuses(self, group: str) -> list[Status]:
        """Ask the members of a group.

        :raises Refused: ``not_found`` if there is no such group.
        """
        return await self.statuses(self._group(group).names)

    async def leader(self, group: str) -> str | None:
        """Find the name of the replica that leads a group.

        :raises Refused: ``not_found`` if there is no such group.
        """
        return _leader_of(await self.group_statuses(group))

    async def _status(self, name: str) -> Status:
        if name in self.here:
            known = self._supervisor.status(name)
            if known is not None:
                return known
        return await self._own_word(name)

    async def _own_word(self, name: str) -> Status:
        """Ask a replica, over its own port, how it is."""
        answer = await self._answer(name)
        if answer is not None:
            return answer
        # What cannot be reached may be dead, or it hangs: an earlier connection that
        # was never answered is given up on just then.
        dead = await self._is_refused(name)
        return not_alive(self.topology, name, "dead" if dead else "unreachable")

    async def _answer(self, name: str) -> Status | None:
        """What a replica's own port says of it, None where it says nothing."""
        try:
            return await self._status_by(name, name)
        except Refused:
            return None

    async def _is_refused(self, name: str) -> bool:
        """Say whether nothing listens on a replica's port."""
        endpoint = self._network.client(self.topology.member(name).address)
        connecting = endpoint.connect(Factory.forProtocol(Knock))
        try:
            await connecting.addTimeout(STATUS_SECONDS_MAX, self._clock)
        except NothingListensError:
            return True
        except Exception:
            return False
        return False

    async def _status_by(self, via: str, name: str) -> Status:
        """Ask the process behind the port of ``via`` how one of its replicas is."""
        answer = await self._supervise(via, "status", name, STATUS_SECONDS_MAX)
        try:
            return msgspec.json.decode(answer, type=Status)
        except msgspec.MsgspecError:
            raise Refused("timeout", f"{via} answered what is no status") from None

    async def log(self, name: str, lines: int) -> list[str]:
        """Read the last lines of a replica's log, by the process that runs it.

        :raises Refused: ``not_found``, ``unavailable`` if no such process answers.
        """
        self._require(name)
        if name in self.here:
            return await self._supervisor.log(name, lines)
        lives = await self._answer(name) is not None
        via = name if lives else await self._host_of(name)
        if via is None:
            raise Refused("unavailable", f"no process that runs {name} answers")
        answer = await self._supervise(
            via, "log", name, SUPERVISE_SECONDS_MAX, {"lines": lines}
        )
        return msgspec.json.decode(answer, type=_Lines).lines

    # --- What is done to them --------------------------------------------------------

    async def kill(self, name: str) -> None:
        """End a replica as a crash would.

        :raises Refused: ``not_found``, ``conflict`` if it is dead already,
            ``unavailable`` if its process does not answer.
        """
        self._require(name)
        if name in self.here:
            await self._supervisor.kill(name)
        elif via := await self._host_of(name):
            await self._supervise(via, "kill", name, SUPERVISE_SECONDS_MAX)
        else:
            await self._through_its_own_port("kill", name)
            await self._until(name, alive=False)

    async def start(self, name: str) -> None:
        """Bring a dead replica back.

        :raises Refused: ``not_found``, ``conflict`` if it is alive, ``unavailable`` if
            it could not be started, or has no process that could.
        """
        self._require(name)
        if name in self.here:
            await self._supervisor.start(name)
        elif via := await self._host_of(name):
            await self._supervise(via, "start", name, SUPERVISE_SECONDS_MAX)
        elif await self._answer(name) is not None:
            raise Refused("conflict", f"{name} is alive")
        else:
            raise self._nobody_starts(name)

    async def restart(self, name: str) -> None:
        """Kill a replica if it lives, and bring it back; raises what those do."""
        self._require(name)
        if name in self.here:
            await self._supervisor.restart(name)
        elif via := await self._host_of(name):
            await self._supervise(via, "restart", name, SUPERVISE_SECONDS_MAX)
        elif (await self._own_word(name)).state == "dead":
            raise self._nobody_starts(name)
        else:
            await self._through_its_own_port("restart", name)
            await self._until(name, alive=True)

    # --- Faults, and who leads -------------------------------------------------------

    async def inject(self, fault: Fault, name: str) -> None:
        """Pause, resume, isolate or heal a replica, wherever it runs.

        :raises Refused: ``not_found``, ``forbidden`` where that is switched off,
            ``conflict`` if it is so already or dead, ``unavailable`` if its process
            does not answer.
        """
        self._require(name)
        require_chaos(self.chaos, fault)
        if name not in self.here or not self._supervisor.inject(fault, name):
            await self._directly(fault, name)

    async def heal_all(self) -> list[str]:
        """Heal every replica that is isolated; return their names.

        :raises Refused: ``forbidden`` where that is switched off.
        """
        require_chaos(self.chaos, "heal")
        names = self.topology.names
        healed = await DeferredList(
            [Deferred.fromCoroutine(self.inject("heal", name)) for name in names],
            consumeErrors=True,
        )
        # A failure is a replica that is not isolated, is dead, or cannot be reached.
        outcomes: list[tuple[bool, Any]] = list(healed)
        for _, outcome in outcomes:
            if isinstance(outcome, Failure) and not outcome.check(Refused):
                outcome.raiseException()
        return [name for name, (done, _) in zip(names, outcomes, strict=True) if done]

    async def transfer(self, group_name: str, target: str) -> None:
        """Have a group's leader hand its office over to ``target``, gracefully.

        :raises Refused: ``not_found``, ``bad_request`` if it is no member, ``conflict``
            if it leads already or is not alive, ``unavailable`` without a leader that
            could, ``timeout`` if it did not take over.
        """
        group = self._group(group_name)
        self._require(target)
        if target not in group.names:
            members = ", ".join(group.names)
            raise Refused(
                "bad_request",
                f"{target} is no member of {group_name}; its members are {members}",
            )
        statuses = {each.name: each for each in await self.statuses(group.names)}
        if statuses[target].state != "alive":
            raise Refused("conflict", f"{target} is {statuses[target].state}")
        leader = _leader_of(statuses.values())
        if leader is None:
            raise Refused("unavailable", f"{group_name} has no leader at the moment")
        if leader == target:
            raise Refused("conflict", f"{target} leads {group_name} already")
        if leader not in self.here or not self._supervisor.transfer(leader, target):
            await self._directly("transfer", leader, {"target": target})
        await self._until_leads(group_name, target)

    async def _until_leads(self, group: str, target: str) -> None:
        deadline = self._clock.seconds() + TRANSFER_SECONDS_MAX
        while (leader := await self.leader(group)) != target:
            if self._clock.seconds() > deadline:
                now = f"{leader} leads" if leader else "nobody leads at the moment"
                raise Refused("timeout", f"{target} did not take over in time; {now}")
            await deferLater(self._clock, TRANSFER_POLL_SECONDS)

    async def _directly(
        self, command: str, name: str, more: dict[str, Any] | None = None
    ) -> None:
        """Have the process of ``name`` do something, by that replica's own port."""
        if await self._answer(name) is None:
            raise await self._unanswered(name, "dead")
        await self._supervise(name, command, name, SUPERVISE_SECONDS_MAX, more)

    async def _host_of(self, name: str) -> str | None:
        """Find a living replica of another name in the process that runs ``name``."""
        others = [
            other
            for other in self.topology.names
            if other != name and other not in self.here
        ]
        if not others:
            return None
        # All at once: which process runs which replica stands in no configuration.
        asked = [
            Deferred.fromCoroutine(self._status_by(other, name)) for other in others
        ]
        found: Any = await DeferredList(
            asked, fireOnOneCallback=True, consumeErrors=True
        )
        # The first success, or all failures.
        return others[found[1]] if isinstance(found, tuple) else None

    async def _through_its_own_port(self, command: str, name: str) -> None:
        if await self._answer(name) is None:
            raise await self._unanswered(name, "dead already")
        await self._supervise(name, command, name, SUPERVISE_SECONDS_MAX)
        # The reply leaves before it happens.
        await deferLater(self._clock, 2 * SUPERVISE_REPLY_SECONDS)

    async def _unanswered(self, name: str, dead: str) -> Refused:
        """Say why nothing is heard of a replica."""
        if await self._is_refused(name):
            return Refused("conflict", f"{name} is {dead}")
        address = self.topology.member(name).address
        return Refused("unavailable", f"{name} at {address} does not answer")

    async def _until(self, name: str, *, alive: bool) -> None:
        """Wait until a replica is, or is not, alive, but not for long."""
        deadline = self._clock.seconds() + SUPERVISE_SECONDS_MAX
        while ((await self._own_word(name)).state == "alive") is not alive:
            if self._clock.seconds() > deadline:
                word = "does not come back" if alive else "does not end"
                raise Refused("timeout", f"{name} {word}")
            await deferLater(self._clock, SUPERVISE_REPLY_SECONDS)

    # --- Reaching them ---------------------------------------------------------------

    async def _supervise(
        self,
        via: str,
        command: str,
        name: str,
        seconds: float,
        more: dict[str, Any] | None = None,
    ) -> msgspec.Raw:
        group = self._doors[self.topology.group_of(via).name]
        arguments = {"command": command, "replica": name, **(more or {})}
        asked = Deferred.fromCoroutine(
            group.call_member(via, "supervise", arguments, timeout=seconds)
        )
        try:
            return await asked.addTimeout(seconds, self._clock)
        except DeferredTimeoutError:
            raise Refused("timeout", f"{via} does not answer") from None

    def _require(self, name: str) -> None:
        if name not in self.topology.names:
            raise Refused("not_found", f"no replica is called {name}")

    def _group(self, name: str) -> Group:
        try:
            return self.topology.group(name)
        except KeyError:
            listed = ", ".join(group.name for group in self.topology.groups)
            raise Refused(
                "not_found", f"no group is called {name}; there are {listed}"
            ) from None

    def _nobody_starts(self, name: str) -> Refused:
        address = self.topology.member(name).address
        return Refused(
            "unavailable",
            f"no process that runs {name} answers; on the host of {address} run: "
            + self._run_command(name),
        )


def _leader_of(statuses: Iterable[Status]) -> str | None:
    return next((each.name for each in statuses if each.role == "leader"), None)


def with_one_leader(statuses: list[Status]) -> list[Status]:
    """Take the office from leaders whose group has one of a higher term."""
    terms: dict[str, int] = {}
    for status in statuses:
        if status.role == "leader":
            terms[status.group] = max(status.term, terms.get(status.group, 0))
    return [
        msgspec.structs.replace(status, role="-")
        if status.role == "leader" and status.term < terms[status.group]
        else status
        for status in statuses
    ]
