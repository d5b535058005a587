from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from cartnet.errors import Refused
from cartnet.limits import DUTY_RETRY_SECONDS_MAX
from cartnet.replica.ports import Watching
from cartnet.shop import accounts
from cartnet.shop.machine import group_id
from tests.calls.shop import REQUEST_TIMEOUT, STRANGER, Shop

LEADER, FOLLOWER = "it0", "it1"
PASSWORD = "operator's own"
ITEM = {"item": "D", "name": "Dates", "price": 5, "stock": 7}
OPERATOR_CALLS: dict[str, dict[str, Any]] = {
    "put_item": ITEM,
    "remove_item": {"item": "A"},
    "update_inventory": {"item": "A", "quantity_change": -1},
    "reset_inventory": {},
    "set_stock": {"item": "A", "stock": 1},
}
TAKE = {
    "group_id": "shard",
    "index": 7,
    "lines": [{"item": "A", "quantity": 2}],
    "expected_total": None,
    "finished": 0,
}


class Threads:
    """What is done in threads is done at once, and heard of later.

    :ivar waiting: what nobody has heard of yet, and who will.
    """

    def __init__(self) -> None:
        self.waiting: list[tuple[Deferred[Any], Any]] = []

    def __call__(
        self, function: Callable[..., Any], *args: Any, **kw: Any
    ) -> Deferred[Any]:
        heard: Deferred[Any] = Deferred()
        self.waiting.append((heard, function(*args, **kw)))
        return heard

    def finish(self) -> None:
        """Tell of the first one."""
        heard, result = self.waiting.pop(0)
        heard.callback(result)


class InventoryTestCase(SynchronousTestCase):
    """An inventory that is open."""

    operator_password: str | None = PASSWORD

    def setUp(self) -> None:
        self.shop = Shop(self.operator_password).open()

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

    def login(self, password: str = PASSWORD) -> str:
        credentials = {"username": "operator", "password": password}
        token = self.ok("login", credentials)["session"]
        assert isinstance(token, str)
        return token

    def stock(self) -> dict[str, int]:
        items = self.ok("get_inventory")["items"]
        return {item["id"]: item["stock"] for item in items}


