from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from cartnet.errors import Refused
from cartnet.limits import (
    CART_LINES_MAX,
    ITEM_NAME_BYTES_MAX,
    PRICE_MAX,
    QUANTITY_MAX,
    STOCK_MAX,
)
from cartnet.shop.commands import TakeLine
from cartnet.wire import arguments
from cartnet.wire.arguments import canonical_username, decode_arguments


def decode(call: str, args: Any, *, trusted: bool = False) -> Any:
    raw = args if isinstance(args, bytes) else json.dumps(args).encode()
    return decode_arguments(call, msgspec.Raw(raw), trusted=trusted)


class GoodArgumentsTests(SynchronousTestCase):
    """Arguments that are in order."""

    def test_every_call(self) -> None:
        """Each call's arguments are taken as they are meant."""
        a = arguments
        good: list[tuple[str, dict[str, Any], Any]] = [
            ("create_account", {"username": "\uff21NN", "password": "p" * 8},
             a.CreateAccount("ann", "p" * 8)),
            ("login", {"username": "operator", "password": "é" * 128},
             a.Login("operator", "é" * 128)),
            ("logout", {}, a.Nothing()),
            ("watch_inventory", {}, a.WatchInventory()),
            ("watch_inventory", {"from_revision": None}, a.WatchInventory()),
            ("watch_inventory", {"from_revision": 0}, a.WatchInventory(0)),
            ("add_to_cart", {"item": "A", "quantity": 1}, a.AddToCart("A", 1)),
            ("add_to_cart", {"item": "a.B_-9" * 5, "quantity": QUANTITY_MAX},
             a.AddToCart("a.B_-9" * 5, QUANTITY_MAX)),
            ("set_quantity", {"item": "A", "quantity": 0}, a.SetQuantity("A", 0)),
            ("remove_from_cart", {"item": "A"}, a.RemoveFromCart("A")),
            ("checkout", {}, a.Checkout()),
            ("checkout", {"expected_total": 0}, a.Checkout(0)),
            ("list_orders", {}, a.ListOrders()),
            ("list_orders", {"limit": 1000, "before": "g-7"},
             a.ListOrders(1000, "g-7")),
            ("get_order", {"order": "g:7"}, a.GetOrder("g:7")),
            ("put_item", {"item": "A", "name": 'Tea: "é"', "price": PRICE_MAX,
                          "stock": STOCK_MAX},
             a.PutItem("A", 'Tea: "é"', PRICE_MAX, STOCK_MAX)),
            ("remove_item", {"item": "A"}, a.RemoveItem("A")),
            ("update_inventory", {"item": "A", "quantity_change": -5},
             a.UpdateInventory("A", -5)),
            ("cancel", {"id": "x"}, a.Cancel("x")),
        ]  # fmt: skip
        for call, args, expected in good:
            self.assertEqual(decode(call, args), expected)
            self.assertIs(type(decode(call, args)), type(expected))

    def test_replicas_calls(self) -> None:
        """What replicas alone may ask comes out as it went in."""
        lines = (TakeLine("A", 1), TakeLine("B", 2))
        for call, args in [
            ("locate", arguments.Locate("ann")),
            ("assign", arguments.Assign("ann")),
            ("find_item", arguments.FindItem("A")),
            ("set_stock", arguments.SetStock("A", 0)),
            ("take", arguments.Take("g", 7, lines, 6)),
            ("take", arguments.Take("g", 7, lines, 6, 350)),
            ("supervise", arguments.Supervise("kill", "s1r0")),
            ("add_to_cart", arguments.AddToCart("A", 1, unchecked=True)),
        ]:
            raw = msgspec.json.encode(args)
            self.assertEqual(decode(call, raw, trusted=True), args)
            code = "bad_request" if call == "add_to_cart" else "forbidden"
            with self.assertRaises(Refused) as raised:
                decode(call, raw)
            self.assertEqual(raised.exception.code, code)


