"""Addresses and their order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from cartnet.topology.address import is_loopback, join, lexical, place, split

HOSTS = st.sampled_from(["localhost", "10.0.0.9", "a.example", "::1", "fe80::2"])


class SplitTests(SynchronousTestCase):
    """What is an address."""

    @given(HOSTS, st.integers(1, 65_535))
    def test_what_is_joined_is_split(self, host: str, port: int) -> None:
        """An address has the host and the port it was made of."""
        self.assertEqual(split(join(host, port)), (host, port))

    def test_what_is_no_address(self) -> None:
        """Everything but one host and one port in one spelling is refused."""
        for text in (
            "",
            "h",
            ":1",
            "h:",
            "h:0",
            "h:65536",
            "h:080",
            "h:+1",
            "h:1x",
            "h:\u0661",
            "H:1",
            "h h:1",
            "-h:1",
            "h..i:1",
            "::1:1",
            "[::1]",
            "[h]:1",
            "[::]:1",
            "0.0.0.0:1",
            "1.2.3:1",
            "1.2.3.256:1",
            "h\n:1",
            "h:1\n",
        ):
            with self.assertRaises(ValueError, msg=repr(text)):
                split(text)


class LexicalTests(SynchronousTestCase):
    """The order that decides who should lead is that of text."""

    def test_more_digits_come_first(self) -> None:
        """A port of five digits stands before a smaller one of four."""
        self.assertEqual(lexical(["h:9000", "h:10000"]), ["h:10000", "h:9000"])

    def test_host_numbers_are_text(self) -> None:
        """Host numbers are compared as text as well."""
        self.assertEqual(
            lexical(["10.0.0.9:1", "10.0.0.10:1"]), ["10.0.0.10:1", "10.0.0.9:1"]
        )

    def test_digits_brackets_letters(self) -> None:
        """IPv4 stands before IPv6, and IPv6 before names."""
        self.assertEqual(
            lexical(["localhost:1", "[::1]:1", "127.0.0.1:1"]),
            ["127.0.0.1:1", "[::1]:1", "localhost:1"],
        )


class PlaceTests(SynchronousTestCase):
    """Where an address is."""

    def test_spellings_of_one_place(self) -> None:
        """Two spellings of one host and port are one place; other ports are not."""
        self.assertEqual(place("localhost", 1), place("127.0.0.1", 1))
        self.assertEqual(place("0:0::1", 1), place("::1", 1))
        self.assertNotEqual(place("::1", 1), place("::1", 2))

    def test_loopback(self) -> None:
        """Only what certainly stays on this machine counts as loopback."""
        for host in ("localhost", "127.0.0.1", "127.9.9.9", "::1"):
            self.assertTrue(is_loopback(host), host)
        for host in ("10.0.0.1", "example.org", "::2", "localhost.example.org"):
            self.assertFalse(is_loopback(host), host)
