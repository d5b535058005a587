"""Items and the operator."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from cartnet.limits import (
    CATALOGUE_ITEMS_MAX,
    ITEM_NAME_BYTES_MAX,
    LINE_BYTES_MAX,
    PRICE_MAX,
    STOCK_MAX,
)
from cartnet.shop import inventory
from cartnet.shop.accounts import UNAUTHENTICATED
from cartnet.shop.answers import (
    Answer,
    Changes,
    Inventory,
    InventoryChanged,
    Item,
)
from cartnet.shop.catalogue import (
    CATALOGUE_FULL,
    INITIAL_ITEMS,
    STOCK_TOO_LARGE,
    STOCK_TOO_SMALL,
)
from cartnet.shop.commands import (
    ChangeStock,
    Command,
    Found,
    PutItem,
    RemoveItem,
    ResetInventory,
    SetStock,
    Take,
    TakeLine,
)
from cartnet.shop.inventory import ITEM_UNKNOWN
from cartnet.shop.keys import CONFLICT
from tests.shop.feeding import inventory as inventory_group


class InventoryCase(SynchronousTestCase):
    """A fresh inventory, and the admin line's way to change it."""

    def setUp(self) -> None:
        self.group = inventory_group()

    def items(self) -> Inventory:
        return self.group.read(inventory.items)

    def stock(self) -> dict[str, int]:
        return {item.id: item.stock for item in self.items().items}

    def changes(self, from_revision: int | None) -> Changes:
        return self.group.read(lambda c: inventory.changes(c, from_revision))

    def put(self, item: str, price: int = 100, stock: int = 1) -> Answer:
        return self.group.do(PutItem(None, None, item, f"Item {item}", price, stock))

    def change(self, item: str, quantity: int) -> Answer:
        return self.group.do(ChangeStock(None, None, item, quantity))

    def remove(self, item: str) -> Answer:
        return self.group.do(RemoveItem(None, None, item))

    def reset(self) -> Answer:
        return self.group.do(ResetInventory(None, None))


