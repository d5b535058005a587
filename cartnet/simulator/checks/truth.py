"""The one true history of one group, as far as anybody has shown it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cartnet.consensus.messages import decode_admission, is_admission

if TYPE_CHECKING:
    from cartnet.topology.groups import Group
    from cartnet.workload.findings import Tally


@dataclass
class Truth:
    """What a group's replicas have held for committed, and what came of it.

    :ivar committed: term and command of each committed entry, by index.
    :ivar admitted: the files that entries have let in, by replica: they count as soon
        as such an entry is committed, before their replicas know.
    :ivar applied_index: through which somebody has applied.
    :ivar led_term: the greatest term that had a leader.
    :ivar digests: of the tables after an index, with who was seen to have it first.
    """

    group: Group
    tally: Tally
    committed: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    digests: dict[int, tuple[str, str]] = field(default_factory=dict)
    admitted: dict[str, str] = field(default_factory=dict)
    applied_index: int = 0
    led_term: int = 0

    def commit(self, name: str, index: int, term: int, command: bytes) -> bool:
        """Note an entry that ``name`` holds for committed; say whether it is new.

        :raises Incorrect: another was committed there.
        """
        found = (term, command)
        known = self.committed.get(index)
        self.tally.require(
            "S3 a committed entry never changes",
            known is None or known == found,
            name,
            " commits ",
            found,
            " at ",
            index,
            ", where ",
            known,
            " was committed",
        )
        if known is None:
            self.committed[index] = found
            if is_admission(command):
                admission = decode_admission(command)
                self.admitted[admission.admit] = admission.file
        return known is None

    def digest(self, name: str, index: int, value: str) -> None:
        """Note the digest of the tables of ``name`` after ``index``.

        :raises Incorrect: another replica's was another.
        """
        who, known = self.digests.setdefault(index, (name, value))
        self.tally.require(
            "S4 R5 equal indexes have equal digests",
            known == value,
            self.group.name,
            " after ",
            index,
            ": ",
            value,
            " of ",
            name,
            ", ",
            known,
            " of ",
            who,
        )
