from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.messages import (
    AppendEntries,
    AppendEntriesReply,
    Entry,
    Heartbeat,
    HeartbeatReply,
    PeerMessage,
    PreVote,
    PreVoteReply,
    RequestVote,
    RequestVoteReply,
    TimeoutNow,
)
from cartnet.limits import INTEGER_MAX
from cartnet.wire.messages import BadMessage, decode_message, encode_message
from tests.wire.garbage import lines_like

numbers = st.integers(0, INTEGER_MAX)
names = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)


@st.composite
def appends(draw: Callable[..., Any]) -> AppendEntries:
    terms = sorted(draw(st.lists(st.integers(0, 99), min_size=2, max_size=9)))
    first = draw(st.integers(0, 2**40))
    entries = tuple(
        Entry(first + at, term, msgspec.Raw(draw(st.sampled_from(COMMANDS))))
        for at, term in enumerate(terms[1:-1], 1)
    )
    return AppendEntries(terms[-1], first, terms[0], draw(numbers), entries)


COMMANDS = [b"null", b"[1,{}]", '{"do":"ä\\n"}'.encode()]
messages = st.one_of(
    st.builds(PreVote, numbers, numbers, numbers),
    st.builds(PreVoteReply, numbers, st.booleans()),
    st.builds(RequestVote, numbers, numbers, numbers, st.booleans()),
    st.builds(RequestVoteReply, numbers, st.booleans()),
    appends(),
    st.builds(
        AppendEntriesReply, numbers, numbers, st.none() | numbers, numbers, numbers
    ),
    st.builds(Heartbeat, numbers, numbers, numbers),
    st.builds(HeartbeatReply, numbers, numbers, st.lists(names).map(tuple)),
    st.builds(TimeoutNow, numbers),
)
SAMPLES: list[PeerMessage] = [
    PreVote(3, 7, 2),
    RequestVote(3, 7, 2, handed_over=True),
    AppendEntries(3, 7, 2, 6, (Entry(8, 3, msgspec.Raw(b'{"do":1}')),)),
    AppendEntriesReply(3, 8),
    Heartbeat(3, 7, 9),
    HeartbeatReply(3, 9, ("s1r0",)),
]


class MessageTests(SynchronousTestCase):
    """What replicas of one group say to each other."""

    @given(messages)
    def test_round_trip(self, message: PeerMessage) -> None:
        """A message comes out as it went in, on one line."""
        line = encode_message(message)

        self.assertNotIn(b"\n", line)
        self.assertEqual(encode_message(decode_message(line)), line)
        self.assertIs(type(decode_message(line)), type(message))
        for name in set(message.__struct_fields__) - {"entries"}:
            self.assertEqual(
                getattr(decode_message(line), name), getattr(message, name)
            )

    def test_garbage_is_a_bad_message(self) -> None:
        """Whatever bytes come, they are a message or a BadMessage."""
        for line in lines_like([encode_message(m) for m in SAMPLES], count=10_000):
            try:
                decode_message(line)
            except BadMessage as error:
                self.assertTrue(str(error).isprintable())

    def test_no_text(self) -> None:
        """Bytes that are no UTF-8 are refused in a command, too, which is not looked
        into before it is applied."""
        line = encode_message(
            AppendEntries(3, 7, 2, 6, (Entry(8, 3, msgspec.Raw(b'{"do":"XYZ"}')),))
        )
        self.assertIn(b"XYZ", line)
        for bad in (b"\xff", b"\xc3", b"\xed\xa0\x80"):
            with self.assertRaises(BadMessage):
                decode_message(line.replace(b"XYZ", bad))

    def test_impossible_logs_are_refused(self) -> None:
        """Numbers out of bounds, gaps and falling terms never reach a log."""
        null = msgspec.Raw(b"null")
        impossible: list[PeerMessage] = [
            PreVote(-1, 0, 0),
            Heartbeat(INTEGER_MAX + 1, 0, 0),
            AppendEntries(3, 7, 2, 6, (Entry(9, 3, null),)),
            AppendEntries(3, 7, 2, 6, (Entry(8, 3, null), Entry(8, 3, null))),
            AppendEntries(3, 7, 2, 6, (Entry(8, 1, null),)),
            AppendEntries(3, 7, 2, 6, (Entry(8, 4, null),)),
        ]
        for message in impossible:
            self.assertRaises(BadMessage, decode_message, encode_message(message))
