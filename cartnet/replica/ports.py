"""The seams of a replica: what its group's calls see of it, and what it asks of them.

A replica knows nothing of the shop; :class:`Calls` is the shop's side. The calls know
nothing of Raft; :class:`Log` is the replica's side.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from cartnet.errors import Refused
    from cartnet.seams import Cursor
    from cartnet.shop.commands import Command
    from cartnet.shop.machine import Answer
    from cartnet.topology.groups import Group
    from cartnet.wire.requests import Request

T = TypeVar("T")


class Log(Protocol):
    """A group's replicated log, as one of its members offers it."""

    @property
    def name(self) -> str:
        """The replica's name, such as ``s1r0``."""

    @property
    def group(self) -> Group: ...

    @property
    def leads(self) -> bool:
        """Whether this replica leads and has applied an entry of its own term."""

    @property
    def leader(self) -> str | None:
        """The name of the leader that this replica knows."""

    def now(self) -> int:
        """What a command would be stamped with, in Unix seconds.

        Wall clocks jump; whatever is judged as the log would judge it goes by this.
        """

    def propose(self, command: Command) -> Deferred[Answer]:
        """Replicate a command, stamped with :meth:`now`, and apply it.

        Fires with the machine's answer once a majority has synced it and this replica
        has applied it. Fails with :class:`~cartnet.errors.Refused`: ``not_leader``
        (details ``leader``: its address or null), ``overloaded``, ``too_large`` and
        ``unavailable`` mean not done; ``timeout`` means unknown.
        """

    def read(self, query: Callable[[Cursor], T], *, stale: bool = False) -> Deferred[T]:
        """Run a query in a reader's connection.

        The leader first makes sure that it still leads and has applied all that was
        committed when the read came (read-index, 6.4). ``stale`` reads what any
        replica has applied, at once. Fails with :class:`~cartnet.errors.Refused`:
        ``not_leader``, ``unavailable`` or ``overloaded``.
        """


class Sink(Protocol):
    """Where a watcher's events go."""

    @property
    def writable(self) -> bool:
        """Whether the watcher keeps up; while it does not, events are to be merged."""

    def send(self, event: bytes) -> None:
        """Send one event, a JSON object already encoded (once for all watchers)."""

    def end(self, refused: Refused) -> None:
        """Say why the watch ends, and end it: its subscription is cancelled."""


class Subscription(Protocol):
    def wake(self) -> None:
        """The sink is writable again: send what has been merged meanwhile."""

    def cancel(self) -> None:
        """Nothing is sent after this."""


class Watching:
    """An answer that starts a watch: the listener answers ``{}``, then subscribes."""

    def __init__(self, subscribe: Callable[[Sink], Subscription]) -> None:
        self.subscribe = subscribe


class Caller(Protocol):
    """The connection that a request came by."""

    @property
    def trusted(self) -> bool:
        """Whether it proved that it knows the cluster's secret."""

    @property
    def address(self) -> str:
        """The host at its other end, such as ``127.0.0.1``."""


class Calls(Protocol):
    """What one kind of group answers on its replica ports."""

    def call(self, request: Request, caller: Caller) -> Deferred[object]:
        """Do one request: fire with its ``ok`` (a Struct, a dict, Raw or Watching).

        ``request.session`` is filled in from the connection's last login where it was
        left out. Fails with :class:`~cartnet.errors.Refused`.
        """

    def led(self) -> None:
        """This replica leads from now on and may serve."""

    def deposed(self) -> None:
        """This replica leads no longer."""

    def applied(self, index: int) -> None:
        """The state machine has reached ``index``."""

    def stop(self) -> None:
        """The replica ends: release what was taken; nothing may be called after."""
