"""Equal logs make equal tables: replicas compare digests of theirs (S4)."""

from __future__ import annotations

from collections import OrderedDict

from cartnet.consensus.quorum import majority
from cartnet.limits import DIGESTS_COMPARED_MAX


class Digests:
    """Digests of the machine's tables, by index and replica, as far as known here.

    :ivar last_index: the newest index of which this replica has a digest, 0 for none.
    """

    def __init__(self, name: str, voters: int) -> None:
        self.last_index = 0
        self._name = name
        self._voters = voters
        self._known: OrderedDict[int, dict[str, str]] = OrderedDict()

    def recorded(self, index: int, digest: str) -> None:
        """This replica has applied ``index``."""
        self.last_index = max(self.last_index, index)
        self._keep(index, self._name, digest)

    def own(self, index: int) -> str | None:
        """What this replica has recorded after ``index``."""
        return self._known.get(index, {}).get(self._name)

    def heard(self, index: int, voter: str, digest: str) -> str | None:
        """``voter`` has applied ``index``; return what a majority has there, if any."""
        self._keep(index, voter, digest)
        values = list(self._known.get(index, {}).values())
        for value in values:
            if values.count(value) >= majority(self._voters):
                return value
        return None

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
