"""Whose files count."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from cartnet.replica.formation import Formation
from cartnet.wire.hello import Identity

MEMBERS = ("a", "b", "c")


def identity(name: str, file: str, **founders: str) -> Identity:
    return Identity("demo", name, "peer", file=file, founders=founders)


class FormationTests(SynchronousTestCase):
    """A group of three, as one of them sees it."""

    def formation(self, **founders: str) -> Formation:
        return Formation("b", MEMBERS, "b1", founders)

    def test_all_are_new(self) -> None:
        """The group forms once all members have met, and not before."""
        formation = self.formation()
        formation.met(identity("a", "a1"))
        self.assertIsNone(formation.found(is_blank=True))

        formation.met(identity("c", "c1"))

        self.assertEqual(
            formation.found(is_blank=True), {"a": "a1", "b": "b1", "c": "c1"}
        )

    def test_one_who_has_heard_of_a_leader(self) -> None:
        """Who knows a term founds nothing with strangers: another has the founders."""
        formation = self.formation()
        formation.met(identity("a", "a1"))
        formation.met(identity("c", "c2"))
        self.assertIsNone(formation.found(is_blank=False))

        founders = {"a": "a1", "b": "b1", "c": "c1"}
        formation.met(identity("a", "a1", **founders))

        self.assertEqual(formation.found(is_blank=False), founders)

    def test_a_lost_file(self) -> None:
        """A member whose file is not a founder's does not count, whoever it is."""
        formation = self.formation(a="a1", b="b1", c="c1")
        self.assertTrue(formation.admitted)

        self.assertFalse(formation.met(identity("c", "c1")))
        self.assertTrue(formation.counts("c"))
        self.assertTrue(formation.met(identity("c", "c2")))

        self.assertFalse(formation.counts("c"))
        self.assertEqual(formation.new_file("c"), "c2")
        self.assertFalse(self.formation(a="a1", b="b0", c="c1").admitted)
