"""Whose files count: how a new group forms, and how a lost file is noticed.

A replica whose file is empty may have forgotten votes and acknowledgements, so it must
not vote. It may where every other member's file is new as well: then there is nothing
that could have been forgotten. The file ids of that meeting, the founders, are kept by
each; a founder that missed the meeting takes them from another.

A file may be lost while the members still meet: then one goes by the lost file, another
by the new one. So each says which files it has met, and a replica founds a group only
of files that all say they have met. Founding needs the word of all: where all say that
they have met the new file, none has founded with the lost one, and none will, but on
the lost disk itself. This takes four rules:

- A replica learns of a member's files in the order in which the member used them: it
  believes answers to its own dials, of which one is under way at a time. A file that
  was replaced must not be put back before the group has formed.
- Who has decided repeats what it had met then, until the founders are on its disk.
- Founders are said only from the disk.
- Who does not know the founders takes no messages of Raft: it has nothing to forget.

A replica that meets founders among which its own file is not is an amnesiac: it is
sent the log like all others, but does not vote, campaign or count until an entry of
the log, committed without it, has put its new file in the place of the lost one.

So is a replica whose file is an older copy of what it was: it has forgotten as much.
Every start on a file is counted there, and has a random number; whoever meets a member
keeps both on its own disk, before anything that it says relies on that member. A start
that has been met before, with another number, is one on an old copy. A copy of a file
that was replaced begins anew as soon as it hears of that from the log, and never counts
again under its id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cartnet.consensus.quorum import majority

if TYPE_CHECKING:
    from cartnet.consensus.messages import Life
    from cartnet.wire.hello import Identity


class Formation:
    """What one replica knows of the files of its group.

    :ivar founders: the file ids that count, by name; empty before the group formed.
    :ivar lives: those of the other members that were met last, with files that count.
    """

    def __init__(
        self,
        name: str,
        members: tuple[str, ...],
        life: Life,
        founders: dict[str, str],
        lives: dict[str, Life],
    ) -> None:
        assert name in members
        self._name = name
        self._others = tuple(member for member in members if member != name)
        self.life = life
        self.file_id = life.file
        self.founders = founders
        self.lives = lives
        self._founders_kept = bool(founders)
        self._met: dict[str, Identity] = {}
        self._answers: dict[str, Identity] = {}
        self._files: dict[str, str] = {}

    def met(self, identity: Identity, *, answered: bool) -> bool:
        """A member has proved itself, and said what its file is.

        :param answered: it answered this replica's own dial. Dials to a member come one
            after another, so this is the life that answered last, or a later one. The
            proof of one that dialled this replica may be late: it counts only for the
            life that answered last.
        :return: whether it had another file before, as far as this replica has seen.
        """
        self._met[identity.replica] = identity
        if not self.founders and self._is_news(identity, answered=answered):
            self._answers[identity.replica] = identity
        former = self._files.get(identity.replica)
        if identity.file:
            self._files[identity.replica] = identity.file
        return former not in (None, identity.file)

    def _is_news(self, identity: Identity, *, answered: bool) -> bool:
        known = self._answers.get(identity.replica)
        if known is None or known.life != identity.life:
            return answered
        # Two dials at one time: what was said first may be proven last.
        return bool(identity.founders) or len(identity.met) >= len(known.met)

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
            or (
                identity.file == self.founders.get(member)
                and not self._has_old_copy(identity)
            )
        )

    def _has_old_copy(self, identity: Identity) -> bool:
        life, known = identity.life, self.lives.get(identity.replica)
        return life is not None and known is not None and life.precedes(known)

    def knows_newer(self, identity: Identity) -> bool:
        """Whether a member has met a newer file of this replica than it has."""
        known = identity.lives.get(self._name)
        return known is not None and self.life.precedes(known)

    def note_lives(self) -> bool:
        """Note the lives of those who count; say whether any is new."""
        if not self.founders:
            return False
        met = {
            name: life
            for name, identity in self._met.items()
            if (life := identity.life) is not None and self.counts(name)
        }
        noted = {**self.lives, **met}
        is_new, self.lives = noted != self.lives, noted
        return is_new

    @property
    def stopped(self) -> str | None:
        """Why no majority can come together, as far as known; None where one can.

        Where most files are lost or replaced, nobody is left to admit the new ones.
        """
        lost = [member for member in self._others if not self.counts(member)]
        if self.founders and not self.admitted:
            lost.append(self._name)
        members = 1 + len(self._others)
        if members - len(lost) >= majority(members):
            return None
        files, are, them = (
            ("files", "are", "them") if len(lost) > 1 else ("file", "is", "it")
        )
        return (
            f"the {files} of {' and '.join(sorted(lost))} {are} not what the group"
            f" knows, and without {them} there is no majority that could admit {them}"
        )

    def new_file(self, member: str) -> str | None:
        """The file of a member that was met, where it does not count."""
        identity = self._met.get(member)
        if identity is None or self.counts(member) or self._has_old_copy(identity):
            return None
        return identity.file

    # --- before the group has formed --------------------------------------------------

    @property
    def said_founders(self) -> dict[str, str]:
        """The founders as others may hear of them: those on the disk."""
        return dict(self.founders) if self._founders_kept else {}

    @property
    def files_met(self) -> dict[str, str]:
        """The files of those who have answered; none once founders are kept."""
        if self._founders_kept:
            return {}
        return {
            name: identity.file
            for name, identity in self._answers.items()
            if identity.file is not None
        }

    @property
    def has_met_all(self) -> bool:
        """Whether all others have answered, and no founders are kept yet."""
        return not self._founders_kept and self._answers.keys() == set(self._others)

    @property
    def missing(self) -> str:
        """What the group still lacks to form, as far as this replica knows."""
        silent = [name for name in self._others if name not in self._answers]
        if silent:
            return f"no answer from {' and '.join(silent)}"
        answers = self._answers.items()
        behind = [name for name, answer in answers if self._differs(answer)]
        return f"not all the same files were met by {' and '.join(behind)}"

    def found(self) -> dict[str, str] | None:
        """Decide who the founders are, where this can be known now and was not before.

        They are to be written, ahead of all else, and then to be told :meth:`kept`.
        """
        if self.founders:
            return None
        for identity in self._answers.values():
            if identity.founders:
                self.founders = dict(identity.founders)
                return self.founders
        if self._all_have_met_the_same():
            self.founders = {self._name: self.file_id, **self.files_met}
            return self.founders
        return None

    def _all_have_met_the_same(self) -> bool:
        return self.has_met_all and not any(map(self._differs, self._answers.values()))

    def _differs(self, answer: Identity) -> bool:
        """Whether a member has not met the very files that this replica has met."""
        files = {self._name: self.file_id, **self.files_met}
        return {answer.replica: answer.file, **answer.met} != files

    def kept(self, founders: dict[str, str]) -> None:
        """These are the files that count from now on, and are on the disk."""
        self.founders = founders
        self._founders_kept = True
