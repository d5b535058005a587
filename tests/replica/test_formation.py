"""Whose files count."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.messages import Life
from cartnet.replica.formation import Formation
from cartnet.wire.hello import Identity

MEMBERS = ("a", "b", "c")


def identity(name: str, file: str, **founders: str) -> Identity:
    return Identity("demo", name, "peer", file=file, founders=founders)


def having_met(name: str, file: str, **met: str) -> Identity:
    """A member that does not know the founders yet, and has met these files."""
    return Identity("demo", name, "peer", file=file, met=met)


def started(name: str, starts: int, incarnation: str, file: str = "") -> Identity:
    """A member that counts, unless its file is another one."""
    return msgspec.structs.replace(
        identity(name, file or f"{name}1"), starts=starts, incarnation=incarnation
    )


class FormationTests(SynchronousTestCase):
    """A group of three, as one of them sees it."""

    def formation(self, **founders: str) -> Formation:
        return Formation("b", MEMBERS, Life("b1", 3, "now"), founders, {})

    def test_all_are_new(self) -> None:
        """The group forms once all members have met the same files, and not before."""
        formation = self.formation()
        formation.met(having_met("a", "a1", b="b1", c="c1"), answered=True)
        self.assertFalse(formation.has_met_all)
        self.assertIsNone(formation.found())
        formation.met(having_met("c", "c1", a="a1"), answered=True)
        self.assertTrue(formation.has_met_all)
        self.assertIsNone(formation.found(), "c has not met b")

        formation.met(having_met("c", "c1", a="a1", b="b1"), answered=False)

        founders = {"a": "a1", "b": "b1", "c": "c1"}
        self.assertEqual(formation.found(), founders)
        self.assertIsNone(formation.found(), "once is enough")

    def test_said_once_kept(self) -> None:
        """Others hear of the founders when they are on the disk, and until then of the
        files that were met when they were decided."""
        formation = self.formation()
        formation.met(having_met("a", "a1", b="b1", c="c1"), answered=True)
        formation.met(having_met("c", "c1", b="b1", a="a1"), answered=True)
        founders = formation.found()
        assert founders is not None
        formation.met(having_met("c", "c2"), answered=True)
        self.assertEqual(formation.said_founders, {})
        self.assertEqual(formation.files_met, {"a": "a1", "c": "c1"})

        formation.kept(founders)

        self.assertEqual(formation.said_founders, founders)
        self.assertEqual(formation.files_met, {})

    def test_a_call_of_one_who_has_not_answered(self) -> None:
        """A proof that comes with a call may be late: another may run by now."""
        formation = self.formation()
        formation.met(having_met("a", "a1", b="b1", c="c1"), answered=True)
        formation.met(having_met("c", "c2", a="a1", b="b1"), answered=True)

        formation.met(having_met("c", "c1", a="a1", b="b1"), answered=False)
        self.assertIsNone(formation.found())
        formation.met(identity("c", "c1", a="a1", b="b1", c="c1"), answered=False)
        self.assertIsNone(formation.found())

        self.assertEqual(formation.files_met, {"a": "a1", "c": "c2"})

    def test_a_late_answer(self) -> None:
        """What one life said first may arrive last; it has met more since."""
        formation = self.formation()
        formation.met(having_met("a", "a1", b="b1", c="c1"), answered=True)
        formation.met(having_met("c", "c1"), answered=True)
        formation.met(having_met("c", "c1", a="a1", b="b1"), answered=False)

        formation.met(having_met("c", "c1", a="a1"), answered=True)

        self.assertIsNotNone(formation.found())

    def test_others_have_founded(self) -> None:
        """Who answers that it knows the founders is believed, whoever else is met."""
        formation = self.formation()
        formation.met(having_met("c", "c2", a="a1", b="b1"), answered=True)
        founders = {"a": "a1", "b": "b1", "c": "c1"}
        formation.met(identity("a", "a1", **founders), answered=True)

        self.assertEqual(formation.found(), founders)

    def test_what_is_missing(self) -> None:
        """A group that does not form says what it waits for."""
        formation = self.formation()
        self.assertEqual(formation.missing, "no answer from a and c")
        formation.met(having_met("a", "a1", b="b1"), answered=True)
        self.assertEqual(formation.missing, "no answer from c")
        formation.met(having_met("c", "c1", a="a1", b="b1"), answered=True)
        self.assertEqual(formation.missing, "not all the same files were met by a")

    def test_a_lost_file(self) -> None:
        """A member whose file is not a founder's does not count, whoever it is."""
        formation = self.formation(a="a1", b="b1", c="c1")
        self.assertTrue(formation.admitted)

        self.assertFalse(formation.met(identity("c", "c1"), answered=True))
        self.assertTrue(formation.counts("c"))
        self.assertTrue(formation.met(identity("c", "c2"), answered=True))

        self.assertFalse(formation.counts("c"))
        self.assertEqual(formation.new_file("c"), "c2")
        self.assertFalse(self.formation(a="a1", b="b0", c="c1").admitted)

    def test_an_old_copy(self) -> None:
        """A member that starts as often as before, or less often, has an old copy: it
        does not count, nor is it brought up to date as if its file were new."""
        formation = self.formation(a="a1", b="b1", c="c1")
        formation.met(started("c", 4, "first"), answered=True)
        self.assertTrue(formation.note_lives())
        self.assertFalse(formation.note_lives(), "the same life, met again")

        for starts, incarnation in ((4, "second"), (3, "first"), (1, "third")):
            formation.met(started("c", starts, incarnation), answered=True)
            self.assertFalse(formation.counts("c"), starts)
            self.assertIsNone(formation.new_file("c"))
            self.assertFalse(formation.note_lives())

        formation.met(started("c", 5, "second"), answered=True)
        self.assertTrue(formation.counts("c"))
        self.assertTrue(formation.note_lives())
        self.assertEqual(formation.lives, {"c": Life("c1", 5, "second")})

    def test_too_many_are_lost(self) -> None:
        """A group that has lost most of its files waits for somebody to repair it."""
        founders = {"a": "a1", "b": "b1", "c": "c1"}
        formation = self.formation(**founders)
        self.assertIsNone(formation.stopped)
        formation.met(identity("c", "c2"), answered=True)
        self.assertIsNone(formation.stopped, "the two others can admit it")

        formation.met(identity("a", "a2"), answered=True)
        self.assertIn("the files of a and c are not", formation.stopped or "")
        formation.met(identity("a", "a1"), answered=True)
        self.assertIsNone(formation.stopped)

    def test_own_file_is_lost(self) -> None:
        """A replica without its file counts itself among those that are lost."""
        formation = self.formation(a="a1", b="b0", c="c1")
        self.assertIsNone(formation.stopped)

        formation.met(identity("c", "c2"), answered=True)

        self.assertIn("the files of b and c are not", formation.stopped or "")
        self.assertIsNone(self.formation().stopped, "not formed yet")

    def test_own_old_copy(self) -> None:
        """A replica hears that it has one from whoever has met it with a newer."""
        formation = self.formation(a="a1", b="b1", c="c1")

        for file, starts, incarnation, newer in (
            ("b1", 2, "then", False),
            ("b1", 3, "now", False),
            ("b1", 3, "then", True),
            ("b1", 4, "then", True),
            ("b0", 9, "then", False),
        ):
            lives = {"b": Life(file, starts, incarnation)}
            other = msgspec.structs.replace(identity("a", "a1"), lives=lives)
            self.assertEqual(formation.knows_newer(other), newer, lives)

    def test_lives_of_files_that_count(self) -> None:
        """Whose file does not count may say what it likes of its starts."""
        formation = self.formation(a="a1", b="b1", c="c1")
        formation.met(started("c", 9, "x", file="c0"), answered=True)

        self.assertFalse(formation.note_lives())
