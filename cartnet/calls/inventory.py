"""What the inventory answers: its items, checkouts' takes, and the operator's calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from cartnet.calls.answering import Answering, Asked
from cartnet.calls.feed import Feed
from cartnet.calls.founding import Founding
from cartnet.calls.logins import Logins
from cartnet.calls.operator import OperatorAccount
from cartnet.errors import Refused
from cartnet.replica.ports import Watching
from cartnet.shop import books, inventory
from cartnet.shop.commands import (
    ChangeStock,
    PutItem,
    RemoveItem,
    ResetInventory,
    SetStock,
    Take,
)
from cartnet.shop.group import FORMING, group_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.internet.defer import Deferred
    from twisted.logger import Logger
    from twisted.python.failure import Failure

    from cartnet.calls.operator import FirstPassword
    from cartnet.calls.passwords import Passwords
    from cartnet.replica.ports import Caller, Log
    from cartnet.seams import Cursor, Seams
    from cartnet.wire.requests import Request

T = TypeVar("T")


class InventoryCalls:
    """Answers the inventory's calls on one replica; any one is a source of its feed.

    :param operator_password: the configured one, or ``None`` to make one.
    :param first_password: puts a made one where the operator finds it.
    :param broken: told of a failure that must not be: the replica is to stop.
    """

    def __init__(
        self,
        log: Log,
        seams: Seams,
        passwords: Passwords,
        request_timeout: float,
        logger: Logger,
        broken: Callable[[Failure], None],
        *,
        operator_password: str | None,
        first_password: FirstPassword,
    ) -> None:
        self._operator = OperatorAccount(
            log,
            seams,
            passwords,
            request_timeout,
            logger,
            broken,
            password=operator_password,
            first=first_password,
        )
        self._feed = Feed(log, seams.clock, request_timeout, logger, broken)
        self._founding = Founding(
            log,
            seams,
            request_timeout,
            logger,
            broken,
            before=(self._operator.make,),
        )
        self._answering = Answering(
            log,
            seams,
            request_timeout,
            logger,
            broken,
            public={
                "get_inventory": self._get_inventory,
                "watch_inventory": self._watch_inventory,
                "logout": lambda asked: self._logins.logout(asked),
                "whoami": lambda asked: self._logins.whoami(asked),
            },
            internal={
                "login": lambda asked: self._logins.login(asked),
                "find_item": self._find_item,
                "take": self._take,
                "put_item": self._put_item,
                "remove_item": self._remove_item,
                "update_inventory": self._update_inventory,
                "reset_inventory": self._reset_inventory,
                "set_stock": self._set_stock,
                "conservation": self._conservation,
            },
        )
        self._logins = Logins(self._answering, passwords, None)
        self._sold = books.Sold()

    # --- The replica's side ----------------------------------------------------------

    def call(self, request: Request, caller: Caller) -> Deferred[object]:
        """Do one request; fail with :class:`~cartnet.errors.Refused`."""
        return self._answering.answer(request, caller)

    def led(self) -> None:
        """See that the group has an id and the operator an account."""
        self._founding.led()
        # A snapshot may have come since it led last.
        self._sold = books.Sold()

    def deposed(self) -> None:
        """Leave that to the next leader."""
        self._founding.deposed()

    def applied(self, index: int) -> None:
        """Have the watchers hear of what changed."""
        self._feed.applied()
        self._operator.applied()

    def stop(self) -> None:
        """Stop what is under way."""
        self.deposed()
        self._answering.stop()
        self._operator.stop()
        self._feed.stop()

    # --- Items -----------------------------------------------------------------------

    async def _get_inventory(self, asked: Asked) -> object:
        return await self._answering.shown(asked, _once_formed(inventory.items))

    async def _watch_inventory(self, asked: Asked) -> object:
        from_revision = asked.args.from_revision
        return Watching(lambda sink: self._feed.subscribe(from_revision, sink))

    async def _find_item(self, asked: Asked) -> object:
        item = asked.args.item
        found = await self._answering.read(
            asked, _once_formed(lambda cursor: inventory.find(cursor, item))
        )
        return {"item": found}

    async def _conservation(self, asked: Asked) -> object:
        before = self._sold

        def query(cursor: Cursor) -> tuple[books.Sold, books.Balance]:
            sold = books.add_up(cursor, before)
            return sold, books.balance(cursor, sold)

        sold, balance = await self._answering.read_now(asked, _once_formed(query))
        if self._sold is before:
            self._sold = sold
        return balance

    async def _take(self, asked: Asked) -> object:
        args = asked.args
        return await self._answering.propose(
            Take(
                group_id=args.group_id,
                index=args.index,
                lines=args.lines,
                expected_total=args.expected_total,
                finished=args.finished,
            ),
            asked.deadline,
        )

    # --- The operator's --------------------------------------------------------------

    async def _put_item(self, asked: Asked) -> object:
        args = asked.args
        return await self._answering.propose(
            PutItem(
                session=self._answering.session(asked),
                key=asked.request.key,
                item=args.item,
                name=args.name,
                price=args.price,
                stock=args.stock,
            ),
            asked.deadline,
        )

    async def _remove_item(self, asked: Asked) -> object:
        return await self._answering.propose(
            RemoveItem(
                session=self._answering.session(asked),
                key=asked.request.key,
                item=asked.args.item,
            ),
            asked.deadline,
        )

    async def _update_inventory(self, asked: Asked) -> object:
        return await self._answering.propose(
            ChangeStock(
                session=self._answering.session(asked),
                key=asked.request.key,
                item=asked.args.item,
                quantity_change=asked.args.quantity_change,
            ),
            asked.deadline,
        )

    async def _reset_inventory(self, asked: Asked) -> object:
        # Without a session it comes from the admin line, through its process's proven
        # connection; balancers pass no user's call on without one.
        session = None
        if asked.request.session is not None:
            session = self._answering.session(asked)
        return await self._answering.propose(
            ResetInventory(session=session, key=asked.request.key), asked.deadline
        )

    async def _set_stock(self, asked: Asked) -> object:
        if asked.request.session is not None:
            raise Refused("forbidden", "set_stock is the admin line's own")
        return await self._answering.propose(
            SetStock(item=asked.args.item, stock=asked.args.stock), asked.deadline
        )


def _once_formed(query: Callable[[Cursor], T]) -> Callable[[Cursor], T]:
    """Make a query that refuses while the group has no items because it is new."""

    def read(cursor: Cursor) -> T:
        if group_id(cursor) is None:
            FORMING.raise_()
        return query(cursor)

    return read
