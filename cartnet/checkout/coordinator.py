"""Finishes the pending orders of a shard, on its leader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar, assert_never

import msgspec
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    fail,
)

from cartnet.checkout.saga import Outcome, Saga
from cartnet.checkout.waiting import Backoff, Turns, pause, within
from cartnet.errors import Refused
from cartnet.limits import (
    SETTLEMENT_RETRY_SECONDS_MAX,
    SETTLEMENT_RETRY_SECONDS_MIN,
    SETTLEMENTS_AT_ONCE_MAX,
    SURVEY_SECONDS,
)
from cartnet.shop import orders
from cartnet.shop.commands import Decision, FinishCheckout, Take
from cartnet.shop.machine import group_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from twisted.internet.interfaces import IReactorTime
    from twisted.logger import Logger
    from twisted.python.failure import Failure

    from cartnet.replica.ports import Log
    from cartnet.seams import Cursor
    from cartnet.shop.answers import CheckoutBegun

T = TypeVar("T")


class InventoryClient(Protocol):
    """As much of the inventory's client as checkouts use."""

    async def call(
        self,
        call: str,
        args: dict[str, Any],
        *,
        resend: bool,
        deadline: float | None = None,
    ) -> msgspec.Raw:
        """Ask the inventory's leader, whoever that is, until ``deadline`` (clock).

        ``resend``: doing it twice is as good as once. Raises
        :class:`~cartnet.errors.Refused`.
        """


class DeposedError(Exception):
    """This replica leads no longer: another coordinator finishes the order."""


class _Settlement:
    """One order's way under this coordinator, and those who wait for its end."""

    def __init__(self, begun: CheckoutBegun) -> None:
        self.order = begun.order
        self.saga = Saga(begun)
        self.work: Deferred[None] | None = None
        self._waiters: list[Deferred[Outcome]] = []

    def wait(self) -> Deferred[Outcome]:
        waiter: Deferred[Outcome] = Deferred(self._forget)
        self._waiters.append(waiter)
        return waiter

    def end(self) -> None:
        """Tell the waiters what came of it."""
        outcome = self.saga.outcome
        assert outcome is not None, "a settlement ends with an outcome"
        for waiter in self._taken():
            waiter.callback(outcome)

    def abandon(self) -> None:
        """Stop, and tell the waiters."""
        if self.work is not None:
            self.work.cancel()
        for waiter in self._taken():
            waiter.errback(DeposedError())

    def _taken(self) -> Iterator[Deferred[Outcome]]:
        # One by one: hearing of it, a waiter may cancel another.
        while self._waiters:
            yield self._waiters.pop(0)

    def _forget(self, waiter: Deferred[Outcome]) -> None:
        if waiter in self._waiters:
            self._waiters.remove(waiter)


