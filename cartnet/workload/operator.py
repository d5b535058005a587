"""The operator: stock, prices and items change while people shop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cartnet.workload.caller import Caller

if TYPE_CHECKING:
    from random import Random

    from cartnet.client.group import GroupClient
    from cartnet.seams import Seams
    from cartnet.workload.findings import Tally
    from cartnet.workload.history import History

NAME: Final = "operator"


class Operator(Caller):
    """Logs in, and changes the inventory now and then.

    :ivar stopping: do no more after the operation in hand.
    """

    def __init__(
        self,
        client: GroupClient,
        seams: Seams,
        random: Random,
        history: History,
        tally: Tally,
        think_seconds: float,
        stock: int,
        password: str,
    ) -> None:
        super().__init__(NAME, client, seams, random, history, tally)
        self.stopping = False
        self._think_seconds = think_seconds
        self._stock = stock
        self._password = password

    async def live(self) -> None:
        args = {"username": NAME, "password": self._password}
        operation = await self.do(NAME, "login", args, anonymous=True, insist=True)
        self.tally.require(
            "S1 the operator can log in",
            operation.ending == "ok",
            operation,
        )
        self.session = operation.answer["session"]
        while not self.stopping:
            await self._something()
            await self.pause(self.random.expovariate(1 / self._think_seconds))

    async def _something(self) -> None:
        random = self.random
        item = random.choice(("A", "B", "C", "D"))
        match random.randrange(10):
            case 0 | 1 | 2:
                price = random.choice((100, 250, 999))
                stock = random.randrange(self._stock)
                args = {"item": item, "name": item, "price": price, "stock": stock}
                await self.do(NAME, "put_item", args, key=self.key())
            case 3 | 4 | 5 | 6:
                change = random.randrange(-self._stock // 4, self._stock // 2)
                await self.change_stock(item, change)
            case 7:
                await self.do(NAME, "remove_item", {"item": "D"}, key=self.key())
            case 8 if random.random() < 0.2:
                await self.do(NAME, "reset_inventory", key=self.key())
            case _:
                await self.do("", "get_inventory", anonymous=True)

    async def change_stock(self, item: str, change: int) -> None:
        args = {"item": item, "quantity_change": change}
        await self.do(NAME, "update_inventory", args, key=self.key())

    async def settle(self) -> None:
        """Find out what has become of what was given up."""
        for operation in list(self.history.operations):
            if operation.user == NAME and operation.ending == "unknown":
                await self.repeat(operation, insist=True)
