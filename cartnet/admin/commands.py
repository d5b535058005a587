"""What can be typed on the admin line, and what each command does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from cartnet.admin.format import columns, detailed, listed
from cartnet.admin.replies import Reply
from cartnet.errors import Refused
from cartnet.limits import STOCK_MAX
from cartnet.wire.shown import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cartnet.replica.gate import Fault
    from cartnet.replica.status import Status
    from cartnet.topology.groups import Topology


@dataclass(frozen=True)
class Entry:
    """A line of ``help``."""

    usage: str
    does: str


HELP: Final[dict[str, Entry]] = {
    "help": Entry("help [COMMAND]", "lists the commands"),
    "list": Entry("list", "shows every replica: address, state, role, log"),
    "kill": Entry("kill NAME", "stops a replica at once, as a crash would"),
    "start": Entry("start NAME", "brings a dead replica back"),
    "restart": Entry("restart NAME", "kills a replica if it lives, and starts it"),
    "status": Entry("status [NAME|GROUP]", "shows replicas in detail"),
    "pause": Entry("pause NAME", "makes a replica hang: messages to it wait"),
    "resume": Entry("resume NAME", "lets a paused replica go on"),
    "isolate": Entry(
        "isolate NAME", "cuts a replica off: messages from and to it are lost"
    ),
    "heal": Entry("heal [NAME]", "ends that, for one replica or for all"),
    "transfer": Entry("transfer GROUP NAME", "moves leadership to a replica"),
    "leader": Entry("leader GROUP", "names the replica that leads a group"),
    "stock": Entry("stock [ITEM [QUANTITY]]", "shows what is in stock, or sets it"),
    "reset-inventory": Entry(
        "reset-inventory", "puts A, B and C back, 100 of each; other items go"
    ),
    "json": Entry("json COMMAND", "gives a command's reply as one line of JSON"),
    "password": Entry("password SECRET", "opens the other commands, if one is set"),
    "quit": Entry("quit", "closes this connection"),
    "exit": Entry("exit", "stops every replica of this process, and the process"),
}


_PAST: Final = {
    "pause": "paused",
    "resume": "resumed",
    "isolate": "isolated",
    "heal": "healed",
}


class Item(msgspec.Struct, frozen=True):
    """As much of an item in the inventory as is shown here."""

    id: str
    stock: int


class Inventory(msgspec.Struct, frozen=True):
    items: tuple[Item, ...]


class InventoryCalls(Protocol):
    async def call(
        self, call: str, args: dict[str, Any], /, *, resend: bool
    ) -> msgspec.Raw:
        """Ask the inventory's leader."""


class Commanded(Protocol):
    """A cluster, as far as commands concern it; what is refused raises Refused.

    :class:`cartnet.supervisor.cluster.Cluster` says what each does.
    """

    @property
    def topology(self) -> Topology: ...

    @property
    def inventory(self) -> InventoryCalls: ...

    async def statuses(self) -> Sequence[Status]: ...

    async def group_statuses(self, group: str, /) -> Sequence[Status]: ...

    async def leader(self, group: str, /) -> str | None: ...

    async def kill(self, name: str, /) -> None: ...

    async def start(self, name: str, /) -> None: ...

    async def restart(self, name: str, /) -> None: ...

    async def inject(self, fault: Fault, name: str, /) -> None: ...

    async def heal_all(self) -> Sequence[str]: ...

    async def transfer(self, group: str, target: str, /) -> None: ...


