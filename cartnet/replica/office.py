"""The leader's office: who has it, and how it is handed over on purpose (3.10)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError

from cartnet.errors import Refused
from cartnet.limits import HAND_OVER_SECONDS_MAX

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime
    from twisted.logger import Logger

    from cartnet.replica.driver import Driver
    from cartnet.replica.membership import Membership


class Office:
    """The office of a group's leader, as one member sees it."""

    def __init__(
        self, membership: Membership, driver: Driver, clock: IReactorTime, log: Logger
    ) -> None:
        self._name = membership.name
        self._group = membership.group
        self._driver = driver
        self._clock = clock
        self._log = log
        self._lost: Deferred[None] | None = None

    def not_leader(self) -> Refused:
        """Say where to go instead."""
        leader = self._driver.raft.leader
        address = self._group.member(leader).address if leader is not None else None
        where = f"{leader} at {address} leads" if leader else "nobody leads"
        return Refused(
            "not_leader",
            f"{self._name} does not lead group {self._group.name}; {where}",
            {"leader": address},
        )

    def transfer(self, target: str) -> None:
        """Begin to hand the office over to another member, gracefully.

        :raises Refused: ``not_leader``, or ``unavailable`` where that cannot begin.
        """
        raft = self._driver.raft
        if not raft.leads:
            raise self.not_leader()
        if target not in raft.connected:
            raise Refused("unavailable", f"{self._name} has no connection to {target}")
        self._log.info("hands over to {target}, as it was told to", target=target)
        self._driver.tell(lambda raft: raft.hand_over(target))

    async def leave(self) -> None:
        """Hand the office over, if this replica has it and there is anybody to take it.

        Ends once it is lost, or after ``HAND_OVER_SECONDS_MAX``.
        """
        raft = self._driver.raft
        if self._driver.stopped or not raft.leads:
            return
        able = raft.connected - raft.uncounted
        targets = [name for name in self._group.preference if name in able]
        if not targets:
            return
        # One that is behind may not catch up within HAND_OVER_SECONDS_MAX.
        target = next(filter(raft.has_caught_up, targets), targets[0])
        lost: Deferred[None] = Deferred()
        self._lost = lost
        lost.addTimeout(HAND_OVER_SECONDS_MAX, self._clock)
        lost.addErrback(lambda failure: failure.trap(DeferredTimeoutError))
        self._driver.tell(lambda raft: raft.hand_over(target))
        await lost

    def lost(self) -> None:
        """This replica leads no longer."""
        if self._lost is not None and not self._lost.called:
            self._lost.callback(None)
