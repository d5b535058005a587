"""Storms of a few seconds; what a storm judges by."""

from __future__ import annotations

import secrets
from functools import partial
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.system.lines import TOKENS, tokens_in
from tests.system.storm.__main__ import parser
from tests.system.storm.attempts import ANSWERED, LOST, Attempt, Record
from tests.system.storm.outages import (
    ELECTION_SECONDS_MAX,
    RETURN_SECONDS_MAX,
    SERVING_SECONDS_MAX,
    Outages,
    Window,
)
from tests.system.storm.report import AVAILABILITY, judged
from tests.system.storm.storm import Options, blow
from tests.system.storm.verdict import ANSWERED_SECONDS_MAX, Verdict
from tests.system.storm.yardstick import SLOWNESS_USUAL, WORK_SECONDS, Yardstick

GROUPS = {"lb": ["lb0", "lb1", "lb2"], "s1": ["s1r0", "s1r1", "s1r2"], "it": ["it0"]}
SECONDS = 8
MINUTE = 60


class StormTests(SynchronousTestCase):
    """Troubles of all kinds at once, in every group, under shoppers, new accounts and
    an operator (S1 to S9, L1, L2)."""

    def test_one_process(self) -> None:
        """With everything in one process nothing acknowledged is lost or doubled."""
        self._blow(SECONDS, each=False)

    def test_process_each(self) -> None:
        """With a process a replica, neither: they are killed and hung by signals, cut
        off one way and both ways, sent damaged messages, their disks are full and
        their files damaged, deleted and old."""
        self._blow(MINUTE, each=True)

    def test_help(self) -> None:
        """Its help says of every option what it is, and what it is without it."""
        options = parser().format_help().split("options:")[1]
        for option in ("seconds", "shoppers", "shards", "seed", "each", "namespaces"):
            self.assertRegex(options, rf"--{option}\b[^\[]* \w+ [^\[]*\[default: ")

    def _blow(self, seconds: float, *, each: bool) -> None:
        options = Options(seconds, seed=1, shoppers=4, each=each, shards=1)
        lines, findings = blow(Path(self.mktemp()), options)
        broken = findings.broken
        if findings.machine is not None and not findings.machine.gave_enough:
            # One that runs much else may be slow without an outage.
            broken = [each for each in broken if not each.startswith(AVAILABILITY)]
        self.assertEqual(broken, [], "\n".join(lines))


