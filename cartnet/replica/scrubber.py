"""The watch over a replica's own file: damage is looked for before anybody reads it.

Tables are recounted and held against their digest, and the log gets entries at which
the members compare theirs. What is found damaged is not mended: the file is set aside,
and the replica begins anew from what the others have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import maybeDeferred
from twisted.internet.task import LoopingCall
from twisted.python.failure import Failure

from cartnet.consensus.raft import NO_OP
from cartnet.errors import Refused
from cartnet.limits import MARKER_SECONDS, RECOUNT_SECONDS
from cartnet.replica.driver import Driver, Outdated
from cartnet.storage.digest import is_damage
from cartnet.storage.owner import Replaced

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred
    from twisted.internet.interfaces import IReactorTime
    from twisted.logger import Logger

    from cartnet.storage.digest import Comparison


def is_disk_trouble(reason: Failure) -> bool:
    """Whether the disk has refused what it was asked for: full, read-only, failing.

    Drivers are chosen when the process starts, so this goes by PEP 249's names.
    """
    error = reason.value
    return type(error).__name__ == "OperationalError" and not is_damage(error)


def condemns_file(reason: Failure) -> bool:
    """Whether a replica that has failed so must not go on with the file it has."""
    return reason.check(Outdated, Replaced) is not None or is_damage(reason.value)


class Scrubber:
    """Compares one replica's tables, with their digest and with the other members'."""

    def __init__(
        self,
        driver: Driver,
        recount: Callable[[], Deferred[Comparison]],
        clock: IReactorTime,
        failed: Callable[[Failure], None],
        log: Logger,
    ) -> None:
        """
        :param recount: holds the tables, as the disk has them, against their digest.
        :param failed: told what was found.
        """
        self._driver = driver
        self._recount = recount
        self._failed = failed
        self._log = log
        self._recounting = LoopingCall(self._recount_tables)
        self._marking = LoopingCall(self._mark)
        self._recounting.clock = self._marking.clock = clock
        self._marked_index = 0

    def start(self) -> None:
        """Look now and then, from now on."""
        self._recounting.start(RECOUNT_SECONDS, now=False).addErrback(self._failed)
        self._marking.start(MARKER_SECONDS, now=False).addErrback(self._failed)

    def stop(self) -> None:
        for loop in (self._recounting, self._marking):
            if loop.running:
                loop.stop()

    def _recount_tables(self) -> Deferred[None]:
        """Find what was changed behind the digest's back; the next waits for this."""
        recounted = maybeDeferred(self._recount)
        return recounted.addCallbacks(self._recounted, self._not_recounted)

    def _not_recounted(self, reason: Failure) -> None:
        """Damage says so; what else failed may be mended when the next is due."""
        if is_damage(reason.value):
            self._failed(reason)
        elif self._recounting.running:
            self._log.warn(
                "the tables cannot be recounted now, but later: {why}", why=reason.value
            )

    def _recounted(self, comparison: Comparison) -> None:
        if comparison.difference is not None:
            self._failed(Failure(Outdated(comparison.difference)))

    def _mark(self) -> None:
        """Add an entry at which digests are compared, where there was traffic."""
        driver = self._driver
        if driver.raft.may_serve and driver.raft.log.last_index > self._marked_index:
            self._marked_index = driver.raft.log.last_index + 1
            # Where the leader is overloaded there will be more to compare later.
            marked = maybeDeferred(driver.propose, NO_OP)
            marked.addErrback(lambda failure: failure.trap(Refused))
