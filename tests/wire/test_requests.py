from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from cartnet.errors import Refused
from cartnet.limits import INTEGER_MAX, JSON_DEPTH_MAX
from cartnet.wire.arguments import decode_arguments
from cartnet.wire.exact import read_exactly
from cartnet.wire.requests import BadLine, Request, decode_request, encode_request
from tests.wire.garbage import lines_like

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
ids = st.integers(-INTEGER_MAX, INTEGER_MAX) | text.filter(lambda t: 0 < len(t) <= 64)
keys = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-INTEGER_MAX, INTEGER_MAX) | text,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3)
    ),
    max_leaves=9,
)

SAMPLES = [
    encode_request(1, "add_to_cart", {"item": "A", "quantity": 2}, session="s1.x"),
    encode_request("é:1", "get_cart", stale=True, session="s1.x"),
    encode_request(-5, "checkout", {"expected_total": 5}, key="k 1", session="s1.x"),
    encode_request(
        3, "put_item", {"item": "A", "name": 'T: "é"', "price": 1, "stock": 0}
    ),
    encode_request(4, "login", {"username": "Ann", "password": "hunter22"}),
    encode_request(5, "watch_inventory", {"from_revision": 7}),
    b'{"id":1,"call":"ping"}',
]


def parsed(request: Request) -> dict[str, Any]:
    """A request's fields, with its arguments read."""
    fields = msgspec.structs.asdict(request)
    return {**fields, "args": msgspec.json.decode(request.args)}


def outcome(line: bytes) -> tuple[Any, ...]:
    """What becomes of a line: its id, and its checked arguments or why not."""
    try:
        request = decode_request(line)
    except BadLine as bad:
        return (bad.id, bad.refused.code)
    try:
        arguments = decode_arguments(request.call, request.args, trusted=False)
    except Refused as refused:
        return (request.id, refused.code)
    return (*parsed(request).items(), arguments)


class RequestTests(SynchronousTestCase):
    """Requests that are in order."""

    @given(
        ids,
        st.sampled_from(["get_cart", "checkout", "none"]),
        st.dictionaries(text, values, max_size=4),
        st.none() | text.filter(lambda t: len(t) < 99),
        st.none() | keys.filter(lambda k: len(k) <= 64),
        st.booleans(),
    )
    def test_round_trip(
        self,
        request_id: int | str,
        call: str,
        args: dict[str, Any],
        session: str | None,
        key: str | None,
        stale: bool,
    ) -> None:
        """A request comes out as it went in, on one line."""
        stale = stale and call == "get_cart"
        line = encode_request(
            request_id, call, args, session=session, key=key, stale=stale
        )

        self.assertNotIn(b"\n", line)
        self.assertEqual(
            parsed(decode_request(line)),
            {
                "id": request_id,
                "call": call,
                "args": args,
                "session": session,
                "key": key,
                "stale": stale,
            },
        )

    def test_left_out_is_null(self) -> None:
        """What is optional may be left out or null; arguments may be left out."""
        for line in [
            b'{"id":1,"call":"ping"}',
            b' {"call" : "ping", "args" : {} , "id" : 1}\t',
            b'{"id":1,"call":"ping","session":null,"key":null,"stale":false}',
        ]:
            self.assertEqual(parsed(decode_request(line)), parsed(Request(1, "ping")))


