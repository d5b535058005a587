"""Machines fed with commands, as storage feeds them: two replicas, one log."""

from __future__ import annotations

import sqlite3
import weakref
from collections.abc import Callable
from typing import Any, TypeVar

import msgspec

from cartnet.seams import Cursor
from cartnet.shop.answers import Answer
from cartnet.shop.commands import (
    Command,
    CreateAccount,
    Found,
    OpenSession,
    SetOperatorPassword,
    Stamped,
)
from cartnet.shop.machine import machine_for
from cartnet.topology.groups import Kind

T = TypeVar("T")

START = 1_700_000_000
"""When the tests' logs begin, in Unix seconds."""


class Replica:
    """A machine over a database in memory."""

    def __init__(self, kind: Kind) -> None:
        self.machine = machine_for(kind)
        connection = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False
        )
        # Whichever thread collects it closes it.
        weakref.finalize(self, connection.close)
        self.cursor = connection.cursor()
        self.machine.create(self.cursor)

    def tables(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return every table's rows, in an order of their own."""
        self.cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        names = sorted(row[0] for row in self.cursor.fetchall())
        return {name: self.rows(name) for name in names}

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        self.cursor.execute(f"SELECT * FROM {table}")
        return sorted(self.cursor.fetchall(), key=repr)


class Group:
    """A group of one kind whose log the test writes; ``time`` is the leader's clock."""

    def __init__(self, kind: Kind, group_id: str = "feed") -> None:
        self.kind: Kind = kind
        self.replica = Replica(kind)
        self.index = 0
        self.time = START
        self.log: list[tuple[int, bytes]] = []
        self.do(Found(group_id))

    def do(self, command: Command) -> Answer:
        """Append a command to the log, apply it, and return the answer."""
        self.index += 1
        payload = msgspec.json.encode(Stamped(self.time, command))
        self.log.append((self.index, payload))
        return self.replica.machine.apply(self.replica.cursor, self.index, payload)

    def read(self, query: Callable[[Cursor], T]) -> T:
        """Run one of the read functions."""
        return query(self.replica.cursor)

    def replay(self) -> Replica:
        """Return a second replica that has applied the same log."""
        other = Replica(self.kind)
        for index, payload in self.log:
            other.machine.apply(other.cursor, index, payload)
        return other

    def log_in(self, username: str, session: str | None = None) -> str:
        """Make an account where it is missing, log in, and return the session."""
        session = session or f"session-of-{username}"
        self.do(CreateAccount(username, f"hash-of-{username}", None))
        self.do(OpenSession(username, f"hash-of-{username}", session))
        return session

    def log_in_operator(self) -> str:
        """Make the operator's account, log in, and return the session."""
        self.do(SetOperatorPassword("hash-of-operator"))
        self.do(OpenSession("operator", "hash-of-operator", "session-of-operator"))
        return "session-of-operator"


def shard(group_id: str = "feed") -> Group:
    return Group("shard", group_id)


def inventory() -> Group:
    return Group("inventory", "stock")