class Commands:
    """The commands that concern the cluster, not the connection."""

    def __init__(self, cluster: Commanded) -> None:
        self._cluster = cluster

    async def run(self, words: list[str]) -> Reply:
        """Do a command.

        :raises Refused: with one sentence, where it could not be done.
        """
        match words:
            case ["help", *about]:
                return _help(about)
            case ["list"]:
                return await self._list()
            case ["kill", name]:
                await self._cluster.kill(name)
                return _done(f"killed {name}")
            case ["start", name]:
                await self._cluster.start(name)
                return _done(f"started {name}")
            case ["restart", name]:
                await self._cluster.restart(name)
                return _done(f"restarted {name}")
            case [("pause" | "resume" | "isolate" | "heal") as fault, name]:
                await self._cluster.inject(fault, name)
                return _done(f"{_PAST[fault]} {name}")
            case ["heal"]:
                return await self._heal_all()
            case ["transfer", group, name]:
                await self._cluster.transfer(group, name)
                return _done(f"transferred {group} to {name}")
            case ["status"]:
                return await self._status(None)
            case ["status", what]:
                return await self._status(what)
            case ["leader", group]:
                return await self._leader(group)
            case ["stock"]:
                return await self._stock(None)
            case ["stock", item]:
                return await self._stock(item)
            case ["stock", item, quantity]:
                return await self._set_stock(item, quantity)
            case ["reset-inventory"]:
                await self._cluster.inventory.call("reset_inventory", {}, resend=False)
                return await self._stock(None)
            case _:
                raise misuse(words[0])

    async def _list(self) -> Reply:
        statuses = await self._cluster.statuses()
        return Reply(tuple(listed(statuses)), statuses)

    async def _status(self, what: str | None) -> Reply:
        topology = self._cluster.topology
        if what is None:
            statuses = await self._cluster.statuses()
        elif what in topology.names:
            statuses = await self._of_one(what)
        elif what in [group.name for group in topology.groups]:
            statuses = await self._cluster.group_statuses(what)
        else:
            raise Refused(
                "not_found", f"no replica or group is called {one_line(what)}"
            )
        lines = [line for status in statuses for line in detailed(status)]
        return Reply(tuple(lines), statuses)

    async def _of_one(self, name: str) -> list[Status]:
        # Its whole group is asked: an ex-leader is only known by the one after it.
        group = self._cluster.topology.group_of(name).name
        statuses = await self._cluster.group_statuses(group)
        return [status for status in statuses if status.name == name]

    async def _heal_all(self) -> Reply:
        healed = await self._cluster.heal_all()
        text = f"healed {' '.join(healed)}" if healed else "nothing was isolated"
        return Reply((text,), healed)

    async def _leader(self, group: str) -> Reply:
        leader = await self._cluster.leader(group)
        if leader is None:
            raise Refused("unavailable", f"{group} has no leader at the moment")
        return _done(leader)

    async def _stock(self, item: str | None) -> Reply:
        answer = await self._cluster.inventory.call("get_inventory", {}, resend=True)
        items = msgspec.json.decode(answer, type=Inventory).items
        if item is not None:
            items = tuple(each for each in items if each.id == item)
            if not items:
                raise Refused("not_found", f"no item is called {one_line(item)}")
        rows = [[each.id, str(each.stock)] for each in items]
        return Reply(tuple(columns(rows)), {each.id: each.stock for each in items})

    async def _set_stock(self, item: str, quantity: str) -> Reply:
        if not (quantity.isascii() and quantity.isdigit() and len(quantity) <= 20):
            raise _bad_stock(quantity)
        stock = int(quantity)
        if stock > STOCK_MAX:
            raise _bad_stock(quantity)
        # Not resent: what somebody else set in between would be undone.
        await self._cluster.inventory.call(
            "set_stock", {"item": item, "stock": stock}, resend=False
        )
        return Reply((f"{item}  {stock}",), {item: stock})


def misuse(verb: str) -> Refused:
    """Say how a command is used, or that there is none of this name."""
    if verb in HELP:
        return Refused("bad_request", f"usage: {HELP[verb].usage}")
    return Refused(
        "bad_request",
        f"there is no command {one_line(verb, 40)!r}; help lists the commands",
    )


def _help(about: list[str]) -> Reply:
    match about:
        case []:
            entries = list(HELP.values())
        case [verb] if verb in HELP:
            entries = [HELP[verb]]
        case [verb]:
            raise misuse(verb)
        case _:
            raise misuse("help")
    rows = [[entry.usage, entry.does] for entry in entries]
    return Reply(tuple(columns(rows)), {entry.usage: entry.does for entry in entries})


def _done(text: str) -> Reply:
    return Reply((text,), text)


def _bad_stock(quantity: str) -> Refused:
    return Refused(
        "bad_request",
        f"a stock is a whole number from 0 to {STOCK_MAX},"
        f" not {one_line(quantity, 40)}",
    )
