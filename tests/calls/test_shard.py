from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from cartnet.errors import Refused
from cartnet.limits import (
    LOGIN_FAILURES_FREE,
    SETTLEMENT_RETRY_SECONDS_MAX,
    SURVEY_SECONDS,
)
from cartnet.shop.carts import read
from cartnet.shop.commands import FinishCheckout, OutOfStock
from cartnet.shop.group import group_id
from tests.calls.shop import REQUEST_TIMEOUT, STRANGER, Shop

LEADER, FOLLOWER = "s1r0", "s1r1"
ADA = {"username": "ada", "password": "correct horse"}


class ShardTestCase(SynchronousTestCase):
    """A shop that is open."""

    def setUp(self) -> None:
        self.shop = Shop().open()

    def tearDown(self) -> None:
        self.shop.stop()
        self.assertEqual(self.shop.broken, [])
        self.assertEqual(self.shop.clock.getDelayedCalls(), [])

    def ok(self, call: str, args: Any = None, to: str = LEADER, **fields: Any) -> Any:
        return self.successResultOf(self.shop.send(to, call, args, **fields))

    def refused(
        self, call: str, args: Any = None, to: str = LEADER, **fields: Any
    ) -> Refused:
        sent = self.shop.send(to, call, args, **fields)
        refused = self.failureResultOf(sent, Refused).value
        assert isinstance(refused, Refused)
        return refused

    def login(self, username: str = "ada") -> str:
        credentials = {**ADA, "username": username}
        self.ok("create_account", credentials, key="k")
        token = self.ok("login", credentials)["session"]
        assert isinstance(token, str)
        return token

    def restock(self, item: str, stock: int) -> None:
        self.ok("set_stock", {"item": item, "stock": stock}, to="it0")


