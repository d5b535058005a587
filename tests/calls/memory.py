"""A group whose log is a list: the real machine on SQLite in memory, one per member.

What a group may do to those who use it can be had by switches: no leader, a leader that
does not know that it is none, entries that wait or are lost, answers that are lost,
members that lag. ``tests/calls/test_memory.py`` holds it against the promises of
:class:`~cartnet.replica.ports.Log`.
"""

from __future__ import annotations

import hashlib
import itertools
import sqlite3
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
from twisted.internet.defer import Deferred, execute, fail
from twisted.internet.task import Clock
from twisted.logger import Logger, LogPublisher

from cartnet.errors import Refused
from cartnet.seams import Seams
from cartnet.shop.commands import Stamped
from cartnet.shop.machine import machine_for
from cartnet.topology.groups import group_of_addresses

if TYPE_CHECKING:
    from cartnet.replica.ports import Calls
    from cartnet.seams import Cursor, Disk, Network
    from cartnet.shop.answers import Answer
    from cartnet.shop.commands import Command
    from cartnet.topology.groups import Group, Kind

T = TypeVar("T")

EPOCH = 1_700_000_000
NULL = msgspec.Raw(b"null")


def counting_bytes() -> Callable[[int], bytes]:
    """Return a source of bytes that differ between calls, but not between runs."""
    counter = itertools.count(1)
    return lambda count: next(counter).to_bytes(count, "big")


def memory_seams(clock: Clock, token_bytes: Callable[[int], bytes]) -> Seams:
    """Return an outside world without network, disk or threads."""
    return Seams(
        clock=cast(Any, clock),
        # A year ahead of the log's time, which alone counts for sessions and keys.
        wall=lambda: EPOCH + clock.seconds() + 366 * 86_400,
        random=Random(7),
        token_bytes=token_bytes,
        network=cast("Network", None),
        disk=cast("Disk", None),
        in_thread=execute,
    )


def quiet() -> Logger:
    """Return a logger that nobody reads."""
    return Logger(observer=LogPublisher())


class FastHasher:
    """A hash that is as bad as it is fast."""

    dummy_password = "nobody's password"
    dummy = f"fast$00${hashlib.sha256(b'00' + dummy_password.encode()).hexdigest()}"

    def __init__(self) -> None:
        self.verified: list[str] = []

    def hash(self, password: str, salt: bytes) -> str:
        digest = hashlib.sha256(salt.hex().encode() + password.encode()).hexdigest()
        return f"fast${salt.hex()}${digest}"

    def verify(self, password_hash: str, password: str) -> bool:
        self.verified.append(password_hash)
        _, _, rest = password_hash.partition("$")
        salt, _, digest = rest.partition("$")
        return hashlib.sha256(salt.encode() + password.encode()).hexdigest() == digest


@dataclass
class _Waiting:
    """A proposal that its log has not decided yet."""

    member: MemoryLog
    payload: bytes
    answer: Deferred[Answer]


