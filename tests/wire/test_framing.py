from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from cartnet.wire.framing import LineSplitter, LineTooLong, encode_line


def chunks(stream: bytes, sizes: list[int]) -> list[bytes]:
    """Cut a stream at arbitrary places."""
    pieces = []
    for size in sizes:
        pieces.append(stream[:size])
        stream = stream[size:]
    return [*pieces, stream]


class LineSplitterTests(SynchronousTestCase):
    """Bytes to lines."""

    @given(
        st.lists(
            st.binary(max_size=20).map(lambda b: b.replace(b"\n", b"")), max_size=9
        ),
        st.lists(st.integers(0, 30), max_size=9),
    )
    def test_chunks_do_not_matter(self, lines: list[bytes], sizes: list[int]) -> None:
        """However a stream is cut, its lines are the same."""
        splitter = LineSplitter(100)
        stream = b"".join(line + b"\n" for line in lines) + b"rest"

        got = [line for piece in chunks(stream, sizes) for line in splitter.feed(piece)]

        self.assertEqual(got, [line.removesuffix(b"\r") for line in lines])
        self.assertTrue(splitter.unfinished)

    def test_one_carriage_return_is_dropped(self) -> None:
        """CRLF ends a line as LF does, and the CR may come in an earlier chunk."""
        splitter = LineSplitter(10)

        self.assertEqual(splitter.feed(b"a\r"), [])
        self.assertEqual(splitter.feed(b"\nb\r\r\n\n"), [b"a", b"b\r", b""])
        self.assertFalse(splitter.unfinished)

    def test_longest_line_passes(self) -> None:
        """A line of just the limit is a line, with LF and with CRLF."""
        splitter = LineSplitter(5)

        self.assertEqual(splitter.feed(b"12345\n12345\r\n"), [b"12345", b"12345"])
        self.assertEqual(splitter.feed(b"12345"), [])
        self.assertEqual(splitter.feed(b"\r"), [])
        self.assertEqual(splitter.feed(b"\n"), [b"12345"])

    def test_longer_line_loses_the_framing(self) -> None:
        """A longer line is told once, after the lines before it, then nothing is."""
        splitter = LineSplitter(5)

        with self.assertRaises(LineTooLong) as raised:
            splitter.feed(b"a\nb\n123456\nc\n")

        self.assertEqual(raised.exception.lines, [b"a", b"b"])
        self.assertEqual(splitter.feed(b"d\n"), [])

    def test_endless_line_is_not_kept(self) -> None:
        """A stream without a line's end is given up as soon as it is too long."""
        splitter = LineSplitter(1_000)

        def feed_for_ever() -> None:
            for _ in range(1_000):
                splitter.feed(b"x" * 100)

        self.assertRaises(LineTooLong, feed_for_ever)
        self.assertFalse(splitter.unfinished)


class EncodeLineTests(SynchronousTestCase):
    """Values to lines."""

    def test_newlines_never_leave(self) -> None:
        """Neither a newline in a string nor one between raw tokens breaks a line."""
        line = encode_line({"a": "x\ny\r", "b": msgspec.Raw(b'{\n"c": [1,\n2]}')})

        self.assertNotIn(b"\n", line)
        self.assertEqual(msgspec.json.decode(line), {"a": "x\ny\r", "b": {"c": [1, 2]}})
