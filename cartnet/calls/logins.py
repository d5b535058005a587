"""Logging in, out, and asking who one is: a shard's users, the inventory's operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from cartnet.calls.answering import hashed
from cartnet.calls.throttle import LoginFailures
from cartnet.errors import Refused
from cartnet.shop import accounts
from cartnet.shop.commands import CloseSession, OpenSession
from cartnet.shop.group import FORMING

if TYPE_CHECKING:
    from collections.abc import Callable

    from cartnet.calls.answering import Answering, Asked
    from cartnet.calls.passwords import Passwords


class Logins:
    """``login``, ``logout`` and ``whoami``.

    :param shard: what ``whoami`` says: the shard's name, or ``None`` for the operator.
    """

    def __init__(
        self, answering: Answering, passwords: Passwords, shard: str | None
    ) -> None:
        self._answering = answering
        self._passwords = passwords
        self._shard = shard
        self._failures = LoginFailures(answering.seams.clock)

    async def login(self, asked: Asked) -> object:
        """Open a session for who knows the password.

        An unknown name costs the same work and gets the same answer as a wrong
        password. Nothing can be retried by key here: a login whose answer is lost
        leaves a session that nobody knows the token of, and it ends by itself.
        """
        username, password = asked.args.username, asked.args.password
        self._failures.check(username)
        account = await self._answering.read_now(
            asked, lambda cursor: accounts.find(cursor, username)
        )
        if account is None and self._shard is None:
            # The operator's account comes with the group: whoever knows the password
            # must not be told that it is wrong.
            FORMING.raise_()
        known = None if account is None else account.password_hash
        right = await self.verify(
            asked, known, password, lambda: self._failures.check(username)
        )
        if not right:
            self._failures.failed(username)
            accounts.WRONG_CREDENTIALS.raise_()
        assert known is not None
        self._failures.succeeded(username)
        token = self._answering.new_token()
        opened = OpenSession(
            username=username, password_hash=known, session=hashed(token)
        )
        await self._answering.propose(opened, asked.deadline)
        return {"session": token, "user": username}

    async def verify(
        self,
        asked: Asked,
        password_hash: str | None,
        password: str,
        allowed: Callable[[], None] | None = None,
    ) -> bool:
        """Verify a password by the request's deadline, else ``overloaded``."""
        verifying = self._passwords.verify(password_hash, password, allowed)
        return await self._answering.until(
            asked.deadline, Deferred.fromCoroutine(verifying), _too_busy
        )

    async def hash(self, asked: Asked, password: str) -> str:
        """Hash a password by the request's deadline, else ``overloaded``."""
        hashing = self._passwords.hash(password)
        return await self._answering.until(
            asked.deadline, Deferred.fromCoroutine(hashing), _too_busy
        )

    async def logout(self, asked: Asked) -> object:
        """End the request's session."""
        session = self._answering.session(asked)
        await self._answering.propose(CloseSession(session=session), asked.deadline)
        return {}

    async def whoami(self, asked: Asked) -> object:
        """Say whose session it is."""
        user = await self._answering.read(asked, self._answering.user(asked))
        answer = {"user": user, "shard": self._shard}
        return {**answer, "stale": True} if asked.request.stale else answer


def _too_busy() -> Refused:
    return Refused("overloaded", "too many passwords to check: try later")
