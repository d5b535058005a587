"""Lines that nobody should send, over a real socket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from cartnet.limits import LINE_BYTES_MAX
from tests.system.clusters import Cluster, running
from tests.system.customers import Customer
from tests.system.lines import Line, Lost, Refused

SMALL = {"lb": 1, "s1": 3, "it": 1}


def asks(call: str, args: Any, **fields: Any) -> bytes:
    return json.dumps({"id": 7, "call": call, "args": args, **fields}).encode()


BAD_QUANTITIES: list[Any] = [-1, 1.5, True, "2", 10**12, 10**30, None, [1], {}]

BAD_LINES: list[tuple[bytes, int | None]] = [
    (b'{"id": 7, "call": "get_inventory', None),
    (b"", None),
    (b"\x00\xff\xfe nonsense", None),
    (b"[1, 2]", None),
    (b"7", None),
    (b"null", None),
    (b'{"call": "ping"}', None),
    (b'{"id": null, "call": "ping"}', None),
    (b'{"id": 1.5, "call": "ping"}', None),
    (b'{"id": true, "call": "ping"}', None),
    (b'{"id": 99999999999999999999999, "call": "ping"}', None),
    (b'{"id": "", "call": "ping"}', None),
    (b'{"id": {"a": 1}, "call": "ping"}', None),
    (b'{"id": 7, "id": 8, "call": "ping"}', None),
    (b'{"id": 7}', 7),
    (b'{"id": 7, "call": 5}', 7),
    (b'{"id": 7, "call": "ping", "call": "ping"}', 7),
    (b'{"id": 7, "call": "ping", "args": []}', 7),
    (b'{"id": 7, "call": "ping", "args": {"a": NaN}}', None),
    (b'{"id": 7, "call": "ping"} {"id": 8, "call": "ping"}', None),
    (b'{"id": 7, "call": "ping", "args": ' + b"[" * 40 + b"]" * 40 + b"}", 7),
    (b'{"id": 7, "call": "ping", "args": ' + b"[" * 100_000, None),
    (asks("steal", {}), 7),
    (asks("__init__", {}), 7),
    (asks("ping", {}, extra=1), 7),
    (asks("ping", {"a": 1}), 7),
    (asks("ping", {}, session=5), 7),
    (asks("ping", {}, key=""), 7),
    (asks("add_to_cart", {"item": "A", "quantity": 1}, key="\n"), 7),
    (asks("add_to_cart", {"item": "A", "quantity": 1}, stale=True), 7),
    (asks("get_cart", {}, stale="yes"), 7),
    *(
        (asks(call, {"item": "A", "quantity": quantity}), 7)
        for call in ("add_to_cart", "set_quantity")
        for quantity in BAD_QUANTITIES
    ),
    (asks("add_to_cart", {"item": "A", "quantity": 0}), 7),
    (asks("add_to_cart", {"item": "A"}), 7),
    (asks("add_to_cart", {"item": "A", "quantity": 1, "price": 1}), 7),
    (asks("add_to_cart", {"item": "", "quantity": 1}), 7),
    (asks("add_to_cart", {"item": "A'; DROP TABLE carts; --", "quantity": 1}), 7),
    (asks("add_to_cart", {"item": "A" * 33, "quantity": 1}), 7),
    (asks("add_to_cart", {"item": 5, "quantity": 1}), 7),
    (asks("checkout", {"expected_total": -1}), 7),
    (asks("checkout", {"expected_total": "850"}), 7),
    (asks("list_orders", {"limit": 0}), 7),
    (asks("list_orders", {"limit": 1001}), 7),
]
"""Lines, and the id that their one error carries."""

BAD_ACCOUNTS: list[tuple[bytes, int | None]] = [
    (asks("create_account", {"username": "", "password": "long enough"}), 7),
    (asks("create_account", {"username": "a b", "password": "long enough"}), 7),
    (asks("create_account", {"username": "operator", "password": "long enough"}), 7),
    (asks("create_account", {"username": "x" * 65, "password": "long enough"}), 7),
    (asks("create_account", {"username": "eve", "password": "short"}), 7),
    (asks("create_account", {"username": "eve", "password": "x" * 129}), 7),
    (asks("create_account", {"username": "eve"}), 7),
]
"""The same for a call that shards take from balancers alone."""

NOT_ALLOWED: list[tuple[bytes, str]] = [
    (asks("add_to_cart", {"item": "nothing", "quantity": 1}), "not_found"),
    (asks("get_order", {"order": "nothing"}), "not_found"),
    (asks("set_quantity", {"item": "A", "quantity": 6}, key="used"), "conflict"),
    (asks("add_to_cart", {"item": "A", "quantity": 6}, key="used"), "conflict"),
    (asks("update_inventory", {"item": "A", "quantity_change": 9}), "forbidden"),
    (asks("put_item", {"item": "A", "name": "A", "price": 1, "stock": 9}), "forbidden"),
    (asks("remove_item", {"item": "A"}), "forbidden"),
    (asks("reset_inventory", {}), "forbidden"),
    (asks("get_cart", {}, session="s1.stolen"), "unauthenticated"),
    (asks("get_cart", {}, session="zz.stolen"), "unauthenticated"),
    (asks("get_cart", {}, session="../etc/passwd"), "unauthenticated"),
    (asks("login", {"username": "eve", "password": "is not here"}), "unauthenticated"),
    (asks("login", {"username": "ada", "password": "is not hers"}), "unauthenticated"),
]
"""Lines in form that ask for too much, and the code of their one error."""


class BadLineTests(SynchronousTestCase):
    """One clear error each, and nothing is changed by it."""

    def test_bad_lines(self) -> None:
        """A line out of form gets one error, and its connection and the state stay."""
        with running(Path(self.mktemp()), SMALL) as cluster:
            cluster.start_all()
            with Customer("ada", cluster.balancers) as ada:
                ada.enter()
                ada.call("add_to_cart", {"item": "A", "quantity": 3}, key="used")
                before = self._state(ada)
                lead = cluster.wait_for_leader("s1")
                self._send(cluster.balancers[0], ada.session, BAD_LINES + BAD_ACCOUNTS)
                self._send(cluster.addresses[lead], ada.session, BAD_LINES)
                with Line(cluster.balancers[0]) as line:
                    for sent, code in NOT_ALLOWED:
                        request = {"session": ada.session, **json.loads(sent)}
                        line.send(json.dumps(request).encode() + b"\n")
                        received = line.receive()
                        self.assertEqual(received["error"]["code"], code, sent)
                self.assertEqual(self._state(ada), before)
            cluster.stop()

    def _state(self, customer: Customer) -> list[Any]:
        return [
            customer.call("get_cart"),
            customer.orders(),
            customer.call("get_inventory"),
        ]

    def _send(
        self, address: str, session: str, lines: list[tuple[bytes, int | None]]
    ) -> None:
        with Line(address) as line:
            for number, (sent, request_id) in enumerate(lines):
                line.send(sent + b"\n")
                received = line.receive()
                self.assertEqual(received["id"], request_id, sent[:200])
                error = received["error"]
                self.assertEqual(error["code"], "bad_request", sent[:200])
                self.assertLess(len(error["message"]), 500)
                # Whatever else it said would come before this one's answer.
                ping = json.dumps({"id": f"ping{number}", "call": "ping"})
                line.send(ping.encode() + b"\n")
                self.assertEqual(line.receive(), {"id": f"ping{number}", "ok": {}})
            self.assertEqual(line.call("whoami", session=session)["user"], "ada")

    def test_lost_framing(self) -> None:
        """What is no line of JSON at all gets one error and the end of its connection;
        the next one is served."""
        greeting = b"GET / HTTP/1.1\r\nHost: shop\r\nContent-Length: 9\r\n\r\n"
        post = b'POST /x HTTP/1.1\r\n\r\n{"id": 1, "call": "ping"}\n'
        with running(Path(self.mktemp()), SMALL) as cluster:
            cluster.start_all()
            for name in ("lb0", cluster.wait_for_leader("s1"), "it0"):
                for sent in (greeting, post, b"\x16\x03\x01\x02\x00\x01"):
                    with Line(cluster.addresses[name]) as line:
                        line.send(sent)
                        self._ends_with_one_error(line)
                with Line(cluster.addresses[name]) as line:
                    self._send_too_much(line)
                with Line(cluster.addresses[name]) as line:
                    line.send(b'{"id": 1, "call": "pi')
                with Line(cluster.addresses[name]) as line:
                    self.assertEqual(line.call("ping"), {})
            cluster.stop()

    def _ends_with_one_error(self, line: Line) -> None:
        received = line.receive()
        self.assertIsNone(received["id"])
        self.assertEqual(received["error"]["code"], "bad_request")
        self.assertRaises(Lost, line.receive)

    def _send_too_much(self, line: Line) -> None:
        """Send a good line, one of two MiB in pieces, and one that must not count."""
        line.send(b'{"id": 0, "call": "ping"}\n')
        self.assertEqual(line.receive(), {"id": 0, "ok": {}})
        piece = b"x" * 65_536
        try:
            for _ in range(2 * LINE_BYTES_MAX // len(piece)):
                line.send(piece)
            line.send(b'\n{"id": 1, "call": "ping"}\n')
            self._ends_with_one_error(line)
        except Lost:
            # What it had not read when it closed makes the kernel take back the error.
            return

    def test_strangers(self) -> None:
        """Nobody takes part in a group, or calls what is for the cluster alone, without
        proof."""
        hello = {
            "version": 1,
            "cluster": "test",
            "group": "s1",
            "replica": "s1r1",
            "purpose": "peer",
        }
        inside = [
            asks("supervise", {"command": "kill"}),
            asks("locate", {"username": "ada"}),
            asks("set_stock", {"item": "A", "stock": 5}),
        ]
        with running(Path(self.mktemp()), SMALL) as cluster:
            cluster.start_all()
            self._prove_nothing(cluster, json.dumps({"hello": hello}).encode())
            for name in ("lb0", "it0"):
                with Line(cluster.addresses[name]) as line:
                    for sent in inside:
                        line.send(sent + b"\n")
                        self.assertIn("error", line.receive())
                    with self.assertRaises(Refused):
                        line.call("reset_inventory")
            cluster.stop()

    def _prove_nothing(self, cluster: Cluster, hello: bytes) -> None:
        with Line(cluster.addresses["s1r0"]) as line:
            line.send(hello + b"\n")
            line.send(b'{"append": 1}\n')
            while True:
                try:
                    self.assertNotIn("ok", line.receive())
                except Lost:
                    break
