"""Damage to the tables' definitions is found when the file is opened."""

from __future__ import annotations

import sqlite3

from twisted.trial.unittest import SynchronousTestCase

from cartnet.storage import journal, owner, schema
from cartnet.storage.journal import Damaged
from tests.storage.doubles import OWNER


class SchemaTests(SynchronousTestCase):
    """A file whose definitions have been kept."""

    def setUp(self) -> None:
        self.connection = sqlite3.connect(":memory:", isolation_level=None)
        self.addCleanup(self.connection.close)
        self.cursor = self.connection.cursor()
        owner.create(self.cursor, OWNER, bytes)
        journal.create(self.cursor)
        self.cursor.execute("CREATE TABLE digest (digest TEXT)")
        schema.keep(self.cursor)

    def flip(self, table: str, old: str, new: str) -> None:
        """Change a definition as a disk does: behind SQLite's back."""
        self.cursor.execute("PRAGMA writable_schema = ON")
        self.cursor.execute(
            "UPDATE sqlite_master SET sql = REPLACE(sql, ?, ?), name = REPLACE(name,"
            " ?, ?), tbl_name = REPLACE(tbl_name, ?, ?) WHERE name = ?",
            (old, new, old, new, old, new, table),
        )
        image = self.connection.serialize()
        self.connection.deserialize(image)

    def assert_damaged(self, table: str) -> None:
        with self.assertRaisesRegex(Damaged, f"the table {table} "):
            owner.check(self.cursor, OWNER, "s1r0.db")
            schema.check(self.cursor)

    def test_sound(self) -> None:
        """Sound definitions pass, with an index that came later."""
        self.cursor.execute("CREATE INDEX by_term ON log (term)")

        schema.check(self.cursor)

    def test_column(self) -> None:
        """A column of another name is damage."""
        self.flip("log", "command", "colmand")

        self.assert_damaged("log")

    def test_table(self) -> None:
        """A table of another name is damage, though it could be made anew."""
        self.flip("hard_state", "hard_state", "hard_stave")

        self.assert_damaged("hard_state")

    def test_new_table(self) -> None:
        """So is one that nobody has made."""
        self.cursor.execute("CREATE TABLE later (x)")

        self.assert_damaged("later")

    def test_meta(self) -> None:
        """So is what the definitions themselves are kept in."""
        self.flip("meta", "value", "valve")

        self.assert_damaged("meta")

    def test_dropped_digests(self) -> None:
        """What an operator may drop may be missing."""
        self.cursor.execute("DROP TABLE digest")

        schema.check(self.cursor)