class BadLineTests(SynchronousTestCase):
    """Lines that are none: bad_request, with the id wherever there is one."""

    def assert_bad(self, line: bytes, request_id: int | str | None, says: str) -> None:
        with self.assertRaises(BadLine) as raised:
            decode_request(line)
        self.assertEqual(raised.exception.id, request_id, line[:80])
        self.assertEqual(raised.exception.refused.code, "bad_request")
        self.assertIn(says, raised.exception.refused.message)
        self.assertLess(len(raised.exception.refused.message), 300)

    def test_what_is_no_json_object(self) -> None:
        """Without a JSON object there is no id."""
        for line, says in [
            (b"", "not JSON"),
            (b"hello", "not JSON"),
            (b'{"id": 1, "call": "pi', "not JSON"),
            (b'{"id": 1, "call": "ping"', "not JSON"),
            (b'{"id": 1, "call": "ping"}}', "not JSON"),
            (b'{"id": 1, "call": "ping",}', "not JSON"),
            (b'{"id": 1, "call": "p\xffng"}', "not UTF-8"),
            (b'{"id": 1, "call": "ping", "args": {"a": "\xed\xa0\x80"}}', "not UTF-8"),
            (b'\xef\xbb\xbf{"id": 1, "call": "ping"}', "not JSON"),
            (b'{"id": 1, "call": "ping", "args": {"a": NaN}}', "NaN"),
            (b'{"id": 1, "call": "ping", "args": {"a": -Infinity}}', "Infinity"),
            (b'{"id": 1, "call": "ping", "args": {"a": "\x00"}}', "not JSON"),
            (b"[" * 100_000, "not JSON"),
            (b'{"id": 1, "args": ' + b"[" * 100_000, "not JSON"),
            (b"null", "an object, not null"),
            (b"[1]", "an object, not a list"),
            (b'"x"', 'an object, not "x"'),
        ]:
            self.assert_bad(line, None, says)

    def test_what_is_no_request(self) -> None:
        """A JSON object keeps its id, however wrong the rest is."""
        deep = JSON_DEPTH_MAX + 1
        for rest, says in [
            (b"", "call is missing"),
            (b', "call": 5', "call must be"),
            (b', "call": ""', "call must be"),
            (b', "call": "ping", "more": 1', 'no field "more"'),
            (b', "call": "ping", "call": "ping"', '"call" stands twice'),
            (b', "call": "ping", "args": {}, "args": {}', '"args" stands twice'),
            (b', "call": "ping", "c\\u0061ll": "ping"', '"call" stands twice'),
            (b', "call": "ping", "session": 5', "session must be"),
            (b', "call": "ping", "session": "' + b"x" * 257 + b'"', "session must be"),
            (b', "call": "ping", "key": ""', "key must be"),
            (b', "call": "ping", "key": "' + b"k" * 65 + b'"', "key must be"),
            (b', "call": "ping", "key": "\xc3\xa9"', "key must be"),
            (b', "call": "ping", "key": "\\n"', "key must be"),
            (b', "call": "ping", "key": 5', "key must be"),
            (b', "call": "ping", "stale": 1', "stale must be"),
            (
                b', "call": "add_to_cart", "stale": true',
                "stale is for reads: get_cart, get_inventory, get_order, list_orders,"
                " whoami",
            ),
            (b', "call": "ping", "args": "\\ud800"', "half a surrogate pair"),
            (b', "call": "ping", "args": {"\\u0000": 1}', "NUL"),
            (b', "call": "p\\ud800"', "half a surrogate pair"),
            (b', "args": ' + b"[" * deep + b"]" * deep, "32 levels deep"),
            (b', "args": ' + b"[" * 99_999 + b"]" * 99_999, "32 levels deep"),
            (b', "x": ' + b'{"a":' * deep + b"1" + b"}" * deep, "32 levels deep"),
            (b', "more": ' + b"9" * 30, "beyond"),
            (b', "more": ' + b"9" * 5_000, "beyond"),
            (b', "more": 1e999', "too large"),
        ]:
            self.assert_bad(b'{"id": 7' + rest + b"}", 7, says)
            self.assert_bad(b'{"id": "x:y"' + rest + b"}", "x:y", says)

    def test_ids_that_nobody_can_use(self) -> None:
        """An id that is none is answered with null."""
        for given_id in [
            b"null", b"true", b"1.0", b"1e3", b"[]", b"{}", b'""', b"9007199254740993",
            b"9" * 30, b'"' + b"x" * 65 + b'"', b'"\\ud800"', b'"\\u0000"',
            b'1, "id": 1', b'1, "i\\u0064": 2',
        ]:  # fmt: skip
            line = b'{"id": ' + given_id + b', "call": "ping"}'
            with self.assertRaises(BadLine) as raised:
                decode_request(line)
            self.assertIsNone(raised.exception.id, line)
        self.assert_bad(b'{"call": "ping"}', None, "id is missing")

    def test_depth_of_32_is_permitted(self) -> None:
        """The deepest JSON that is permitted is refused for what it says alone."""
        inner = JSON_DEPTH_MAX - 1
        line = b'{"id": 7, "args": ' + b"[" * inner + b"]" * inner + b"}"
        self.assert_bad(line, 7, "call is missing")
        brackets = b'{"id": 7, "call": "ping", "key": "' + b"[{" * 30 + b'"}'
        self.assertEqual(decode_request(brackets).key, "[{" * 30)

    def test_strangers_are_quoted_briefly(self) -> None:
        """A message shows little of what was sent, and that in printable ASCII."""
        for name in ["\x1b[31m\r\x7f\x85", "x" * 100_000, "\u202e\ud83d\ude00"]:
            line = json.dumps({"id": 7, "call": "ping", name: 1}).encode()
            with self.assertRaises(BadLine) as raised:
                decode_request(line)
            message = raised.exception.refused.message
            self.assertTrue(message.isascii())
            self.assertTrue(message.isprintable())
            self.assertLess(len(message), 200)


class GarbageTests(SynchronousTestCase):
    """Lines that somebody made up."""

    def test_garbage_is_refused_in_order(self) -> None:
        """Whatever bytes come, they are a request, or refused as a bad one."""
        refused = 0
        for line in lines_like(SAMPLES, count=10_000):
            _, *rest = outcome(line)
            refused += rest[0] in ("bad_request", "forbidden")
        self.assertGreater(refused, 5_000)

    def test_fast_way_takes_nothing_else(self) -> None:
        """What the fast way takes, the exact way takes as the same."""
        taken = 0
        for line in lines_like(SAMPLES, count=10_000, seed=8):
            fast = outcome(line)
            # An escaped letter changes nothing but the way that is taken.
            slow = outcome(line.replace(b'"id"', b'"\\u0069d"', 1))
            if len(fast) > 2:
                taken += 1
                self.assertEqual(fast, slow, line)
            elif line.count(b'"id"') == 1:
                self.assertEqual(fast, slow, line)
        self.assertGreater(taken, 500)

    @given(st.binary(max_size=200))
    def test_bytes_never_break_it(self, line: bytes) -> None:
        """Bytes at random are refused, and nothing else happens."""
        self.assertRaises(BadLine, decode_request, line)


class ExactTests(SynchronousTestCase):
    """The slow way, on its own."""

    @given(values)
    def test_reads_what_json_reads(self, value: Any) -> None:
        """A JSON text without faults says what it says."""
        exact = read_exactly(json.dumps(value).encode())

        self.assertEqual((exact.value, exact.fault), (value, None))

    def test_bad_lines_are_not_slow(self) -> None:
        """Lines that are made to be slow are read in time linear in their length."""
        size = 200_000
        for line in [
            b'{"id":1,"a":' + b"{" * 40 + b'"\\' * size,
            b'{"id":1,"a":' + b"[" * 40 + b"[]," * size,
            b"{" + b'"a":1,' * size + b'"a":1}',
            b'{"id":' + b"9" * size + b"}",
        ]:
            self.assertRaises(BadLine, decode_request, line)
