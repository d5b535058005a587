from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from cartnet.calls.router import OPERATOR_CALLS
from cartnet.errors import CODES, Refused
from cartnet.limits import REGISTRATIONS_PER_MINUTE_MAX
from cartnet.replica.ports import Watching
from tests.calls.balancing import CART, ITEMS, Balancing, Visitor, request_for
from tests.client.scripted import error, ok

CART_CALLS = frozenset(
    {"get_cart", "add_to_cart", "set_quantity", "remove_from_cart", "checkout"}
)
ORDER_CALLS = frozenset({"list_orders", "get_order"})
ARGUMENTS: dict[str, dict[str, Any]] = {
    "add_to_cart": {"item": "A", "quantity": 2},
    "set_quantity": {"item": "A", "quantity": 2},
    "remove_from_cart": {"item": "A"},
    "get_order": {"order": "o1"},
    "put_item": {"item": "A", "name": "Apple", "price": 1, "stock": 1},
    "remove_item": {"item": "A"},
    "update_inventory": {"item": "A", "quantity_change": -1},
}
ACCOUNT = {"username": "ann", "password": "a good password"}
ORDER = {"id": "o1", "status": "placed", "lines": [], "total": 0, "placed_at": 1}


def answer_with(body: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    return body


class Routing(SynchronousTestCase):
    """A router among scripted groups."""

    def setUp(self) -> None:
        self.balancing = Balancing()
        self.addCleanup(self.balancing.stop)
        self.ask = self.balancing.ask
        self.shard = self.balancing.shard
        self.directory = self.balancing.directory
        self.inventory = self.balancing.inventory

    def refused(self, call: str, args: Any = None, **fields: Any) -> Refused:
        with self.assertRaises(Refused) as caught:
            self.ask(call, ARGUMENTS.get(call) if args is None else args, **fields)
        refused: Refused = caught.exception
        return refused


class SessionTests(Routing):
    """Whose session it is decides which group is asked."""

    def test_without(self) -> None:
        """What needs a session is unauthenticated without one, and sent nowhere."""
        for call in CART_CALLS | ORDER_CALLS | OPERATOR_CALLS | {"whoami", "logout"}:
            self.assertEqual(self.refused(call).code, "unauthenticated", call)
        self.assertEqual(self.shard.asked_for, [])

    def test_of_no_group(self) -> None:
        """A token that no group gave out is unauthenticated."""
        for token in ("", "s9.token", "lb.token", "S1.token", "."):
            for call in ("get_cart", "put_item", "whoami"):
                code = self.refused(call, session=token).code
                self.assertEqual(code, "unauthenticated")

    def test_operator_has_no_cart(self) -> None:
        """The operator's session is forbidden to use carts and orders."""
        for call in CART_CALLS | ORDER_CALLS:
            code = self.refused(call, session="it.token").code
            self.assertEqual(code, "forbidden", call)

    def test_user_is_no_operator(self) -> None:
        """A user's session is forbidden to change the inventory."""
        for call in OPERATOR_CALLS:
            code = self.refused(call, session="s1.token").code
            self.assertEqual(code, "forbidden", call)
        self.assertEqual(self.inventory.asked_for, [])

    def test_prefix_names_the_group(self) -> None:
        """A token goes to the group that its prefix names, as it is."""
        groups = {
            "s1.token": self.shard,
            "s2.a.b": self.balancing.s2.members[0],
            "it.token": self.inventory,
        }
        for token, member in groups.items():
            member.answer = lambda request: ok(user="ann", shard="s1")
            self.ask("whoami", session=token)
            self.assertEqual(member.asked_for[-1]["session"], token)

    def test_logout(self) -> None:
        """Logging out ends the session where it lives."""
        self.shard.answer = lambda request: ok()

        self.assertEqual(self.ask("logout", session="s1.token"), {})
        self.assertEqual(self.shard.calls, ["logout"])

    @given(st.text(max_size=20), st.sampled_from(sorted(CART_CALLS | OPERATOR_CALLS)))
    @settings(max_examples=50)
    def test_any_token(self, token: str, call: str) -> None:
        """No token whatever makes anything but a refusal, or a call of its group."""
        if token.partition(".")[0] not in {"s1", "s2", "it"}:
            code = self.refused(call, session=token).code
            self.assertEqual(code, "unauthenticated")


class FormTests(Routing):
    """Form is checked before anything is asked."""

    def test_unknown_call(self) -> None:
        """A call that is none of the shop's is a bad request; internal ones too."""
        for call in ("nonsense", "take", "find_item", "supervise", "set_stock"):
            code = self.refused(call, {}, session="s1.token").code
            self.assertEqual(code, "bad_request", call)

    def test_bad_arguments(self) -> None:
        """Arguments out of form are a bad request."""
        for args in (
            {"item": "A", "quantity": 0},
            {"item": "A", "quantity": True},
            {"item": "A"},
            {"item": "A", "quantity": 1, "unchecked": True},
        ):
            code = self.refused("add_to_cart", args, session="s1.token").code
            self.assertEqual(code, "bad_request")


class AccountTests(Routing):
    """Accounts and logins."""

    def home(self, shard: str | None) -> None:
        self.directory.answer = lambda request: ok(shard=shard)

    def test_create(self) -> None:
        """An account is located, then created there under the caller's key."""
        self.home("s1")
        self.shard.answer = lambda request: ok(user="ann", shard="s1")

        answer = self.ask("create_account", ACCOUNT, key="mine")

        self.assertEqual(answer, {"user": "ann", "shard": "s1"})
        self.assertEqual(self.directory.calls, ["assign"])
        self.assertEqual(self.shard.asked_for[0]["key"], "mine")

    def test_create_without_a_key(self) -> None:
        """Without a key the router draws one, so that it can ask again."""
        self.home("s1")
        self.shard.answer = lambda request: ok(user="ann")
        self.ask("create_account", ACCOUNT)
        self.ask("create_account", ACCOUNT)

        first, second = (request["key"] for request in self.shard.asked_for)
        self.assertGreaterEqual(len(first), 32)
        self.assertNotEqual(first, second)

    def test_username_taken(self) -> None:
        """Whether the name is taken is the shard's to say."""
        self.home("s1")
        self.shard.answer = lambda request: error("username_taken")

        self.assertEqual(self.refused("create_account", ACCOUNT).code, "username_taken")

    def test_homes_are_remembered(self) -> None:
        """A name's home is asked for once."""
        self.home("s1")
        self.shard.answer = lambda request: ok(user="ann", session="s1.x")
        self.ask("create_account", ACCOUNT)
        self.ask("login", ACCOUNT)
        self.ask("login", {**ACCOUNT, "username": "ANN"})

        self.assertEqual(self.directory.calls, ["assign"])

    def test_login(self) -> None:
        """A login is answered by the user's shard."""
        self.home("s1")
        self.shard.answer = lambda request: ok(user="ann", session="s1.x")

        answer = self.ask("login", ACCOUNT)

        self.assertEqual(answer, {"user": "ann", "session": "s1.x"})
        self.assertEqual(self.shard.asked_for[0]["args"], ACCOUNT)

    def test_login_of_the_operator(self) -> None:
        """The operator's login is the inventory's to answer."""
        self.inventory.answer = lambda request: ok(user="operator", session="it.x")

        answer = self.ask("login", {**ACCOUNT, "username": "operator"})

        self.assertEqual(answer["session"], "it.x")
        self.assertEqual(self.directory.asked_for, [])

    def test_login_of_nobody(self) -> None:
        """A name that nobody has costs a verification, always at the same shard."""
        self.home(None)
        shards = [self.shard, self.balancing.s2.members[0]]
        for shard in shards:
            shard.answer = lambda request: error("unauthenticated")
        for _ in range(3):
            self.assertEqual(self.refused("login", ACCOUNT).code, "unauthenticated")

        self.assertEqual(sorted(len(shard.asked_for) for shard in shards), [0, 3])
        self.assertEqual(self.directory.calls, ["locate"] * 3)

    def test_registrations_are_limited(self) -> None:
        """One address makes so many accounts a minute; loopback is spared."""
        self.home("s1")
        self.shard.answer = lambda request: ok(user="ann")
        abroad = Visitor("192.0.2.7")
        for _ in range(REGISTRATIONS_PER_MINUTE_MAX):
            self.ask("create_account", ACCOUNT, caller=abroad)

        refused = self.refused("create_account", ACCOUNT, caller=abroad)

        self.assertEqual(refused.code, "rate_limited")
        self.assertGreater(refused.details["retry_after"], 0)
        self.ask("create_account", ACCOUNT, caller=Visitor("192.0.2.8"))
        self.ask("create_account", ACCOUNT)

    def test_directory_down(self) -> None:
        """Without the directory's leader an unknown name cannot log in."""
        self.directory.crash()

        self.assertEqual(self.refused("login", ACCOUNT).code, "unavailable")


class CartTests(Routing):
    """Carts: checked against the catalogue, decorated from it."""

    def setUp(self) -> None:
        super().setUp()
        self.balancing.stock()
        self.inventory.asked_for.clear()
        self.shard.answer = lambda request: ok(**CART)

    def add(self, item: str = "A", **fields: Any) -> Any:
        return self.ask(
            "add_to_cart", {"item": item, "quantity": 2}, session="s1.token", **fields
        )

    def test_decorated(self) -> None:
        """A cart has names, prices and the total of what has a price."""
        answer = self.ask("get_cart", session="s1.token")

        self.assertEqual(
            answer,
            {
                "version": 1,
                "items": [
                    {"item": "A", "name": "Apple", "quantity": 2, "price": 100},
                    {"item": "Z", "name": None, "quantity": 1, "price": None},
                ],
                "total": 200,
                "pending": None,
            },
        )

    def test_stale(self) -> None:
        """A cart read stale is marked."""
        self.shard.answer = lambda request: ok(**CART, stale=request["stale"])

        self.assertIs(
            self.ask("get_cart", session="s1.token", stale=True)["stale"], True
        )

    def test_add_is_one_call(self) -> None:
        """Adding a known item asks nobody but the shard."""
        self.add()

        self.assertEqual(self.shard.calls, ["add_to_cart"])
        self.assertEqual(self.shard.asked_for[0]["args"], {"item": "A", "quantity": 2})
        self.assertEqual(self.inventory.asked_for, [])

    def test_keys(self) -> None:
        """The caller's key goes along; without one each write gets its own."""
        self.add(key="mine")
        self.add()
        self.add()
        keys = [request["key"] for request in self.shard.asked_for]

        self.assertEqual(keys[0], "mine")
        self.assertEqual(len(set(keys)), 3)
        self.assertTrue(all(keys))

    def test_unchecked_item(self) -> None:
        """One that the copy lacks is the shard's to check: its key may be known."""
        for call in ("add_to_cart", "set_quantity"):
            self.ask(call, {"item": "N", "quantity": 2}, session="s1.token", key="k")
            self.assertEqual(
                self.shard.asked_for[-1]["args"],
                {"item": "N", "quantity": 2, "unchecked": True},
            )
            self.assertEqual(self.shard.asked_for[-1]["key"], "k")
        self.assertEqual(self.inventory.asked_for, [])

    def test_inventory_outage(self) -> None:
        """Known items are added, and carts decorated, while the inventory is down."""
        self.inventory.crash()

        self.assertEqual(self.add()["total"], 200)

    def test_remove_needs_no_catalogue(self) -> None:
        """An item is taken out whether or not anyone knows it."""
        self.ask("remove_from_cart", {"item": "N"}, session="s1.token")
        self.ask("set_quantity", {"item": "N", "quantity": 0}, session="s1.token")

        self.assertEqual(self.shard.calls, ["remove_from_cart", "set_quantity"])
        self.assertEqual(self.inventory.asked_for, [])

    def test_checkout_and_orders(self) -> None:
        """Orders come from the shard as they are; a checkout has a key."""
        self.shard.answer = lambda request: ok(**ORDER)

        self.assertEqual(self.ask("checkout", session="s1.token"), ORDER)
        self.assertEqual(
            self.ask("get_order", {"order": "o1"}, session="s1.token"), ORDER
        )
        self.ask("list_orders", {"limit": 5}, session="s1.token")
        keys = [request.get("key") for request in self.shard.asked_for]
        self.assertTrue(keys[0])
        self.assertEqual(keys[1:], [None, None])

    def test_refusals_pass_through(self) -> None:
        """What the shard decided is the caller's answer, details and all."""
        for code in ("out_of_stock", "price_changed", "empty_cart", "conflict"):
            self.shard.answer = partial(answer_with, error(code, total=7))
            refused = self.refused("checkout", session="s1.token")
            self.assertEqual((refused.code, refused.details), (code, {"total": 7}))

    def test_shard_outage(self) -> None:
        """One shard's outage is unavailable, within the time, and its own affair."""
        self.shard.crash()
        started = self.balancing.world.clock.seconds()

        self.assertEqual(
            self.refused("get_cart", session="s1.token").code, "unavailable"
        )
        self.assertLess(self.balancing.world.clock.seconds() - started, 4)
        self.balancing.s2.members[0].answer = lambda request: ok(**CART)
        self.ask("get_cart", session="s2.token")

    @given(st.sampled_from(sorted(CODES)))
    @settings(max_examples=20, deadline=None)
    def test_only_known_codes(self, code: str) -> None:
        """Whatever a shard says, the caller hears of nothing but what it may mean."""
        self.shard.answer = lambda request: error(code)

        heard = self.refused("checkout", session="s1.token").code

        self.assertIn(heard, CODES - {"not_leader", "internal"})


class InventoryTests(Routing):
    """Reading, watching and changing the inventory."""

    def test_read_is_the_leaders(self) -> None:
        """The inventory is read from its leader, whatever the copy says."""
        self.balancing.stock()
        self.inventory.answer = lambda request: ok(revision=9, items=[])

        self.assertEqual(self.ask("get_inventory"), {"revision": 9, "items": []})

    def test_many_reads_at_once(self) -> None:
        """However many look at the inventory at once, it is asked a few times."""
        self.balancing.stock()
        self.inventory.answer = lambda request: ok(revision=9, items=[])
        request = request_for("get_inventory")
        asking = [
            Deferred.fromCoroutine(self.balancing.router.call(request, Visitor()))
            for _ in range(100)
        ]
        self.balancing.world.clock.run_for(1.0)

        for answer in asking:
            found: Any = self.successResultOf(answer)
            self.assertEqual(msgspec.json.decode(found)["revision"], 9)
        self.assertLessEqual(self.inventory.calls.count("get_inventory"), 2)

    def test_stale_read_is_the_copys(self) -> None:
        """A stale read is answered from the copy, and marked, in an outage too."""
        self.balancing.stock(revision=5)
        self.inventory.crash()

        self.assertEqual(
            self.ask("get_inventory", stale=True),
            {"revision": 5, "items": ITEMS, "stale": True},
        )
        self.assertEqual(self.refused("get_inventory").code, "unavailable")

    def test_stale_read_without_a_copy(self) -> None:
        """Without a copy a stale read is any member's."""
        self.inventory.answer = lambda request: ok(revision=1, items=[], stale=True)

        self.assertEqual(self.ask("get_inventory", stale=True)["revision"], 1)

    def changing(self, request: Any) -> Any:
        """Answer as the inventory does."""
        if request["call"] == "get_inventory":
            return ok(revision=6, items=ITEMS)
        return ok(revision=6)

    def test_operator_calls(self) -> None:
        """The operator's changes go to the inventory, each with a key; what it is then
        is read there."""
        self.inventory.answer = self.changing
        for call in sorted(OPERATOR_CALLS):
            answer = self.ask(call, ARGUMENTS.get(call), session="it.token")
            self.assertEqual(answer, {"revision": 6, "items": ITEMS})
            change, read = self.inventory.asked_for[-2:]
            self.assertEqual(change["call"], call)
            self.assertTrue(change["key"])
            self.assertEqual(read["call"], "get_inventory")

    def test_many_changes_at_once(self) -> None:
        """However many changes are made at once, the inventory is read a few times."""
        self.inventory.answer = self.changing
        request = request_for("put_item", ARGUMENTS["put_item"], session="it.token")
        asking = [
            Deferred.fromCoroutine(self.balancing.router.call(request, Visitor()))
            for _ in range(100)
        ]
        self.balancing.world.clock.run_for(1.0)

        for answer in asking:
            self.successResultOf(answer)
        self.assertEqual(self.inventory.calls.count("put_item"), 100)
        self.assertLess(self.inventory.calls.count("get_inventory"), 20)

    def test_change_that_cannot_be_shown(self) -> None:
        """A change that was made is not refused because nothing can be read then."""

        def unreadable(request: Any) -> Any:
            if request["call"] == "get_inventory":
                return error("unavailable")
            return ok(revision=6)

        self.inventory.answer = unreadable
        put = ARGUMENTS["put_item"]

        self.assertEqual(
            self.refused("put_item", put, session="it.token").code, "timeout"
        )

    def test_watch(self) -> None:
        """A watch is served from the copy."""
        self.balancing.stock()

        watching = self.ask("watch_inventory", plain=False)

        self.assertIsInstance(watching, Watching)

    def test_watch_before_there_is_a_copy(self) -> None:
        """Where nothing has been heard of the inventory a watch is unavailable."""
        self.assertEqual(self.refused("watch_inventory").code, "unavailable")

    def test_watch_from_ahead(self) -> None:
        """A watcher that is ahead of the copy has it catch up first."""
        self.balancing.stock(revision=5)
        self.inventory.answer = lambda request: ok(revision=9, items=ITEMS[:1])

        self.ask("watch_inventory", {"from_revision": 8}, plain=False)

        self.assertEqual(self.balancing.catalogue.revision, 9)
        self.assertFalse(self.balancing.catalogue.known("B"))
