"""Peace: what must come to pass once nobody shops any more, and the last look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.defer import TimeoutError as DeferredTimeoutError
from twisted.internet.task import deferLater

from cartnet.errors import Refused
from cartnet.tools.check_report import count
from cartnet.tools.live.findings import told

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from twisted.internet.interfaces import IReactorTime

    from cartnet.tools.live.seen import Seen
    from cartnet.workload.crowd import Crowd
    from cartnet.workload.device import Device
    from cartnet.workload.history import Operation

ENDING_SECONDS_MAX: Final = 60.0
"""For all that must come to pass once the customers were told to stop."""

HURRIED_SECONDS_MAX: Final = 5.0
"""The same, where somebody has lost patience."""

CLEANING_SECONDS_MAX: Final = 20.0
POLL_SECONDS: Final = 0.05

SERVING: Final = "all groups take writes"
ANSWERED: Final = "all customers have their answers"
FOUND_OUT: Final = "no outcome is unknown"
PLACED: Final = "no order is pending"
CAUGHT_UP: Final = "feeds show what is in stock"


class Ending:
    """The end of a run, step by step."""

    def __init__(self, crowd: Crowd, clock: IReactorTime, seen: Seen) -> None:
        self._crowd = crowd
        self._clock = clock
        self._seen = seen
        self._since = 0.0

    async def settle(self) -> None:
        """Wait for what must come to pass, and note how long each thing took."""
        crowd, seen = self._crowd, self._seen
        self._since = self._clock.seconds()
        crowd.stop()
        crowd.probe([name for name in seen.groups if name not in ("lb", "it")])
        await self._await(SERVING, self._unproven)
        if seen.awaited[SERVING] is None and not seen.interrupted:
            await self._name_those_that_fail()
        await self._await(ANSWERED, self._at_work)
        crowd.settle()
        await self._await(FOUND_OUT, self._unknown)
        await self._await_orders()
        await self._look_at_carts()
        await self._look_at_stock()
        await self._await(CAUGHT_UP, self._behind)
        seen.failures = [failure.getTraceback() for failure in crowd.failures]

    async def _await(self, what: str, missing: Callable[[], str | None]) -> None:
        began = self._clock.seconds()
        while (missed := missing()) is not None:
            if self._left <= 0:
                self._seen.awaited[what] = None
                self._seen.missing[what] = missed
                return
            await deferLater(self._clock, POLL_SECONDS)
        self._seen.awaited[what] = self._clock.seconds() - began

    @property
    def _left(self) -> float:
        """Seconds that are left for all of it."""
        hurried = self._seen.interrupted
        most = HURRIED_SECONDS_MAX if hurried else ENDING_SECONDS_MAX
        return self._since + most - self._clock.seconds()

    def _unproven(self) -> str | None:
        prober, seen = self._crowd.prober, self._seen
        if prober.done:
            lived = {seen.shard(device.user) for device in self._crowd.devices}
            spared = [name for name in prober.unproven if name not in lived]
            seen.unused = tuple(each for each in spared if each not in ("lb", "it"))
        missing = [each for each in prober.unproven if each not in seen.unused]
        return ", ".join(missing) or None

    async def _name_those_that_fail(self) -> None:
        """Where a group takes no write, those after it have not been asked for one: say
        which of them take one now."""
        crowd, item = self._crowd, self._seen.share.items[0]
        writes: dict[str, Coroutine[Any, Any, Operation]] = {}
        if crowd.operator.session is not None:
            writes["it"] = crowd.operator.change_stock(item, 1, insist=True)
        signed_in = {d.shard: d for d in crowd.devices if d.session is not None}
        for shard, device in signed_in.items():
            args = {"item": item}
            writes[shard] = device.do(
                device.user, "remove_from_cart", args, key=device.key(), insist=True
            )
        asked = [
            Deferred.fromCoroutine(self._within(HURRIED_SECONDS_MAX, each))
            for each in writes.values()
        ]
        taken = {
            group
            for group, done in zip(writes, await gatherResults(asked), strict=True)
            if done is not None and done.ending == "ok"
        }
        if taken:
            taken.add("lb")
        failing = [each for each in crowd.prober.unproven if each not in taken]
        late = f"{self._seen.missing[SERVING]}, which do so now"
        self._seen.missing[SERVING] = ", ".join(failing) or late

    def _at_work(self) -> str | None:
        return f"{self._crowd.busy} still ask" if self._crowd.busy else None

    def _unknown(self) -> str | None:
        if not self._crowd.busy:
            return None
        unknown = [each for each in self._seen.operations if each.ending == "unknown"]
        if not unknown:
            return None
        number = count(len(unknown), "operation")
        return f"{number}, such as {told(unknown[0])}"

    # --- The last look ---------------------------------------------------------------

    async def _await_orders(self) -> None:
        """Read every user's orders until none is pending."""
        began = self._clock.seconds()
        devices = {device.user: device for device in self._crowd.devices}
        signed_in = {u: d for u, d in devices.items() if d.session is not None}
        self._seen.missing[PLACED] = "nobody could be asked"
        while self._left > 0:
            for user, device in signed_in.items():
                orders = await self._within(self._left, orders_of(device))
                if orders is not None:
                    self._seen.orders[user] = orders
            pending = self._pending(signed_in)
            if not pending:
                self._seen.awaited[PLACED] = self._clock.seconds() - began
                return
            self._seen.missing[PLACED] = ", ".join(pending)
            await deferLater(self._clock, 4 * POLL_SECONDS)
        self._seen.awaited[PLACED] = None

    def _pending(self, devices: dict[str, Device]) -> list[str]:
        short = self._seen.short
        unseen = [
            f"orders of {short(u)}" for u in devices if u not in self._seen.orders
        ]
        return unseen + [
            f"order {order['id']} of {short(user)}"
            for user, orders in self._seen.orders.items()
            for order in orders
            if order["status"] != "placed"
        ]

    async def _look_at_carts(self) -> None:
        """What was acknowledged and nobody has seen since is seen now, or missed."""
        for device in self._crowd.devices:
            if device.session is not None:
                look = device.do(device.user, "get_cart", insist=True)
                await self._within(self._left, look)

    async def _look_at_stock(self) -> None:
        operator = self._crowd.operator
        read = operator.do("", "get_inventory", anonymous=True, insist=True)
        operation = await self._within(self._left, read)
        if operation is not None and operation.ending == "ok":
            self._seen.stock = {
                each["id"]: each["stock"] for each in operation.answer["items"]
            }

    def _behind(self) -> str | None:
        if self._seen.stock is None:
            return None  # What they should show is not known.
        for watcher in self._seen.watchers:
            table = watcher.states[-1][1] if watcher.states else {}
            shown = {item: stock for item, (_, stock) in table.items()}
            if shown != self._seen.stock:
                told, there = _stocks(shown), _stocks(self._seen.stock)
                return f"{watcher.name} shows {told}; in stock are {there}"
        return None

    # --- Leaving ---------------------------------------------------------------------

    async def clean_up(self) -> None:
        """Remove the items that were put in, empty the carts, and end the sessions."""
        operator, seen = self._crowd.operator, self._seen
        end = self._clock.seconds() + CLEANING_SECONDS_MAX
        for item in seen.share.items if operator.session is not None else ():
            removing = operator.remove(item, insist=True)
            gone = await self._within(end - self._clock.seconds(), removing)
            known = gone is not None and gone.ending in ("ok", "refused")
            if not known:
                seen.left.append(
                    f"item {item} may still be in the inventory: remove it there"
                )
        devices = [each for each in self._crowd.devices if each.session is not None]
        for device in {each.user: each for each in devices}.values():
            await self._within(end - self._clock.seconds(), device.empty_cart())
        for caller in (*devices, operator):
            if caller.session is not None:
                await self._within(end - self._clock.seconds(), caller.log_out())

    async def _within(self, seconds: float, work: Coroutine[Any, Any, Any]) -> Any:
        """What came of it; None where it took too long or was refused."""
        doing = Deferred.fromCoroutine(work)
        try:
            return await doing.addTimeout(max(0.1, seconds), self._clock)
        except (DeferredTimeoutError, CancelledError, Refused):
            return None


def _stocks(stock: Mapping[str, int]) -> str:
    each = (f"{number} of {item}" for item, number in sorted(stock.items()))
    return ", ".join(each) or "no items"


async def orders_of(device: Device) -> list[Any] | None:
    """All orders of a device's user, newest first; None where they cannot be had."""
    orders: list[Any] = []
    args: dict[str, Any] = {"limit": 1000}
    while True:
        page = await device.do(device.user, "list_orders", args, insist=True)
        if page.ending != "ok":
            return None
        orders += page.answer["orders"]
        if page.answer["next"] is None:
            return orders
        args = {"limit": 1000, "before": page.answer["next"]}