class AccountTests(ShardTestCase):
    """Accounts and sessions."""

    def test_create_log_in_and_out(self) -> None:
        """An account's owner gets a session, and it ends when he says so."""
        made = self.ok("create_account", ADA)
        self.assertEqual(made, {"user": "ada", "shard": "s1"})
        login = self.ok("login", ADA)
        session = login["session"]
        self.assertEqual(login["user"], "ada")
        self.assertRegex(session, r"^s1\.[A-Za-z0-9_-]{43}$")
        who = self.ok("whoami", session=session, caller=STRANGER)
        self.assertEqual(who, {"user": "ada", "shard": "s1"})

        self.assertEqual(self.ok("logout", session=session, caller=STRANGER), {})

        self.assertEqual(
            self.refused("whoami", session=session).code, "unauthenticated"
        )
        self.assertEqual(
            self.refused("logout", session=session).code, "unauthenticated"
        )

    def test_secrets_stay_out_of_the_log(self) -> None:
        """The log holds no password and no token, in clear or in a fast hash."""
        session = self.login()

        log = b"\n".join(self.shop.shard.entries).decode()

        self.assertNotIn(ADA["password"], log)
        self.assertNotIn(session, log)
        self.assertNotIn(session.partition(".")[2], log)

    def test_only_through_balancers(self) -> None:
        """Strangers neither make accounts nor log in here."""
        for call in ("create_account", "login"):
            self.assertEqual(self.refused(call, ADA, caller=STRANGER).code, "forbidden")

    def test_taken(self) -> None:
        """A name is given once, whatever password and key come with it."""
        self.ok("create_account", ADA, key="k")

        for key in (None, "other"):
            refused = self.refused("create_account", ADA, key=key)
            self.assertEqual(refused.code, "username_taken")

    def test_created_again(self) -> None:
        """The same key and password find out that it was done; another password not."""
        made = self.ok("create_account", ADA, key="k")

        self.assertEqual(self.ok("create_account", ADA, key="k"), made)
        other = {**ADA, "password": "another one"}
        self.assertEqual(
            self.refused("create_account", other, key="k").code, "conflict"
        )

    def test_created_twice_at_once(self) -> None:
        """Of two that find the name free, the log's first has it."""
        self.shop.shard.holds = True
        first = self.shop.send(LEADER, "create_account", ADA, key="k")
        again = self.shop.send(LEADER, "create_account", ADA, key="k")
        other = self.shop.send(LEADER, "create_account", ADA, key="other")

        self.shop.shard.commit()

        self.assertEqual(self.successResultOf(first), self.successResultOf(again))
        refused = self.failureResultOf(other, Refused).value
        self.assertEqual(refused.code, "username_taken")

    def test_unknown_user_and_wrong_password_are_alike(self) -> None:
        """Nobody learns from a login which names there are: same words, same work."""
        self.ok("create_account", ADA)
        self.shop.hasher.verified.clear()

        wrong = self.refused("login", {**ADA, "password": "wrong password"})
        unknown = self.refused("login", {**ADA, "username": "nobody"})

        self.assertEqual(
            (wrong.code, wrong.message, wrong.details),
            (unknown.code, unknown.message, unknown.details),
        )
        self.assertEqual(wrong.code, "unauthenticated")
        self.assertEqual(len(self.shop.hasher.verified), 2)

    def test_guessing_is_slowed_down(self) -> None:
        """After five failures the right password waits too, known name or not."""
        self.ok("create_account", ADA)
        for username in ("ada", "nobody"):
            credentials = {"username": username, "password": "wrong password"}
            for _ in range(LOGIN_FAILURES_FREE):
                self.refused("login", credentials)
            refused = self.refused("login", {**ADA, "username": username})
            self.assertEqual(refused.code, "rate_limited")
            self.assertEqual(refused.details, {"retry_after": 1})

        self.shop.clock.advance(1)

        self.ok("login", ADA)

    def test_sessions_of_other_groups(self) -> None:
        """A token that is another group's, or nobody's, is no session here."""
        token = self.login()
        for session in (
            None,
            "",
            "it." + token[3:],
            "s1.",
            token[3:],
            "s1." + "x" * 43,
        ):
            refused = self.refused("get_cart", session=session)
            self.assertEqual(refused.code, "unauthenticated")

    def test_followers_send_on(self) -> None:
        """A follower says where the leader is, for reads and writes alike."""
        session = self.login()
        for call in ("whoami", "get_cart", "logout"):
            refused = self.refused(call, session=session, to=FOLLOWER)
            self.assertEqual(refused.code, "not_leader")
            self.assertEqual(refused.details, {"leader": "127.0.0.1:5005"})

    def test_other_groups_calls(self) -> None:
        """What another kind of group answers is a bad request here."""
        for call in ("get_inventory", "locate", "nonsense"):
            self.assertEqual(self.refused(call).code, "bad_request")


