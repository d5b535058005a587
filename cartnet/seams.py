"""What every part is handed from outside: time, chance, network, disk and threads.

The product's implementations are made in one place (:mod:`cartnet.outside`), the
simulator's in another; nothing else reaches for a clock, a random number or a socket.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import (
        IReactorTime,
        IStreamClientEndpoint,
        IStreamServerEndpoint,
    )


class Cursor(Protocol):
    """As much of a DB-API cursor as machines and journals use."""

    def execute(self, sql: str, parameters: Any = ..., /) -> Any: ...

    def executemany(self, sql: str, parameters: Any, /) -> Any: ...

    def fetchone(self) -> Any: ...

    def fetchmany(self, size: int, /) -> list[Any]: ...

    def fetchall(self) -> list[Any]: ...


class Connection(Protocol):
    """As much of a DB-API connection (autocommit, as SQLite's driver gives it) as
    storage uses."""

    def cursor(self) -> Any: ...

    def create_function(
        self, name: str, narg: int, func: Callable[..., Any], /
    ) -> None: ...

    def interrupt(self) -> None: ...

    def close(self) -> None: ...


class Worker(Protocol):
    """One connection to one file and one thread that uses it, job after job."""

    def run(self, job: Callable[[Any], Any]) -> Deferred[Any]:
        """Call ``job(connection)`` in the thread; fire with its result or failure."""

    def interrupt(self) -> None:
        """Make the statement in hand fail; nothing happens where there is none."""

    def close(self) -> Deferred[None]:
        """Finish the job in hand, close the connection, end the thread, then fire."""


class Disk(Protocol):
    """Opens SQLite files."""

    def open(self, path: Path, *, read_only: bool) -> Worker:
        """Open the file ``path`` (made where missing, unless ``read_only``)."""


class Network(Protocol):
    """Makes endpoints for ``host:port`` addresses."""

    def client(self, address: str) -> IStreamClientEndpoint: ...

    def server(self, address: str) -> IStreamServerEndpoint: ...


@dataclass(frozen=True)
class Seams:
    """One process's (or one simulated host's) outside world.

    :ivar clock: monotonic time and timers, in seconds.
    :ivar wall: Unix time in seconds, which may jump.
    :ivar random: for jitter and choices; seeded in the simulator.
    :ivar token_bytes: ``n`` bytes nobody can guess.
    :ivar in_thread: calls a function that computes for long off the reactor.
    """

    clock: IReactorTime
    wall: Callable[[], float]
    random: Random
    token_bytes: Callable[[int], bytes]
    network: Network
    disk: Disk
    in_thread: Callable[..., Deferred[Any]]
