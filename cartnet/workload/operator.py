"""The operator: stock, prices and items change while people shop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from typing_extensions import override

from cartnet.workload.caller import Caller

if TYPE_CHECKING:
    from typing import Any

    from cartnet.workload.caller import Means
    from cartnet.workload.demand import Demand
    from cartnet.workload.history import Operation

NAME: Final = "operator"
PRICES: Final = (100, 250, 999)

THOUGHT: Final = 3
"""By how much an operator thinks longer than a shopper."""


class Operator(Caller):
    """Logs in, and changes the inventory now and then.

    :ivar stopping: do no more after the operation in hand.
    """

    def __init__(self, means: Means, demand: Demand, wanted: str | None) -> None:
        """:param wanted: what a flash sale is of, if there is one."""
        # Keys are the operator's of the shop, who has others as well.
        super().__init__(f"{means.share.prefix}{NAME}", means)
        if not means.share.whole:
            self.patience = 1.0  # What it gives up it can never find out.
        self.stopping = False
        self._think_seconds = THOUGHT * demand.think_seconds
        self._stock = demand.stock
        self._password = demand.operator_password
        self._sale = (wanted, demand.sale) if wanted is not None else None

    async def live(self) -> None:
        if self.session is None:
            operation = await self.log_in(insist=True)
            self.tally.require(
                "S1 the operator can log in",
                operation.ending == "ok",
                operation,
            )
        if self._sale is not None:
            await self.put(*self._sale, insist=True)
        while not self.stopping:
            await self._something()
            await self.pause(self.random.expovariate(1 / self._think_seconds))

    @override
    def _is_remembered(self, operation: Operation) -> bool:
        """Where others are the operator as well, nobody knows how many keys they have
        used since."""
        return self.share.whole and super()._is_remembered(operation)

    async def log_in(self, *, insist: bool) -> Operation:
        args = {"username": NAME, "password": self._password}
        operation = await self.do(NAME, "login", args, anonymous=True, insist=insist)
        if operation.ending == "ok":
            self.session = operation.answer["session"]
        return operation

    async def _something(self) -> None:
        random = self.random
        item = random.choice(self.share.items)
        sale = self._sale is not None
        match random.randrange(10):
            case _ if self._sale is not None and item == self._sale[0]:
                pass  # No more of it than there were.
            case 0 | 1 | 2 if item not in self.share.counted:
                await self.put(item, random.randrange(self._stock))
            case 3 | 4 | 5 | 6:
                change = random.randrange(-self._stock // 4, self._stock // 2)
                await self.change_stock(item, change)
            case 7:
                await self.remove(self.share.items[-1])
            case 8 if self.share.whole and not sale and random.random() < 0.2:
                await self.do(NAME, "reset_inventory", key=self.key())
            case 9 if self.share.whole and random.random() < 0.3:
                await self._log_in_anew()
            case 9 if self.ended:
                args = {"item": item, "quantity_change": 1}
                await self.come_back(NAME, "update_inventory", args, None)
            case _:
                await self.do("", "get_inventory", anonymous=True)

    async def _log_in_anew(self) -> None:
        former = self.session
        login = await self.log_in(insist=False)
        if login.ending == "ok" and former is not None:
            await self.end(NAME, former)

    async def put(self, item: str, stock: int, *, insist: bool = False) -> Operation:
        """Have an item be in stock, at one price or another."""
        price = self.random.choice(PRICES)
        args = {"item": item, "name": item, "price": price, "stock": stock}
        return await self._change("put_item", args, insist=insist)

    async def change_stock(
        self, item: str, change: int, *, insist: bool = False
    ) -> Operation:
        args = {"item": item, "quantity_change": change}
        return await self._change("update_inventory", args, insist=insist)

    async def remove(self, item: str, *, insist: bool = False) -> Operation:
        return await self._change("remove_item", {"item": item}, insist=insist)

    async def _change(
        self, call: str, args: dict[str, Any], *, insist: bool = False
    ) -> Operation:
        operation = await self.do(NAME, call, args, key=self.key(), insist=insist)
        if self.share.whole:  # Others' keys may have displaced this one.
            await self.under_key_of(operation)
        return operation
