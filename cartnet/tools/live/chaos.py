"""Faults through the admin line: one replica at a time, and each of them ends."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, TypeAlias

import msgspec
from twisted.internet.task import deferLater

from cartnet.errors import OUTCOME_UNKNOWN, Refused
from cartnet.tools import ctl
from cartnet.tools.check_files import CannotCheck
from cartnet.tools.failure import ToolError
from cartnet.tools.live.seen import Fault, Seen

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from cartnet.seams import Seams
    from cartnet.topology.configuration import Configuration
    from cartnet.topology.groups import Group

MEMBERS_MIN: Final = 3
"""A smaller group would be without a majority."""

CALM_SECONDS: Final = (1.0, 3.0)
FAULT_SECONDS: Final = (0.5, 4.0)

UNDOING_SECONDS_MAX: Final = 30.0
UNDOING_PAUSE_SECONDS: Final = 0.5
ANSWER_SECONDS_MAX: Final = 1.0
POLL_SECONDS: Final = 0.1


class Door(Protocol):
    """What reaches the processes of a group's replicas."""

    async def call_member(
        self, name: str, call: str, args: dict[str, Any], /, *, timeout: float
    ) -> msgspec.Raw: ...


@dataclass(frozen=True)
class Kind:
    """A fault, by the admin commands that begin and end it."""

    begin: str
    end: str | None


KINDS: Final = (
    Kind("kill", "start"),
    Kind("pause", "resume"),
    Kind("isolate", "heal"),
    Kind("transfer", None),
)
RESTART: Final = Kind("restart", None)
"""In place of a kill, where only the replica's own process could start it again."""


Undone: TypeAlias = Literal["done", "needless", "failed"]
"""What came of a fault's end; it is needless where there is no fault any more."""


class Chaos:
    """Strikes until it is told to stop."""

    def __init__(
        self,
        configuration: Configuration,
        seams: Seams,
        random: Random,
        doors: Mapping[str, Door],
        leader: Callable[[str], str | None],
        seen: Seen,
    ) -> None:
        """
        :param doors: a client of every group that may supervise.
        :param leader: who led a group last.
        :raises CannotCheck: it is not allowed here.
        """
        if not configuration.chaos or configuration.admin_listen is None:
            raise CannotCheck(
                f"--chaos pauses, isolates and kills replicas: {configuration.source}"
                " has to say so, with [admin] chaos = yes and [admin] listen"
            )
        self._configuration = configuration
        self._seams = seams
        self._random = random
        self._doors = doors
        self._leader = leader
        self._seen = seen
        self._stopping = False
        self._deck: list[Kind] = []
        self._groups = [
            group
            for group in configuration.topology.groups
            if len(group.members) >= MEMBERS_MIN
        ]
        if not self._groups:
            raise CannotCheck(
                f"--chaos needs a group of {MEMBERS_MIN} replicas at least"
            )

    async def try_out(self) -> None:
        """See whether the admin line does what it is told.

        :raises CannotCheck: it does not.
        """
        try:
            await self._command("heal")
        except (ToolError, Refused) as error:
            if isinstance(error, Refused) and error.code == "forbidden":
                raise CannotCheck(
                    "--chaos: the running cluster was started with faults switched off;"
                    " to switch them on put chaos = yes into [admin] of its"
                    " configuration, and start it again"
                ) from None
            raise CannotCheck(f"--chaos: {error}") from None

    def stop(self) -> None:
        """End the fault in hand, and begin no other."""
        self._stopping = True

    async def rage(self) -> None:
        """Strike again and again; returns once all is undone."""
        while not self._stopping:
            await self._pause(self._random.uniform(*CALM_SECONDS))
            if not self._stopping:
                await self._strike()

    async def _strike(self) -> None:
        group = self._random.choice(self._groups)
        leader = self._leader(group.name)
        victim = self._random.choice(group.names)
        if leader is not None and self._random.random() < 0.5:
            victim = leader
        if not self._deck:
            self._deck = self._random.sample(KINDS, len(KINDS))
        kind = self._deck.pop()
        if kind.begin == "kill" and not await self._is_hosted(victim):
            kind = RESTART
        if kind.begin == "transfer":
            victim = self._random.choice([n for n in group.names if n != leader])
        await self._do(kind, group, victim)

    async def _do(self, kind: Kind, group: Group, victim: str) -> None:
        words = [kind.begin, victim]
        if kind.begin == "transfer":
            words.insert(1, group.name)
        now = self._seams.clock.seconds()
        fault = Fault(kind.begin, victim, now, now)
        try:
            await self._command(*words)
        except Refused as refused:
            if refused.code not in OUTCOME_UNKNOWN:
                return  # It leads already, or is not alive.
            is_certain = False
        except ToolError:
            is_certain = False  # Nobody knows what came of it.
        else:
            is_certain = True
            self._struck(fault)
        try:
            if kind.end is not None:
                await self._pause(self._random.uniform(*FAULT_SECONDS))
        finally:
            if kind.end is not None:
                undone = await self._undo(kind.end, victim)
                if undone == "failed":
                    self._seen.left.append(
                        f"{victim} could not be told to {kind.end}; do it yourself:"
                        f" cartnet ctl {kind.end} {victim}"
                    )
                if undone == "done" and not is_certain:
                    self._struck(fault)
            fault.until = self._seams.clock.seconds()

    def _struck(self, fault: Fault) -> None:
        """Keep and count a fault that there has been for certain."""
        self._seen.faults.append(fault)
        self._seen.findings.faults[fault.kind] += 1

    async def _undo(self, command: str, victim: str) -> Undone:
        """See to it that a replica is as it was before."""
        clock = self._seams.clock
        end = clock.seconds() + UNDOING_SECONDS_MAX
        while clock.seconds() < end:
            try:
                await self._command(command, victim)
            except Refused as refused:
                if refused.code == "conflict":
                    return "needless"  # It has never begun, or has ended.
            except ToolError:
                pass
            else:
                return "done"
            await deferLater(clock, UNDOING_PAUSE_SECONDS)
        return "failed"

    async def _is_hosted(self, name: str) -> bool:
        """Whether its process runs other replicas too, and so outlives it."""
        asked = {"command": "status", "replica": name}
        topology = self._configuration.topology
        for other in topology.names:
            door = self._doors[topology.group_of(other).name]
            if other != name:
                with suppress(Refused):
                    await door.call_member(
                        other, "supervise", asked, timeout=ANSWER_SECONDS_MAX
                    )
                    return True
        return False

    async def _pause(self, seconds: float) -> None:
        clock = self._seams.clock
        end = clock.seconds() + seconds
        while not self._stopping and clock.seconds() < end:
            await deferLater(clock, POLL_SECONDS)

    async def _command(self, *words: str) -> None:
        """Do one admin command.

        :raises Refused: the cluster's refusal.
        :raises ToolError: no answer.
        """
        run: Callable[..., Any] = ctl.run
        reply, done = await self._seams.in_thread(
            run, self._configuration, ["json", *words], None
        )
        if not done:
            raise _refused(reply)


def _refused(reply: str) -> Exception:
    try:
        error: Any = msgspec.json.decode(reply)["error"]
        return Refused(error["code"], error["message"])
    except (msgspec.MsgspecError, KeyError, TypeError):
        return ToolError(reply.strip())
