"""What a shard answers: its users' accounts, sessions, carts and orders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
from msgspec.structs import replace
from twisted.internet.defer import Deferred

from cartnet.calls.answering import Answering, Asked
from cartnet.calls.cart_feed import CartFeed
from cartnet.calls.founding import Founding
from cartnet.calls.logins import Logins
from cartnet.checkout.coordinator import Coordinator, DeposedError
from cartnet.checkout.saga import Superseded
from cartnet.errors import Refused
from cartnet.replica.ports import Watching
from cartnet.shop import accounts, carts, orders
from cartnet.shop.answers import (
    AccountCreated,
    AccountExists,
    Cart,
    CheckoutBegun,
    Frozen,
    Order,
    Refusal,
)
from cartnet.shop.commands import (
    AddToCart,
    BeginCheckout,
    CreateAccount,
    RemoveFromCart,
    SetQuantity,
)
from cartnet.shop.group import FORMING, group_id, time_at
from cartnet.shop.shard import UserCommand, remembered

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.logger import Logger
    from twisted.python.failure import Failure

    from cartnet.calls.passwords import Passwords
    from cartnet.checkout.coordinator import InventoryClient
    from cartnet.checkout.saga import Outcome
    from cartnet.replica.ports import Caller, Log
    from cartnet.seams import Cursor, Seams
    from cartnet.shop.answers import Answer
    from cartnet.wire.requests import Request

ANY_ITEM: Final = "A"
"""What the inventory is asked for to see that its leader answers; it need not exist."""


class ShardCalls:
    """Answers a shard's calls on one replica; on the leader, finishes checkouts.

    :param inventory: how the inventory's leader is reached.
    :param passwords: hashes for all replicas of this process.
    :param broken: told of a failure that must not be: the replica is to stop.
    """

    def __init__(
        self,
        log: Log,
        seams: Seams,
        inventory: InventoryClient,
        passwords: Passwords,
        request_timeout: float,
        logger: Logger,
        broken: Callable[[Failure], None],
    ) -> None:
        self._seams = seams
        self._log = log
        self._inventory = inventory
        self._coordinator = Coordinator(
            log,
            inventory,
            seams.clock,
            seams.random,
            request_timeout,
            logger,
            broken,
        )
        self._feed = CartFeed(log, seams.clock, request_timeout, logger, broken)
        self._founding = Founding(log, seams, request_timeout, logger, broken)
        # Methods are looked up by name when a request comes, so they may refer to
        # what is made below.
        self._answering = Answering(
            log,
            seams,
            request_timeout,
            logger,
            broken,
            public={
                "logout": lambda asked: self._logins.logout(asked),
                "whoami": lambda asked: self._logins.whoami(asked),
                "get_cart": self._get_cart,
                "add_to_cart": self._add_to_cart,
                "set_quantity": self._set_quantity,
                "remove_from_cart": self._remove_from_cart,
                "checkout": self._checkout,
                "list_orders": self._list_orders,
                "get_order": self._get_order,
            },
            internal={
                "create_account": self._create_account,
                "login": lambda asked: self._logins.login(asked),
                "watch_cart": self._watch_cart,
            },
        )
        self._logins = Logins(self._answering, passwords, log.group.name)

    # --- The replica's side ----------------------------------------------------------

    def call(self, request: Request, caller: Caller) -> Deferred[object]:
        """Do one request; fail with :class:`~cartnet.errors.Refused`."""
        return self._answering.answer(request, caller)

    def led(self) -> None:
        """Take up the orders that are pending."""
        self._founding.led()
        self._coordinator.led()

    def deposed(self) -> None:
        """Leave them to the next leader."""
        self._founding.deposed()
        self._coordinator.deposed()

    def applied(self, index: int) -> None:
        """Have the watchers hear of what changed."""
        self._feed.applied()

    def stop(self) -> None:
        """Stop what is under way."""
        self.deposed()
        self._answering.stop()
        self._feed.stop()

    # --- Accounts --------------------------------------------------------------------

    async def _create_account(self, asked: Asked) -> object:
        username, password = asked.args.username, asked.args.password
        key = asked.request.key
        account = await self._answering.read_now(
            asked, lambda cursor: accounts.find(cursor, username)
        )
        if account is not None:
            same_key = key is not None and key == account.creation_key
            exists = AccountExists(username, account.password_hash, same_key)
            await self._recognise(asked, exists)
        else:
            password_hash = await self._logins.hash(asked, password)
            answer = await self._answering.propose(
                CreateAccount(username=username, password_hash=password_hash, key=key),
                asked.deadline,
            )
            if isinstance(answer, AccountExists):
                await self._recognise(asked, answer)
            else:
                assert isinstance(answer, AccountCreated)
        return {"user": username, "shard": self._log.group.name}

    async def _recognise(self, asked: Asked, exists: AccountExists) -> None:
        """Let the account's creator find out that it succeeded; refuse all others."""
        if not exists.same_key:
            raise Refused("username_taken", "This username is taken: choose another.")
        # No password is compared by way of the key: neither it nor a fast hash of it
        # may be in the log. Its slow hash is there, and tells whether it is the same.
        password = asked.args.password
        if not await self._logins.verify(asked, exists.password_hash, password):
            raise Refused(
                "conflict",
                "This key made the account with another password: use a new key.",
            )

    # --- Carts -----------------------------------------------------------------------

    async def _get_cart(self, asked: Asked) -> object:
        user = self._answering.user(asked)
        return await self._answering.shown(
            asked, lambda cursor: carts.read(cursor, user(cursor))
        )

    async def _watch_cart(self, asked: Asked) -> object:
        session, user = self._answering.session(asked), self._answering.user(asked)
        known = self._log.read(user, stale=True)
        try:
            await self._answering.until(asked.deadline, known, _not_known)
        except Refused as refused:
            if refused.code != "unauthenticated":
                raise
            if not self._log.leads:
                # It may have been opened a moment ago.
                raise _not_known() from None
            await self._answering.read_now(asked, user)
        return Watching(lambda sink: self._feed.subscribe(session, sink))

    async def _add_to_cart(self, asked: Asked) -> object:
        return await self._have_in_cart(
            asked,
            AddToCart(
                session=self._answering.session(asked),
                key=asked.request.key,
                item=asked.args.item,
                quantity=asked.args.quantity,
            ),
        )

    async def _set_quantity(self, asked: Asked) -> object:
        return await self._have_in_cart(
            asked,
            SetQuantity(
                session=self._answering.session(asked),
                key=asked.request.key,
                item=asked.args.item,
                quantity=asked.args.quantity,
            ),
        )

    async def _remove_from_cart(self, asked: Asked) -> object:
        return await self._change_cart(
            asked,
            RemoveFromCart(
                session=self._answering.session(asked),
                key=asked.request.key,
                item=asked.args.item,
            ),
        )

    async def _have_in_cart(
        self, asked: Asked, command: AddToCart | SetQuantity
    ) -> Cart:
        """Put an item in; an unchecked one once the inventory has been asked for it."""
        if asked.args.unchecked:
            # A key that is remembered is answered whatever has become of the item.
            answer = await self._recall(asked, command)
            if isinstance(answer, Refusal):
                answer.raise_()
            if answer is not None:
                assert isinstance(answer, Cart)
                return answer
            unknown = not await self._is_sold(asked, command.item)
            command = replace(command, unknown_item=unknown)
        return await self._change_cart(asked, command)

    async def _is_sold(self, asked: Asked, item: str) -> bool:
        answer = await self._ask_inventory(asked, item, lambda: _unchecked(item))
        return msgspec.json.decode(answer)["item"] is not None

    async def _change_cart(self, asked: Asked, command: UserCommand) -> Cart:
        answer = await self._propose_thawed(asked, command)
        assert isinstance(answer, Cart)
        return answer

    async def _propose_thawed(self, asked: Asked, command: UserCommand) -> Answer:
        """Propose a user's command, again each time the checkout in its way has ended.

        A proposal that met a frozen cart did nothing and is not remembered, so that
        who waits in vain is told ``unavailable``: certainly not done.
        """
        while True:
            answer = await self._answering.propose(command, asked.deadline)
            if not isinstance(answer, Frozen):
                return answer
            try:
                ended = self._coordinator.ended(answer.order)
                await self._answering.until(asked.deadline, ended, _frozen)
            except DeposedError:
                raise self._not_leader() from None
            if self._seams.clock.seconds() >= asked.deadline:
                raise _frozen()

    def _not_leader(self) -> Refused:
        leader = self._log.leader
        address = None
        if leader is not None and leader != self._log.name:
            address = self._log.group.member(leader).address
        return Refused(
            "not_leader", "this replica leads no longer", {"leader": address}
        )

    # --- Orders ----------------------------------------------------------------------

    async def _checkout(self, asked: Asked) -> object:
        command = BeginCheckout(
            session=self._answering.session(asked),
            key=asked.request.key,
            expected_total=asked.args.expected_total,
        )
        answer: Answer | Outcome | None = await self._recall(asked, command)
        if answer is None:
            # A checkout that cannot be decided soon is better not begun (L5).
            await self._ask_inventory(asked, ANY_ITEM, _no_inventory)
            answer = await self._propose_thawed(asked, command)
        if isinstance(answer, CheckoutBegun):
            answer = await self._outcome(asked, answer)
        if isinstance(answer, Superseded):
            answer = await self._as_finished(asked, command)
        if isinstance(answer, Refusal):
            answer.raise_()
        if not isinstance(answer, Order):
            raise _undecided()
        return answer

    async def _recall(self, asked: Asked, command: UserCommand) -> Answer | None:
        """Return what the command's key came to before, if anything, or a refusal."""
        now = self._log.now()

        def query(cursor: Cursor) -> Answer | None:
            answer = remembered(cursor, command, time_at(cursor, now))
            if answer is None and group_id(cursor) is None:
                return FORMING
            return answer

        return await self._answering.read_now(asked, query)

    async def _as_finished(self, asked: Asked, command: BeginCheckout) -> Answer | None:
        """Return how another leader has finished a checkout: its key says so.

        Where that cannot be read its outcome is unknown, since it was begun.
        """
        try:
            answer = await self._recall(asked, command)
        except Refused:
            raise _undecided() from None
        return None if answer == accounts.UNAUTHENTICATED else answer

    async def _ask_inventory(
        self, asked: Asked, item: str, late: Callable[[], Refused]
    ) -> msgspec.Raw:
        """Have the inventory's leader look an item up; ``late()`` where it does not."""
        reached = Deferred.fromCoroutine(
            self._inventory.call(
                "find_item", {"item": item}, resend=True, deadline=asked.deadline
            )
        )
        try:
            return await self._answering.until(asked.deadline, reached, late)
        except Refused:
            # Whatever the reason, nothing was begun.
            raise late() from None

    async def _outcome(self, asked: Asked, begun: CheckoutBegun) -> Outcome:
        settled = self._coordinator.settle(begun)
        try:
            return await self._answering.until(asked.deadline, settled, _undecided)
        except DeposedError:
            # The next leader finishes it.
            raise _undecided() from None

    async def _list_orders(self, asked: Asked) -> object:
        user, args = self._answering.user(asked), asked.args
        return await self._answering.shown(
            asked,
            lambda cursor: orders.listing(
                cursor, user(cursor), args.limit, args.before
            ),
        )

    async def _get_order(self, asked: Asked) -> object:
        user, order = self._answering.user(asked), asked.args.order

        def query(cursor: Cursor) -> Order:
            found = orders.find(cursor, user(cursor), order)
            if found is None:
                raise Refused("not_found", "There is no such order of yours.")
            return found

        return await self._answering.shown(asked, query)


def _not_known() -> Refused:
    return Refused("unavailable", "the session is not known here yet: ask another")


def _frozen() -> Refused:
    return Refused(
        "unavailable",
        "a checkout of this cart is not decided yet: nothing was done, try again",
    )


def _unchecked(item: str) -> Refused:
    return Refused(
        "unavailable",
        f"whether there is an item {item} cannot be checked at the moment",
    )


def _no_inventory() -> Refused:
    return Refused(
        "unavailable",
        "the inventory does not answer: nothing was done, check out again later",
    )


def _undecided() -> Refused:
    return Refused(
        "timeout",
        "the checkout is not decided yet, and will be without your help: asking again"
        " with the same key finds out",
    )