class CartTests(ShardTestCase):
    """Carts."""

    def setUp(self) -> None:
        super().setUp()
        self.session = self.login()

    def test_a_cart(self) -> None:
        """Adding accumulates, setting sets, removing removes; versions count."""
        added = {"item": "A", "quantity": 2}
        self.ok("add_to_cart", added, session=self.session)
        cart = self.ok("add_to_cart", added, session=self.session, caller=STRANGER)
        self.assertEqual(
            cart,
            {"version": 2, "items": [{"item": "A", "quantity": 4}], "pending": None},
        )

        self.ok("set_quantity", {"item": "B", "quantity": 3}, session=self.session)
        cart = self.ok("remove_from_cart", {"item": "A"}, session=self.session)

        self.assertEqual(cart["items"], [{"item": "B", "quantity": 3}])
        self.assertEqual(self.ok("get_cart", session=self.session), cart)

    def test_once_per_key(self) -> None:
        """A key's call has one effect, and is told from another's."""
        for _ in range(3):
            cart = self.ok(
                "add_to_cart",
                {"item": "A", "quantity": 2},
                session=self.session,
                key="k",
            )
        self.assertEqual(cart["items"], [{"item": "A", "quantity": 2}])

        other = {"item": "A", "quantity": 3}
        refused = self.refused("add_to_cart", other, session=self.session, key="k")
        self.assertEqual(refused.code, "conflict")

    def test_no_quantity_mints_stock(self) -> None:
        """A quantity that is not a positive integer reaches no log."""
        entries = len(self.shop.shard.entries)
        for quantity in (-1, 0, 1.5, True, "2", None, 10**12, 2**53):
            args = {"item": "A", "quantity": quantity}
            refused = self.refused("add_to_cart", args, session=self.session)
            self.assertEqual(refused.code, "bad_request")
            self.assertIn("quantity", refused.message)
        self.assertEqual(len(self.shop.shard.entries), entries)

    def test_unchecked_items(self) -> None:
        """The inventory is asked for them; what it has not is not found. Only balancers
        may have that done."""
        for call in ("add_to_cart", "set_quantity"):
            unknown = {"item": "Z", "quantity": 1, "unchecked": True}
            known = {**unknown, "item": "A"}
            refused = self.refused(call, unknown, session=self.session)
            self.assertEqual(refused.code, "not_found")
            cart = self.ok(call, known, session=self.session)
            self.assertEqual([line["item"] for line in cart["items"]], ["A"])

            refused = self.refused(call, known, session=self.session, caller=STRANGER)
            self.assertEqual(refused.code, "bad_request")

    def test_unchecked_in_vain(self) -> None:
        """What the inventory cannot be asked for is not added, and not remembered."""
        args = {"item": "A", "quantity": 1, "unchecked": True}
        self.shop.inventory_down = True
        refused = self.refused("add_to_cart", args, session=self.session, key="k")
        self.assertEqual(refused.code, "unavailable")
        self.shop.inventory_down = False

        cart = self.ok("add_to_cart", args, session=self.session, key="k")

        self.assertEqual(cart["items"], [{"item": "A", "quantity": 1}])

    def test_unchecked_again(self) -> None:
        """A key that is remembered needs no inventory, and a session still counts."""
        args = {"item": "A", "quantity": 1}
        unknown = {"item": "Z", "quantity": 1, "unchecked": True}
        cart = self.ok("add_to_cart", args, session=self.session, key="1")
        self.refused("add_to_cart", unknown, session=self.session, key="2")
        self.shop.inventory_down = True
        entries = len(self.shop.shard.entries)

        again = {**args, "unchecked": True}
        self.assertEqual(
            self.ok("add_to_cart", again, session=self.session, key="1"), cart
        )
        for given, key, code in (
            (unknown, "2", "not_found"),
            (again, "2", "conflict"),
            ({**again, "quantity": 2}, "1", "conflict"),
        ):
            refused = self.refused("add_to_cart", given, session=self.session, key=key)
            self.assertEqual(refused.code, code)
        self.assertEqual(len(self.shop.shard.entries), entries)
        self.ok("logout", session=self.session)
        refused = self.refused("add_to_cart", again, session=self.session, key="1")
        self.assertEqual(refused.code, "unauthenticated")

    def test_stale(self) -> None:
        """A follower shows a cart to who does not mind, and says that it may be old."""
        self.ok("add_to_cart", {"item": "A", "quantity": 2}, session=self.session)

        cart = self.ok("get_cart", session=self.session, stale=True, to=FOLLOWER)

        self.assertEqual(cart["items"], [{"item": "A", "quantity": 2}])
        self.assertIs(cart["stale"], True)
        who = self.ok("whoami", session=self.session, stale=True, to=FOLLOWER)
        self.assertEqual(who, {"user": "ada", "shard": "s1", "stale": True})

    def test_without_an_answer(self) -> None:
        """A write that is not applied in time is a timeout, and may be done later."""
        self.shop.shard.holds = True
        sent = self.shop.send(
            LEADER, "add_to_cart", {"item": "A", "quantity": 2}, session=self.session
        )

        self.shop.clock.advance(REQUEST_TIMEOUT)

        self.assertEqual(self.failureResultOf(sent, Refused).value.code, "timeout")
        self.shop.shard.holds = False
        self.shop.shard.commit()
        cart = self.shop.shard.query(lambda cursor: read(cursor, "ada"))
        self.assertEqual(cart.version, 1)


