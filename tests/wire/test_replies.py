from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from cartnet.errors import OUTCOME_UNKNOWN, Refused
from cartnet.wire.replies import (
    BadReply,
    decode_reply,
    encode_error,
    encode_event,
    encode_ok,
)
from tests.wire.garbage import lines_like


class _Cart(msgspec.Struct):
    version: int


class ReplyTests(SynchronousTestCase):
    """Answers, there and back."""

    def test_success(self) -> None:
        """Structs, objects and raw JSON are all answered alike."""
        for value in [_Cart(3), {"version": 3}, msgspec.Raw(b'{\n"version":3}')]:
            line = encode_ok("x", value)

            self.assertEqual(line, b'{"id":"x","ok":{"version":3}}')
            reply = decode_reply(line)
            self.assertEqual((reply.id, reply.error, reply.event), ("x", None, None))
            assert reply.ok is not None
            self.assertEqual(bytes(reply.ok), b'{"version":3}')

    def test_error(self) -> None:
        """An error keeps its code, its message and its details."""
        line = encode_error(None, Refused("not_leader", "não\n", {"leader": None}))

        self.assertNotIn(b"\n", line)
        reply = decode_reply(line)
        assert reply.error is not None
        self.assertIsNone(reply.id)
        self.assertEqual(reply.error.code, "not_leader")
        self.assertEqual(reply.error.message, "não\n")
        self.assertEqual(reply.error.details, {"leader": None})

    def test_event(self) -> None:
        """An event names the watch."""
        line = encode_event(2, msgspec.Raw(b'{"revision":5}'))

        self.assertEqual(line, b'{"id":2,"event":{"revision":5}}')
        event = decode_reply(line).event
        assert event is not None
        self.assertEqual(bytes(event), b'{"revision":5}')

    def test_unknown_code_leaves_the_outcome_unknown(self) -> None:
        """Of a code from a later release nothing is concluded."""
        error = decode_reply(b'{"id":1,"error":{"code":"new","message":"?"}}').error

        assert error is not None
        self.assertIn(error.code, OUTCOME_UNKNOWN)

    def test_no_text(self) -> None:
        """Bytes that are no UTF-8 are refused wherever they are: who reads the value
        later relies on it."""
        for line in (
            b'{"id":1,"ok":{"name":"\xff"}}',
            b'{"id":1,"event":{"name":"\xed\xa0\x80"}}',
            b'{"id":1,"error":{"code":"timeout","details":{"a":"\xff"}}}',
        ):
            with self.assertRaises(BadReply):
                decode_reply(line)

    def test_garbage(self) -> None:
        """Whatever bytes come, they are a reply or a BadReply."""
        samples = [
            encode_ok(1, {"a": [1, {"b": None}]}),
            encode_error(None, Refused("timeout", "?", {"x": [1]})),
            encode_event("w", {"revision": 1}),
        ]
        for line in [b"", b"{}", b'{"id":1}', *lines_like(samples, count=10_000)]:
            try:
                decode_reply(line)
            except BadReply as error:
                self.assertTrue(str(error).isprintable())
