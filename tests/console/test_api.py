"""The API by HTTP: what each route does, what it refuses, what it gives away."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from cartnet.limits import HTTP_BODY_BYTES_MAX, OLD_SESSION_SECONDS_MAX
from tests.console.shopping import (
    HOST,
    OPERATOR_PASSWORD,
    PASSWORD,
    Answer,
    Shopping,
    asset_folder,
)

ANN = {"username": "ann", "password": PASSWORD}


class ApiTestCase(SynchronousTestCase):
    """A site over a shop."""

    def setUp(self) -> None:
        self.shopping = Shopping(asset_folder(Path(self.mktemp())), "let-me-see")
        self.addCleanup(self.shopping.stop)
        self.api = self.shopping.api

    def as_user(self, token: str, method: str, path: str, body: Any = None) -> Answer:
        return self.api(method, path, body, Authorization=f"Bearer {token}")


class AccountTests(ApiTestCase):
    """Accounts and sessions."""

    def test_account(self) -> None:
        """An account is made once; a name that is taken is a conflict."""
        made = self.api("POST", "/accounts", ANN)
        again = self.api("POST", "/accounts", {**ANN, "password": "another one"})

        self.assertEqual(made.status, 201)
        self.assertEqual(made.json, {"user": "ann", "shard": "s1"})
        self.assertEqual(again.refusal, (409, "username_taken"))

    def test_login(self) -> None:
        """A login returns the token and sets it as a cookie that no script can read."""
        self.api("POST", "/accounts", ANN)

        answer = self.api("POST", "/session", ANN)

        token = answer.json["session"]
        self.assertEqual(answer.status, 200)
        self.assertEqual(answer.json["user"], "ann")
        self.assertEqual(
            answer.headers["set-cookie"].lower(),
            f"cartnet_session={token}; path=/; max-age=2592000; httponly;"
            " samesite=strict".lower(),
        )

    def test_login_over_tls(self) -> None:
        """Over TLS the cookie is bound to this host and to TLS."""
        self.api("POST", "/accounts", ANN)

        answer = self.shopping.ask("POST", "/api/v1/session", ANN, secure=True)

        cookie = answer.headers["set-cookie"]
        self.assertTrue(cookie.startswith("__Host-cartnet_session=s1."), cookie)
        self.assertIn("; Secure", cookie)
        self.assertIn("max-age", answer.headers["strict-transport-security"])

    def test_wrong_password(self) -> None:
        """A wrong password and an unknown name get the same answer, and no cookie."""
        self.api("POST", "/accounts", ANN)

        wrong = self.api("POST", "/session", {**ANN, "password": "not her own"})
        unknown = self.api("POST", "/session", {**ANN, "username": "bob"})

        self.assertEqual(wrong.refusal, (401, "unauthenticated"))
        self.assertEqual(wrong.body, unknown.body)
        self.assertEqual(wrong.headers["www-authenticate"], "Bearer")
        self.assertNotIn("set-cookie", wrong.headers)

    def test_too_many_failures(self) -> None:
        """Who tries too often is told how long to wait."""
        self.api("POST", "/accounts", ANN)
        for _ in range(6):
            answer = self.api("POST", "/session", {**ANN, "password": "not her own"})

        self.assertEqual(answer.refusal, (429, "rate_limited"))
        self.assertGreaterEqual(int(answer.headers["retry-after"]), 1)

    def test_whoami(self) -> None:
        """Who one is: by cookie, by token, and nobody without, or with a dead one."""
        token = self.shopping.token()

        by_cookie = self.api("GET", "/session", Cookie=f"cartnet_session={token}")
        by_token = self.as_user(token, "GET", "/session")
        nobody = self.api("GET", "/session")
        dead = self.as_user("s1.dead", "GET", "/session")
        garbled = self.api("GET", "/session", Cookie="cartnet_session=\xe9 ")

        twice = f"cartnet_session={token}; cartnet_session=s1.other"
        first = self.api("GET", "/session", Cookie=twice)

        self.assertEqual(by_cookie.json, {"user": "ann", "shard": "s1"})
        # As at WebSockets: browsers send the most specific one first.
        self.assertEqual(first.json, by_cookie.json)
        self.assertEqual(by_token.json, by_cookie.json)
        for each in (nobody, dead, garbled):
            self.assertEqual((each.status, each.json), (200, {"user": None}))

    def test_logout(self) -> None:
        """A logout ends the session and takes the cookie back."""
        token = self.shopping.token()

        cookie = f"cartnet_session={token}"

        out = self.api("DELETE", "/session", Cookie=cookie)
        after = self.as_user(token, "GET", "/cart")
        again = self.api("DELETE", "/session", Cookie=cookie)

        self.assertEqual((out.status, out.body), (204, b""))
        self.assertIn("cartnet_session=; ", out.headers["set-cookie"])
        self.assertIn("Max-Age=0", out.headers["set-cookie"])
        self.assertEqual(after.refusal, (401, "unauthenticated"))
        self.assertEqual(again.refusal, (401, "unauthenticated"))
        self.assertIn("Max-Age=0", again.headers["set-cookie"])

    def test_logout_by_token(self) -> None:
        """A logout by token takes back the cookie of that session, no other's."""
        one, other = self.shopping.token(), self.shopping.token()

        kept = self.api(
            "DELETE",
            "/session",
            Authorization=f"Bearer {one}",
            Cookie=f"cartnet_session={other}",
        )
        dead = self.api(
            "DELETE",
            "/session",
            Authorization=f"Bearer {one}",
            Cookie=f"cartnet_session={other}",
        )
        own = self.api(
            "DELETE",
            "/session",
            Authorization=f"Bearer {other}",
            Cookie=f"cartnet_session={other}",
        )

        self.assertEqual((kept.status, dead.status, own.status), (204, 401, 204))
        self.assertNotIn("set-cookie", kept.headers)
        self.assertNotIn("set-cookie", dead.headers)
        self.assertIn("Max-Age=0", own.headers["set-cookie"])

    def test_login_ends_the_session_it_came_with(self) -> None:
        """Whoever logs in again has one session, with a token that is new."""
        old = self.shopping.token()

        new = self.api("POST", "/session", ANN, Cookie=f"cartnet_session={old}")

        self.assertNotEqual(new.json["session"], old)
        self.assertEqual(self.as_user(old, "GET", "/cart").status, 401)
        self.assertEqual(self.as_user(new.json["session"], "GET", "/cart").status, 200)

    def test_login_though_the_old_session_stays(self) -> None:
        """A session that cannot be ended soon holds no login up."""
        old = self.shopping.token()
        self.shopping.calls.holds = "logout"
        wire = self.shopping.connect()

        wire.send("POST", "/api/v1/session", ANN, Cookie=f"cartnet_session={old}")
        self.assertFalse(wire.has_answer)
        self.shopping.clock.advance(OLD_SESSION_SECONDS_MAX)

        self.assertEqual(wire.answer().status, 200)

    def test_dead_cookie_at_login(self) -> None:
        """A cookie that is worth nothing keeps nobody from logging in."""
        self.api("POST", "/accounts", ANN)
        for cookie in ("s1.dead", "nonsense", "\xff", "x" * 300):
            given = f"cartnet_session={cookie}"
            answer = self.api("POST", "/session", ANN, Cookie=given)
            self.assertEqual(answer.status, 200, cookie)

    def test_names_are_folded(self) -> None:
        """Look-alikes are one name."""
        self.api("POST", "/accounts", ANN)

        answer = self.api("POST", "/session", {**ANN, "username": "\uff21NN"})

        self.assertEqual(answer.json["user"], "ann")