class ItemTests(InventoryTestCase):
    """What there is, and who may change it."""

    def test_what_there_is(self) -> None:
        """Anyone sees the items, by id, with their revision."""
        inventory = self.ok("get_inventory", caller=STRANGER)

        self.assertEqual(
            [(item["id"], item["price"], item["stock"]) for item in inventory["items"]],
            [("A", 100, 100), ("B", 250, 100), ("C", 999, 100)],
        )
        self.assertGreater(inventory["revision"], 0)
        stale = self.ok("get_inventory", to=FOLLOWER, stale=True, caller=STRANGER)
        self.assertEqual(stale, {**inventory, "stale": True})
        refused = self.refused("get_inventory", to=FOLLOWER, caller=STRANGER)
        self.assertEqual(refused.details, {"leader": "127.0.0.1:5005"})

    def test_nobody_else_changes_stock(self) -> None:
        """No stranger changes anything, with whatever session."""
        entries = len(self.shop.inventory.entries)
        sessions = (None, "it." + "x" * 43, self.login())
        entries += 1  # the login's

        for call, args in (*OPERATOR_CALLS.items(), ("take", TAKE)):
            for session in sessions:
                refused = self.refused(call, args, session=session, caller=STRANGER)
                self.assertEqual(refused.code, "forbidden", call)

        self.assertEqual(len(self.shop.inventory.entries), entries)

    def test_balancers_pass_on_no_one_elses_session(self) -> None:
        """What needs the operator's session takes no other, and not none."""
        for call in ("put_item", "remove_item", "update_inventory"):
            for session in (None, "s1." + "x" * 43, "it." + "x" * 43):
                refused = self.refused(call, OPERATOR_CALLS[call], session=session)
                self.assertEqual(refused.code, "unauthenticated")
        refused = self.refused("reset_inventory", session="it." + "x" * 43)
        self.assertEqual(refused.code, "unauthenticated")
        self.assertEqual(self.stock(), {"A": 100, "B": 100, "C": 100})

    def test_the_operator(self) -> None:
        """The operator puts, changes, removes and resets; each is a new revision."""
        session = self.login()
        put = self.ok("put_item", ITEM, session=session)
        inventory = self.ok("get_inventory")
        self.assertEqual(put, {"revision": inventory["revision"]})
        self.assertEqual(
            inventory["items"][3],
            {"id": "D", "name": "Dates", "price": 5, "stock": 7},
        )
        change = {"item": "A", "quantity_change": -40}
        self.ok("update_inventory", change, session=session)
        self.ok("remove_item", {"item": "B"}, session=session)
        self.assertEqual(self.stock(), {"A": 60, "C": 100, "D": 7})

        below = {"item": "A", "quantity_change": -61}
        refused = self.refused("update_inventory", below, session=session)
        self.assertEqual(refused.code, "conflict")

        reset = self.ok("reset_inventory", session=session)
        self.assertGreater(reset["revision"], put["revision"])
        self.assertEqual(self.stock(), {"A": 100, "B": 100, "C": 100})

    def test_once_per_key(self) -> None:
        """The operator's keys work as users' do."""
        session = self.login()
        change = {"item": "A", "quantity_change": -40}

        for _ in range(3):
            self.ok("update_inventory", change, session=session, key="k")

        self.assertEqual(self.stock()["A"], 60)

    def test_the_admin_line(self) -> None:
        """The admin line sets stock and resets without a session."""
        self.ok("set_stock", {"item": "A", "stock": 5})
        self.assertEqual(self.stock()["A"], 5)

        self.ok("reset_inventory")

        self.assertEqual(self.stock()["A"], 100)
        refused = self.refused("set_stock", {"item": "Z", "stock": 5})
        self.assertEqual(refused.code, "not_found")

    def test_find_item(self) -> None:
        """A replica asks about one item, and the leader answers."""
        found = self.ok("find_item", {"item": "A"})
        self.assertEqual(found["item"]["price"], 100)
        self.assertEqual(self.ok("find_item", {"item": "Z"}), {"item": None})
        refused = self.refused("find_item", {"item": "A"}, to=FOLLOWER)
        self.assertEqual(refused.code, "not_leader")

    def test_take(self) -> None:
        """A shard's take is decided once, however often it comes."""
        for _ in range(3):
            decision = self.ok("take", TAKE)
            self.assertEqual((decision["type"], decision["total"]), ("taken", 200))
        self.assertEqual(self.stock()["A"], 98)

        for lines in ([{"item": "A", "quantity": -5}], [{"item": "A", "quantity": 0}]):
            refused = self.refused("take", {**TAKE, "index": 8, "lines": lines})
            self.assertEqual(refused.code, "bad_request")
        self.assertEqual(self.stock()["A"], 98)

    def test_conservation(self) -> None:
        """The leader tells the cluster's own whether stock is conserved, at any time
        of its office and of another's."""
        for index in range(3):
            self.ok("take", {**TAKE, "index": 10 + index})
            balance = self.ok("conservation")
            self.assertEqual((balance["conserved"], balance["items"]), (True, 3))
            revision = self.ok("get_inventory")["revision"]
            self.assertEqual(balance["revision"], revision)
        self.assertEqual(self.refused("conservation", to=FOLLOWER).code, "not_leader")
        self.assertEqual(
            self.refused("conservation", caller=STRANGER).code, "forbidden"
        )

        self.shop.inventory.elect(FOLLOWER)

        self.assertTrue(self.ok("conservation", to=FOLLOWER)["conserved"])

    def test_watch(self) -> None:
        """Anyone watches, at any replica."""
        events: list[Any] = []

        class Sink:
            writable = True

            def send(self, event: bytes) -> None:
                events.append(msgspec.json.decode(event))

            def end(self, refused: Refused) -> None: ...

        watching = self.ok("watch_inventory", to=FOLLOWER, caller=STRANGER)
        assert isinstance(watching, Watching)
        subscription = watching.subscribe(Sink())
        self.shop.clock.advance(0.1)

        self.ok("set_stock", {"item": "A", "stock": 5})
        self.shop.clock.advance(0.1)

        self.assertEqual([event["full"] for event in events], [True, False])
        self.assertEqual(events[1]["items"][0]["stock"], 5)
        subscription.cancel()


