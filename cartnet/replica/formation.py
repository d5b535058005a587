"""Whose files count: how a new group forms, and how a lost file is noticed.

A replica whose file is empty may have forgotten votes and acknowledgements, so it must
not vote. It may where every other member says that its file is new as well: then
there is nothing that could have been forgotten. The file ids of that meeting, the
founders, are kept by each; a founder that missed the meeting takes them from another.

A replica that meets founders among which its own file is not is an amnesiac: it is
sent the log like all others, but does not vote, campaign or count until an entry of
the log, committed without it, has put its new file in the place of the lost one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cartnet.wire.hello import Identity


class Formation:
    """What one replica knows of the files of its group.

    :ivar founders: the file ids that count, by name; empty before the group formed.
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
        self._files: dict[str, str] = {}

    def met(self, identity: Identity) -> bool:
        """A member has proved itself, and said what its file is.

        :return: whether it had another file before, as far as this replica has seen.
        """
        self._met[identity.replica] = identity
        former = self._files.get(identity.replica)
        if identity.file:
            self._files[identity.replica] = identity.file
        return former not in (None, identity.file)

    def lost(self, member: str) -> None:
        """A member's connection is gone; its file may be another when it returns."""
        self._met.pop(member, None)

    @property
    def admitted(self) -> bool:
        """Whether this replica's own file counts."""
        return self.founders.get(self._name) == self.file_id

    def counts(self, member: str) -> bool:
        """Whether a member that was met has the file that counts, as far as known."""
        identity = self._met.get(member)
        return (
            identity is None
            or not self.founders
            or identity.file == self.founders.get(member)
        )

    def new_file(self, member: str) -> str | None:
        """The file of a member that was met, where it does not count."""
        identity = self._met.get(member)
        if identity is None or self.counts(member):
            return None
        return identity.file

    def found(self, *, is_blank: bool) -> dict[str, str] | None:
        """The founders, where this replica can know them now and did not before.

        :param is_blank: it knows no term and no entry. One that has heard of a leader
            belongs to a group that others have founded: it asks who they are.
        """
        if self.founders:
            return None
        for identity in self._met.values():
            if identity.founders:
                return dict(identity.founders)
        if is_blank and all(self._is_new(member) for member in self._others):
            files = {member: self._met[member].file or "" for member in self._others}
            return {self._name: self.file_id, **files}
        return None

    def _is_new(self, member: str) -> bool:
        identity = self._met.get(member)
        return identity is not None and bool(identity.file) and not identity.founders
