"""The verdict on a live check: what is right is clean, and what is wrong is found."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

import cartnet
from cartnet.errors import Refused
from cartnet.tools.live import command, ending
from cartnet.tools.live.findings import told
from cartnet.tools.live.judge import TITLES, guarantee_of, judge
from cartnet.workload.watcher import Watcher
from tests.tools.live_runs import SHARE, USER, A, B, HandmadeRun


class VerdictTests(SynchronousTestCase):
    """Runs written by hand, each with at most one thing that must not be."""

    def setUp(self) -> None:
        self.run_ = HandmadeRun()
        self.seen = self.run_.seen

    def assert_wrong(self, guarantee: str, *parts: str) -> None:
        """One guarantee alone is broken, and all parts are said."""
        wrong = self.run_.wrong()
        self.assertEqual(list(wrong), [guarantee], wrong)
        for part in parts:
            self.assertIn(part, " ".join(wrong[guarantee]))

    def status(self) -> int:
        with contextlib.redirect_stdout(io.StringIO()):
            return command.conclude(self.seen, None, lambda step: None)

    def test_clean(self) -> None:
        """A good run is clean, and it is said what was looked at."""
        self.run_.shop()
        self.assertEqual(self.run_.wrong(), {})
        report = judge(self.seen)
        lines = "\n".join(report.lines())
        self.assertIn("check-1 at test: 10 s, 1 user, seed 1, 7 operations", lines)
        self.assertIn("7 ok, 0 refused, 0 not done, 0 unknown", lines)
        self.assertIn("A: 50 = 48 + 2 sold, B: 50 = 50 + 0 sold", lines)
        self.assertIn("1 order of 1 user", lines)
        self.assertIn("1 order, none of them by 0 refused checkouts", lines)
        self.assertEqual(lines.splitlines()[-1], "clean")
        self.assertEqual(self.status(), 0)

    def test_stale_read(self) -> None:
        """A read that misses what was acknowledged before it ends with status 1."""
        self.run_.shop()
        self.run_.stock[A] = 50
        self.run_.look()
        self.assert_wrong("S5", "the inventory: ", "get_inventory")
        self.assertEqual(self.status(), 1)

    def test_lost_write(self) -> None:
        """An acknowledged line that the next read of the cart has not is found."""
        self.run_.shop()
        self.run_.add(B, 1, 3)
        self.run_.did(USER, "get_cart", {"version": 2, "items": []})
        self.assert_wrong("S5", f"the cart of {USER}")

    def test_older_revision(self) -> None:
        """A read of an older revision is wrong, though this run's items are equal."""
        self.run_.shop()
        self.run_.revision += 5
        self.run_.look()
        self.run_.revision -= 3
        self.run_.look()
        self.assert_wrong("S5", "no older revision")

    def test_lost_order(self) -> None:
        """An acknowledged order that no list shows is lost, and its stock is gone."""
        self.run_.shop()
        self.seen.orders[USER].clear()
        wrong = self.run_.wrong()
        self.assertEqual(list(wrong), ["S1", "S7"])
        self.assertIn("is there in the end, as it was told", wrong["S1"][0])
        self.assertIn("given 50, in stock 48, sold 0", wrong["S7"][0])

    def test_changed_order(self) -> None:
        """An order is shown as it was acknowledged."""
        self.run_.shop()
        self.seen.orders[USER][0] = {**self.run_.orders[0], "total": 199}
        self.assert_wrong("S1", '"total":199')

    def test_another_total(self) -> None:
        """An order is not taken at another total than its user has expected."""
        self.run_.shop()
        self.run_.add(B, 1, 3)
        self.run_.buy(B, 1).args["expected_total"] = 99
        self.run_.end()
        self.assert_wrong("S8", "O3", "expected_total=99")

    def test_order_not_listed(self) -> None:
        """A list that lacks an order which was acknowledged before it is wrong."""
        self.run_.shop()
        empty: dict[str, Any] = {"orders": [], "next": None}
        self.run_.did(USER, "list_orders", empty, limit=1000)
        self.assert_wrong("S8", "O5", "lacks")

    def test_stock_lost(self) -> None:
        """What was given is in stock or sold."""
        self.run_.shop()
        self.seen.stock = {A: 48, B: 49}
        self.assert_wrong("S7", "given 50, in stock 49, sold 0", "somebody else")

    def test_stock_unknown(self) -> None:
        """Where a change may or may not have been done no sum is expected."""
        self.run_.shop()
        self.run_.did("operator", "update_inventory", item=A, quantity_change=5)
        self.assertEqual(self.run_.wrong(), {})
        self.assertEqual(judge(self.seen)["S7"].verdict, "not seen")

    def test_order_of_nobody(self) -> None:
        """An order whose checkout was refused must not be there (S10)."""
        self.run_.shop()
        self.run_.add(B, 1, 3)
        self.run_.did(USER, "checkout", Refused("price_changed", "no", _PRICES))
        self.run_.orders.append({**self.run_.orders[0], "id": "s1-9", "lines": []})
        self.run_.end()
        self.assert_wrong("S10", "order s1-9")
        looked_at = judge(self.seen)["S10"].looked_at
        self.assertEqual(looked_at, "2 orders, 1 refused checkout")

    def test_refusals_unseen(self) -> None:
        """Where nobody's orders are known, nothing shows that a refusal was meant."""
        self.run_.shop()
        self.run_.did(USER, "checkout", Refused("price_changed", "no", _PRICES))
        self.seen.orders.clear()
        self.assertEqual(judge(self.seen)["S10"].verdict, "not seen")

    def test_order_of_unknown_checkout(self) -> None:
        """An order that a checkout without an answer has placed is none of them, and
        the inventory's reads count with it."""
        self.run_.shop()
        self.run_.add(B, 1, 3)
        unknown = self.run_.buy(B, 1)
        unknown.answer, unknown.ending, unknown.returned = None, "unknown", None
        self.run_.look()
        self.run_.end()
        self.assertEqual(self.run_.wrong(), {})

        self.run_.orders.pop()
        self.run_.end()
        self.assertIn("S5", self.run_.wrong())

    def test_two_orders_of_unknown_checkout(self) -> None:
        """A checkout without an answer has placed one order at most."""
        self.run_.shop()
        self.run_.add(B, 1, 3)
        unknown = self.run_.buy(B, 1)
        unknown.answer, unknown.ending, unknown.returned = None, "unknown", None
        self.run_.orders.append({**self.run_.orders[-1], "id": "s1-9"})
        self.run_.stock[B] -= 1
        self.run_.end()
        self.assertIn("order s1-9", self.run_.wrong()["S10"][0])

    def test_two_homes(self) -> None:
        """A username is on one shard (S9)."""
        self.run_.shop()
        args = {"username": USER, "password": "?"}
        self.run_.did(USER, "create_account", {"user": USER, "shard": "s2"}, **args)
        self.assertIn("user0 is on s1, s2", self.run_.wrong()["S9"][0])

    def test_unknown_session(self) -> None:
        """A session that the operator was given stays known (S1)."""
        self.run_.shop()
        gone = Refused("unauthenticated", "who?")
        self.run_.did("operator", "remove_item", gone, item=A)
        self.assert_wrong("S1", "a session that was given is known", "who?")

    def test_two_leaders(self) -> None:
        """Two replicas that lead in one term are found (S2)."""
        self.run_.shop()
        self.seen.leaders = {("s1", 4): {"s1r0", "s1r2"}, ("s1", 5): {"s1r0"}}
        self.assert_wrong("S2", "s1 in term 4: s1r0, s1r2")

    def test_different_digests(self) -> None:
        """Replicas that differ after the same index are found (S4)."""
        self.run_.shop()
        self.seen.digests = {("s1", 1024): {"s1r0": "aa", "s1r1": "ab"}}
        self.assert_wrong("S4", "s1 at index 1024: s1r0 has aa, s1r1 has ab")

    def test_feed_differs(self) -> None:
        """A feed's table and a read of the same revision are equal (F3)."""
        self.run_.shop()
        seams: Any = SimpleNamespace(clock=Clock())
        watcher = Watcher("watcher0", seams, self.seen.findings, SHARE)
        self.seen.watchers.append(watcher)
        watcher.states = [(2, {A: (100, 50), B: (100, 50)}), (3, {A: (100, 48)})]
        self.assert_wrong("feeds", "watcher0 shows", "at revision 3")

    def test_never_served_again(self) -> None:
        """What does not come to pass in the end is a violation, unless somebody had no
        patience."""
        self.run_.shop()
        for what in (ending.SERVING, ending.PLACED, ending.CAUGHT_UP):
            self.seen.awaited[what] = None
            self.seen.missing[what] = "s1"
        wrong = self.run_.wrong()
        self.assertEqual(sorted(wrong), ["L1", "S8", "feeds"])
        self.assertIn("not within 60 s: all groups take writes; s1", wrong["L1"][0])
        self.assertEqual(self.status(), 1)

        self.seen.interrupted = True
        self.seen.missing[ending.SERVING] = f"s1, asked with{SHARE.secret}"
        self.assertEqual(self.run_.wrong(), {})
        self.assertEqual(self.status(), 130)
        (note,) = judge(self.seen)["L1"].notes
        self.assertEqual(note, "not within 5 s: all groups take writes; s1, asked with")

    def test_nobody_could_be_asked(self) -> None:
        """Orders that nobody could be asked for are not seen, and yet not all have had
        their answers."""
        self.run_.shop()
        self.seen.orders = {}
        self.seen.awaited[ending.PLACED] = None
        self.seen.missing[ending.PLACED] = "nobody could be asked"
        self.assert_wrong("L1", "no order is pending; nobody could be asked")
        self.assertEqual(self.status(), 1)
        self.assertRegex("\n".join(judge(self.seen).lines()), r"S8 .* not seen  noth")

    def test_wrong_is_seen(self) -> None:
        """Of what is wrong it is not said that nothing was seen."""
        self.run_.shop()
        self.seen.awaited[ending.CAUGHT_UP] = None
        self.seen.missing[ending.CAUGHT_UP] = "watcher0"
        (line,) = [each for each in judge(self.seen).lines() if each[:5] == "feeds"]
        self.assertRegex(line, r"WRONG$")

    def test_not_asked(self) -> None:
        """Of every group it is said how long it gave no answer, or why that is not."""
        self.run_.shop()
        self.seen.groups = ("lb", "s1", "s2", "it")
        self.assertRegex(judge(self.seen)["L1"].looked_at, "it .* s; s2 was not asked$")

    def test_told_to_people(self) -> None:
        """What an operation was is told without quotes and braces of a program."""
        unknown = self.run_.did(USER, "add_to_cart", item=A, quantity=2)
        self.assertEqual(
            str(unknown),
            f"add_to_cart item={A} quantity=2 of {USER} under {USER}-0: unknown [1..]",
        )
        refused = Refused("empty_cart", "It is empty.")
        self.assertEqual(
            str(self.run_.did("", "checkout", refused)),
            "checkout under -1: refused empty_cart [2..3] It is empty.",
        )

    def test_unknown(self) -> None:
        """Of an operation whose outcome is unknown it is not said that nothing was
        done: that was its last sending alone."""
        unknown = self.run_.did(USER, "checkout")
        unknown.refused = Refused("unavailable", "Nothing was done.")
        self.assertEqual(
            told(unknown),
            f"checkout of {USER} under {USER}-0: unknown [1..] sent once, in the end"
            " unavailable",
        )
        self.seen.findings.require("S5 whatever", 0, "before ", unknown)
        self.assertIn("before checkout of", self.run_.wrong()["S5"][0])
        self.assertNotIn("Nothing was done", self.run_.wrong()["S5"][0])

    def test_outage(self) -> None:
        """An outage is no violation, but its length is told, group by group."""
        self.run_.shop()
        look = self.run_.ask(USER, "get_cart")
        self.run_.now += 7
        self.run_.answer(look, {"version": 2, "items": []})
        report = judge(self.seen)
        self.assertTrue(report.clean)
        self.assertIn("s1 7.0 s", report["L1"].looked_at)

    def test_customer_fails(self) -> None:
        """An answer that no customer understands is a violation of its own."""
        self.run_.shop()
        self.seen.failures = ["Traceback\n...\nbuiltins.KeyError: 'version'\n"]
        self.assert_wrong("L1", "KeyError: 'version'")

    def test_customers_checks(self) -> None:
        """What customers themselves find is told with its guarantee."""
        self.run_.shop()
        operation = self.run_.did(USER, "get_cart", {"version": 2, "items": []})
        self.seen.findings.require("K4 a device never sees an older cart", 0, operation)
        self.seen.findings.require("F1 a feed goes on in order", 0, "watcher0")
        self.assertEqual(sorted(self.run_.wrong()), ["S5", "feeds"])
        self.assertEqual(self.seen.findings.violations[0].operations, [operation])

    def test_every_check_has_a_chapter(self) -> None:
        """Whatever check fails, the verdict has a line for it."""
        found = set()
        for folder in ("workload", "tools/live"):
            for path in (Path(cartnet.__path__[0]) / folder).glob("*.py"):
                text = path.read_text()
                found |= set(re.findall(r'"([A-Z]\d+) [A-Za-z][a-z0-9 ]', text))
        self.assertGreater(len(found), 8)
        for name in found:
            self.assertIn(guarantee_of(name), TITLES)


_PRICES = {"total": 100, "lines": [{"item": B, "quantity": 1, "price": 100}]}
