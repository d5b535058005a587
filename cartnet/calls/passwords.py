"""Password hashes: argon2id off the reactor, few at once, a bounded number waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from twisted.internet.defer import Deferred, maybeDeferred

from cartnet.checkout.waiting import Turns
from cartnet.errors import Refused
from cartnet.limits import HASHES_AT_ONCE_MAX, HASHES_WAITING_MAX

if TYPE_CHECKING:
    from collections.abc import Callable

SALT_BYTES: Final = 16
HASH_BYTES: Final = 32
MEMORY_KIB: Final = 19_456
PASSES: Final = 2
LANES: Final = 1
"""argon2id with m = 19 MiB, t = 2, p = 1 (OWASP's second choice; RFC 9106)."""


class Hasher(Protocol):
    """A slow, salted hash of passwords; called in threads."""

    @property
    def dummy(self) -> str:
        """A hash of the same cost that no password is known for."""

    def hash(self, password: str, salt: bytes) -> str:
        """Hash with parameters and salt in the result."""

    def verify(self, password_hash: str, password: str) -> bool: ...


class Argon2Hasher:
    """argon2id; its parameters stand in each hash, so that they may change."""

    # Made once of a random password that was thrown away: verifying against it costs
    # what verifying against a user's hash costs.
    dummy: Final = (
        "$argon2id$v=19$m=19456,t=2,p=1$tUDfr2kJIY83Pns3KN3/LA$"
        "WlBT2pnDKgp83RVEhiLxb7LSD5SCeVwZ1Z77wi8RNmo"
    )

    def __init__(self) -> None:
        self._argon2 = PasswordHasher(
            time_cost=PASSES,
            memory_cost=MEMORY_KIB,
            parallelism=LANES,
            hash_len=HASH_BYTES,
            salt_len=SALT_BYTES,
        )

    def hash(self, password: str, salt: bytes) -> str:
        return self._argon2.hash(password, salt=salt)

    def verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._argon2.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False


class Passwords:
    """Hashes and verifies passwords for all replicas of a process."""

    def __init__(
        self,
        hasher: Hasher,
        in_thread: Callable[..., Deferred[Any]],
        token_bytes: Callable[[int], bytes],
    ) -> None:
        self._hasher = hasher
        self._in_thread = in_thread
        self._token_bytes = token_bytes
        self._turns = Turns(HASHES_AT_ONCE_MAX)

    async def hash(self, password: str) -> str:
        """Hash a new password; raise ``overloaded`` where too many wait."""
        salt = self._token_bytes(SALT_BYTES)
        result = await self._turn(self._in_thread, self._hasher.hash, password, salt)
        assert isinstance(result, str)
        return result

    async def verify(
        self,
        password_hash: str | None,
        password: str,
        allowed: Callable[[], None] | None = None,
    ) -> bool:
        """Say whether the password is the hash's, after equal work where there is none.

        ``allowed`` is asked when the turn has come, and may raise: of many attempts
        sent at once, those that wait see how the first ones ended.
        """
        against = self._hasher.dummy if password_hash is None else password_hash

        def verify() -> Deferred[Any]:
            if allowed is not None:
                allowed()
            return self._in_thread(self._hasher.verify, against, password)

        return bool(await self._turn(verify)) and password_hash is not None

    def _turn(self, work: Callable[..., Deferred[Any]], *arguments: Any) -> Any:
        """Do ``work`` when its turn comes; fire with its result.

        Cancelling gives up the wait. A thread at work cannot be stopped, and keeps its
        turn until it ends.
        """
        if len(self._turns.waiting) >= HASHES_WAITING_MAX:
            raise Refused("overloaded", "too many passwords to check: try later")
        turn = self._turns.acquire()
        result: Deferred[Any] = Deferred(lambda _: turn.cancel())

        def begin(turns: Turns) -> None:
            maybeDeferred(work, *arguments).addBoth(end, turns)

        def end(outcome: Any, turns: Turns) -> None:
            turns.release()
            # Whoever waited may be gone; then nobody wants a failure either.
            if not result.called:
                result.callback(outcome)

        turn.addCallbacks(begin, result.errback)
        return result
