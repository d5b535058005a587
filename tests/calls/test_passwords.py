from __future__ import annotations

from typing import Any

from argon2 import Type, extract_parameters
from twisted.internet.defer import Deferred, execute
from twisted.trial.unittest import SynchronousTestCase

from cartnet.calls.passwords import Argon2Hasher, Passwords
from cartnet.errors import Refused
from cartnet.limits import HASHES_AT_ONCE_MAX, HASHES_WAITING_MAX
from tests.calls.memory import FastHasher, counting_bytes


class Threads:
    """Threads that end when they are told to."""

    def __init__(self) -> None:
        self.running: list[tuple[Deferred[Any], Any]] = []

    def __call__(self, work: Any, *arguments: Any) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.running.append((done, lambda: work(*arguments)))
        return done

    def finish_one(self) -> None:
        done, work = self.running.pop(0)
        done.callback(work())


class Argon2Tests(SynchronousTestCase):
    """The product's hashes."""

    def test_parameters(self) -> None:
        """Hashes are argon2id with 19 MiB, two passes and one lane; so is the dummy."""
        hasher = Argon2Hasher()

        made = hasher.hash("correct horse", b"0123456789abcdef")

        for password_hash in (made, hasher.dummy):
            parameters = extract_parameters(password_hash)
            self.assertEqual(parameters.type, Type.ID)
            self.assertEqual(parameters.memory_cost, 19 * 1024)
            self.assertEqual(parameters.time_cost, 2)
            self.assertEqual(parameters.parallelism, 1)
            self.assertEqual(parameters.hash_len, 32)
        self.assertTrue(hasher.verify(made, "correct horse"))
        self.assertFalse(hasher.verify(made, "Correct horse"))
        self.assertFalse(hasher.verify("not a hash", "correct horse"))


class PasswordsTests(SynchronousTestCase):
    """Hashing is slow on purpose, and must not take the process along."""

    def setUp(self) -> None:
        self.threads = Threads()
        self.passwords = Passwords(FastHasher(), self.threads, counting_bytes())

    def _verify(self, **more: Any) -> Deferred[bool]:
        return Deferred.fromCoroutine(
            self.passwords.verify("hash of x", "password", **more)
        )

    def test_salts_differ(self) -> None:
        """The same password hashes differently for two users, and verifies for both."""
        passwords = Passwords(FastHasher(), execute, counting_bytes())

        hashes = [
            self.successResultOf(Deferred.fromCoroutine(passwords.hash("password")))
            for _ in range(2)
        ]

        self.assertNotEqual(hashes[0], hashes[1])
        for password_hash in hashes:
            verified = passwords.verify(password_hash, "password")
            self.assertTrue(self.successResultOf(Deferred.fromCoroutine(verified)))

    def test_without_a_hash_the_work_is_the_same(self) -> None:
        """An unknown user costs one verification of the dummy, and is never right."""
        hasher = FastHasher()
        passwords = Passwords(hasher, execute, counting_bytes())

        for password in ("whatever", FastHasher.dummy_password):
            verified = passwords.verify(None, password)
            self.assertFalse(self.successResultOf(Deferred.fromCoroutine(verified)))

        self.assertEqual(hasher.verified, [hasher.dummy, hasher.dummy])

    def test_few_at_once(self) -> None:
        """Two threads hash; the third waits for one of them."""
        waits = [self._verify() for _ in range(5)]
        self.assertEqual(len(self.threads.running), HASHES_AT_ONCE_MAX)

        for _ in waits:
            self.threads.finish_one()

        for wait in waits:
            self.successResultOf(wait)

    def test_a_bounded_number_waits(self) -> None:
        """One more than may wait is told so at once."""
        waits = [self._verify() for _ in range(HASHES_AT_ONCE_MAX + HASHES_WAITING_MAX)]

        refused = self.failureResultOf(self._verify(), Refused).value

        self.assertEqual(refused.code, "overloaded")
        for _ in waits:
            self.threads.finish_one()

    def test_a_cancelled_wait_leaves_the_queue(self) -> None:
        """Who gives up waiting costs no hash."""
        running = [self._verify() for _ in range(HASHES_AT_ONCE_MAX)]
        waiting = self._verify()

        waiting.cancel()

        self.failureResultOf(waiting)
        for _ in running:
            self.threads.finish_one()
        self.assertEqual(self.threads.running, [])

    def test_a_cancelled_hash_keeps_its_turn(self) -> None:
        """A thread cannot be stopped, so it counts until it ends."""
        running = [self._verify() for _ in range(HASHES_AT_ONCE_MAX)]
        waiting = self._verify()

        running[0].cancel()

        self.failureResultOf(running[0])
        self.assertEqual(len(self.threads.running), HASHES_AT_ONCE_MAX)
        self.threads.finish_one()
        self.threads.finish_one()
        self.threads.finish_one()
        self.successResultOf(waiting)

    def test_allowed_is_asked_when_the_turn_comes(self) -> None:
        """Of attempts sent at once the late ones see how the early ones ended."""
        asked: list[str] = []

        def refuse() -> None:
            asked.append("now")
            raise Refused("rate_limited", "later")

        running = [self._verify() for _ in range(HASHES_AT_ONCE_MAX)]
        waiting = self._verify(allowed=refuse)
        self.assertEqual(asked, [])

        self.threads.finish_one()

        self.assertEqual(asked, ["now"])
        self.failureResultOf(waiting, Refused)
        self.threads.finish_one()
        self.successResultOf(running[1])

    def test_all_are_refused_at_once(self) -> None:
        """However many are not allowed any more when their turn comes, no turn is
        lost."""

        def refuse() -> None:
            raise Refused("rate_limited", "later")

        running = [self._verify() for _ in range(HASHES_AT_ONCE_MAX)]
        waiting = [self._verify(allowed=refuse) for _ in range(HASHES_WAITING_MAX)]

        for each in running:
            self.threads.finish_one()
            self.successResultOf(each)

        for each in waiting:
            self.failureResultOf(each, Refused)
        again = [self._verify() for _ in range(HASHES_AT_ONCE_MAX)]
        self.assertEqual(len(self.threads.running), len(again))
        for each in again:
            self.threads.finish_one()
            self.successResultOf(each)
