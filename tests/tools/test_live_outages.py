"""For how long groups answer nobody, and whose silence a wait is."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from typing_extensions import override

from cartnet.tools.live.judge import judge
from cartnet.tools.live.outages import Outages
from cartnet.workload.history import Operation
from tests.tools.live_runs import SHARE, USER, A, HandmadeRun

CART = {"version": 9, "items": []}
ITEMS: dict[str, Any] = {"revision": 9, "items": []}
OTHER = f"{SHARE.prefix}user1"


class OutageTests(SynchronousTestCase):
    """Customers ask from second 1 on, in the order of the test's lines."""

    @override
    def setUp(self) -> None:
        self.run_ = HandmadeRun()
        self.run_.shop()
        self.seen = self.run_.seen
        self.seen.groups = ("lb", "s1", "s2", "it")
        account = {"username": OTHER, "password": SHARE.password("user1.0")}
        made = {"user": OTHER, "shard": "s2"}
        self.run_.did(OTHER, "create_account", made, **account)
        self.at(1)
        self.quiet = Outages(self.seen).longest

    def at(self, second: float) -> None:
        self.run_.now = self.seen.began + second

    def ask(self, user: str, call: str, at: float, **args: Any) -> Operation:
        self.at(at)
        return self.run_.ask(user, call, **args)

    def answer(self, at: float, *operations: Operation) -> None:
        self.at(at)
        for each in operations:
            self.run_.answer(each, {**CART, **ITEMS})

    def assert_silent(self, **seconds: float) -> None:
        """Those groups were silent so long, and others as little as before."""
        told = Outages(self.seen).longest
        self.assertEqual(set(told), set(self.quiet))
        for group, (length, _) in told.items():
            expected = seconds.get(group, self.quiet[group][0])
            self.assertAlmostEqual(length, expected, msg=group)

    def test_nobody_waits(self) -> None:
        """Whom nobody asks owes no answer."""
        self.answer(9.1, self.ask(USER, "get_cart", 9))
        self.assert_silent()

    def test_from_a_call_on(self) -> None:
        """A silence lasts from the first of those who wait to the next answer, and who
        gives up in between does not end it."""
        look = self.ask("", "get_inventory", 2)
        self.at(3)
        self.run_.history.end(look, "nothing")
        again = self.ask("", "get_inventory", 3.1)
        for second in range(3, 6):
            self.answer(second + 0.3, self.ask(USER, "get_cart", second + 0.2))
        self.answer(6, again)
        self.assert_silent(it=4.0, lb=1.3)
        _, since = Outages(self.seen).longest["it"]
        self.assertAlmostEqual(since, self.seen.began + 2)

    def test_after_shopping(self) -> None:
        """It goes on until the group answers, though customers were told to stop."""
        look = self.ask("", "get_inventory", 9.5)
        self.answer(9.9, self.ask(OTHER, "get_cart", 9.8))
        self.answer(11.1, self.ask(USER, "get_cart", 11))
        self.answer(24, look)
        self.assertGreater(self.run_.now, self.seen.stopped)
        self.assert_silent(it=14.5, lb=0.4)

    def test_silent_to_the_end(self) -> None:
        """Who answers nobody any more has been silent until all was over."""
        self.ask("", "get_inventory", 9.5)
        for second in range(10, 70):
            self.answer(second + 0.1, self.ask(USER, "get_cart", second))
        self.assert_silent(it=59.6, lb=0.6)

    def test_of_another(self) -> None:
        """Who waits for the inventory, too, does not charge shards and balancers with
        that, neither which began to wait later nor which wait just as long."""
        buys = self.ask(OTHER, "checkout", 2)
        looks = self.ask("", "get_inventory", 2.1)
        changes = self.ask("operator", "update_inventory", 2.2, item=A)
        self.answer(3, self.ask(USER, "get_cart", 2.9))
        self.answer(14, self.ask(USER, "checkout", 3.1), buys, looks, changes)
        self.assert_silent(it=12.0, lb=1.0)

    def test_of_the_group_too(self) -> None:
        """From when somebody waits for a shard alone it is charged."""
        looks = self.ask("", "get_inventory", 2)
        buys, shows = self.ask(USER, "checkout", 2.1), self.ask(USER, "get_cart", 2.2)
        self.answer(2.4, self.ask(OTHER, "get_cart", 2.3))
        self.answer(6, looks, buys, shows)
        self.assert_silent(it=4.0, s1=3.8, lb=3.6)

    def test_of_the_balancers(self) -> None:
        """Where all wait for nothing in common but the balancers, it is they."""
        waiting = [
            self.ask("", "get_inventory", 2),
            self.ask(USER, "get_cart", 2.1),
            self.ask(OTHER, "get_cart", 2.2),
        ]
        self.answer(8, *waiting)
        self.assert_silent(lb=6.0)

    def test_not_asked(self) -> None:
        """Of a group that nobody asked no time is told."""
        self.seen.groups = ("lb", "s1", "s2", "s3", "it")
        self.assertRegex(judge(self.seen)["L1"].looked_at, "it .* s; s3 was not asked$")
        self.assertNotIn("s3", Outages(self.seen).longest)

    def test_shard_not_known(self) -> None:
        """Who never heard on which shard an account was to be may have waited for any:
        none that gave no answer is said not to have been asked."""
        self.seen.groups = ("lb", "s1", "s2", "s3", "it")
        for number in range(3):
            name = f"{OTHER}{number}"
            args = {"username": name, "password": SHARE.password(name)}
            self.ask(name, "create_account", 2 + number, **args)
        told = judge(self.seen)["L1"].looked_at
        self.assertRegex(told, "s3 gave no answer, and 3 calls waited for a")
