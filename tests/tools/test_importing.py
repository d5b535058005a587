"""A catalogue on its way into the inventory."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from cartnet.limits import IMPORT_ATTEMPTS_MAX, IMPORT_WINDOW_ITEMS
from cartnet.tools import balancer as connection
from cartnet.tools.catalogue import Item
from cartnet.tools.failure import ToolError
from cartnet.tools.importing import PAUSE_SECONDS, Import
from tests.tools.balancers import Balancer, Shop, error

ANSWER_SECONDS_MAX = 30.0
"""A test that waits for longer has failed."""


def items(count: int) -> list[Item]:
    return [Item(at + 2, f"I{at}", f"Item {at}", at, 10) for at in range(count)]


class ImportTests(SynchronousTestCase):
    """Putting items, over real sockets."""

    def setUp(self) -> None:
        self.paused: list[float] = []
        self.progress: list[int] = []

    def run_with(self, addresses: Sequence[str], password: str) -> Import:
        return Import(
            addresses=addresses,
            password=password,
            run_id="0f",
            connect=lambda address: connection.Balancer(address, ANSWER_SECONDS_MAX),
            progress=self.progress.append,
            pause=self.paused.append,
        )

    def put(self, shop: Shop, count: int, password: str = "correct horse") -> Import:
        with Balancer(shop) as balancer:
            run = self.run_with([balancer.address], password)
            run.put(items(count))
        return run

    def test_all_items_in_windows(self) -> None:
        """Every item is put once, under a key of its own, some at a time."""
        shop = Shop()
        count = IMPORT_WINDOW_ITEMS + 3

        run = self.put(shop, count)

        self.assertEqual((run.done, run.revision), (count, count))
        self.assertEqual(len(set(shop.keys)), count)
        self.assertEqual(self.progress, [IMPORT_WINDOW_ITEMS, count])
        self.assertEqual(
            shop.items["I1"], {"item": "I1", "name": "Item 1", "price": 1, "stock": 10}
        )

    def test_lost_connection(self) -> None:
        """What a lost connection leaves unknown is sent again under the same key."""
        shop = Shop(None)

        with Balancer(shop) as balancer:
            self.run_with([balancer.address], "correct horse").put(items(1))

        puts = [each for each in balancer.requests if each["call"] == "put_item"]
        self.assertEqual([put["key"] for put in puts], ["import-0f-2", "import-0f-2"])
        self.assertEqual(self.paused, [PAUSE_SECONDS])

    def test_dead_balancer(self) -> None:
        """Where one balancer is dead the next one is asked."""
        with Balancer(Shop()) as dead:
            pass
        shop = Shop()

        with Balancer(shop) as balancer:
            run = self.run_with([dead.address, balancer.address], "correct horse")
            run.put(items(2))

        self.assertEqual(run.done, 2)

    def test_passing_refusals(self) -> None:
        """What was refused for now is tried again, not before it was told to."""
        shop = Shop(error("unavailable"), error("rate_limited", retry_after=7))

        run = self.put(shop, 2)

        self.assertEqual(sorted(shop.items), ["I0", "I1"])
        self.assertEqual(run.done, 2)

    def test_told_to_wait(self) -> None:
        """A refusal that says when to come again is obeyed."""
        self.put(Shop(error("rate_limited", retry_after=7)), 1)

        self.assertEqual(self.paused, [7.0, PAUSE_SECONDS])

    def test_refused_item(self) -> None:
        """An item that the inventory refuses ends the import, by its line."""
        with self.assertRaises(ToolError) as raised:
            self.put(Shop(error("too_large")), 1)

        self.assertEqual(
            str(raised.exception),
            "line 2, item I0: it is too_large; 0 of 1 items were imported",
        )

    def test_wrong_password(self) -> None:
        """A wrong password is not tried twice."""
        with self.assertRaisesRegex(ToolError, "the operator's password is refused"):
            self.put(Shop(), 1, password="wrong")
        self.assertEqual(self.paused, [])

    def test_gives_up(self) -> None:
        """Without any progress it ends, and says how far it came."""
        shop = Shop(*[error("unavailable")] * IMPORT_ATTEMPTS_MAX)

        with self.assertRaisesRegex(ToolError, "0 of 1 items were imported"):
            self.put(shop, 1)

        self.assertEqual(len(self.paused), IMPORT_ATTEMPTS_MAX - 1)

    def test_no_balancer(self) -> None:
        """What answers in another language is not taken for a balancer."""
        with (
            Balancer(lambda request: {"error": "what?"}) as stranger,
            self.assertRaisesRegex(ToolError, "what answered is no balancer"),
        ):
            self.run_with([stranger.address], "x").put(items(1))
