"""What a browser sends along: origins of our own and others', cookies."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from cartnet.console.browser import (
    cookie_name,
    is_foreign,
    names_loopback,
    session_in,
)
from cartnet.limits import SESSION_CHARACTERS_MAX


class BrowserTests(SynchronousTestCase):
    """Origins and cookies, with and without TLS."""

    def test_hosts_of_this_machine(self) -> None:
        """A Host names this machine's loopback by its address or its one name."""
        for host in (
            "localhost",
            "LOCALHOST:8080",
            "127.0.0.1:80",
            "127.9.9.9",
            "[::1]:1",
        ):
            self.assertTrue(names_loopback(host), host)
        for host in (
            *(None, "", ":80", "shop.example", "localhost.evil.example", "10.0.0.1"),
            *("127.0.0.1.evil.example", "evil@127.0.0.1", "[::1", "::1", "[::2]:80"),
        ):
            self.assertFalse(names_loopback(host), host)

    def test_own_origins(self) -> None:
        """The origin that the Host names is our own, a default port said or not."""
        for origin, host, secure in (
            ("http://shop.example", "shop.example", False),
            ("http://shop.example", "shop.example:80", False),
            ("http://shop.example:80", "shop.example", False),
            ("https://shop.example", "shop.example:443", True),
            ("http://127.0.0.1:8080", "127.0.0.1:8080", False),
            ("http://[::1]:8080", "[::1]:8080", False),
            ("HTTPS://Shop.Example:8443", "shop.example:8443", True),
            (None, "shop.example", True),
            (None, None, False),
        ):
            self.assertFalse(is_foreign(origin, host, secure=secure), origin)

    def test_foreign_origins(self) -> None:
        """Any other is foreign: another scheme, host or port, or none to be told."""
        for origin, host, secure in (
            ("null", "shop.example", False),
            ("", "shop.example", False),
            ("http://shop.example", "shop.example", True),
            ("https://shop.example", "shop.example", False),
            ("http://shop.example:8080", "shop.example", False),
            ("http://shop.example:443", "shop.example:80", False),
            ("http://shop.example.evil", "shop.example", False),
            ("http://evil.example", "shop.example", False),
            ("http://", None, False),
            ("http://", "", False),
            ("null", "null", False),
        ):
            self.assertTrue(is_foreign(origin, host, secure=secure), origin)

    def test_cookies(self) -> None:
        """The session is in the cookie of its name, which over TLS is another one."""
        cookies = "a=b; cartnet_session=s1.plain;  __Host-cartnet_session=s1.secure; c"
        self.assertEqual(session_in(cookies, secure=False), "s1.plain")
        self.assertEqual(session_in(cookies, secure=True), "s1.secure")
        self.assertEqual(session_in("cartnet_session=x", secure=True), None)

    def test_no_session(self) -> None:
        """A cookie that is absent, empty, too long or no token is none."""
        name = cookie_name(secure=False)
        long = "x" * (SESSION_CHARACTERS_MAX + 1)
        for cookies in (
            None,
            "",
            ";",
            name,
            f"{name}=",
            f"{name}={long}",
            f"{name}=s1.\xe9",
            f"{name}=s1 x",
            f"x{name}=1",
        ):
            self.assertEqual(session_in(cookies, secure=False), None, cookies)
