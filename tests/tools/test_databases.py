"""What a replica's file holds, told without disturbing it."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from cartnet.storage.database import library
from cartnet.tools.databases import describe
from cartnet.tools.failure import ToolError
from cartnet.topology.configuration import Configuration
from tests.supervisor.replicas import topology

HASH = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNo"
SESSION = "0123456789abcdef" * 4


class DatabasesTests(SynchronousTestCase):
    """One file among those of a cluster."""

    def setUp(self) -> None:
        self.data = Path(self.mktemp())
        self.data.mkdir()
        self.path = self.data / "s1r0.db"

    def open(self) -> Any:
        module = importlib.import_module(library()[0])
        connection = module.connect(str(self.path), isolation_level=None)
        self.addCleanup(connection.close)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE users (name TEXT, password_hash TEXT)")
        connection.execute("CREATE TABLE log (idx INTEGER, command BLOB)")
        connection.execute('CREATE TABLE "odd ""name" (x)')
        return connection

    def lines(self, rows_max: int = 3) -> list[str]:
        configuration = Configuration(topology(), data=self.data)
        return list(describe(configuration, rows_max))

    def of_the_file(self, lines: Iterable[str]) -> list[str]:
        return [line for line in lines if line.startswith("  ")]

    def test_tables(self) -> None:
        """Every table with its row count and its first rows."""
        connection = self.open()
        for at in range(5):
            connection.execute("INSERT INTO users VALUES (?, NULL)", (f"user{at}",))

        self.assertEqual(
            self.of_the_file(self.lines(2)),
            [
                "  log  0 rows",
                '  odd "name  0 rows',
                "  users  5 rows",
                "    name   password_hash",
                "    user0  NULL",
                "    user1  NULL",
                "    ...",
            ],
        )
        self.assertIn(f"{self.data / 'lb0.db'}  no file", self.lines())

    def test_hashes_are_never_whole(self) -> None:
        """Password and session hashes are cut, in columns as in log entries."""
        connection = self.open()
        connection.execute("INSERT INTO users VALUES ('u', ?)", (HASH,))
        entry = f'[1,{{"hash":"{HASH}","session":"{SESSION}"}}]'.encode()
        connection.execute("INSERT INTO log VALUES (1, ?)", (entry,))

        text = "\n".join(self.lines())

        self.assertNotIn("aGFzaG", text)
        self.assertNotIn("c2FsdH", text)
        self.assertNotIn(SESSION[:16], text)
        self.assertIn("$argon2...", text)
        self.assertIn("01234567...", text)

    def test_strange_values(self) -> None:
        """Bytes, long text and control characters fit on a line."""
        connection = self.open()
        connection.execute("INSERT INTO log VALUES (1, ?)", (b"\xff\xfe",))
        connection.execute("INSERT INTO log VALUES (2, ?)", ("\x1b[2J\n" + "x" * 500,))

        lines = self.of_the_file(self.lines())

        self.assertIn("    1    (2 bytes)", lines)
        self.assertIn("\\u001b[2J\\n", lines[3])
        self.assertLess(max(map(len, lines)), 80)

    def test_writer_goes_on(self) -> None:
        """A replica that is writing is not held up, and what it has not committed is
        not shown."""
        connection = self.open()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO users VALUES ('u', NULL)")

        self.assertIn("  users  0 rows", self.lines())

        connection.execute("COMMIT")
        self.assertIn("  users  1 row", self.lines())

    def test_resting_file(self) -> None:
        """Nothing is left beside the file of a replica that does not run."""
        self.open().close()

        self.assertIn("  users  0 rows", self.lines())

        self.assertEqual([path.name for path in self.data.iterdir()], ["s1r0.db"])

    def test_no_database(self) -> None:
        """What is no database is said of that file alone."""
        self.path.write_bytes(b"not a database" * 100)
        self.assertIn("cannot be read", self.of_the_file(self.lines())[0])

        self.path.unlink()
        with self.assertRaisesRegex(ToolError, "has the cluster ever run here"):
            self.lines()