@dataclass
class MemoryGroup:
    """A group whose entries are committed at once, or when the test says so.

    :ivar leader: the name of the member that leads, or ``None``.
    :ivar holds: while true, proposals wait for :meth:`commit` or :meth:`lose`.
    :ivar answers_lost: so many of the next proposals are applied and answered never.
    """

    name: str
    kind: Kind
    clock: Clock
    size: int = 3
    leader: str | None = None
    holds: bool = False
    answers_lost: int = 0
    entries: list[bytes] = field(default_factory=list)
    waiting: list[_Waiting] = field(default_factory=list)

    def __post_init__(self) -> None:
        addresses = tuple(f"127.0.0.1:{5005 + at}" for at in range(self.size))
        self.group: Group = group_of_addresses(self.name, self.kind, addresses)
        self.members = {name: MemoryLog(self, name) for name in self.group.names}

    def elect(self, name: str | None, *, unnoticed: bool = False) -> None:
        """Have another member lead, or none.

        ``unnoticed``: the former leader has not heard of it yet.
        """
        former = None if self.leader is None else self.members[self.leader]
        self.leader = name
        if former is not None and unnoticed:
            former.deluded = True
        elif former is not None:
            former.notice()
        if name is not None:
            leader = self.members[name]
            leader.lagging = False
            self._append(NULL)
            leader.deluded = False
            leader.begin()

    def commit(self, count: int | None = None) -> None:
        """Commit proposals that wait, oldest first."""
        ready = self.waiting[:count]
        del self.waiting[: len(ready)]
        for proposal in ready:
            self._decide(proposal)

    def lose(self) -> None:
        """Forget the proposals that wait: another leader's entries came instead."""
        lost, self.waiting = self.waiting, []
        for proposal in lost:
            if not proposal.answer.called:
                proposal.answer.errback(Refused("unavailable", "not done"))

    def propose(self, member: MemoryLog, command: Command) -> Deferred[Answer]:
        if self.leader != member.name:
            if member.deluded:
                # It goes to a member that believes to lead, and into no log.
                return fail(Refused("unavailable", "not done"))
            return fail(self.not_leader())
        payload = msgspec.json.encode(Stamped(member.now(), command))
        proposal = _Waiting(member, payload, Deferred())
        if self.holds:
            self.waiting.append(proposal)
        else:
            self._decide(proposal)
        return proposal.answer

    def not_leader(self) -> Refused:
        leader = self.leader and self.group.member(self.leader).address
        return Refused("not_leader", "ask the leader", {"leader": leader})

    def query(self, query: Callable[[Cursor], T]) -> T:
        """Read what has been committed."""
        names = [name for name, log in self.members.items() if not log.lagging]
        return query(self.members[names[0]].cursor)

    def _decide(self, proposal: _Waiting) -> None:
        answer = self._append(msgspec.Raw(proposal.payload), proposal.member)
        if self.answers_lost > 0:
            self.answers_lost -= 1
        elif not proposal.answer.called:
            proposal.answer.callback(cast("Answer", answer))

    def _append(
        self, payload: msgspec.Raw, proposer: MemoryLog | None = None
    ) -> Answer | None:
        self.entries.append(bytes(payload))
        answer = None
        for log in self.members.values():
            if not log.lagging:
                applied = log.catch_up()
                if log is proposer:
                    answer = applied
        return answer


class MemoryLog:
    """A member of a :class:`MemoryGroup`, as its calls see it.

    :ivar lagging: while true, nothing new is applied here.
    :ivar reads_hang: while true, reads wait for a disk, and in vain.
    :ivar deluded: whether it believes to lead and does not.
    """

    def __init__(self, memory: MemoryGroup, name: str) -> None:
        self.memory = memory
        self.name = name
        self.lagging = False
        self.deluded = False
        self.reads = 0
        self.reads_refused: Exception | None = None
        self.reads_hang = False
        self.calls: list[Calls | Any] = []
        self._index = 0
        self._machine = machine_for(memory.kind)
        connection = sqlite3.connect(
            ":memory:", isolation_level=None, check_same_thread=False
        )
        # Whichever thread collects it closes it.
        weakref.finalize(self, connection.close)
        self.cursor: Any = connection.cursor()
        self._machine.create(self.cursor)

    @property
    def group(self) -> Group:
        return self.memory.group

    @property
    def leads(self) -> bool:
        return self.deluded or self.memory.leader == self.name

    @property
    def leader(self) -> str | None:
        return self.name if self.deluded else self.memory.leader

    def now(self) -> int:
        return EPOCH + int(self.memory.clock.seconds())

    def propose(self, command: Command) -> Deferred[Answer]:
        return self.memory.propose(self, command)

    def read(self, query: Callable[[Cursor], T], *, stale: bool = False) -> Deferred[T]:
        self.reads += 1
        if self.reads_refused is not None:
            return fail(self.reads_refused)
        if self.reads_hang:
            return Deferred()
        if not stale:
            if self.deluded:
                return fail(Refused("unavailable", "no majority"))
            if not self.leads:
                return fail(self.memory.not_leader())
        return execute(query, self.cursor)

    def catch_up(self) -> Answer | None:
        """Apply what has been committed; return the last entry's answer."""
        self.lagging = False
        answer = None
        while self._index < len(self.memory.entries):
            payload = self.memory.entries[self._index]
            self._index += 1
            if payload != bytes(NULL):
                self.cursor.execute("BEGIN")
                answer = self._machine.apply(self.cursor, self._index, payload)
                self.cursor.execute("COMMIT")
            for calls in self.calls:
                calls.applied(self._index)
        return answer

    def begin(self) -> None:
        for calls in self.calls:
            calls.led()

    def notice(self) -> None:
        """Hear that another leads."""
        self.deluded = False
        for calls in self.calls:
            calls.deposed()