class ItemTests(InventoryCase):
    """What there is, and how much of it."""

    def test_fresh(self) -> None:
        """A fresh inventory has A, B and C, 100 each, at 100, 250 and 999 cents."""
        self.assertEqual(
            [(item.id, item.price, item.stock) for item in self.items().items],
            [("A", 100, 100), ("B", 250, 100), ("C", 999, 100)],
        )
        self.assertEqual(self.items().revision, self.group.index)

    def test_founded_once(self) -> None:
        """Founding a group again leaves the inventory as it is."""
        self.change("A", -1)
        before = self.items()

        self.group.do(Found("again"))

        self.assertEqual(self.items(), before)

    def test_put(self) -> None:
        """Putting an item makes it, or sets what is different of it."""
        self.put("D", 5, 7)
        self.put("A", 1, 2)
        answer = self.put("A", 1, 3)

        expected = Inventory(
            self.group.index,
            (
                Item("A", "Item A", 1, 3),
                Item("B", "Item B", 250, 100),
                Item("C", "Item C", 999, 100),
                Item("D", "Item D", 5, 7),
            ),
        )
        self.assertEqual(answer, InventoryChanged(expected.revision))
        self.assertEqual(self.items(), expected)
        self.assertEqual(
            self.group.read(lambda c: inventory.find(c, "D")),
            Item("D", "Item D", 5, 7),
        )

    def test_put_of_the_same(self) -> None:
        """What changes nothing is no change."""
        self.put("D", 5, 7)
        before = self.items()

        self.put("D", 5, 7)
        self.change("D", 0)
        self.group.do(SetStock("D", 7))
        self.reset()
        self.reset()

        after = self.items()
        self.assertEqual(after.items, INITIAL_ITEMS)
        self.assertEqual(after.revision, before.revision + 4)

    def test_change(self) -> None:
        """Stock is changed by an amount, within its bounds, or not at all."""
        self.change("A", -100)
        self.change("B", STOCK_MAX - 100)
        before = self.items()

        self.assertEqual(self.change("A", -1), STOCK_TOO_SMALL)
        self.assertEqual(self.change("B", 1), STOCK_TOO_LARGE)
        self.assertEqual(self.change("Z", 1), ITEM_UNKNOWN)
        self.assertEqual(self.items(), before)
        self.assertEqual(self.stock(), {"A": 0, "B": STOCK_MAX, "C": 100})

    def test_set_stock(self) -> None:
        """The admin line sets the stock of an item that is there."""
        answer = self.group.do(SetStock("A", 5))

        self.assertIsInstance(answer, InventoryChanged)
        self.assertEqual(self.stock()["A"], 5)
        self.assertEqual(self.group.do(SetStock("Z", 5)), ITEM_UNKNOWN)

    def test_remove(self) -> None:
        """A removed item is gone, once, and can be put again."""
        self.remove("B")

        self.assertEqual(self.stock(), {"A": 100, "C": 100})
        self.assertIsNone(self.group.read(lambda c: inventory.find(c, "B")))
        self.assertEqual(self.remove("B"), ITEM_UNKNOWN)
        self.assertEqual(self.remove("Z"), ITEM_UNKNOWN)
        self.assertEqual(self.change("B", 1), ITEM_UNKNOWN)
        self.put("B", 1, 1)
        self.assertEqual(self.stock(), {"A": 100, "B": 1, "C": 100})

    def test_reset(self) -> None:
        """A reset goes back to the first three items; others go."""
        self.put("D")
        self.put("A", 1, 1)
        self.remove("B")
        self.change("C", -50)

        self.reset()

        self.assertEqual(self.items(), Inventory(self.group.index, INITIAL_ITEMS))

    def test_full_catalogue(self) -> None:
        """A full catalogue takes no new item, changes those it has, and fits a line."""
        name = "€" * (ITEM_NAME_BYTES_MAX // 3)
        for number in range(CATALOGUE_ITEMS_MAX - len(INITIAL_ITEMS)):
            self.group.replica.cursor.execute(
                "INSERT INTO items VALUES (?, ?, ?, ?, 0, 1, ?, 0)",
                (f"{number:032}", name, PRICE_MAX, STOCK_MAX, STOCK_MAX),
            )

        self.assertEqual(self.put("D"), CATALOGUE_FULL)
        self.assertIsInstance(self.put("A", 1, 1), InventoryChanged)
        self.remove("B")
        self.assertIsInstance(self.put("D"), InventoryChanged)
        self.assertEqual(self.put("B"), CATALOGUE_FULL)
        self.assertLess(len(msgspec.json.encode(self.items())), LINE_BYTES_MAX)


class ChangesTests(InventoryCase):
    """What a watcher lacks."""

    def test_since(self) -> None:
        """Changes are what has another revision by now, removals among them."""
        start = self.items().revision
        self.put("D", 5, 7)
        self.remove("B")
        middle = self.items().revision
        self.group.do(Take("s1", 1, (TakeLine("A", 3),), None, 0))

        self.assertEqual(
            self.changes(start),
            Changes(
                self.group.index,
                False,
                (Item("A", "Item A", 100, 97), Item("D", "Item D", 5, 7)),
                ("B",),
            ),
        )
        self.assertEqual(
            self.changes(middle),
            Changes(self.group.index, False, (Item("A", "Item A", 100, 97),), ()),
        )
        self.assertEqual(
            self.changes(self.group.index), Changes(self.group.index, False, (), ())
        )

    def test_full(self) -> None:
        """Whoever has nothing, or something from the future, gets everything."""
        self.remove("B")
        everything = Changes(
            self.group.index, True, (INITIAL_ITEMS[0], INITIAL_ITEMS[2]), ()
        )

        self.assertEqual(self.changes(None), everything)
        self.assertEqual(self.changes(self.group.index + 1), everything)
        self.assertEqual(self.changes(-1), everything)

    def test_more_than_a_line_holds(self) -> None:
        """Where more has come and gone than a catalogue holds, all is told anew: what
        is gone stays as rows, and might not fit a line."""
        before = self.items().revision
        for at in range(CATALOGUE_ITEMS_MAX + 1):
            self.put(f"i{at}")
            self.remove(f"i{at}")

        changed = self.changes(before)

        self.assertTrue(changed.full)
        self.assertEqual(changed.items, INITIAL_ITEMS)
        self.assertEqual(changed.removed, ())


class OperatorTests(InventoryCase):
    """Who may change the inventory, and how often."""

    def commands(self, session: str | None, key: str | None) -> list[Command]:
        return [
            PutItem(session, key, "D", "Item D", 1, 1),
            RemoveItem(session, key, "A"),
            ChangeStock(session, key, "A", 1),
            ResetInventory(session, key),
        ]

    def test_needs_the_operators_session(self) -> None:
        """Nobody changes the inventory without the operator's session."""
        before = self.items()

        for command in self.commands("another", "k"):
            self.assertEqual(self.group.do(command), UNAUTHENTICATED)

        self.assertEqual(self.items(), before)

    def test_once_a_key(self) -> None:
        """A repeated change has one effect and answers with the revision as it is."""
        session = self.group.log_in_operator()
        self.group.do(ChangeStock(session, "k1", "A", -10))
        self.group.do(ChangeStock(session, "k2", "A", -5))

        answer = self.group.do(ChangeStock(session, "k1", "A", -10))

        now = self.items()
        self.assertEqual(answer, InventoryChanged(now.revision))
        self.assertEqual(self.stock()["A"], 85)
        for command in self.commands(session, "k1"):
            self.assertEqual(self.group.do(command), CONFLICT)
        self.assertEqual(self.items(), now)

    def test_refusals_are_remembered(self) -> None:
        """A refused change stays refused under its key."""
        session = self.group.log_in_operator()
        command = ChangeStock(session, "k", "A", -101)
        self.assertEqual(self.group.do(command), STOCK_TOO_SMALL)
        self.change("A", 100)

        self.assertEqual(self.group.do(command), STOCK_TOO_SMALL)
        self.assertEqual(self.stock()["A"], 200)

    def test_every_call_has_its_key(self) -> None:
        """Every kind of change is remembered as itself."""
        session = self.group.log_in_operator()
        for number, command in enumerate(self.commands(session, None)):
            keyed = msgspec.structs.replace(command, key=f"k{number}")
            self.group.do(keyed)
            self.put("A", 7, 7)
            before = self.items()

            answer = self.group.do(keyed)

            self.assertEqual(answer, InventoryChanged(before.revision))
            self.assertEqual(self.items(), before)

    def test_read_ahead(self) -> None:
        """Whether a key is remembered can be asked without the log."""
        session = self.group.log_in_operator()
        self.group.do(ChangeStock(session, "k", "A", -10))

        def ask(session: str | None, key: str | None, change: int) -> Answer | None:
            command = ChangeStock(session, key, "A", change)
            return self.group.read(
                lambda c: inventory.remembered(c, command, self.group.time)
            )

        self.assertIsInstance(ask(session, "k", -10), InventoryChanged)
        self.assertEqual(ask(session, "k", -11), CONFLICT)
        self.assertEqual(ask("another", "k", -10), UNAUTHENTICATED)
        self.assertIsNone(ask(session, "new", -10))
        self.assertIsNone(ask(session, None, -10))
        self.assertIsNone(ask(None, None, -10))
