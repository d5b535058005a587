"""A shopper's device: an account, a login, then one operation after another."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any, Final

from cartnet.limits import CART_LINES_MAX, QUANTITY_MAX
from cartnet.workload.caller import CHECKOUT_AGAIN_SHARE, Caller
from cartnet.workload.findings import Stuck
from cartnet.workload.page import Page

if TYPE_CHECKING:
    from cartnet.client.group import GroupClient
    from cartnet.workload.caller import Means
    from cartnet.workload.demand import Demand
    from cartnet.workload.history import Operation

STALE_SHARE: Final = 0.2
"""Of the reads, those that are content with an old answer."""

SALE_SHARE: Final = 0.6
"""Of all that is done while there is a flash sale, what is about it."""

SALE_TRIES_MAX: Final = 1_000
"""More than there is in stock."""

AWAY_SECONDS: Final = 8.0
"""For how long a shopper leaves who does not know what came of a checkout."""


class Device(Caller):
    """One of the devices that share a user's account, cart and orders.

    :ivar stopping: it is to do no more after the operation in hand.
    :ivar page: what follows the cart, if anything does.
    """

    def __init__(
        self,
        means: Means,
        user: str,
        number: int,
        devices: int,
        demand: Demand,
        wanted: str | None,
    ) -> None:
        """:param wanted: what a flash sale is of, if there is one."""
        super().__init__(f"{user}.{number}", means)
        self.user = user
        self.stopping = False
        self._version = 0
        self._clients = means.clients
        self._passwords = [self.share.password(f"{user}.{n}") for n in range(devices)]
        self._number = number
        self._think_seconds = demand.think_seconds
        self._logins = demand.logins
        self._wanted = wanted
        self._following = demand.following
        self.page: Page | None = None
        self._followed: str | None = None
        self.patience = self.random.choice((0.3, 0.9))

    async def live(self) -> None:
        """Sign up and in, then shop until told to stop."""
        await self.sign_in()
        while not self.stopping:
            await self.pause(self.random.expovariate(1 / self._think_seconds))
            await self._something()
            if self.random.random() < 0.05:
                await self.find_out()

    async def sign_in(self) -> None:
        """Devices of one user meet here: each wants the name, with its own password."""
        own = self._passwords[self._number]
        args = {"username": self.user, "password": own}
        await self.do(
            self.user,
            "create_account",
            args,
            key=self.key(),
            anonymous=True,
            insist=True,
        )
        passwords = cycle((own, *self._passwords))
        while not (self.stopping or await self.log_in(next(passwords))):
            pass

    async def log_in(self, password: str) -> bool:
        """Say whether that is the account's password."""
        args = {"username": self.user, "password": password}
        operation = await self.do(self.user, "login", args, anonymous=True, insist=True)
        if operation.ending == "ok":
            self.session = operation.answer["session"]
            self._open_page()
        return operation.ending == "ok"

    async def _log_in_anew(self) -> None:
        """Log in, perhaps in vain, and at times end the session of before."""
        former = self.session
        if (
            await self.log_in(self.random.choice(self._passwords))
            and former not in (None, self._followed)
            and self.random.random() < 0.5
        ):
            assert former is not None
            await self.end(self.user, former)

    async def _come_back(self, item: str) -> None:
        """Use a session that has ended."""
        client = self._clients[self.shard] if self.random.random() < 0.3 else None
        call = self.random.choice(("get_cart", "remove_from_cart"))
        args = {} if call == "get_cart" else {"item": item}
        await self.come_back(self.user, call, args, client)

    def _open_page(self) -> None:
        """Follow the cart from the first login on."""
        if self._following and self.page is None:
            assert self.session is not None
            self.page = Page(self.user, self.history, self.tally)
            self._followed = self.session
            self.page.follow(self._clients[self.shard], self.session)

    @property
    def shard(self) -> str:
        """Where the user lives, by the session."""
        assert self.session is not None
        return self.session.partition(".")[0]

    # --- One operation ---------------------------------------------------------------

    async def _something(self) -> None:
        if self._wanted is not None and self.random.random() < SALE_SHARE:
            quantity = self.random.choice((1, 1, 2))
            args = {"item": self._wanted, "quantity": quantity}
            await self._write("set_quantity", args)
            await self._check_out()
            return
        item = self.random.choice(self.share.items)
        match self.random.randrange(20):
            case 0 | 1 | 2 | 3 | 4:
                quantity = self.random.randrange(1, 6)
                await self._write("add_to_cart", {"item": item, "quantity": quantity})
            case 5 | 6:
                quantity = self.random.randrange(0, 5)
                await self._write("set_quantity", {"item": item, "quantity": quantity})
            case 7:
                await self._write("remove_from_cart", {"item": item})
            case 8 | 9:
                await self._read("get_cart", {})
            case 10 if self.ended:
                await self._come_back(item)
            case 11 | 12 | 13:
                await self._check_out()
            case 10 | 14:
                await self._read("list_orders", {"limit": 1000})
            case 15 | 16 | 17:
                stale = self.random.random() < STALE_SHARE
                client = self._clients["it"] if self.random.random() < 0.3 else None
                await self.do(
                    "", "get_inventory", anonymous=True, client=client, stale=stale
                )
            case 18 if self.random.random() < self._logins:
                await self._log_in_anew()
            case 19 if self.random.random() < self._logins:
                await self._race_for_a_name()
            case _:
                await self._read("get_cart", {})

    async def _write(self, call: str, args: dict[str, Any]) -> Operation:
        direct = self.random.random() < 0.2 and args.get("item") != self.share.items[-1]
        operation = await self._once(call, args, self._clients[self.shard], direct)
        if again := await self.under_key_of(operation):
            self._still_known(again)
        return operation

    async def _read(self, call: str, args: dict[str, Any]) -> None:
        client = self._clients[self.shard] if self.random.random() < 0.3 else None
        stale = self.random.random() < STALE_SHARE
        operation = await self.do(self.user, call, args, client=client, stale=stale)
        if not stale:  # Such a one may be from before the login.
            self._still_known(operation)

    async def _check_out(self) -> None:
        args: dict[str, Any] = {}
        if self.random.random() < 0.3:
            seen = await self.do(self.user, "get_cart")
            if seen.ending == "ok":
                args["expected_total"] = seen.answer["total"]
        hurried = self.random.random() < 0.2
        operation = await self._once(
            "checkout", args, self._clients[self.shard], hurried, hurried
        )
        if operation.ending == "unknown" and self.random.random() < 0.5:
            # Gone: the order must find its end without this customer's help.
            await self.pause(AWAY_SECONDS)
        again = await self.under_key_of(operation, CHECKOUT_AGAIN_SHARE)
        if again is not None and again.ending == "ok":
            self.tally.require(
                "S6 a repeated checkout answers with its order",
                again.answer == operation.answer,
                operation,
                " but then ",
                again,
            )

    async def _once(
        self,
        call: str,
        args: dict[str, Any],
        client: GroupClient,
        direct: bool,
        hurried: bool = False,
    ) -> Operation:
        operation = self.history.begin(self.user, call, args, self.key(), self.name)
        if not hurried and self.random.random() < 0.15:
            self.send_also(operation)
        await self.repeat(operation, client=client if direct else None, once=hurried)
        self.tally.operations[operation.ending] += 1
        self._still_known(operation)
        return operation

    def _still_known(self, operation: Operation) -> None:
        """The session in use was not ended, nor is it old enough to end."""
        self._see(operation)
        refused = operation.refused if operation.ending == "refused" else None
        self.tally.require(
            "S1 a session that was given is known",
            refused is None or refused.code != "unauthenticated",
            operation,
        )

    def _see(self, operation: Operation) -> None:
        """Look at a cart that was shown to this device."""
        if operation.ending != "ok" or "version" not in operation.answer:
            return
        cart = operation.answer
        quantities = [line["quantity"] for line in cart["items"]]
        items = {line["item"] for line in cart["items"]}
        self.tally.require(
            "K2 a cart has whole lines within their bounds",
            all(1 <= each <= QUANTITY_MAX for each in quantities)
            and len(items) == len(quantities) <= CART_LINES_MAX,
            operation,
        )
        self.tally.require(
            "K4 a device never sees an older cart",
            cart["version"] >= self._version,
            operation,
            f" after version {self._version}",
        )
        self._version = cart["version"]

    async def sell_out(self, item: str) -> None:
        """Buy one piece after the other until a checkout is told that there is none.

        So at the end as many have been sold as there were: not one was sold twice, and
        none is held back by an order that came to nothing.
        """
        if self.session is None:
            # It was told to stop before it was in.
            self.stopping = False
            await self.sign_in()
        for _ in range(SALE_TRIES_MAX):
            await self.empty_cart(but=item)
            one = {"item": item, "quantity": 1}
            await self._surely("set_quantity", one, self.key())
            bought = await self._surely("checkout", {}, self.key())
            if bought.refused is not None and bought.refused.code == "out_of_stock":
                return
        raise Stuck(f"W4 {item} is never sold out")

    async def empty_cart(self, but: str = "") -> None:
        """Take all lines out of the cart, but not those of one item."""
        cart = await self._surely("get_cart", {}, None)
        for line in cart.answer["items"] if cart.ending == "ok" else ():
            if line["item"] != but:
                gone = {"item": line["item"]}
                await self._surely("remove_from_cart", gone, self.key())

    async def _surely(
        self, call: str, args: dict[str, Any], key: str | None
    ) -> Operation:
        return await self.do(self.user, call, args, key=key, insist=True)

    async def _race_for_a_name(self) -> None:
        name = f"{self.share.prefix}name{self.random.randrange(self.share.names)}"
        args = {"username": name, "password": self.share.password(self.name)}
        call = self.random.choice(("create_account", "login"))
        key = self.key() if call == "create_account" else None
        await self.do(name, call, args, key=key, anonymous=True)
