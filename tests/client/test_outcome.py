from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from cartnet.client.outcome import Next, Outcome
from cartnet.errors import CODES, OUTCOME_UNKNOWN, Refused

LOG_DECIDED = ["out_of_stock", "conflict", "not_found", "username_taken", "empty_cart"]


def refused(code: str) -> Refused:
    return Refused(code, f"{code}, said the server")  # type: ignore[arg-type]


class OutcomeTests(SynchronousTestCase):
    """What a call's sendings add up to (S10)."""

    def test_nothing_sent(self) -> None:
        """A call that was never sent is unavailable."""
        outcome = Outcome("s1", resend=True, keyed=True)

        self.assertEqual(outcome.error().code, "unavailable")

    def test_last_reason_is_told(self) -> None:
        """A leader's own reason for being unavailable is the one that is told."""
        outcome = Outcome("s1", resend=True, keyed=True)

        self.assertIs(outcome.refused(refused("unavailable")), Next.PAUSE)
        self.assertEqual(outcome.error().message, "unavailable, said the server")

    def test_key_that_finds_out(self) -> None:
        """The key is named as what finds out where the call has one."""
        for keyed in (True, False):
            outcome = Outcome("s1", resend=keyed, keyed=keyed)
            outcome.lost()
            self.assertEqual("the same key" in outcome.error().message, keyed)

    def test_unknown_then_refused_for_now(self) -> None:
        """After an unknown outcome a refusal that is not the log's proves nothing."""
        for code in ("not_leader", "unavailable", "overloaded", "rate_limited"):
            outcome = Outcome("s1", resend=True, keyed=True)
            self.assertIs(outcome.lost(), Next.SEEK)
            self.assertIsNot(outcome.refused(refused(code)), Next.RAISE)
            self.assertEqual(outcome.error().code, "timeout")

    def test_unknown_then_session_gone(self) -> None:
        """A write whose session ended between two sendings may have been done."""
        outcome = Outcome("s1", resend=True, keyed=True)
        outcome.lost()

        self.assertIs(outcome.refused(refused("unauthenticated")), Next.RAISE)
        self.assertEqual(outcome.error().code, "timeout")

    def test_read_after_unknown(self) -> None:
        """A read has no outcome: its last answer stands."""
        outcome = Outcome("s1", resend=True, keyed=False, reads=True)
        outcome.lost()

        self.assertIs(outcome.refused(refused("unauthenticated")), Next.RAISE)
        self.assertEqual(outcome.error().code, "unauthenticated")

    def test_read_in_vain(self) -> None:
        """A read that nobody answered has done nothing: it is unavailable."""
        outcome = Outcome("s1", resend=True, keyed=False, reads=True)
        outcome.lost()
        for code in OUTCOME_UNKNOWN:
            self.assertIs(outcome.refused(refused(code)), Next.PAUSE)

        self.assertEqual(outcome.error().code, "unavailable")

    def test_not_resent(self) -> None:
        """What may not be sent twice ends at the first unknown outcome."""
        for code in OUTCOME_UNKNOWN:
            outcome = Outcome("s1", resend=False, keyed=False)
            self.assertIs(outcome.refused(refused(code)), Next.RAISE)
            self.assertEqual(outcome.error().code, code)
        outcome = Outcome("s1", resend=False, keyed=False)
        self.assertIs(outcome.lost(), Next.RAISE)
        self.assertEqual(outcome.error().code, "timeout")

    @given(
        st.lists(st.sampled_from([*sorted(CODES), "lost"]), max_size=6),
        st.sampled_from(LOG_DECIDED),
    )
    def test_log_decides(self, before: list[str], decided: str) -> None:
        """Whatever came before, the log's answer is the one that is told."""
        outcome = Outcome("s1", resend=True, keyed=True)
        for code in before:
            then = outcome.lost() if code == "lost" else outcome.refused(refused(code))
            if then is Next.RAISE:
                return

        self.assertIs(outcome.refused(refused(decided)), Next.RAISE)
        self.assertEqual(outcome.error().code, decided)

    @given(st.lists(st.sampled_from([*sorted(CODES), "lost"]), max_size=8))
    def test_honest(self, codes: list[str]) -> None:
        """After an unknown outcome only the log's answer or a timeout is told."""
        outcome = Outcome("s1", resend=True, keyed=True)
        unknown = False
        for code in codes:
            then = outcome.lost() if code == "lost" else outcome.refused(refused(code))
            unknown = unknown or code in OUTCOME_UNKNOWN or code == "lost"
            if then is Next.RAISE:
                break
        told = outcome.error().code
        if unknown and told != "timeout":
            self.assertNotIn(
                told,
                {
                    "not_leader",
                    "unavailable",
                    "overloaded",
                    "rate_limited",
                    "unauthenticated",
                    "forbidden",
                },
            )
