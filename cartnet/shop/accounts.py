"""Accounts and their sessions: a shard's users, and the inventory's operator.

Passwords are verified by the leader before a command is proposed; what is decided here
is that the hash it verified against still stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from cartnet.limits import (
    SESSION_SECONDS_MAX,
    SESSIONS_ENDED_AT_ONCE_MAX,
    SESSIONS_PER_USER_MAX,
)
from cartnet.shop.answers import (
    AccountCreated,
    AccountExists,
    Refusal,
    SessionClosed,
    SessionOpened,
)

if TYPE_CHECKING:
    from cartnet.seams import Cursor
    from cartnet.shop.commands import OpenSession

OPERATOR: Final = "operator"
"""The username of the operator's account, which lives in the inventory group."""

UNAUTHENTICATED: Final = Refusal(
    "unauthenticated", "The session is unknown or has ended; log in again."
)
WRONG_CREDENTIALS: Final = Refusal(
    "unauthenticated", "The username or the password is wrong."
)


class Account(msgspec.Struct, frozen=True):
    """An account as its group keeps it.

    :ivar creation_key: the idempotency key that it was made under, or ``None``.
    """

    username: str
    password_hash: str
    creation_key: str | None


def create_tables(cursor: Cursor) -> None:
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS accounts ("
        " username TEXT PRIMARY KEY,"
        " password_hash TEXT NOT NULL,"
        " creation_key TEXT,"
        " created_at BIGINT NOT NULL)"
    )
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS sessions ("
        " session TEXT PRIMARY KEY,"
        " username TEXT NOT NULL,"
        " opened_index BIGINT NOT NULL,"
        " ends_at BIGINT NOT NULL)"
    )
    cursor.execute(
        "CREATE INDEX IF NOT EXISTS sessions_of_user"
        " ON sessions (username, opened_index)"
    )
    cursor.execute("CREATE INDEX IF NOT EXISTS sessions_by_end ON sessions (ends_at)")


def find(cursor: Cursor, username: str) -> Account | None:
    """Return the account of ``username``, or ``None``."""
    cursor.execute(
        "SELECT username, password_hash, creation_key FROM accounts WHERE username = ?",
        (username,),
    )
    row = cursor.fetchone()
    return None if row is None else Account(*row)


def session_user(cursor: Cursor, session: str, now: int) -> str | None:
    """Return whose session this is, or ``None`` where it is unknown or has ended.

    :param session: the SHA-256 of the token, in hex.
    :param now: the instant to judge by, in Unix seconds.
    """
    cursor.execute(
        "SELECT username, ends_at FROM sessions WHERE session = ?", (session,)
    )
    row = cursor.fetchone()
    if row is None or row[1] <= now:
        return None
    username: str = row[0]
    return username


def create_account(
    cursor: Cursor, now: int, username: str, password_hash: str, key: str | None
) -> AccountCreated | AccountExists:
    """Make an account; one that exists stands as it is."""
    account = find(cursor, username)
    if account is not None:
        same_key = key is not None and key == account.creation_key
        return AccountExists(username, account.password_hash, same_key)
    cursor.execute(
        "INSERT INTO accounts (username, password_hash, creation_key, created_at)"
        " VALUES (?, ?, ?, ?)",
        (username, password_hash, key, now),
    )
    return AccountCreated(username)


def set_operator_password(
    cursor: Cursor, now: int, password_hash: str, *, replace: bool
) -> AccountCreated | AccountExists:
    """Make the operator's account, or give it a new password where ``replace``.

    A new password ends the operator's sessions.
    """
    account = find(cursor, OPERATOR)
    if account is None or not replace:
        return create_account(cursor, now, OPERATOR, password_hash, None)
    cursor.execute(
        "UPDATE accounts SET password_hash = ? WHERE username = ?",
        (password_hash, OPERATOR),
    )
    cursor.execute("DELETE FROM sessions WHERE username = ?", (OPERATOR,))
    return AccountCreated(OPERATOR)


def open_session(
    cursor: Cursor, index: int, now: int, command: OpenSession
) -> SessionOpened | Refusal:
    """Log in, unless the password has changed since the leader verified it.

    At ``SESSIONS_PER_USER_MAX`` the user's oldest session ends.
    """
    username = command.username
    account = find(cursor, username)
    if account is None or account.password_hash != command.password_hash:
        return WRONG_CREDENTIALS
    cursor.execute(
        "SELECT username FROM sessions WHERE session = ?", (command.session,)
    )
    row = cursor.fetchone()
    if row is not None:
        # The same login, proposed twice; another's token cannot be drawn by chance.
        assert row[0] == username, "a session token belongs to one user"
        return SessionOpened(username)
    cursor.execute(
        "INSERT INTO sessions (session, username, opened_index, ends_at)"
        " VALUES (?, ?, ?, ?)",
        (command.session, username, index, now + SESSION_SECONDS_MAX),
    )
    cursor.execute(
        "DELETE FROM sessions WHERE username = ? AND opened_index <= ("
        " SELECT opened_index FROM sessions WHERE username = ?"
        " ORDER BY opened_index DESC LIMIT 1 OFFSET ?)",
        (username, username, SESSIONS_PER_USER_MAX),
    )
    return SessionOpened(username)


def close_session(cursor: Cursor, now: int, session: str) -> SessionClosed | Refusal:
    """Log out; a session that is unknown or over is ``unauthenticated``."""
    if session_user(cursor, session, now) is None:
        return UNAUTHENTICATED
    cursor.execute("DELETE FROM sessions WHERE session = ?", (session,))
    return SessionClosed()


def forget_ended(cursor: Cursor, now: int) -> None:
    """Drop sessions that are over, some at a time: an ended one is not valid anyway."""
    cursor.execute(
        "DELETE FROM sessions WHERE session IN ("
        " SELECT session FROM sessions WHERE ends_at <= ?"
        " ORDER BY ends_at, session LIMIT ?)",
        (now, SESSIONS_ENDED_AT_ONCE_MAX),
    )
