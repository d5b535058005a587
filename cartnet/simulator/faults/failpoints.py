"""Named moments at which a process can die, each just before something or after it.

They are told from outside, by the SQL statements that a replica runs and by the
lines that it writes: the product has no hooks for them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from cartnet.simulator.disk import LEVEL_FULL, Killed
from cartnet.simulator.faults.hooks import Hooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from cartnet.simulator.faults.victims import Victims
    from cartnet.workload.findings import Tally

When = Literal["before", "after"]

STATEMENTS: Final = {
    "making the file": "CREATE TABLE hard_state ",
    "making the tables": "CREATE TABLE IF NOT EXISTS machine ",
    "writing what the file says of itself": "INSERT INTO meta ",
    "writing to the log": "INSERT INTO log (",
    "taking back from the log": "DELETE FROM log WHERE idx >= ",
    "compacting the log": "DELETE FROM log WHERE idx <= ",
    "writing where the log begins": "UPDATE log_base ",
    "writing what is committed and applied": "UPDATE hard_state ",
    "writing a term or vote": "UPDATE hard_state ",
    "committing with a sync": "COMMIT",
    "committing without a sync": "COMMIT",
    "writing the digest": "INSERT INTO digest (",
    "marking the digest": "INSERT INTO digests (",
    "staging a part of a snapshot": "INSERT INTO incoming ",
    "emptying what was staged": "DELETE FROM incoming",
    "emptying the tables for a snapshot": 'DELETE FROM "machine"',
    "installing a snapshot's rows": "INSERT INTO machine VALUES",
    "applying an account": "INSERT INTO accounts (",
    "applying a home": "INSERT INTO homes (",
    "applying a login": "INSERT INTO sessions (",
    "applying a cart line": "INSERT INTO cart_lines (",
    "remembering a key": "INSERT INTO remembered_keys (",
    "applying a checkout's begin": "INSERT INTO orders (",
    "taking from stock": "UPDATE items SET stock = stock - ",
    "applying a taking": "INSERT INTO takings (",
    "applying a refused take": "INSERT INTO refused_takes (",
    "applying an order's end": "UPDATE orders SET total ",
    "applying the end of a refused order": "DELETE FROM orders ",
    "noting what is finished": "INSERT INTO finished_orders (",
}
"""What they do, by what the statement begins with."""

_TERM: Final = "writing a term or vote"
_NO_TERM: Final = "writing what is committed and applied"
_SYNC: Final = "committing with a sync"
_NO_SYNC: Final = "committing without a sync"

LINES: Final = {
    "hello": rb'\{"hello":',
    "entries": rb'\{"type":"append_entries",.*"entries":\[\[',
    "append_entries_reply": rb'\{"type":"append_entries_reply"',
    "heartbeat": rb'\{"type":"heartbeat"',
    "heartbeat_reply": rb'\{"type":"heartbeat_reply"',
    "pre_vote": rb'\{"type":"pre_vote"',
    "pre_vote_reply": rb'\{"type":"pre_vote_reply"',
    "request_vote": rb'\{"type":"request_vote"',
    "request_vote_reply": rb'\{"type":"request_vote_reply"',
    "install_snapshot": rb'\{"type":"install_snapshot"',
    "install_snapshot_reply": rb'\{"type":"install_snapshot_reply"',
    "timeout_now": rb'\{"type":"timeout_now"',
    "a checkout's begin to followers": rb'\{"type":"append.*"begin_checkout"',
    "a take to the inventory": rb'\{"id":\d+,"call":"take"',
    "a take to followers": rb'\{"type":"append.*\{"do":"take"',
    "what was taken": rb'\{"id":\d+,"ok":\{"type":"taken"',
    "what was not taken": rb'\{"id":\d+,"ok":\{"type":"out_of_stock"',
    "a checkout's end to followers": rb'\{"type":"append.*"finish_checkout"',
    "an order": rb'\{"id":\d+,"ok":\{"id":"[0-9a-f]+-\d+"',
    "a session": rb'\{"id":\d+,"ok":\{"session":"',
    "a cart": rb'\{"id":\d+,"ok":\{"version":',
    "an event of the inventory": rb'\{"id":\d+,"event":\{"revision":',
}
"""What is written, by how a line begins."""


@dataclass(frozen=True)
class Failpoint:
    """One moment.

    :ivar what: a key of :data:`STATEMENTS` or of :data:`LINES`.
    """

    when: When
    what: str

    @property
    def name(self) -> str:
        doing = self.what if self.what in STATEMENTS else f"sending {self.what}"
        return f"{self.when} {doing}"


FAILPOINTS: Final = (
    *(Failpoint("before", what) for what in (*STATEMENTS, *LINES)),
    *(Failpoint("after", what) for what in (*STATEMENTS, *LINES)),
    Failpoint("after", "a sync"),
)


class Failpoints:
    """Arms points: the first of the replicas to come to one dies there.

    :ivar armed: the one that nobody has come to yet, if there is one.
    """

    def __init__(
        self, victims: Victims, tally: Tally, kill: Callable[[str], None]
    ) -> None:
        self._victims = victims
        self._cluster = victims.cluster
        self._tally = tally
        self._kill = kill
        self._hooks = Hooks()
        self.armed: Failpoint | None = None

    def strike(self) -> bool:
        """Arm a point, for one replica or for whichever comes to it first."""
        point = self._victims.random.choice(FAILPOINTS)
        name = self._victims.running()
        if name is None:
            return False
        alone = self._victims.random.random() < 0.5
        self.arm(point, [name] if alone else self._victims.names)
        return True

    def arm(self, point: Failpoint, names: Iterable[str]) -> None:
        """Have the first of these replicas that comes to a point die there."""
        self.disarm()
        self.armed = point
        for name in names:
            if point.what == "a sync":
                self._arm_sync(point, name)
            elif point.what in STATEMENTS:
                self._arm_statement(point, name)
            else:
                self._arm_line(point, name)

    def disarm(self) -> None:
        """Forget the point that nobody has come to."""
        self._hooks.clear()
        self.armed = None

    def _reached(self, point: Failpoint) -> None:
        self.disarm()
        self._tally.reached[f"died {point.name}"] += 1

    def _arm_statement(self, point: Failpoint, name: str) -> None:
        disk = self._cluster.world.hosts[name].disk
        is_it = False

        def before(sql: str) -> None:
            nonlocal is_it
            is_it = self._is_it(point.what, name, sql)
            if is_it and point.when == "before":
                cut()

        def after(sql: str) -> None:
            if is_it and point.when == "after":
                cut()

        def cut() -> None:
            self._reached(point)
            raise Killed(lambda: self._kill(name))

        self._hooks.add(disk.before, before)
        self._hooks.add(disk.after, after)

    def _is_it(self, what: str, name: str, sql: str) -> bool:
        if not sql.startswith(STATEMENTS[what]):
            return False
        if what in (_TERM, _NO_TERM):
            return self._has_new_term(name) == (what == _TERM)
        if what in (_SYNC, _NO_SYNC):
            cursor = self._cluster.plain_cursor(name)
            (level,) = cursor.execute("PRAGMA synchronous").fetchone()
            return bool(level >= LEVEL_FULL) == (what == _SYNC)
        return True

    def _has_new_term(self, name: str) -> bool:
        """Whether a replica's term or vote is not in its file yet."""
        replica = self._cluster.replicas.get(name)
        raft = replica.raft if replica is not None else None
        if raft is None:
            return False
        stored = self._cluster.plain_cursor(name).execute(
            "SELECT term, vote FROM hard_state"
        )
        return bool(stored.fetchone() != (raft.term, raft.vote))

    def _arm_sync(self, point: Failpoint, name: str) -> None:
        def synced() -> None:
            self._reached(point)
            self._kill(name)

        self._hooks.add(self._cluster.world.hosts[name].disk.synced, synced)

    def _arm_line(self, point: Failpoint, name: str) -> None:
        begins = re.compile(LINES[point.what], re.MULTILINE).search

        def before(data: bytes) -> None:
            if begins(data) is None:
                return
            self._reached(point)
            if point.when == "before":
                self._kill(name)
            else:
                self._cluster.world.clock.callLater(0, self._kill, name)

        hooks = self._cluster.world.network.before_write.setdefault(name, {})
        self._hooks.add(hooks, before)
