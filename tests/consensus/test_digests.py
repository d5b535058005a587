"""What is made of tables that differ after the same index (S4)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.digests import Digests
from cartnet.consensus.messages import Dispute

PATIENCE = 3


class DigestsTests(SynchronousTestCase):
    """The leader a of a, b and c."""

    def setUp(self) -> None:
        self.digests = Digests("a", 3)
        self.digests.recorded(7, "x")

    def tick(self, *awaited: str) -> Dispute | None:
        self.digests.tick(awaited, PATIENCE)
        return self.digests.dispute

    def test_majority(self) -> None:
        """Two that are equal decide, whoever speaks first, and nothing is in doubt."""
        self.assertIsNone(self.digests.heard(7, "b", "y"))
        self.assertTrue(self.digests.in_doubt)
        self.assertIsNone(self.tick("b", "c"))
        self.assertEqual(self.digests.heard(7, "c", "x"), "x")

        self.assertFalse(self.digests.in_doubt)
        self.assertEqual(self.digests.differing(7, "x"), ["b"])
        self.assertIsNone(self.tick("b", "c"))

    def test_nobody_is_awaited(self) -> None:
        """Where all who can be heard have spoken, what differs is disputed at once."""
        self.digests.heard(7, "b", "y")

        self.assertEqual(self.tick("b"), Dispute(7, {"a": "x", "b": "y"}))

    def test_patience(self) -> None:
        """One who does not say what it has is not waited for without end."""
        self.digests.heard(7, "b", "y")

        self.assertEqual([self.tick("b", "c") for _ in range(PATIENCE - 1)], [None] * 2)
        self.assertEqual(self.tick("b", "c"), Dispute(7, {"a": "x", "b": "y"}))

    def test_patience_does_not_begin_again(self) -> None:
        """Not with a newer index, either."""
        self.digests.heard(7, "b", "y")
        self.tick("b", "c")
        self.tick("b", "c")

        self.digests.recorded(8, "xx")
        self.digests.heard(8, "b", "yy")

        self.assertEqual(self.tick("b", "c"), Dispute(8, {"a": "xx", "b": "yy"}))

    def test_own_comes_last(self) -> None:
        """Others may have applied what this replica has not: it is awaited as well."""
        self.digests.heard(8, "b", "y")
        self.digests.heard(8, "c", "z")
        self.assertIsNone(self.tick("b", "c"))

        self.digests.recorded(8, "y")

        self.assertFalse(self.digests.in_doubt)

    def test_majority_decides_later(self) -> None:
        """The third's word ends a dispute, at its index or after it, not before."""
        self.digests.heard(7, "b", "y")
        self.tick("b")
        self.digests.recorded(5, "w")
        self.assertEqual(self.digests.heard(5, "c", "w"), "w")
        self.assertTrue(self.digests.in_doubt)

        self.assertEqual(self.digests.heard(7, "c", "y"), "y")

        self.assertFalse(self.digests.in_doubt)
        self.assertEqual(self.digests.differing(7, "y"), ["a"])

    def test_late_word(self) -> None:
        """What differed before a majority agreed is no dispute any more."""
        self.digests.recorded(9, "z")
        self.digests.heard(9, "c", "z")
        self.digests.heard(7, "b", "y")

        self.assertFalse(self.digests.in_doubt)

    def test_new_file(self) -> None:
        """What was said of a file that is gone differs from nothing."""
        self.digests.heard(7, "b", "y")
        self.digests.forget("b")

        self.assertIsNone(self.tick("c"))
        self.assertFalse(self.digests.in_doubt)

    def test_new_term(self) -> None:
        """Whoever has spoken stays among those who differ, until they speak again."""
        self.digests.heard(7, "b", "y")
        self.digests.heard(7, "c", "z")
        dispute = self.tick("b", "c")
        self.assertEqual(dispute, Dispute(7, {"a": "x", "b": "y", "c": "z"}))

        self.digests.recorded(8, "xx")
        self.digests.heard(8, "b", "yy")
        self.assertEqual(self.tick("b"), dispute)
        self.digests.heard(8, "c", "zz")

        new = Dispute(8, {"a": "xx", "b": "yy", "c": "zz"})
        self.assertEqual(self.tick("b", "c"), new)