class BadArgumentsTests(SynchronousTestCase):
    """Arguments that are not."""

    def assert_bad(self, call: str, args: Any, message: str) -> None:
        with self.assertRaises(Refused) as raised:
            decode(call, args)
        self.assertEqual(raised.exception.code, "bad_request")
        self.assertEqual(raised.exception.message, message)

    def test_quantities(self) -> None:
        """A quantity that is none is named, shown, and told what would be right."""
        should = "quantity must be an integer from 1 to 1000000, not "
        for quantity, shown in [
            ("0", "0"), ("-1", "-1"), ("1000001", "1000001"), ("1" + "0" * 12, None),
            ("1.5", "1.5"), ("1.0", "1.0"), ("true", "true"), ('"2"', '"2"'),
            ("null", "null"), ("[]", "a list"), ('{"a":1}', "an object"),
        ]:  # fmt: skip
            args = f'{{"item":"A","quantity":{quantity}}}'.encode()
            self.assert_bad("add_to_cart", args, should + (shown or quantity))
        for quantity in ["9" * 17, "9" * 30, "-" + "9" * 5_000]:
            args = f'{{"item":"A","quantity":{quantity}}}'.encode()
            with self.assertRaises(Refused) as raised:
                decode("add_to_cart", args)
            self.assertEqual(raised.exception.code, "bad_request")

    def test_every_integer_is_bounded(self) -> None:
        """No integer argument takes a boolean, a fraction, a string or too much."""
        cases: list[tuple[str, dict[str, Any], str]] = [
            ("set_quantity", {"item": "A"}, "quantity"),
            ("update_inventory", {"item": "A"}, "quantity_change"),
            ("put_item", {"item": "A", "name": "n", "stock": 1}, "price"),
            ("put_item", {"item": "A", "name": "n", "price": 1}, "stock"),
            ("checkout", {}, "expected_total"),
            ("list_orders", {}, "limit"),
            ("watch_inventory", {}, "from_revision"),
        ]
        for call, args, name in cases:
            for wrong in [True, 1.0, "1", 2**63, -(2**63), [], 10**30]:
                with self.assertRaises(Refused) as raised:
                    decode(call, {**args, name: wrong})
                self.assertEqual(raised.exception.code, "bad_request")

    def test_names_and_shape(self) -> None:
        """A call, an argument or a key that is wrong is named."""
        item = "1 to 32 characters of A-Z a-z 0-9 . _ -"
        quantity = "an integer from 1 to 1000000"
        for call, args, message in [
            ("nothing", {}, 'there is no call "nothing"'),
            ("ping", {"a": 1}, 'ping has no argument "a"; it takes: none'),
            ("ping", [], "args must be an object, not a list"),
            ("ping", b"null", "args must be an object, not null"),
            ("add_to_cart", {"item": "A"},
             f"quantity is missing; it must be {quantity}"),
            ("add_to_cart", {"item": "A", "quantity": 1, "price": 5},
             'add_to_cart has no argument "price"; it takes: item, quantity'),
            ("add_to_cart", {"item": "A", "quantity": 1, "unchecked": False},
             'add_to_cart has no argument "unchecked"; it takes: item, quantity'),
            ("add_to_cart", b'{"item":"A","quantity":1,"quantity":2}',
             'the key "quantity" stands twice in one object'),
            ("remove_item", {"item": ""}, f'item must be {item}, not ""'),
            ("remove_item", {"item": "A\n"}, f'item must be {item}, not "A\\n"'),
            ("remove_item", {"item": "A" * 33},
             f'item must be {item}, not "{"A" * 33}"'),
            ("remove_item", {"item": 5}, f"item must be {item}, not 5"),
            ("get_order", {"order": ""}, 'order must be an order\'s id, not ""'),
        ]:  # fmt: skip
            self.assert_bad(call, args, message)

    def test_item_names(self) -> None:
        """A name is short, short as JSON too, and holds no control character."""
        rest = {"item": "A", "price": 1, "stock": 1}
        longest = "é" * ((ITEM_NAME_BYTES_MAX - 2) // 2)
        decode("put_item", {**rest, "name": longest})
        decode("put_item", {**rest, "name": "שלום \u200f👩\u200d👧"})
        for name in ["", "x" * 101, longest + "x", '"' * 75, "a\tb", "a\x7f", "a\x85"]:
            with self.assertRaises(Refused) as raised:
                decode("put_item", {**rest, "name": name})
            self.assertIn("name must be", raised.exception.message)

    def test_passwords_are_never_shown(self) -> None:
        """A password's length is refused without a word of what it was."""
        for password in ["hunter2", "x" * 129, 12345678, ["hunter22"]]:
            self.assert_bad(
                "login",
                {"username": "ann", "password": password},
                "password must be a string of 8 to 128 characters",
            )
        for call in ["login", "create_account"]:
            with self.assertRaises(Refused) as raised:
                decode(call, {"username": "a b", "password": "hunter22"})
            self.assertNotIn("hunter", raised.exception.message)

    def test_operator_is_reserved(self) -> None:
        """Nobody creates the operator, in whatever letters."""
        for username in ["operator", "OPERATOR", "\uff4fperator"]:
            self.assert_bad(
                "create_account",
                {"username": username, "password": "hunter22"},
                "username must not be operator, which is reserved",
            )

    def test_lines_of_a_take(self) -> None:
        """A checkout of another shard is held to the forms of items and quantities."""
        for line in [{"item": "A", "quantity": 0}, {"item": "", "quantity": 1}]:
            args = {"group_id": "g", "index": 7, "lines": [line], "finished": 6}
            with self.assertRaises(Refused):
                decode("take", args, trusted=True)

    def test_takes_that_no_machine_could_apply(self) -> None:
        """What every replica would stop at never gets into the log."""
        line = {"item": "A", "quantity": 1}
        many = [{"item": f"i{at}", "quantity": 1} for at in range(CART_LINES_MAX + 1)]
        for lines in ([], [line, line], many):
            args = {"group_id": "g", "index": 7, "finished": 6, "lines": lines}
            with self.assertRaises(Refused) as raised:
                decode("take", args, trusted=True)
            self.assertEqual(raised.exception.code, "bad_request")

    def test_tables_of_calls(self) -> None:
        """What may be stale is a call."""
        calls = {**arguments.CALLS, **arguments.TRUSTED_CALLS}
        self.assertLessEqual(arguments.READS, calls.keys())


class UsernameTests(SynchronousTestCase):
    """Look-alikes meet in one name."""

    def test_look_alikes(self) -> None:
        """Width, case, ligatures and signs fold together."""
        for text, folded in [
            ("Ann", "ann"), ("\uff21\uff2e\uff2e", "ann"), ("\u017fam", "sam"),
            ("ﬁn", "fin"), ("K", "k"), ("Straße", "strasse"), ("a.b_c-9", "a.b_c-9"),
            ("²", "2"),
        ]:  # fmt: skip
            self.assertEqual(canonical_username(text), folded)

    def test_what_is_no_username(self) -> None:
        """Other alphabets, accents, spaces and lengths are refused."""
        for text in [
            "",
            "a b",
            "\u0430nn",
            "é",
            "a\n",
            "a" * 65,
            "ß" * 33,
            "\ufdfa",
            "a/b",
        ]:
            self.assertRaises(ValueError, canonical_username, text)

    @given(st.text(max_size=70))
    def test_folding_is_final(self, text: str) -> None:
        """A name that was folded is its own folding."""
        try:
            folded = canonical_username(text)
        except ValueError:
            return
        self.assertEqual(canonical_username(folded), folded)
        self.assertRegex(folded, r"\A[a-z0-9._-]{1,64}\Z")