class CartTests(ApiTestCase):
    """Carts and orders."""

    def setUp(self) -> None:
        super().setUp()
        self.token = self.shopping.token()

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        headers["Authorization"] = f"Bearer {self.token}"
        return self.api(method, path, body, **headers)

    def test_cart(self) -> None:
        """Each change answers with the cart."""
        empty = self.ask("GET", "/cart")
        added = self.ask("POST", "/cart/items", {"item": "A", "quantity": 2})
        more = self.ask("POST", "/cart/items", {"item": "A", "quantity": 1})
        changed = self.ask("PUT", "/cart/items/A", {"quantity": 5})
        removed = self.ask("DELETE", "/cart/items/A")

        self.assertEqual((empty.status, empty.json["items"]), (200, []))
        line = {"item": "A", "name": "Item A", "quantity": 2, "price": 100}
        self.assertEqual((added.status, added.json["items"]), (200, [line]))
        self.assertEqual(more.json["total"], 300)
        self.assertEqual(changed.json["total"], 500)
        self.assertEqual((removed.status, removed.json["items"]), (200, []))

    def test_checkout(self) -> None:
        """A checkout makes an order, which is listed and can be looked at."""
        self.ask("POST", "/cart/items", {"item": "A", "quantity": 2})

        order = self.ask("POST", "/checkout", {"expected_total": 200})
        orders = self.ask("GET", "/orders")
        one = self.ask("GET", f"/orders/{order.json['id']}")

        self.assertEqual((order.status, order.json["status"]), (201, "placed"))
        self.assertEqual(orders.json, {"orders": [order.json], "next": None})
        self.assertEqual(one.json, order.json)

    def test_checkout_needs_no_body(self) -> None:
        """All arguments of a checkout may be left out, and so may the body."""
        self.ask("POST", "/cart/items", {"item": "A", "quantity": 1})

        self.assertEqual(self.ask("POST", "/checkout").status, 201)

    def test_key(self) -> None:
        """The same key has one effect, however often it is sent."""
        self.ask("POST", "/cart/items", {"item": "A", "quantity": 1})

        first = self.ask("POST", "/checkout", {}, Idempotency_Key="my order 1")
        again = self.ask("POST", "/checkout", {}, Idempotency_Key="my order 1")
        other = self.ask("DELETE", "/cart/items/A", Idempotency_Key="my order 1")

        self.assertEqual(again.json, first.json)
        self.assertEqual(other.refusal, (409, "conflict"))

    def test_key_of_an_item_that_is_gone(self) -> None:
        """What a key came to is told though the item is gone, and the inventory too."""
        added = {"item": "C", "quantity": 1}
        missing = {"item": "Z", "quantity": 1}
        self.ask("POST", "/cart/items", added, Idempotency_Key="added")
        self.ask("PUT", "/cart/items/C", {"quantity": 2}, Idempotency_Key="set")
        self.ask("POST", "/cart/items", missing, Idempotency_Key="missing")
        operator = self.shopping.operator()
        self.assertEqual(self.as_user(operator, "DELETE", "/inventory/C").status, 200)
        self.shopping.learn()
        self.shopping.shop.inventory.elect(None)

        first = self.ask("POST", "/cart/items", added, Idempotency_Key="added")
        then = self.ask("PUT", "/cart/items/C", {"quantity": 2}, Idempotency_Key="set")
        third = self.ask("POST", "/cart/items", missing, Idempotency_Key="missing")
        other = self.ask("POST", "/cart/items", missing, Idempotency_Key="added")
        new = self.ask("POST", "/cart/items", added, Idempotency_Key="new")

        line = {"item": "C", "name": None, "quantity": 2, "price": None}
        self.assertEqual((first.status, first.json["items"]), (200, [line]))
        self.assertEqual(then.json, first.json)
        self.assertEqual(third.refusal, (404, "not_found"))
        self.assertEqual(other.refusal, (409, "conflict"))
        self.assertEqual(new.refusal, (503, "unavailable"))

    def test_bad_keys(self) -> None:
        """A key has a form; on reads and at login it is not looked at."""
        for key in ("", "x" * 65, "caf\xe9", "a\tb"):
            answer = self.ask("POST", "/checkout", {}, Idempotency_Key=key)
            self.assertEqual(answer.refusal, (400, "bad_request"), key)
            self.assertEqual(self.ask("GET", "/cart", Idempotency_Key=key).status, 200)
            login = self.api("POST", "/session", ANN, Idempotency_Key=key)
            self.assertEqual(login.status, 200)

    def test_refusals(self) -> None:
        """Refusals of the shop are conflicts, with the details a page needs."""
        empty = self.ask("POST", "/checkout")
        self.ask("POST", "/cart/items", {"item": "A", "quantity": 101})
        short = self.ask("POST", "/checkout")
        self.ask("PUT", "/cart/items/A", {"quantity": 1})
        dearer = self.ask("POST", "/checkout", {"expected_total": 99})
        unknown = self.ask("POST", "/cart/items", {"item": "Z", "quantity": 1})

        self.assertEqual(empty.refusal, (409, "empty_cart"))
        self.assertEqual(short.refusal, (409, "out_of_stock"))
        shortage = {"item": "A", "wanted": 101, "stock": 100}
        self.assertEqual(short.json["error"]["details"], {"shortages": [shortage]})
        self.assertEqual(dearer.refusal, (409, "price_changed"))
        self.assertEqual(dearer.json["error"]["details"]["total"], 100)
        self.assertEqual(unknown.refusal, (404, "not_found"))

    def test_pages_of_orders(self) -> None:
        """Orders come in pages of the size that is asked for."""
        for _ in range(3):
            self.ask("POST", "/cart/items", {"item": "A", "quantity": 1})
            self.ask("POST", "/checkout")

        first = self.ask("GET", "/orders?limit=2").json
        rest = self.ask("GET", f"/orders?limit=2&before={first['next']}").json

        self.assertEqual((len(first["orders"]), len(rest["orders"])), (2, 1))
        self.assertIsNone(rest["next"])

    def test_someone_elses_order(self) -> None:
        """Another user's order is not there."""
        self.ask("POST", "/cart/items", {"item": "A", "quantity": 1})
        order = self.ask("POST", "/checkout").json["id"]

        bob = self.shopping.token("bob")

        answer = self.as_user(bob, "GET", f"/orders/{order}")
        self.assertEqual(answer.refusal, (404, "not_found"))

    def test_stale(self) -> None:
        """A read may be answered without a majority, and says so."""
        self.shopping.shop.shard.elect(None)

        fresh = self.ask("GET", "/cart")
        stale = self.ask("GET", "/inventory?stale=true")

        self.assertEqual(fresh.refusal, (503, "unavailable"))
        self.assertEqual(fresh.headers["retry-after"], "1")
        self.assertIs(stale.json["stale"], True)

    def test_bad_queries(self) -> None:
        """What is unknown, out of form, or there twice in the query is refused."""
        for query in (
            "stale=yes",
            "stale=true&stale=true",
            "limit=0",
            "limit=1001",
            "limit=ten",
            "limit=",
            "limit=1.0",
            f"limit={'9' * 400}",
            "before=",
            "before=%FF",
            "colour=red",
            "%00",
            "limit",
        ):
            answer = self.ask("GET", f"/orders?{query}")
            self.assertEqual(answer.refusal, (400, "bad_request"), query)

    def test_session_of_the_operator(self) -> None:
        """The operator has no cart."""
        answer = self.as_user(self.shopping.operator(), "GET", "/cart")

        self.assertEqual(answer.refusal, (403, "forbidden"))


