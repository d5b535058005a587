"""Who holds an admin port that could not be had."""

from __future__ import annotations

import socket
import threading

from twisted.trial.unittest import SynchronousTestCase

from cartnet.admin.holder import holder


class HolderTests(SynchronousTestCase):
    """Asking whoever listens there, by its greeting."""

    def holder_that_says(self, greeting: bytes) -> str | None:
        with socket.create_server(("127.0.0.1", 0)) as server:

            def greet() -> None:
                connection, _ = server.accept()
                with connection:
                    connection.sendall(greeting)

            thread = threading.Thread(target=greet)
            thread.start()
            port = server.getsockname()[1]
            found = holder(f"tcp:{port}:interface=127.0.0.1")
            thread.join(10)
        return found

    def test_cluster(self) -> None:
        """A process of a cluster is known by the cluster's name."""
        self.assertEqual(
            self.holder_that_says(
                b"cartnet 0.1.0, cluster demo: 1 replica here; help lists\n> "
            ),
            "demo",
        )

    def test_stranger(self) -> None:
        """Anything else is nobody's."""
        self.assertIsNone(self.holder_that_says(b"SSH-2.0-OpenSSH_9.6\r\n"))
        self.assertIsNone(self.holder_that_says(b""))

    def test_nobody(self) -> None:
        """Where nothing listens, and on a socket file, there is no holder."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]

        self.assertIsNone(holder(f"tcp:{port}:interface=127.0.0.1"))
        self.assertIsNone(holder("unix:/nonexistent"))
