"""How a new group forms: once all its members have met, and all their files are new.

A replica whose file is empty may have forgotten votes and acknowledgements, so it must
not vote. It may where every other member says that its file is new as well: then
there is nothing that could have been forgotten. The file ids of that meeting, the
founders, are kept by each; a founder that missed the meeting takes them from another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cartnet.wire.hello import Identity


class Formation:
    """What one replica knows of its group's founders.

    :ivar founders: file ids by name, empty while this replica is not one of them.
    """

    def __init__(
        self,
        name: str,
        members: tuple[str, ...],
        file_id: str,
        founders: dict[str, str],
    ) -> None:
        assert name in members
        self._name = name
        self._others = tuple(member for member in members if member != name)
        self.file_id = file_id
        self.founders = founders
        self._met: dict[str, Identity] = {}

    def met(self, identity: Identity) -> None:
        """A member has proved itself, and said what its file is."""
        self._met[identity.replica] = identity

    def lost(self, member: str) -> None:
        """A member's connection is gone; its file may be another when it returns."""
        self._met.pop(member, None)

    def found(self) -> dict[str, str] | None:
        """The founders, where this replica can know them now and did not before."""
        if self.founders:
            return None
        for identity in self._met.values():
            if identity.founders.get(self._name) == self.file_id:
                return dict(identity.founders)
        if all(self._is_new(member) for member in self._others):
            files = {member: self._met[member].file or "" for member in self._others}
            return {self._name: self.file_id, **files}
        return None

    def is_new_among_old(self, identity: Identity) -> str | None:
        """Why a member's messages must not count: its file is not a founder's."""
        if self.founders and identity.file != self.founders.get(identity.replica):
            return (
                f"the file of {identity.replica} is new, but group {identity.group}"
                " was formed with another: what that one acknowledged is lost"
            )
        return None

    def _is_new(self, member: str) -> bool:
        identity = self._met.get(member)
        return identity is not None and bool(identity.file) and not identity.founders