class OperatorTests(ApiTestCase):
    """What is for the operator alone."""

    def setUp(self) -> None:
        super().setUp()
        self.token = self.shopping.operator()

    def ask(self, method: str, path: str, body: Any = None) -> Answer:
        return self.as_user(self.token, method, path, body)

    def test_inventory(self) -> None:
        """Items are put, removed and reset; anybody may read them."""
        item = {"name": "Müsli <b>", "price": 5, "stock": 6}
        put = self.ask("PUT", "/inventory/new.one", item)
        gone = self.ask("DELETE", "/inventory/A")
        seen = self.api("GET", "/inventory")
        reset = self.ask("POST", "/inventory/reset")

        self.assertEqual(put.status, 200)
        self.assertIn({"id": "new.one", **item}, put.json["items"])
        self.assertEqual(seen.json, gone.json)
        self.assertEqual([each["id"] for each in seen.json["items"]][:2], ["B", "C"])
        self.assertEqual([each["id"] for each in reset.json["items"]], ["A", "B", "C"])

    def test_cluster(self) -> None:
        """The cluster is reported and controlled."""
        report = self.ask("GET", "/cluster")
        killed = self.ask("POST", "/cluster/replicas/s1r0/kill")
        moved = self.ask("POST", "/cluster/groups/s1/transfer", {"to": "s1r1"})
        unknown = self.ask("POST", "/cluster/replicas/s9r9/kill")
        nonsense = self.ask("POST", "/cluster/replicas/s1r0/hug")

        self.assertEqual((report.status, report.json["cluster"]), (200, "test"))
        self.assertEqual(killed.json, {"done": "killed s1r0"})
        self.assertEqual(moved.json, {"done": "transferred s1 to s1r1"})
        self.assertEqual(
            self.shopping.cluster.told, [("kill", "s1r0"), ("transfer s1", "s1r1")]
        )
        self.assertEqual(unknown.refusal, (404, "not_found"))
        self.assertEqual(nonsense.refusal, (400, "bad_request"))

    def test_shoppers(self) -> None:
        """Shoppers and strangers do nothing of all that."""
        ann = self.shopping.token()
        item = {"name": "A", "price": 1, "stock": 1}
        for method, path, body in (
            ("PUT", "/inventory/A", item),
            ("DELETE", "/inventory/A", None),
            ("POST", "/inventory/reset", None),
            ("GET", "/cluster", None),
            ("POST", "/cluster/replicas/s1r0/kill", None),
            ("POST", "/cluster/groups/s1/transfer", {"to": "s1r1"}),
        ):
            shopper = self.as_user(ann, method, path, body)
            stranger = self.api(method, path, body)
            self.assertEqual(shopper.refusal, (403, "forbidden"), path)
            self.assertEqual(stranger.refusal, (401, "unauthenticated"), path)
        self.assertEqual(self.shopping.cluster.told, [])

    def test_without_an_inventory_leader(self) -> None:
        """A session that was seen confirmed goes on looking after the cluster."""
        self.ask("GET", "/cluster")
        self.shopping.shop.inventory.elect(None)

        self.assertEqual(self.ask("GET", "/cluster").status, 200)

    def test_item_in_the_path(self) -> None:
        """An item's id in a path is decoded, and of the same form as elsewhere."""
        item = {"name": "A", "price": 1, "stock": 1}
        good = self.ask("PUT", "/inventory/%41%2D1", item)
        for path in ("a%2Fb", "%00", "%FF", "a%20b", "..%2F", "%3Cb%3E", "x" * 33):
            answer = self.ask("PUT", f"/inventory/{path}", item)
            self.assertEqual(answer.refusal, (400, "bad_request"), path)
        twice = self.ask("PUT", "/inventory/A", {"item": "B", **item})

        self.assertIn("A-1", [each["id"] for each in good.json["items"]])
        self.assertEqual(twice.refusal, (400, "bad_request"))


