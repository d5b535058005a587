"""What a supervisor offers, and what the replicas that it hosts must offer it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from twisted.internet.defer import Deferred

from cartnet.errors import Refused

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from cartnet.replica.gate import Fault, Gate
    from cartnet.replica.status import Status

T = TypeVar("T")

ReadLog: TypeAlias = Callable[[str, int], Deferred[list[str]]]
"""Reads, off the reactor, so many of the last lines of a replica's log, at most."""


class HostedReplica(Protocol):
    """One incarnation of a replica: claimed, started, then crashed or stopped once."""

    @property
    def failed(self) -> Deferred[Any]:
        """Fires, with the reason, when the replica has to stop by itself.

        The supervisor then calls :meth:`crash`. It stays silent otherwise.
        """

    @property
    def gate(self) -> Gate:
        """Where it is paused and isolated."""

    @property
    def begins_anew(self) -> bool:
        """Whether, after it has failed, another incarnation is to start at once."""

    def claim(self) -> None:
        """Take the lock, the file and the port, without waiting.

        :raises cartnet.storage.StartError: with one line that says what to do.
        """

    def start(self) -> Deferred[None]:
        """Open what was claimed and take part in the group."""

    def crash(self) -> Deferred[None]:
        """End as by ``kill -9``: connections aborted, nothing happens after it.

        All of that has been brought about when this returns; the Deferred fires when
        threads and files are free too, so that a new incarnation may open them. Also
        called on a replica that is merely claimed, that is starting, or that failed.
        """

    def drain(self) -> Deferred[None]:
        """Take no new requests from outside; fire when those in hand are answered."""

    def stop(self, *, hand_over: bool = True) -> Deferred[None]:
        """End in order; nothing acknowledged or in hand is lost.

        :param hand_over: whether a leader is to see to a successor first; in vain
            where every member of its group is stopped.
        """

    def status(self) -> Status:
        """Say how it is; its ``state`` is not ``dead``."""

    def transfer(self, target: str) -> None:
        """Begin to hand its office over; refuse where that cannot begin."""


class Supervisor(Protocol):
    """The replicas that this process answers for.

    Names of other replicas are refused with ``not_found``, what a replica's state
    forbids with ``conflict``.
    """

    @property
    def names(self) -> Sequence[str]:
        """The replicas, in the configuration's order."""

    def status(self, name: str) -> Status | None:
        """Say how a replica is; None where it lives and has to be asked itself."""

    def kill(self, name: str) -> Deferred[None]:
        """End a living replica as a crash would; it is dead when this returns."""

    def start(self, name: str) -> Deferred[None]:
        """Bring a dead replica back."""

    def restart(self, name: str) -> Deferred[None]:
        """Kill a replica if it lives, and bring it back."""

    def inject(self, fault: Fault, name: str) -> bool:
        """Begin or end a fault of a living replica.

        Say False, having done nothing, where it has to be asked itself.
        """

    def transfer(self, name: str, target: str) -> bool:
        """Have a leader begin to hand over to ``target``; False as for a fault."""

    def log(self, name: str, lines: int) -> Deferred[list[str]]:
        """Read the last lines of a replica's log, whether it lives or not."""

    def stop(self) -> Deferred[None]:
        """Stop all replicas in order, and start none from now on."""


def require_hosted(name: str, names: Sequence[str]) -> None:
    """Refuse the name of a replica that is not among ``names``."""
    if name not in names:
        listed = ", ".join(names)
        raise Refused("not_found", f"no replica here is called {name}; here: {listed}")


def observe(deferred: Deferred[T]) -> Deferred[T]:
    """Make a Deferred that ends as ``deferred`` does; both may be waited for."""
    observer: Deferred[T] = Deferred()

    def succeeded(result: T) -> T:
        observer.callback(result)
        return result

    def failed(failure: Failure) -> Failure:
        observer.errback(failure)
        return failure

    deferred.addCallbacks(succeeded, failed)
    return observer
