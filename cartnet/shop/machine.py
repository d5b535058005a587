"""The replicated state machine: commands in, answers out, tables in between.

A machine is a function of its tables and the command: no clock, no randomness, no
float, every query whose order matters ordered. What depends on state is decided before
the first write and returned; an :meth:`Machine.apply` that raises has met a broken
belief, and stops the replica.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, assert_never

from cartnet.shop.answers import Answer, Refusal
from cartnet.shop.directory import Directory
from cartnet.shop.group import group_id
from cartnet.shop.inventory import InventoryMachine
from cartnet.shop.shard import Shard

if TYPE_CHECKING:
    import msgspec

    from cartnet.seams import Cursor
    from cartnet.topology.groups import Kind

__all__ = ["Answer", "Machine", "Refusal", "group_id", "machine_for"]


class Machine(Protocol):
    """What storage applies committed entries to."""

    def create(self, cursor: Cursor) -> None:
        """Make the machine's tables where they are missing."""

    def apply(self, cursor: Cursor, index: int, payload: msgspec.Raw | bytes) -> Answer:
        """Apply the command of the log entry at ``index``, in the caller's transaction.

        ``payload`` is the JSON of a :class:`~cartnet.shop.commands.Stamped`. Indexes
        grow from call to call; that none is applied twice is the caller's part.
        """


def machine_for(kind: Kind) -> Machine:
    """Return the machine that a kind of group replicates."""
    match kind:
        case "balancer":
            return Directory()
        case "shard":
            return Shard()
        case "inventory":
            return InventoryMachine()
        case _:
            assert_never(kind)
