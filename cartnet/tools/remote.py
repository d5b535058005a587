"""``cartnet ctl --url``: admin commands over a console's HTTP API.

What is typed and what is shown are the admin line's own; only the cluster behind them
is reached by another way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from cartnet.admin.commands import Commands
from cartnet.admin.replies import Reply, reply_text
from cartnet.errors import Refused
from cartnet.replica.status import Status
from cartnet.tools.failure import ToolError
from cartnet.tools.web import Web, item_path
from cartnet.topology.groups import Group, Kind, Member, Topology

if TYPE_CHECKING:
    from cartnet.replica.gate import Fault


class GroupSeen(msgspec.Struct):
    name: str
    kind: Kind
    members: tuple[str, ...]
    leader: str | None


class Seen(msgspec.Struct):
    """As much of a console's report of the cluster as is shown here."""

    cluster: str
    groups: tuple[GroupSeen, ...]
    replicas: tuple[Status, ...]


class WebInventory:
    """The inventory's calls, as far as the admin line makes them."""

    def __init__(self, web: Web) -> None:
        self._web = web

    async def call(
        self, call: str, args: Mapping[str, Any], /, *, resend: bool
    ) -> msgspec.Raw:
        match call:
            case "get_inventory":
                answer = await self._web.ask("GET", "/inventory")
            case "reset_inventory":
                answer = await self._web.ask("POST", "/inventory/reset")
            case _:
                assert call == "set_stock"
                answer = await self._set_stock(args["item"], args["stock"])
        return msgspec.Raw(msgspec.json.encode(answer))

    async def _set_stock(self, item: str, stock: int) -> Any:
        inventory = await self._web.ask("GET", "/inventory")
        for known in inventory["items"]:
            if known["id"] == item:
                body = {**known, "stock": stock}
                del body["id"]
                return await self._web.ask("PUT", item_path(item), body)
        raise Refused("not_found", f"no item is called {item}")


class WebCluster:
    """A cluster behind a console (:class:`cartnet.admin.commands.Commanded`)."""

    def __init__(self, web: Web, topology: Topology) -> None:
        self.topology = topology
        self.inventory = WebInventory(web)
        self._web = web

    async def statuses(self) -> list[Status]:
        return list((await _seen(self._web)).replicas)

    async def group_statuses(self, group: str) -> list[Status]:
        return [each for each in await self.statuses() if each.group == group]

    async def leader(self, group: str) -> str | None:
        for each in (await _seen(self._web)).groups:
            if each.name == group:
                return each.leader
        raise Refused("not_found", f"no group is called {group}")

    async def kill(self, name: str) -> None:
        await self._control(name, "kill")

    async def start(self, name: str) -> None:
        await self._control(name, "start")

    async def restart(self, name: str) -> None:
        await self._control(name, "restart")

    async def inject(self, fault: Fault, name: str) -> None:
        await self._control(name, fault)

    async def heal_all(self) -> list[str]:
        healed = []
        statuses = await self.statuses()
        for status in (each for each in statuses if each.state == "unreachable"):
            try:
                await self.inject("heal", status.name)
            except Refused as refused:
                # It is not isolated, but out of reach.
                if refused.code not in ("conflict", "unavailable"):
                    raise
            else:
                healed.append(status.name)
        return healed

    async def transfer(self, group: str, target: str) -> None:
        await self._web.ask(
            "POST", f"/cluster/groups/{_segment(group)}/transfer", {"to": target}
        )

    async def _control(self, name: str, command: str) -> None:
        path = f"/cluster/replicas/{_segment(name)}/{command}"
        await self._web.ask("POST", path)


async def command(
    reactor: Any, url: str, password: str, words: Sequence[str], seconds_max: float
) -> tuple[str, bool]:
    """Give the reply to one admin command, and say whether it succeeded.

    :raises ToolError: if no console answers, or it lets the operator not in.
    """
    web = Web(reactor, url, seconds_max)
    try:
        try:
            await web.log_in(password)
            seen = await _seen(web)
        except Refused as refused:
            raise ToolError(f"{web.url}: {refused.message}") from None
        cluster = WebCluster(web, _topology(seen))
        return await _reply(Commands(cluster), list(words))
    except OSError as error:
        raise ToolError(
            f"no answer from the console at {web.url}: {error}; is it running?"
        ) from None
    finally:
        await web.close()


async def _reply(commands: Commands, words: list[str]) -> tuple[str, bool]:
    as_json = words[:1] == ["json"]
    if as_json:
        words = words[1:]
    outcome: Reply
    try:
        if words[:1] in (["exit"], ["quit"], ["password"]):
            raise Refused("bad_request", f"{words[0]} is for the admin port alone")
        outcome = await commands.run(words or ["json"])
    except Refused as refused:
        return reply_text(refused, as_json), False
    return reply_text(outcome, as_json), True


async def _seen(web: Web) -> Seen:
    answer = await web.ask("GET", "/cluster")
    try:
        return msgspec.convert(answer, Seen)
    except msgspec.ValidationError as error:
        raise ConnectionError(f"its report of the cluster is unfit: {error}") from None


def _topology(seen: Seen) -> Topology:
    addresses = {status.name: status.address for status in seen.replicas}
    groups = [
        Group(
            group.name,
            group.kind,
            tuple(Member(name, addresses[name]) for name in group.members),
        )
        for group in seen.groups
    ]
    return Topology(seen.cluster, tuple(groups))


def _segment(name: str) -> str:
    """A name as a path's segment; no name that fits one needs an escape."""
    if not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
        raise Refused("not_found", f"no replica or group is called {name}")
    return name
