"""Ports that endpoint strings describe, on the real reactor."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import ServerFactory
from twisted.trial.unittest import TestCase

from cartnet.storage.owner import StartError
from cartnet.transport.listening import listen

TCP = "tcp:0:interface=127.0.0.1"
SSL = "ssl:0:interface=127.0.0.1"


class ListenTests(TestCase):
    """What can be had, and what cannot."""

    def refused(self, text: str) -> str:
        with self.assertRaises(StartError) as raised:
            listen(reactor, text, ServerFactory(), "console")
        line = str(raised.exception)
        self.assertTrue(line.startswith(f"the console port {text} cannot be had: "))
        self.assertIn("none with --console", line)
        return line

    async def test_port(self) -> None:
        """A port that is to be had is open when this returns."""
        port = listen(reactor, TCP, ServerFactory(), "admin")
        self.addCleanup(port.stopListening)

        where: Any = port.getHost()
        with socket.create_connection((where.host, where.port)):
            pass

    def test_taken(self) -> None:
        """A port that somebody has is told as such."""
        with socket.create_server(("127.0.0.1", 0)) as held:
            line = self.refused(f"tcp:{held.getsockname()[1]}:interface=127.0.0.1")

        self.assertIn("in use; stop what holds it", line)

    def test_wrong_options(self) -> None:
        """An option that is none, or has no such value, is told with what would be."""
        for text, words in (
            (f"{TCP}:foo=bar", "unexpected keyword argument 'foo'"),
            (f"{TCP}:backlog=x", "invalid literal for int() with base 10: 'x'"),
            ("nonsense:80", "Unknown endpoint type: 'nonsense'"),
            ("unix:s:mode=rwx", "invalid literal for int() with base 8: 'rwx'"),
        ):
            line = self.refused(text)
            self.assertIn(words, line)
            self.assertIn("expected options that Twisted knows, as in tcp:", line)

    def test_no_key(self) -> None:
        """A key that is missing, unreadable or none is told with what would be one."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        letter = folder / "letter.pem"
        letter.write_text("a letter to my aunt, not a key\n")
        absent = folder / "absent.pem"
        for text, words in (
            (f"{SSL}:privateKey={absent}:certKey={absent}", f"{absent}: No such file"),
            (f"{SSL}:privateKey={folder}", f"{folder}: Is a directory"),
            (f"{SSL}:privateKey={letter}:certKey={letter}", "Error: "),
            (SSL, "server.pem: No such file"),
        ):
            line = self.refused(text)
            self.assertIn(words, line)
            self.assertIn("expected a key and its certificate", line)
