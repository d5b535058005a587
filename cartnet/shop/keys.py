"""Answers once per key: what a user's call under an idempotency key came to (S6).

A key is remembered while it is among its user's last ``KEYS_PER_USER_MAX`` and younger
than ``KEY_SECONDS_MAX`` by log time. Remembered are the call, its arguments and the
outcome: a refusal, an order, or plain success, which is answered with the cart (or the
inventory) as it is now. No password is ever among the arguments: ``create_account`` and
``login`` are not remembered here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from cartnet.limits import (
    KEY_SECONDS_MAX,
    KEYS_FORGOTTEN_AT_ONCE_MAX,
    KEYS_PER_USER_MAX,
)
from cartnet.shop.answers import Refusal

if TYPE_CHECKING:
    from cartnet.seams import Cursor

CONFLICT: Final = Refusal(
    "conflict",
    "This key was used before with another call or other arguments; use a new key.",
)

_ENCODER = msgspec.json.Encoder()
_REFUSAL = msgspec.json.Decoder(Refusal)


class KeyedCall(msgspec.Struct, frozen=True):
    """A call that its user gave a key.

    :ivar arguments: canonical JSON, so that equal arguments are equal texts.
    """

    username: str
    key: str
    call: str
    arguments: str


class Remembered(msgspec.Struct, frozen=True):
    """A key's outcome: at most one of the two is there, neither for plain success.

    :ivar order_index: the log index of the checkout's ``begin_checkout``.
    """

    order_index: int | None
    refusal: Refusal | None


def keyed_call(
    username: str, key: str | None, call: str, arguments: tuple[Any, ...]
) -> KeyedCall | None:
    """Return the call with its arguments in canonical form; ``None`` without a key.

    :param arguments: strings, integers and nulls, always in the same order.
    """
    if key is None:
        return None
    return KeyedCall(username, key, call, _ENCODER.encode(arguments).decode())


def create_tables(cursor: Cursor) -> None:
    # Rows are numbered by log index, so that the oldest are found without an index on
    # time; and within their user, so that the one too many is found without counting.
    cursor.execute(
        "CREATE TABLE IF NOT EXISTS remembered_keys ("
        " log_index INTEGER PRIMARY KEY,"
        " username TEXT NOT NULL,"
        " key TEXT NOT NULL,"
        " number BIGINT NOT NULL,"
        " call TEXT NOT NULL,"
        " arguments TEXT NOT NULL,"
        " remembered_at BIGINT NOT NULL,"
        " order_index BIGINT,"
        " refusal TEXT,"
        " UNIQUE (username, key),"
        " UNIQUE (username, number))"
    )


def recall(cursor: Cursor, keyed: KeyedCall, now: int) -> Remembered | Refusal | None:
    """Return what the key's call came to; ``None`` where the key is new (or forgotten).

    A key that was used with another call or other arguments is a ``conflict``.
    """
    cursor.execute(
        "SELECT call, arguments, remembered_at, order_index, refusal"
        " FROM remembered_keys WHERE username = ? AND key = ?",
        (keyed.username, keyed.key),
    )
    row = cursor.fetchone()
    if row is None:
        return None
    call, arguments, remembered_at, order_index, refusal = row
    if now - remembered_at >= KEY_SECONDS_MAX:
        return None
    if call != keyed.call or arguments != keyed.arguments:
        return CONFLICT
    return Remembered(
        order_index, None if refusal is None else _REFUSAL.decode(refusal)
    )


def remember(
    cursor: Cursor,
    index: int,
    now: int,
    keyed: KeyedCall,
    outcome: Refusal | int | None,
) -> None:
    """Remember what the key's call came to: a refusal, an order's index, or success.

    Beyond ``KEYS_PER_USER_MAX`` the user's oldest key is forgotten.
    """
    # An older row of the same key can only be one that has lapsed unnoticed.
    cursor.execute(
        "INSERT INTO remembered_keys (log_index, username, key, number, call,"
        " arguments, remembered_at, order_index, refusal)"
        " VALUES (?, ?, ?, 1 + COALESCE((SELECT MAX(number) FROM remembered_keys"
        " WHERE username = ?), 0), ?, ?, ?, ?, ?)"
        " ON CONFLICT (username, key) DO UPDATE SET log_index = excluded.log_index,"
        " number = excluded.number, call = excluded.call,"
        " arguments = excluded.arguments, remembered_at = excluded.remembered_at,"
        " order_index = excluded.order_index, refusal = excluded.refusal"
        " RETURNING number",
        (
            index,
            keyed.username,
            keyed.key,
            keyed.username,
            keyed.call,
            keyed.arguments,
            now,
            outcome if isinstance(outcome, int) else None,
            _ENCODER.encode(outcome).decode() if isinstance(outcome, Refusal) else None,
        ),
    )
    number = cursor.fetchall()[0][0]
    if number > KEYS_PER_USER_MAX:
        cursor.execute(
            "DELETE FROM remembered_keys WHERE username = ? AND number <= ?",
            (keyed.username, number - KEYS_PER_USER_MAX),
        )


def refuse(
    cursor: Cursor, username: str, key: str, order_index: int, refusal: Refusal
) -> None:
    """Let the key of a checkout that was undone answer with its refusal from now on."""
    cursor.execute(
        "UPDATE remembered_keys SET order_index = NULL, refusal = ?"
        " WHERE username = ? AND key = ? AND order_index = ?",
        (_ENCODER.encode(refusal).decode(), username, key, order_index),
    )


def forget_lapsed(cursor: Cursor, now: int) -> None:
    """Drop keys that are too old, some at a time: an old one is not recalled anyway."""
    # Log time grows with the index, so the oldest rows are the first.
    cursor.execute(
        "SELECT log_index, remembered_at FROM remembered_keys"
        " ORDER BY log_index LIMIT 1"
    )
    oldest = cursor.fetchone()
    if oldest is None or now - oldest[1] < KEY_SECONDS_MAX:
        return
    cursor.execute(
        "SELECT log_index, remembered_at FROM remembered_keys"
        " ORDER BY log_index LIMIT ?",
        (KEYS_FORGOTTEN_AT_ONCE_MAX,),
    )
    lapsed = [row[0] for row in cursor.fetchall() if now - row[1] >= KEY_SECONDS_MAX]
    cursor.execute("DELETE FROM remembered_keys WHERE log_index <= ?", (lapsed[-1],))
