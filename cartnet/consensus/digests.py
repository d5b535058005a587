"""Equal logs make equal tables: replicas compare digests of theirs (S4)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable

from cartnet.consensus.messages import Dispute
from cartnet.consensus.quorum import majority
from cartnet.limits import DIGESTS_COMPARED_MAX


class Digests:
    """Digests of the machine's tables, by index and replica, as far as known here.

    :ivar last_index: the newest index of which this replica has a digest, 0 for none.
    :ivar dispute: what the group cannot decide: as a leader found it, or was told.
    """

    def __init__(self, name: str, voters: int) -> None:
        self.last_index = 0
        self.dispute: Dispute | None = None
        self._agreed_index = 0
        self._open_index = 0
        self._open_ticks = 0
        self._name = name
        self._voters = voters
        self._known: OrderedDict[int, dict[str, str]] = OrderedDict()

    def recorded(self, index: int, digest: str) -> None:
        """This replica has applied ``index``."""
        self.last_index = max(self.last_index, index)
        self._keep(index, self._name, digest)
        self._decide(index)

    def own(self, index: int) -> str | None:
        """What this replica has recorded after ``index``."""
        return self._known.get(index, {}).get(self._name)

    def heard(self, index: int, voter: str, digest: str) -> str | None:
        """``voter`` has applied ``index``; return what a majority has there, if any."""
        self._keep(index, voter, digest)
        return self._decide(index)

    def _decide(self, index: int) -> str | None:
        values = list(self._known.get(index, {}).values())
        for value in values:
            if values.count(value) >= majority(self._voters):
                self._agreed(index)
                return value
        if len(set(values)) > 1 and index > self._agreed_index:
            self._open_index = max(self._open_index, index)
        return None

    @property
    def in_doubt(self) -> bool:
        """Whether tables differ and nobody knows whose are right."""
        return self._open_index > 0 or self.dispute is not None

    def tick(self, awaited: Iterable[str], patience_ticks: int) -> None:
        """As the leader: what stays without a majority becomes a dispute.

        :param awaited: the voters that may still say what they have.
        :param patience_ticks: for so long.
        """
        if not self._open_index:
            return
        known = self._known.get(self._open_index, {})
        if len(set(known.values())) < 2:  # One of them has a new file.
            self._open_index = self._open_ticks = 0
            return
        self._open_ticks += 1
        if self._open_ticks < patience_ticks and not (
            known.keys() >= {self._name, *awaited}
        ):
            return
        # With a new term comes a new index, of which not all have spoken yet.
        if self.dispute is None or known.keys() >= self.dispute.digests.keys():
            self.dispute = Dispute(self._open_index, dict(known))

    def _agreed(self, index: int) -> None:
        self._agreed_index = max(self._agreed_index, index)
        if index >= self._open_index:
            self._open_index = self._open_ticks = 0
        if self.dispute is not None and index >= self.dispute.index:
            self.dispute = None

    def differing(self, index: int, digest: str) -> list[str]:
        """The voters that are known to have another digest after ``index``."""
        known = self._known.get(index, {})
        return sorted(voter for voter in known if known[voter] != digest)

    def forget(self, voter: str) -> None:
        """What ``voter`` said was of another file, or has been dealt with."""
        for known in self._known.values():
            known.pop(voter, None)

    def _keep(self, index: int, voter: str, digest: str) -> None:
        self._known.setdefault(index, {})[voter] = digest
        while len(self._known) > DIGESTS_COMPARED_MAX:
            self._known.popitem(last=False)
