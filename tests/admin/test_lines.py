"""A terminal's bytes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from cartnet.admin.lines import TelnetFilter, is_http, printable

WILL_ECHO = bytes([255, 251, 1])
WINDOW_SIZE = bytes([255, 250, 31, 0, 80, 255, 255, 0, 24, 255, 240])
INTERRUPT = bytes([255, 244])


class TelnetFilterTests(SynchronousTestCase):
    """What a telnet client says to a server, as opposed to what is typed."""

    def test_negotiation_is_skipped(self) -> None:
        """Options, subnegotiations and commands are left out of the text."""
        stream = WILL_ECHO + b"li" + WINDOW_SIZE + b"st" + INTERRUPT + b"\r\n"

        self.assertEqual(TelnetFilter().feed(stream), b"list\r\n")

    def test_doubled_255(self) -> None:
        """A doubled 255 is one byte of text."""
        self.assertEqual(TelnetFilter().feed(b"a\xff\xffb"), b"a\xffb")

    def test_enter_in_character_mode(self) -> None:
        """CR NUL is Enter; a NUL elsewhere is a NUL."""
        self.assertEqual(TelnetFilter().feed(b"list\r\0a\0"), b"list\r\na\0")

    @given(
        st.lists(
            st.sampled_from([WILL_ECHO, WINDOW_SIZE, INTERRUPT, b"list\r\0", b"\xff"])
        ),
        st.lists(st.integers(0, 40)),
    )
    def test_cuts_do_not_matter(self, pieces: list[bytes], cuts: list[int]) -> None:
        """The text is the same wherever the stream was cut."""
        stream = b"".join(pieces)
        telnet, text, at = TelnetFilter(), b"", 0

        for cut in sorted(cuts):
            text += telnet.feed(stream[at:cut])
            at = max(at, cut)
        text += telnet.feed(stream[at:])

        self.assertEqual(text, TelnetFilter().feed(stream))


class TextTests(SynchronousTestCase):
    """What may be shown, and what must not be served."""

    def test_http(self) -> None:
        """A request line is told from a command."""
        self.assertTrue(is_http(b"POST /kill HTTP/1.1"))
        self.assertTrue(is_http(b"GET http://127.0.0.1:8023/ HTTP/1.0"))
        self.assertFalse(is_http(b"kill s1r0"))
        self.assertFalse(is_http(b"help HTTP/1.1"))

    def test_printable(self) -> None:
        """Escape sequences, overprinting and direction marks are left out."""
        self.assertEqual(printable("a\x1b[2Jb\x00\x7f\u202ec\u2028d\x85e"), "a[2Jbcde")
