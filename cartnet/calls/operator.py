"""The operator's account: its first password, made once for the whole cluster."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from twisted.internet.defer import CancelledError, Deferred

from cartnet.checkout.waiting import within
from cartnet.errors import Refused
from cartnet.shop.accounts import OPERATOR, Account, find
from cartnet.shop.commands import SetOperatorPassword

if TYPE_CHECKING:
    from collections.abc import Callable

    from twisted.logger import Logger
    from twisted.python.failure import Failure

    from cartnet.calls.passwords import Passwords
    from cartnet.replica.ports import Log
    from cartnet.seams import Cursor, Seams

T = TypeVar("T")

PASSWORD_BYTES: Final = 15
"""Random bytes of a made password: 20 characters."""


@dataclass(frozen=True)
class _Proposed:
    password: str
    password_hash: str


class OperatorAccount:
    """Sees that there is an operator, and that whoever made the password tells it.

    A password is proposed at most once at a time by one replica, and kept in memory
    until the account is there: then the hash says whose it is, even where the answer
    to the proposal was lost or another leader's came first.

    :param password: the configured one, or ``None`` to make one.
    :param keep: called with a made password that has become the operator's.
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
        password: str | None,
        keep: Callable[[str], None],
    ) -> None:
        self._log = log
        self._seams = seams
        self._passwords = passwords
        self._request_timeout = request_timeout
        self._logger = logger
        self._broken = broken
        self._password = password
        self._keep = keep
        self._proposed: _Proposed | None = None
        self._looking: Deferred[None] | None = None
        self._stopped = False

    async def make(self) -> None:
        """Propose a password unless there is an account; on the leader."""
        account = await self._timely(self._log.read(_operator))
        if account is None:
            if self._proposed is None:
                self._proposed = await self._draw()
            command = SetOperatorPassword(password_hash=self._proposed.password_hash)
            await self._timely(self._log.propose(command))
            account = await self._timely(self._log.read(_operator))
        self._conclude(account)

    def applied(self) -> None:
        """See whether a proposal of this replica has come to something."""
        if self._proposed is None or self._looking is not None or self._stopped:
            return
        self._looking = Deferred.fromCoroutine(self._look())
        self._looking.addErrback(self._failed)
        if self._looking.called:
            self._looking = None
        else:
            self._looking.addBoth(self._looked)

    def stop(self) -> None:
        """Stop looking."""
        self._stopped = True
        if self._looking is not None:
            self._looking.cancel()

    async def _draw(self) -> _Proposed:
        password = self._password
        if password is None:
            drawn = self._seams.token_bytes(PASSWORD_BYTES)
            password = base64.urlsafe_b64encode(drawn).decode()
        hashing = Deferred.fromCoroutine(self._passwords.hash(password))
        return _Proposed(password, await self._timely(hashing))

    async def _look(self) -> None:
        try:
            account = await self._timely(self._log.read(_operator, stale=True))
        except Refused as refused:
            # The next entry brings another look.
            self._logger.info(
                "cannot see the operator's account: {message}", message=refused.message
            )
        else:
            self._conclude(account)

    def _conclude(self, account: Account | None) -> None:
        if account is None or self._proposed is None:
            return
        proposed, self._proposed = self._proposed, None
        if account.password_hash == proposed.password_hash and self._password is None:
            self._keep(proposed.password)

    def _looked(self, _: None) -> None:
        self._looking = None

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError):
            return
        self._logger.failure("the operator's account broke", failure)
        self._broken(failure)

    def _timely(self, waited: Deferred[T]) -> Deferred[T]:
        return within(self._seams.clock, self._request_timeout, waited, _late)


def _operator(cursor: Cursor) -> Account | None:
    return find(cursor, OPERATOR)


def _late() -> Refused:
    return Refused("timeout", "no answer in time")