class OperatorTests(InventoryTestCase):
    """The operator's account."""

    operator_password = None

    def _kept(self) -> str:
        [password] = self.shop.operator_passwords
        return password

    def test_made_once(self) -> None:
        """The first leader makes a password, tells it once, and it works."""
        self.assertEqual(len(self._kept()), 20)
        session = self.login(self._kept())

        who = self.ok("whoami", session=session)
        self.assertEqual(who, {"user": "operator", "shard": None})
        self.ok("logout", session=session)
        self.assertEqual(
            self.refused("whoami", session=session).code, "unauthenticated"
        )
        self.shop.inventory.elect(FOLLOWER)
        self.assertEqual(len(self.shop.operator_passwords), 1)

    def test_not_in_the_log(self) -> None:
        """The made password stands in no log."""
        log = b"\n".join(self.shop.inventory.entries).decode()

        self.assertNotIn(self._kept(), log)

    def test_guessing_is_slowed_down(self) -> None:
        """The operator's password is guarded as users' are."""
        wrong = {"username": "operator", "password": "wrong password"}
        codes = [self.refused("login", wrong).code for _ in range(6)]

        self.assertEqual(codes, ["unauthenticated"] * 5 + ["rate_limited"])


class FormingTests(InventoryTestCase):
    """The first leader of a group, and what may come in between."""

    operator_password = None

    def setUp(self) -> None:
        self.shop = Shop(self.operator_password)

    def test_the_group_gets_an_id(self) -> None:
        """Each group draws one id, which no later leader changes."""
        self.shop.open()
        ids = {self.shop.inventory.query(group_id), self.shop.shard.query(group_id)}
        self.assertEqual(len(ids - {None}), 2)

        self.shop.inventory.elect("it2")
        self.shop.shard.elect("s1r2")

        again = {self.shop.inventory.query(group_id), self.shop.shard.query(group_id)}
        self.assertEqual(again, ids)

    def test_a_lost_answer(self) -> None:
        """Who made the password tells it, though the answer was lost."""
        self.shop.inventory.answers_lost = 2
        self.shop.open()
        self.shop.clock.pump([REQUEST_TIMEOUT, DUTY_RETRY_SECONDS_MAX] * 3)

        [password] = self.shop.operator_passwords
        self.login(password)

    def test_deposed_before_the_answer(self) -> None:
        """A leader that is deposed before its password is applied tells it still."""
        self.shop.inventory.holds = True
        self.shop.inventory.elect("it0")
        self.shop.inventory.commit()
        self.assertEqual(len(self.shop.inventory.waiting), 1)
        self.shop.inventory.members["it0"].notice()

        self.shop.inventory.commit()

        self.assertEqual(len(self.shop.operator_passwords), 1)

    def test_another_leader_was_first(self) -> None:
        """Of two leaders that each made a password, the applied one's is told."""
        self.shop.inventory.holds = True
        self.shop.inventory.elect("it0")
        self.shop.inventory.commit()
        self.shop.inventory.lose()

        self.shop.inventory.elect("it1")
        self.shop.inventory.commit()

        [password] = self.shop.operator_passwords
        self.shop.inventory.holds = False
        credentials = {"username": "operator", "password": password}
        self.ok("login", credentials, to="it1")

    def test_crash_before_the_answer(self) -> None:
        """A password that was applied when its replica had died is told by its next
        incarnation, whoever leads then."""
        self.shop.inventory.holds = True
        self.shop.inventory.elect("it0")
        dead = self.shop.inventory.members["it0"]
        dead.lagging = True
        self.shop.inventory.commit()
        self.assertEqual(self.shop.operator_passwords, [])
        self.shop.inventory.holds = False
        self.shop.inventory.leader = None
        self.shop.inventory.elect("it1")

        self.shop.restart("it0")
        dead.catch_up()

        [password] = self.shop.operator_passwords
        credentials = {"username": "operator", "password": password}
        self.ok("login", credentials, to="it1")

    def test_crash_before_the_proposal(self) -> None:
        """A password that another replica's came before is never told."""
        self.shop.inventory.holds = True
        self.shop.inventory.elect("it0")
        self.shop.inventory.lose()
        self.shop.restart("it0")
        self.shop.inventory.holds = False
        self.shop.inventory.leader = None

        self.shop.inventory.elect("it1")
        self.shop.inventory.elect("it0")

        self.assertEqual(len(self.shop.operator_passwords), 1)
        self.assertIsNone(self.shop.first_passwords["it0"].proposed())

    def test_crash_of_the_first_leader(self) -> None:
        """A replica that leads again after a crash proposes the password it made."""
        self.shop.inventory.holds = True
        self.shop.inventory.elect("it0")
        made = self.shop.first_passwords["it0"].proposed()
        self.shop.inventory.lose()
        self.shop.restart("it0")
        self.shop.inventory.holds = False
        self.shop.inventory.leader = None

        self.shop.inventory.elect("it0")

        self.assertEqual(self.shop.operator_passwords, [made])

    def test_not_served_before(self) -> None:
        """Once the inventory is served its operator's password has been told."""
        self.shop.inventory.holds = True
        self.shop.inventory.elect("it0")
        refused = self.refused("get_inventory")
        self.assertEqual(refused.code, "unavailable")
        self.assertEqual(self.shop.operator_passwords, [])

        self.shop.inventory.commit()

        self.assertEqual(len(self.shop.operator_passwords), 1)
        self.assertEqual(self.refused("get_inventory").code, "unavailable")
        self.shop.inventory.commit()
        self.ok("get_inventory")

    def test_a_late_look(self) -> None:
        """A look at the disk that comes back after a password was made does not have it
        forgotten, whichever of the first looks that is."""
        for late in range(len(self._with_threads()[1].waiting)):
            shop, threads = self._with_threads()
            looks = len(threads.waiting)
            threads.waiting.append(threads.waiting.pop(late))
            for _ in range(looks):
                threads.finish()
            while threads.waiting:
                threads.finish()
            self.assertEqual(len(shop.operator_passwords), 1, late)

    def _with_threads(self) -> tuple[Shop, Threads]:
        """A shop whose inventory has just got its first leader."""
        threads = Threads()
        shop = Shop(None, threads)
        self.addCleanup(shop.stop)
        shop.inventory.elect("it0")
        return shop, threads

    def test_a_disk_that_refuses(self) -> None:
        """What cannot be written down is not proposed; it is tried again."""
        first = self.shop.first_passwords["it0"]
        first.refused = OSError(28, "No space left on device")
        self.shop.open()
        self.assertEqual(self.shop.inventory.entries, [b"null"])

        first.refused = None
        self.shop.clock.advance(DUTY_RETRY_SECONDS_MAX)

        self.assertEqual(len(self.shop.operator_passwords), 1)

    def test_configured(self) -> None:
        """A configured password is taken, and told to nobody."""
        self.shop = Shop(PASSWORD).open()

        self.login()

        self.assertEqual(self.shop.operator_passwords, [])

    def test_no_account_yet(self) -> None:
        """Before there is an operator, nobody is one, and no password is wrong."""
        self.shop.inventory.holds = True
        self.shop.inventory.elect("it0")
        account = self.shop.inventory.query(
            lambda cursor: accounts.find(cursor, accounts.OPERATOR)
        )
        self.assertIsNone(account)

        credentials = {"username": "operator", "password": PASSWORD}
        self.assertEqual(self.refused("login", credentials).code, "unavailable")
