"""Accounts and sessions."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from cartnet.limits import SESSION_SECONDS_MAX, SESSIONS_PER_USER_MAX
from cartnet.shop import accounts
from cartnet.shop.accounts import UNAUTHENTICATED, WRONG_CREDENTIALS
from cartnet.shop.answers import (
    AccountCreated,
    AccountExists,
    SessionClosed,
    SessionOpened,
)
from cartnet.shop.commands import (
    CloseSession,
    CreateAccount,
    OpenSession,
    RemoveFromCart,
    SetOperatorPassword,
)
from tests.shop.feeding import Group, inventory, shard


def session_user(group: Group, session: str) -> str | None:
    return group.read(lambda c: accounts.session_user(c, session, group.time))


class AccountTests(SynchronousTestCase):
    """Who has an account."""

    def test_created_once(self) -> None:
        """The first to create a name has it; the next learn whose hash to verify."""
        group = shard()

        first = group.do(CreateAccount("ada", "hash-1", "key-1"))
        again = group.do(CreateAccount("ada", "hash-2", "key-1"))
        another = group.do(CreateAccount("ada", "hash-3", "key-2"))
        keyless = group.do(CreateAccount("ada", "hash-3", None))

        self.assertEqual(first, AccountCreated("ada"))
        self.assertEqual(again, AccountExists("ada", "hash-1", same_key=True))
        self.assertEqual(another, AccountExists("ada", "hash-1", same_key=False))
        self.assertEqual(keyless, AccountExists("ada", "hash-1", same_key=False))
        self.assertEqual(
            group.read(lambda c: accounts.find(c, "ada")),
            accounts.Account("ada", "hash-1", "key-1"),
        )

    def test_no_key_is_not_the_same_key(self) -> None:
        """Two creations without a key are two people."""
        group = shard()
        group.do(CreateAccount("ada", "hash-1", None))

        again = group.do(CreateAccount("ada", "hash-2", None))

        self.assertEqual(again, AccountExists("ada", "hash-1", same_key=False))

    def test_operator_password_stands(self) -> None:
        """Only a replacement changes the operator's password, and it ends sessions."""
        group = inventory()

        made = group.do(SetOperatorPassword("hash-1"))
        stands = group.do(SetOperatorPassword("hash-2"))
        group.do(OpenSession("operator", "hash-1", "session"))
        self.assertEqual(session_user(group, "session"), "operator")
        replaced = group.do(SetOperatorPassword("hash-3", replace=True))

        self.assertEqual(made, AccountCreated("operator"))
        self.assertEqual(stands, AccountExists("operator", "hash-1", same_key=False))
        self.assertEqual(replaced, AccountCreated("operator"))
        self.assertIsNone(session_user(group, "session"))
        self.assertEqual(
            group.do(OpenSession("operator", "hash-1", "next")), WRONG_CREDENTIALS
        )


class SessionTests(SynchronousTestCase):
    """Who is logged in."""

    def test_opens_and_closes(self) -> None:
        """A session is its user's from login to logout."""
        group = shard()
        group.do(CreateAccount("ada", "hash", None))

        opened = group.do(OpenSession("ada", "hash", "session"))
        self.assertEqual(session_user(group, "session"), "ada")
        closed = group.do(CloseSession("session"))

        self.assertEqual(opened, SessionOpened("ada"))
        self.assertEqual(closed, SessionClosed())
        self.assertIsNone(session_user(group, "session"))
        self.assertEqual(group.do(CloseSession("session")), UNAUTHENTICATED)

    def test_password_changed_meanwhile(self) -> None:
        """A login that was verified against another hash than the present one fails."""
        group = shard()
        group.do(CreateAccount("ada", "hash", None))

        self.assertEqual(
            group.do(OpenSession("ada", "former", "session")), WRONG_CREDENTIALS
        )
        self.assertEqual(
            group.do(OpenSession("bob", "hash", "session")), WRONG_CREDENTIALS
        )
        self.assertIsNone(session_user(group, "session"))

    def test_repeated_login(self) -> None:
        """The same login proposed twice opens one session."""
        group = shard()
        session = group.log_in("ada")

        again = group.do(OpenSession("ada", "hash-of-ada", session))

        self.assertEqual(again, SessionOpened("ada"))
        self.assertEqual(len(group.replica.rows("sessions")), 1)

    def test_ends_by_log_time(self) -> None:
        """A session that is too old is over, in the log as in reads, and is dropped."""
        group = shard()
        session = group.log_in("ada")

        group.time += SESSION_SECONDS_MAX - 1
        self.assertNotEqual(
            group.do(RemoveFromCart(session, None, "A")), UNAUTHENTICATED
        )
        group.time += 1

        self.assertIsNone(session_user(group, session))
        self.assertEqual(group.do(RemoveFromCart(session, None, "A")), UNAUTHENTICATED)
        self.assertEqual(group.replica.rows("sessions"), [])

    def test_oldest_ends_at_the_bound(self) -> None:
        """One login more than a user may have ends that user's oldest session alone."""
        group = shard()
        others = group.log_in("bob")
        for number in range(SESSIONS_PER_USER_MAX):
            group.log_in("ada", f"session-{number}")
        self.assertEqual(session_user(group, "session-0"), "ada")

        group.log_in("ada", "one-more")

        self.assertIsNone(session_user(group, "session-0"))
        self.assertEqual(session_user(group, "session-1"), "ada")
        self.assertEqual(session_user(group, "one-more"), "ada")
        self.assertEqual(session_user(group, others), "bob")
