"""Server endpoint strings, as far as a configuration reads them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from cartnet.topology.listening import Listening, listening


class ListeningTests(SynchronousTestCase):
    """Who can reach an endpoint."""

    def test_read(self) -> None:
        """Port and interface are found, escaped colons included."""
        self.assertEqual(
            listening("tcp:8023:interface=127.0.0.1"),
            Listening("tcp", "127.0.0.1", 8023),
        )
        self.assertEqual(
            listening(r"tcp6:port=80:interface=\:\:1"), Listening("tcp6", "::1", 80)
        )
        self.assertEqual(listening("unix:/x.sock:mode=600").port, None)

    def test_exposed(self) -> None:
        """Only loopback interfaces and local sockets are out of others' reach."""
        for text in (
            "tcp:8023:interface=127.0.0.1",
            "tcp:interface=localhost:port=8023",
            r"tcp6:8023:interface=\:\:1",
            "unix:/x.sock",
        ):
            self.assertFalse(listening(text).exposed, text)
        for text in (
            "tcp:8023",
            "tcp:8023:interface=",
            "tcp:8023:interface=0.0.0.0",
            "tcp:8023:interface=10.0.0.1",
            r"tcp6:8023:interface=\:\:",
            "systemd:domain=INET:index=0",
        ):
            self.assertTrue(listening(text).exposed, text)

    def test_what_is_no_endpoint(self) -> None:
        """What Twisted could not take is refused at once."""
        for text in ("", "8023", "127.0.0.1:8023", "tcp", "tcp:", "tcp:x", "tcp:70000"):
            with self.assertRaises(ValueError, msg=text):
                listening(text)
