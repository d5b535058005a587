from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from cartnet.client.belief import Belief


class BeliefTests(SynchronousTestCase):
    """Whom a client takes for the leader."""

    def setUp(self) -> None:
        self.belief = Belief()

    def test_own_word(self) -> None:
        """A member that says it leads is believed."""
        self.belief.claims("s1r1", 3, 0)

        self.assertEqual(self.belief.leader, "s1r1")

    def test_higher_term(self) -> None:
        """Of two that say they lead the one of the higher term is believed."""
        self.belief.claims("s1r1", 3, 0)
        self.belief.claims("s1r2", 4, 0)
        self.belief.claims("s1r1", 3, 0)

        self.assertEqual(self.belief.leader, "s1r2")

    def test_hello_does_not_overrule(self) -> None:
        """A claim without a term counts only where nobody is believed in."""
        self.belief.claims("s1r1", 3, 0)
        self.belief.claims("s1r2", None, 0)

        self.assertEqual(self.belief.leader, "s1r1")

    def test_founded_anew(self) -> None:
        """A leader of a lower term is believed once the former one is gone."""
        self.belief.claims("s1r1", 30, 0)
        self.belief.lost("s1r1")
        self.belief.claims("s1r2", 1, 0)

        self.assertEqual(self.belief.leader, "s1r2")

    def test_directions_are_followed(self) -> None:
        """The member that the believed leader names is believed next."""
        self.belief.claims("s1r1", 3, 0)
        self.belief.denies("s1r1", "s1r2", 1)

        self.assertEqual(self.belief.leader, "s1r2")

    def test_no_running_to_and_fro(self) -> None:
        """Two members that name each other are not believed at once."""
        self.belief.denies("s1r1", "s1r2", 1)
        self.belief.denies("s1r2", "s1r1", 1.001)
        self.assertIsNone(self.belief.leader)

        self.belief.denies("s1r2", "s1r1", 2)
        self.assertEqual(self.belief.leader, "s1r1")

    def test_leads_but_does_not_serve_yet(self) -> None:
        """One that has just sent us away is believed a little later, not at once."""
        self.belief.denies("s1r1", None, 1)
        self.belief.claims("s1r1", 3, 1.001)
        self.assertIsNone(self.belief.leader)

        self.belief.claims("s1r1", 3, 1.05)
        self.assertEqual(self.belief.leader, "s1r1")

    def test_others_do_not_count(self) -> None:
        """What a follower says does not shake the belief in another member."""
        self.belief.claims("s1r1", 3, 0)
        self.belief.denies("s1r0", "s1r2", 1)
        self.belief.lost("s1r2")

        self.assertEqual(self.belief.leader, "s1r1")

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["claims", "denies", "lost"]),
                st.sampled_from("abc"),
                st.sampled_from(["a", "b", "c", None]),
                st.integers(1, 4),
            )
        )
    )
    def test_own_denial_ends_it(
        self, steps: list[tuple[str, str, str | None, int]]
    ) -> None:
        """Nobody who has just denied or been lost is believed, whatever came before."""
        belief = Belief()
        for at, (what, name, named, term) in enumerate(steps):
            now = at / 1000
            if what == "claims":
                belief.claims(name, term, now)
            elif what == "denies":
                belief.denies(name, named, now)
                self.assertNotEqual(belief.leader, name)
            else:
                belief.lost(name)
                self.assertNotEqual(belief.leader, name)