class Coordinator:
    """Runs each pending order's saga for as long as this replica leads.

    Any number of coordinators may believe that they lead, and their messages may come
    late: the inventory decides an order once, and the shard finishes it once. One
    coordinator has at most one settlement of an order in hand.

    :param broken: told of a failure that must not be: the replica is to stop.
    """

    def __init__(
        self,
        log: Log,
        inventory: InventoryClient,
        clock: IReactorTime,
        random: Random,
        request_timeout: float,
        logger: Logger,
        broken: Callable[[Failure], None],
    ) -> None:
        self._log = log
        self._inventory = inventory
        self._clock = clock
        self._random = random
        self._request_timeout = request_timeout
        self._logger = logger
        self._broken = broken
        self._leads = False
        self._leading: Deferred[None] | None = None
        self._settlements: dict[str, _Settlement] = {}
        self._turns = Turns(SETTLEMENTS_AT_ONCE_MAX)
        self._group_id: str | None = None
        self._finished_index = 0

    def led(self) -> None:
        """Begin: this replica leads, and has applied all that former leaders began."""
        assert not self._leads, "a leader is deposed before it leads again"
        self._leads = True
        self._leading = Deferred.fromCoroutine(self._lead())
        self._leading.addErrback(self._failed)

    def deposed(self) -> None:
        """Stop at once; who waits is told that this replica leads no longer."""
        self._leads = False
        leading, self._leading = self._leading, None
        if leading is not None:
            leading.cancel()
        settlements, self._settlements = self._settlements, {}
        for settlement in settlements.values():
            settlement.abandon()

    def settle(self, begun: CheckoutBegun) -> Deferred[Outcome]:
        """Bring an order to its end; fire with what came of it.

        Fails with :class:`DeposedError`. Cancelling stops the wait, not the work.
        """
        if not self._leads:
            return fail(DeposedError())
        settlement = self._settlements.get(begun.order)
        if settlement is not None:
            return settlement.wait()
        settlement = _Settlement(begun)
        waiter = settlement.wait()
        self._begin(settlement)
        return waiter

    def ended(self, order: str) -> Deferred[Outcome | None]:
        """Fire once ``order``, which this replica has seen pending, is not any more.

        Fails with :class:`DeposedError`.
        """
        return Deferred.fromCoroutine(self._ended(order))

    async def _ended(self, order: str) -> Outcome | None:
        if not self._leads:
            raise DeposedError
        if order not in self._settlements:
            try:
                await self._survey()
            except Refused as refused:
                self._logger.info(
                    "cannot see {order}: {why}", order=order, why=refused.message
                )
                await pause(self._clock, SETTLEMENT_RETRY_SECONDS_MIN)
        settlement = self._settlements.get(order)
        return None if settlement is None else await settlement.wait()

    # --- Finding what is pending -----------------------------------------------------

    async def _lead(self) -> None:
        while True:
            try:
                await self._survey()
            except Refused as refused:
                self._logger.warn(
                    "cannot read the pending orders: {message}",
                    message=refused.message,
                )
            # An order whose caller never heard that it began is found here.
            await pause(self._clock, SURVEY_SECONDS)

    async def _survey(self) -> None:
        """Take up every pending order that is not in hand."""
        # What this replica has applied is enough: it holds all that former leaders
        # began, and to take up a finished order again does no harm.
        survey = await self._timely(self._log.read(_survey, stale=True))
        if not self._leads:
            raise DeposedError
        self._group_id, self._finished_index = survey.group_id, survey.finished_index
        for begun in survey.pending:
            if begun.order not in self._settlements:
                self._begin(_Settlement(begun))

    # --- Finishing one ---------------------------------------------------------------

    def _begin(self, settlement: _Settlement) -> None:
        order = settlement.order
        assert order not in self._settlements, "one settlement of an order at a time"
        self._settlements[order] = settlement
        settlement.work = Deferred.fromCoroutine(self._settle(settlement))
        settlement.work.addErrback(self._failed)

    async def _settle(self, settlement: _Settlement) -> None:
        backoff = Backoff(
            self._random,
            seconds_min=SETTLEMENT_RETRY_SECONDS_MIN,
            seconds_max=SETTLEMENT_RETRY_SECONDS_MAX,
        )
        while True:
            await self._turns.acquire()
            try:
                while settlement.saga.outcome is None:
                    if self._settlements.get(settlement.order) is not settlement:
                        return
                    await self._step(settlement.saga)
                break
            except (Refused, msgspec.MsgspecError) as error:
                # An answer that cannot be read comes from another version.
                self._logger.info(
                    "order {order} stays pending for now: {why}",
                    order=settlement.order,
                    why=error.message if isinstance(error, Refused) else error,
                )
            finally:
                self._turns.release()
            # Without a turn: some orders may never be decided.
            await pause(self._clock, backoff.next())
        del self._settlements[settlement.order]
        settlement.end()

    async def _step(self, saga: Saga) -> None:
        if self._group_id is None:
            await self._survey()
        if self._group_id is None:
            raise Refused("unavailable", "the group is being founded")
        command = saga.next(self._group_id, self._finished_index)
        match command:
            case Take():
                saga.decided(await self._take(command))
            case FinishCheckout():
                saga.finished(await self._timely(self._log.propose(command)))
            case None:
                raise AssertionError("a settlement ends with its outcome")
            case _:
                assert_never(command)

    async def _take(self, take: Take) -> Decision:
        deadline = self._clock.seconds() + self._request_timeout
        asked = self._inventory.call(
            "take",
            {name: getattr(take, name) for name in take.__struct_fields__},
            resend=True,
            deadline=deadline,
        )
        answer = await self._timely(Deferred.fromCoroutine(asked))
        decision: Decision = _DECISIONS.decode(answer)
        return decision

    def _timely(self, waited: Deferred[T]) -> Deferred[T]:
        return within(self._clock, self._request_timeout, waited, _late)

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError, DeposedError):
            return
        self._logger.failure("the checkout coordinator broke", failure)
        self._broken(failure)


_DECISIONS: Final = msgspec.json.Decoder[Decision](Decision)


def _late() -> Refused:
    return Refused("timeout", "no answer in time")


@dataclass(frozen=True)
class _Survey:
    group_id: str | None
    finished_index: int
    pending: tuple[CheckoutBegun, ...]


def _survey(cursor: Cursor) -> _Survey:
    return _Survey(
        group_id(cursor), orders.finished_index(cursor), orders.pending(cursor)
    )