class CheckoutTests(ShardTestCase):
    """Checkouts, as their callers see them."""

    def setUp(self) -> None:
        super().setUp()
        self.session = self.login()
        self.fill(self.session)

    def fill(self, session: str, item: str = "A", quantity: int = 2) -> None:
        args = {"item": item, "quantity": quantity}
        self.ok("add_to_cart", args, session=session)

    def check_out(self, key: str | None = "k", **args: Any) -> Deferred[Any]:
        return self.shop.send(LEADER, "checkout", args, session=self.session, key=key)

    def test_an_order(self) -> None:
        """A checkout answers with its order, which stays to be looked at."""
        order = self.successResultOf(self.check_out(expected_total=200))

        self.assertEqual(order["status"], "placed")
        self.assertEqual(order["total"], 200)
        self.assertEqual(
            order["lines"],
            [{"item": "A", "name": "Item A", "quantity": 2, "price": 100}],
        )
        self.assertEqual(self.ok("get_cart", session=self.session)["items"], [])
        listed = self.ok("list_orders", session=self.session)
        self.assertEqual(listed, {"orders": [order], "next": None})
        shown = self.ok("get_order", {"order": order["id"]}, session=self.session)
        self.assertEqual(shown, order)

    def test_others_orders(self) -> None:
        """Another user's order is not found."""
        order = self.successResultOf(self.check_out())
        session = self.login("eve")

        refused = self.refused("get_order", {"order": order["id"]}, session=session)

        self.assertEqual(refused.code, "not_found")
        self.assertEqual(self.ok("list_orders", session=session)["orders"], [])

    def test_refusals(self) -> None:
        """What stands against it is said in detail, and the cart is as it was."""
        self.restock("A", 1)
        refused = self.failureResultOf(self.check_out(), Refused).value
        self.assertEqual(refused.code, "out_of_stock")
        shortages = [{"item": "A", "wanted": 2, "stock": 1}]
        self.assertEqual(refused.details, {"shortages": shortages})
        self.restock("A", 100)

        dear = self.check_out(key="other", expected_total=199)
        refused = self.failureResultOf(dear, Refused).value

        self.assertEqual(refused.code, "price_changed")
        self.assertEqual(refused.details["total"], 200)
        self.assertEqual(len(refused.details["lines"]), 1)
        cart = self.ok("get_cart", session=self.session)
        self.assertEqual(cart["items"], [{"item": "A", "quantity": 2}])
        self.assertIsNone(cart["pending"])

    def test_remembered(self) -> None:
        """A key's order or refusal is answered whatever is the case by now."""
        self.restock("A", 1)
        first = self.failureResultOf(self.check_out(key="1"), Refused).value
        self.restock("A", 100)
        order = self.successResultOf(self.check_out(key="2"))
        self.shop.inventory_down = True

        again = self.failureResultOf(self.check_out(key="1"), Refused).value

        self.assertEqual((again.code, again.details), (first.code, first.details))
        self.assertEqual(self.successResultOf(self.check_out(key="2")), order)
        other = self.check_out(key="2", expected_total=7)
        self.assertEqual(self.failureResultOf(other, Refused).value.code, "conflict")

    def test_empty(self) -> None:
        """An empty cart is no order."""
        self.successResultOf(self.check_out())

        refused = self.failureResultOf(self.check_out(key="next"), Refused).value

        self.assertEqual(refused.code, "empty_cart")

    def test_inventory_outage(self) -> None:
        """Without an inventory no checkout begins, and the cart stays free."""
        self.shop.inventory_down = True

        refused = self.failureResultOf(self.check_out(), Refused).value

        self.assertEqual(refused.code, "unavailable")
        self.fill(self.session, quantity=1)
        self.shop.inventory_down = False
        self.assertEqual(self.successResultOf(self.check_out())["total"], 300)

    def test_undecided(self) -> None:
        """A checkout whose take is lost is a timeout; its key finds out, and joins."""
        self.shop.takes_lost = True
        sent = self.check_out()
        self.shop.clock.advance(REQUEST_TIMEOUT)
        self.assertEqual(self.failureResultOf(sent, Refused).value.code, "timeout")
        cart = self.ok("get_cart", session=self.session)
        self.assertEqual(cart["items"], [{"item": "A", "quantity": 2}])
        pending = self.ok("get_order", {"order": cart["pending"]}, session=self.session)
        self.assertEqual(
            (pending["status"], pending["total"], pending["placed_at"]),
            ("pending", None, None),
        )
        joined = self.check_out()
        self.assertNoResult(joined)

        self.shop.takes_lost = False
        self.shop.clock.advance(SETTLEMENT_RETRY_SECONDS_MAX)

        order = self.successResultOf(joined)
        self.assertEqual(order["id"], pending["id"])
        self.assertEqual(
            self.ok("list_orders", session=self.session)["orders"], [order]
        )

    def test_number_of_another_order(self) -> None:
        """Where the inventory has decided another order of this number, as for a shard
        that was put back to an old copy, that one order waits; all others go on."""
        take = {
            "group_id": self.shop.shard.query(group_id),
            "lines": [{"item": "C", "quantity": 1}],
            "expected_total": None,
            "finished": 0,
        }
        self.ok("add_to_cart", {"item": "A", "quantity": 1}, session=self.session)
        take["index"] = len(self.shop.shard.entries) + 1
        self.ok("take", take, to="it0")

        waiting = self.shop.send(LEADER, "checkout", session=self.session)
        self.shop.clock.pump([SETTLEMENT_RETRY_SECONDS_MAX] * 10)

        self.assertEqual(self.failureResultOf(waiting, Refused).value.code, "timeout")
        self.assertIsNotNone(self.ok("get_cart", session=self.session)["pending"])
        other = self.login("bob")
        self.ok("add_to_cart", {"item": "A", "quantity": 1}, session=other)
        self.assertEqual(self.ok("checkout", session=other)["status"], "placed")

    def test_writes_wait_for_a_frozen_cart(self) -> None:
        """While a checkout is undecided writes wait, then go on by themselves."""
        self.shop.takes_lost = True
        self.check_out().addErrback(lambda failure: failure.trap(Refused))
        adding = self.shop.send(
            LEADER, "add_to_cart", {"item": "B", "quantity": 1}, session=self.session
        )
        self.shop.clock.advance(REQUEST_TIMEOUT / 2)
        self.assertNoResult(adding)
        following = self.shop.send(LEADER, "checkout", session=self.session, key="2")

        self.shop.takes_lost = False
        self.shop.clock.advance(REQUEST_TIMEOUT / 2 - 0.01)
        self.shop.clock.advance(0.02)
        self.assertEqual(
            self.failureResultOf(adding, Refused).value.code, "unavailable"
        )
        self.shop.clock.advance(SETTLEMENT_RETRY_SECONDS_MAX)

        refused = self.failureResultOf(following, Refused).value
        self.assertEqual(refused.code, "empty_cart")
        self.assertEqual(self.ok("get_cart", session=self.session)["items"], [])

    def test_a_waiting_write_is_done(self) -> None:
        """A write that met a frozen cart is done once the checkout is over."""
        self.restock("A", 0)
        self.shop.takes_lost = True
        checkout = self.check_out()
        checkout.addErrback(lambda failure: failure.trap(Refused))
        self.shop.clock.advance(REQUEST_TIMEOUT - 0.5)
        adding = self.shop.send(
            LEADER,
            "add_to_cart",
            {"item": "B", "quantity": 1},
            session=self.session,
            key="add",
        )
        self.assertNoResult(adding)

        self.shop.takes_lost = False
        self.shop.clock.pump([0.5, SETTLEMENT_RETRY_SECONDS_MAX])

        items = self.successResultOf(adding)["items"]
        self.assertEqual([line["item"] for line in items], ["A", "B"])

    def test_a_deposed_leader(self) -> None:
        """Who waits at a deposed leader is told what is known: unknown, or not done."""
        self.shop.takes_lost = True
        checkout = self.check_out()
        adding = self.shop.send(
            LEADER, "add_to_cart", {"item": "B", "quantity": 1}, session=self.session
        )

        self.shop.shard.elect(FOLLOWER)

        self.assertEqual(self.failureResultOf(checkout, Refused).value.code, "timeout")
        refused = self.failureResultOf(adding, Refused).value
        self.assertEqual(refused.code, "not_leader")
        self.shop.takes_lost = False
        self.shop.clock.pump([REQUEST_TIMEOUT, SETTLEMENT_RETRY_SECONDS_MAX])
        order = self.ok("checkout", session=self.session, key="k", to=FOLLOWER)
        self.assertEqual(order["status"], "placed")

    def test_begun_without_an_answer(self) -> None:
        """A checkout whose begin was answered too late is finished all the same."""
        self.shop.shard.answers_lost = 1
        sent = self.check_out()

        self.shop.clock.pump([SURVEY_SECONDS, REQUEST_TIMEOUT])

        self.assertEqual(self.failureResultOf(sent, Refused).value.code, "timeout")
        self.assertEqual(self.successResultOf(self.check_out())["status"], "placed")

    def test_finished_elsewhere_and_unreadable(self) -> None:
        """A checkout that another leader has finished, where it cannot be read how, is
        a timeout: it was begun."""
        for hindrance in ("no majority", "logged out"):
            with self.subTest(hindrance):
                joined = self._finished_elsewhere(hindrance)
                self.assertEqual(
                    self.failureResultOf(joined, Refused).value.code, "timeout"
                )

    def _finished_elsewhere(self, hindrance: str) -> Deferred[Any]:
        """Join a checkout that another leader finishes meanwhile, and forgets."""
        session, leader = self.login(hindrance[:2]), self.shop.shard.members[LEADER]
        self.fill(session, "A", 1)
        self.shop.takes_lost = True
        first = self.shop.send(LEADER, "checkout", session=session, key="k")
        first.addErrback(lambda failure: failure.trap(Refused))
        self.shop.clock.advance(REQUEST_TIMEOUT / 2)
        joined = self.shop.send(LEADER, "checkout", session=session, key="k")
        order = self.ok("get_cart", session=session)["pending"]
        group_id, _, index = order.rpartition("-")

        leader.propose(FinishCheckout(order, OutOfStock(())))
        later = {"index": int(index) + 1, "finished": int(index)}
        lines = [{"item": "A", "quantity": 1}]
        self.ok("take", {"group_id": group_id, "lines": lines, **later}, to="it0")
        self.shop.takes_lost = False
        if hindrance == "logged out":
            self.ok("logout", session=session)
        else:
            leader.reads_refused = Refused("unavailable", hindrance)
        self.assertNoResult(joined)
        self.shop.clock.pump([REQUEST_TIMEOUT / 2, SETTLEMENT_RETRY_SECONDS_MAX])
        leader.reads_refused = None
        return joined

    def test_the_last_item(self) -> None:
        """Fifty race for the last item: one order, forty-nine refusals, carts kept."""
        self.restock("C", 1)
        sessions = [self.login(f"user{number}") for number in range(50)]
        for session in sessions:
            self.fill(session, "C", 1)
        self.shop.shard.holds = self.shop.inventory.holds = True
        sent = [
            self.shop.send(LEADER, "checkout", session=session, key="race")
            for session in sessions
        ]

        for _ in range(3):
            self.shop.shard.commit()
            self.shop.inventory.commit()
            self.shop.shard.commit()

        outcomes: list[Any] = []
        for checkout in sent:
            checkout.addBoth(outcomes.append)
        self.assertEqual(len(outcomes), 50)
        self.assertEqual(sum(isinstance(outcome, dict) for outcome in outcomes), 1)
        refused = [
            outcome.value for outcome in outcomes if not isinstance(outcome, dict)
        ]
        self.assertEqual({refusal.code for refusal in refused}, {"out_of_stock"})
        self.shop.shard.holds = self.shop.inventory.holds = False
        carts = [self.ok("get_cart", session=session)["items"] for session in sessions]
        self.assertEqual(carts.count([{"item": "C", "quantity": 1}]), 49)
        stock = {item["id"]: item["stock"] for item in self._items()}
        self.assertEqual(stock["C"], 0)

    def _items(self) -> Any:
        return self.ok("get_inventory", to="it0")["items"]

    def test_stopped(self) -> None:
        """A replica that stops leaves nothing behind."""
        self.shop.takes_lost = True
        checkout = self.check_out()

        self.shop.stop()

        self.assertEqual(self.failureResultOf(checkout, Refused).value.code, "timeout")
        self.assertEqual(self.shop.clock.getDelayedCalls(), [])