class OutagesTests(SynchronousTestCase):
    """The script's knowledge of what it has done."""

    def setUp(self) -> None:
        self.now = 0.0
        self.outages = Outages(GROUPS, lambda: self.now)

    def at(self, now: float) -> Outages:
        self.now = now
        return self.outages

    def judge(
        self,
        sent: float,
        ended: float,
        outcome: str = ANSWERED,
        groups: str = "s1",
        connected: float = 0.0,
        verdict: Verdict | None = None,
        call: str = "call",
    ) -> str:
        attempt = Attempt(
            call,
            "ada",
            frozenset(groups.split()),
            "lb0",
            connected,
            sent,
            ended,
            outcome,
        )
        return (verdict or Verdict(self.outages)).judge(attempt)

    def test_majority(self) -> None:
        """A majority is away while two of three are in trouble, or the only one is."""
        self.at(1).begin("kill", "s1r0")
        self.at(2).begin("pause", "s1r2")
        self.at(3).end("s1r0")
        self.at(4).end("s1r2")
        self.at(5).begin("kill", "it0")
        self.at(6)
        self.assertEqual(self.outages.without_majority("s1"), [Window(2, 3)])
        self.assertEqual(self.outages.without_majority("it"), [Window(5, 6)])
        self.assertEqual(self.outages.without_majority("lb"), [])

    def test_returns(self) -> None:
        """A replica whose trouble is over, and that has its file, counts soon, whether
        it votes or not; any other counts when it votes."""
        self.at(1).begin("kill", "s1r0")
        self.at(1).begin("pause", "s1r2")
        self.at(3).heal("s1r0")
        self.at(60).end("s1r0")
        self.at(70).end("s1r2")
        back = 3 + RETURN_SECONDS_MAX
        self.assertEqual(self.outages.without_majority("s1"), [Window(1, back)])
        serving = 3 + SERVING_SECONDS_MAX
        self.assertEqual(self.judge(serving - 3, serving, "timeout"), "")
        self.assertIn("had a leader", self.judge(serving, serving + 3, "timeout"))
        self.assertEqual(self.outages.returns(), [57])

        self.at(80).begin("wipe", "it0")
        self.at(99).end("it0")
        self.assertEqual(self.outages.without_majority("it"), [Window(80, 99)])
        self.at(110).begin("kill", "it0")
        self.at(111).heal("it0")
        self.at(112).end("it0")
        self.assertIn(Window(110, 112), self.outages.without_majority("it"))
        slowly = self.outages.without_majority("s1", lambda at: at / 10)
        self.assertEqual(slowly, [Window(0.1, 0.3 + RETURN_SECONDS_MAX)])

    def test_away(self) -> None:
        """Nobody can ask for what needs a majority that is away, nor for an election's
        time after it is back; then a slow answer or a refusal is a violation."""
        self.at(1).begin("kill", "it0")
        self.at(9).end("it0")
        elected = 9 + ELECTION_SECONDS_MAX
        self.assertEqual(self.judge(2, 5, "unavailable", "s1 it"), "")
        self.assertEqual(self.judge(8, elected, "timeout", "it"), "")
        soon = elected + ANSWERED_SECONDS_MAX
        self.assertEqual(self.judge(8, soon - 0.1, groups="it"), "")
        self.assertIn("without an outage", self.judge(8, soon + 0.1, groups="it"))
        late = self.judge(elected - 1, elected + 2, "timeout", "it")
        self.assertIn("2.00 s of that without an outage", late)
        never = self.judge(elected, elected + 3, "timeout", "it")
        self.assertIn("had a leader", never)

    def test_others(self) -> None:
        """One group's outage excuses no call that another decides."""
        self.at(1).begin("kill", "it0")
        self.at(9).end("it0")
        self.assertIn("had a leader", self.judge(2, 5, "unavailable"))
        self.assertIn("3.00 s of that without", self.judge(2, 5))

    def test_followers(self) -> None:
        """Trouble of a replica that does not lead excuses nothing; a leader's excuses
        an election, but no refusal: a balancer waits for longer."""
        self.at(1).begin("kill", "s1r0")
        self.assertEqual(self.judge(1, 4), "")
        self.assertIn("without an outage", self.judge(1, 4, "timeout"))
        self.at(5).end("s1r0")
        change = self.at(20).begin("kill", "s1r1")
        change.electing = False
        self.at(29).end("s1r1")
        self.assertIn("without an outage", self.judge(20, 23))
        self.assertIn("had a leader", self.judge(20, 20.5, "unavailable"))

    def test_unlucky_elections(self) -> None:
        """What is done in the middle of an election may cost another one."""
        self.at(10).begin("pause", "s1r0")
        self.at(11).end("s1r0")
        self.at(12.5).begin("kill", "s1r2").electing = False
        self.at(16).end("s1r2")
        (window,) = self.outages.unavailable("s1")
        self.assertEqual(window, Window(10, 12.5 + ELECTION_SECONDS_MAX))

    def test_balancers(self) -> None:
        """What was asked of a balancer in trouble says nothing; a connection that is
        lost without that is a violation."""
        self.at(5).begin("isolate", "lb0")
        self.at(6).end("lb0")
        self.assertEqual(self.judge(4, 9, LOST), "")
        self.assertEqual(self.judge(5.5, 9), "")
        self.assertEqual(self.judge(7, 7.1, LOST, connected=1), "")
        self.assertEqual(self.judge(7, 7.1, LOST, connected=6.5), "lb0 was well")
        self.assertIn("without an outage", self.judge(6.5, 9))

    def test_copies(self) -> None:
        """A balancer that comes back while the inventory is away has no copy of it:
        nothing can be put into carts there; on the others, everything can."""
        self.at(5).begin("kill", "it0")
        away = partial(self.judge, 7, 10, "unavailable")
        self.assertIn("had a leader", away(call="add_to_cart"))
        self.at(4.5).begin("wipe", "lb0")
        self.at(6).end("lb0")
        self.at(12).end("it0")
        self.assertEqual(away(call="add_to_cart"), "")
        self.assertIn("had a leader", away(call="get_cart"))

    def test_busy_machine(self) -> None:
        """While the machine has less time for everybody, nobody is held to the clock
        on the wall."""
        path = Path(self.mktemp())
        fast, slow = SLOWNESS_USUAL * WORK_SECONDS, 10 * SLOWNESS_USUAL * WORK_SECONDS
        pieces = [(at, at + (slow if 20 <= at < 40 else fast)) for at in range(60)]
        path.write_text("".join(f"{a} {b} 0\n" for a, b in pieces) + "60 6")
        given = Yardstick(path).given()
        self.assertEqual(given(0), 0)
        self.assertAlmostEqual(given(19.5), 19.5)
        self.assertAlmostEqual(given(36) - given(26), 1)
        self.assertAlmostEqual(given(60) - given(50), 10)
        self.assertAlmostEqual(given(70) - given(60), 10)
        self.assertIn("without an outage", self.judge(26, 36))
        self.assertEqual(self.judge(26, 36, verdict=Verdict(self.outages, given)), "")

        self.assertIn("had a leader", self.judge(16, 17, "timeout"))
        self.assertEqual(
            self.judge(26, 27, "timeout", verdict=Verdict(self.outages, given)), ""
        )
        self.at(26).begin("kill", "s1r0")
        verdict = Verdict(self.outages, given)
        self.assertEqual(self.judge(32, 35, "timeout", verdict=verdict), "")

    def test_machine(self) -> None:
        """A machine gave enough if it gave nearly all of the time, and its disk never
        took long."""
        path = Path(self.mktemp())
        fast, slow = SLOWNESS_USUAL * WORK_SECONDS, 10 * SLOWNESS_USUAL * WORK_SECONDS
        for busy, sync, enough in (
            (0, 0.1, True),
            (8, 0.1, True),
            (20, 0.1, False),
            (0, 1.1, False),
        ):
            pieces = [(at, at + (slow if at < busy else fast)) for at in range(60)]
            path.write_text("".join(f"{a} {b} {sync}\n" for a, b in pieces))
            machine = Yardstick(path).machine(0, 60)
            self.assertEqual(machine.gave_enough, enough, machine)

    def test_groups_apart(self) -> None:
        """What needs two groups may wait while they are kept apart, and for an
        election's time after it; what needs one of them may not."""
        self.now = 1
        with self.outages.estranged("s1r0", "it"):
            self.now = 9
        self.assertEqual(self.judge(2, 5, "unavailable", "s1 it"), "")
        self.assertEqual(self.judge(9, 11, groups="s1 it"), "")
        self.assertIn("had a leader", self.judge(2, 5, "unavailable", "s1"))
        self.assertIn("had a leader", self.judge(12, 15, "unavailable", "s1 it"))
        self.now = 20
        with self.outages.estranged("lb0", "it"):
            self.now = 29
        self.assertEqual(self.judge(22, 25, "unavailable", "it"), "")
        self.assertIn("had a leader", self.judge(22, 25, "unavailable", "s1"))

    def test_told(self) -> None:
        """It is told how many calls were judged, with an excuse and without."""
        self.at(1).begin("kill", "it0")
        self.at(9).end("it0")
        self.at(20).begin("kill", "lb1")
        record = Record()
        for groups, balancer, sent, ended in (
            ("it", "lb0", 1, 1.1),
            ("it", "lb0", 1, 4),
            ("s1", "lb0", 1, 2),
            ("s1", "lb1", 20, 24),
        ):
            needed = frozenset({groups})
            record.add(
                Attempt("call", "ada", needed, balancer, 0, sent, ended, ANSWERED)
            )
        self.assertEqual(
            judged(Verdict(self.outages), record),
            "4 calls: 1 answered in 0.2 s; of the others 1 judged without an excuse,"
            " 1 with an outage, 1 not, of a balancer in trouble",
        )

    def test_cut_off_logout(self) -> None:
        """A logout whose answer was cut off is not known to be done, though its group
        is well; of no other call, and without any trouble, is that believed."""
        self.at(1).begin("lossy", "s1r1").electing = False
        self.assertEqual(self.judge(2, 2.1, "timeout", call="logout"), "")
        self.assertIn("had a leader", self.judge(2, 2.1, "timeout", call="login"))
        refused = self.judge(2, 2.1, "unavailable", call="logout")
        self.assertIn("had a leader", refused)
        self.at(3).end("s1r1")
        later = self.judge(9, 9.1, "timeout", call="logout")
        self.assertIn("had a leader", later)

    def test_other_refusals(self) -> None:
        """No outage excuses that a call is refused for another reason."""
        self.at(1).begin("kill", "s1r0")
        for code in ("internal", "overloaded", "not_leader", "rate_limited"):
            self.assertEqual(self.judge(1, 1.1, code), "nothing excuses that")


class TokensTests(SynchronousTestCase):
    """Session tokens where they must not be."""

    def test_found_anywhere(self) -> None:
        """The secret part of a token is found between any other bytes."""
        token = f"s1.{secrets.token_urlsafe(32)}"
        TOKENS.add(token)
        self.addCleanup(TOKENS.discard, token)
        secret = token.removeprefix("s1.").encode()
        self.assertEqual(tokens_in(b"\0ab" + secret + b"cd\xff"), {token})
        self.assertEqual(tokens_in(secret[:-1]), set())