class BadRequestTests(ApiTestCase):
    """What is out of form is refused as documented, and nothing is done."""

    def setUp(self) -> None:
        super().setUp()
        self.token = self.shopping.token()
        self.shopping.calls.asked.clear()

    def post(self, body: Any, **headers: Any) -> Answer:
        headers.setdefault("Authorization", f"Bearer {self.token}")
        return self.shopping.connect().ask(
            "POST", "/api/v1/cart/items", body, **headers
        )

    def test_bodies(self) -> None:
        """Broken JSON, other JSON, and JSON with too much in it are bad requests."""
        for body in (
            b"{",
            b"[]",
            b"null",
            b'"item"',
            b"\xff",
            b'{"item":"A","quantity":NaN}',
            b'{"item":"A","item":"B","quantity":1}',
            b'{"item":"A","quantity":1,"price":0}',
            b'{"item":"A","quantity":1,"unchecked":true}',
            b'{"item":"A","quantity":"1"}',
            b'{"item":"A","quantity":true}',
            b'{"item":"A","quantity":1.5}',
            b'{"item":"A","quantity":0}',
            b'{"item":"A","quantity":1e300}',
            b'{"item":"A"}',
            b'{"item":"\\ud800","quantity":1}',
            b"[" * 40 + b"]" * 40,
            b'{"item":' * 30_000,
        ):
            answer = self.post(body)
            expected = (413, "too_large") if len(body) > 65536 else (400, "bad_request")
            self.assertEqual(answer.refusal, expected, body[:40])
        cart = self.as_user(self.token, "GET", "/cart")
        self.assertEqual(cart.json["version"], 0)

    def test_whole_numbers(self) -> None:
        """A number without a fraction is an integer, however it is spelt."""
        for quantity in (b"2.0", b"20e-1", b"2"):
            answer = self.post(b'{"item":"A","quantity":%s}' % quantity)
            self.assertEqual(answer.status, 200)
        self.assertEqual(answer.json["items"][0]["quantity"], 6)

    def test_content_types(self) -> None:
        """A body is JSON and says so: no form of another site's page can be one."""
        good = b'{"item":"A","quantity":1}'
        for wrong in (
            None,
            "",
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "application/json; charset=latin-1",
            "application/jsonp",
        ):
            answer = self.post(good, Content_Type=wrong)
            self.assertEqual(answer.refusal, (415, "bad_request"), wrong)
        self.assertEqual(self.shopping.calls.asked, [])
        for right in ("application/json; charset=utf-8", "Application/JSON"):
            self.assertEqual(self.post(good, Content_Type=right).status, 200)

    def test_origins(self) -> None:
        """Another site's page can do nothing, nor can a page of nobody's."""
        good = {"item": "A", "quantity": 1}
        for foreign in (
            "http://evil.example",
            "null",
            f"https://{HOST}",
            "http://shop.example",
            f"http://{HOST}.evil.example",
            "",
        ):
            answer = self.post(good, Origin=foreign)
            self.assertEqual(answer.refusal, (403, "forbidden"), foreign)
        self.assertEqual(self.shopping.calls.asked, [])
        self.assertEqual(self.post(good, Origin=f"http://{HOST}").status, 200)

    def test_forwarded(self) -> None:
        """What a proxy's headers claim counts for nothing."""
        answer = self.post(
            {"item": "A", "quantity": 1},
            Origin="https://evil.example",
            X_Forwarded_Host="evil.example",
            X_Forwarded_Proto="https",
        )

        self.assertEqual(answer.refusal, (403, "forbidden"))

    def test_sessions(self) -> None:
        """Without a session, or with one that is none, nothing is done."""
        good = {"item": "A", "quantity": 1}
        for authorization in (
            None,
            "Bearer",
            "Bearer s1.dead",
            "Bearer s9.dead",
            "Bearer \xff",
            "Basic YTpi",
            f"Bearer {self.token} more",
            "Bearer " + "x" * 300,
        ):
            answer = self.post(good, Authorization=authorization)
            self.assertEqual(answer.refusal, (401, "unauthenticated"), authorization)
            self.assertEqual(answer.headers["www-authenticate"], "Bearer")

    def test_token_in_the_url(self) -> None:
        """A token in the URL, where logs would keep it, is not taken."""
        answer = self.api("GET", f"/cart?session={self.token}")

        self.assertEqual(answer.refusal, (400, "bad_request"))

    def test_body_of_a_read(self) -> None:
        """A body that a route has no use for is refused, not ignored."""
        answer = self.as_user(self.token, "GET", "/cart", {"item": "A"})
        logout = self.as_user(self.token, "DELETE", "/session", {"all": True})

        self.assertEqual(answer.refusal, (400, "bad_request"))
        self.assertEqual(logout.refusal, (400, "bad_request"))

    def test_passwords_are_not_repeated(self) -> None:
        """No error shows the password it is about, nor does the log."""
        secret = "tiny\x01"
        answer = self.api("POST", "/accounts", {**ANN, "password": secret})

        self.assertEqual(answer.refusal, (400, "bad_request"))
        self.assertNotIn(b"tiny", answer.body)
        self.assertNotIn("tiny", self.shopping.logged())
        self.assertNotIn(OPERATOR_PASSWORD, self.shopping.logged())

    def test_our_own_fault(self) -> None:
        """A mistake of ours is told by an id; the log has the rest."""
        self.shopping.calls.broken = True

        answer = self.post({"item": "A", "quantity": 1})

        self.assertEqual(answer.refusal, (500, "internal"))
        details = answer.json["error"]["details"]
        self.assertEqual(details, {"request_id": answer.headers["x-request-id"]})
        self.assertNotIn(b"passwd", answer.body)
        self.assertIn(details["request_id"], self.shopping.logged())
        self.assertIn("passwd", self.shopping.logged())

    def test_large_body(self) -> None:
        """A body of the bound is read; the next byte is too much."""
        fits = b" " * (HTTP_BODY_BYTES_MAX - 2) + b"{}"

        self.assertEqual(self.post(fits).refusal, (400, "bad_request"))
        self.assertEqual(self.post(fits + b" ").refusal, (413, "too_large"))
