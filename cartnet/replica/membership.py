"""Which replica of which group one is, and how the members of the group behave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cartnet.wire.hello import Identity

if TYPE_CHECKING:
    from cartnet.consensus.timing import Ticks
    from cartnet.topology.groups import Group


@dataclass(frozen=True)
class Membership:
    """Which replica of which group this is, and how the group's members behave.

    :ivar secret: the cluster's, empty where there is none.
    :ivar lexical: whether the smallest address is to lead.
    :ivar request_timeout: seconds after which a request's outcome is given up.
    :ivar log_kept: applied entries that the log keeps for followers that are behind.
    """

    cluster: str
    group: Group
    name: str
    secret: bytes
    ticks: Ticks
    lexical: bool
    request_timeout: float
    log_kept: int

    @property
    def address(self) -> str:
        return self.group.member(self.name).address

    def identity(self, incarnation: str) -> Identity:
        """What a replica can say of itself before it has read its file."""
        return Identity(
            cluster=self.cluster,
            group=self.group.name,
            replica=self.name,
            purpose="peer",
            members=self.group.members_hash,
            incarnation=incarnation,
        )
