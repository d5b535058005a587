"""The operator's account: its first password, made once for the whole cluster."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final, ParamSpec, Protocol, TypeVar

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

P = ParamSpec("P")
T = TypeVar("T")

PASSWORD_BYTES: Final = 15
"""Random bytes of a made password: 20 characters."""


class FirstPassword(Protocol):
    """Keeps a made password over crashes (:mod:`cartnet.calls.password_file`).

    Its methods may wait for a disk, and raise :class:`OSError`.
    """

    def proposed(self) -> str | None:
        """The one that this replica has made, and knows no more of."""

    def propose(self, password: str) -> None:
        """Keep it; it is about to be proposed."""

    def keep(self) -> None:
        """It has become the operator's: tell it."""

    def drop(self) -> None:
        """It has not, and never will."""


class OperatorAccount:
    """Sees that there is an operator, and that whoever made the password tells it.

    A replica makes one password in its life, which is on its disk before it is
    proposed, and stays there until there is an account: whether that has it then says
    whose was applied, even where the answer was lost, another leader's came first, or
    the replica had to be started again.

    :param password: the configured one, or ``None`` to make one.
    :param first: keeps the one that is made.
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
        first: FirstPassword,
    ) -> None:
        self._log = log
        self._seams = seams
        self._passwords = passwords
        self._request_timeout = request_timeout
        self._logger = logger
        self._broken = broken
        self._password = password
        self._first = first
        self._made: str | None = None
        self._settled = password is not None
        self._looking: Deferred[None] | None = None
        self._stopped = False

    async def make(self) -> None:
        """Propose a password unless there is an account; on the leader.

        :raises Refused: that has to be tried again.
        """
        account = await self._timely(self._log.read(_operator))
        if account is None:
            password_hash = await self._timely(self._hashed(await self._new()))
            command = SetOperatorPassword(password_hash=password_hash)
            await self._timely(self._log.propose(command))
            account = await self._timely(self._log.read(_operator))
        if account is not None:
            await self._conclude(account)

    def applied(self) -> None:
        """See whether a proposal of this replica has come to something."""
        if self._settled or self._looking is not None or self._stopped:
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

    async def _new(self) -> str:
        """The password to propose, on disk if it was made here."""
        if self._password is not None:
            return self._password
        password = await self._of_mine()
        if password is None:
            drawn = self._seams.token_bytes(PASSWORD_BYTES)
            password = self._made = base64.urlsafe_b64encode(drawn).decode()
        self._settled = False
        await self._on_disk(self._first.propose, password)
        return password

    async def _of_mine(self) -> str | None:
        """The password that this replica made, perhaps before it was started again."""
        if self._made is None:
            proposed = await self._on_disk(self._first.proposed)
            # One may have been made meanwhile, and this look was before it.
            self._made = self._made or proposed
        return self._made

    async def _look(self) -> None:
        try:
            if await self._of_mine() is None:
                # There is nothing to tell, unless it leads and makes one.
                self._settled = True
                return
            account = await self._timely(self._log.read(_operator, stale=True))
            if account is not None:
                await self._conclude(account)
        except Refused as refused:
            # The next entry brings another look.
            self._logger.info(
                "cannot see to the operator's password: {message}",
                message=refused.message,
            )

    async def _conclude(self, account: Account) -> None:
        """There is an account: tell the password that was made here, if it is that."""
        if self._settled:
            return
        password = await self._of_mine()
        if password is not None:
            verifying = self._passwords.verify(account.password_hash, password)
            if await self._timely(Deferred.fromCoroutine(verifying)):
                await self._on_disk(self._first.keep)
            else:
                await self._on_disk(self._first.drop)
        self._made = None
        self._settled = True

    def _hashed(self, password: str) -> Deferred[str]:
        return Deferred.fromCoroutine(self._passwords.hash(password))

    async def _on_disk(self, do: Callable[P, T], *args: P.args, **kw: P.kwargs) -> T:
        try:
            done: T = await self._timely(self._seams.in_thread(do, *args, **kw))
        except OSError as error:
            raise Refused(
                "unavailable", f"the operator's password cannot be kept: {error}"
            ) from error
        return done

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
