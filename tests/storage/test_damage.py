"""Whatever changes in storage's own tables, opening the file finds it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.messages import HardState, Life
from cartnet.replica.scrubber import is_disk_trouble
from cartnet.storage.digest import is_damage
from cartnet.storage.journal import NULL_COMMAND, Damaged, State, save
from cartnet.storage.snapshot import OWN_TABLES
from cartnet.storage.storage import Recovered, Write
from tests.storage.doubles import InlineDisk, entry, numbered, sqlite, storage

FORGOTTEN = "incoming"
"""The own table that is emptied when a file is opened."""

FILE_HEAD_BYTES = 100
HEAD_BYTES = 32
"""Of a page, where a byte that is 0 says something, too."""


class DamageCase(SynchronousTestCase):
    """A file with rows in every one of storage's own tables."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        store = storage(self.path, InlineDisk())
        self.successResultOf(store.open())
        entries = (*numbered(1, 3), entry(4, 2, NULL_COMMAND), entry(5, 2, b"5"))
        founders, lives = {"s1r0": "07" * 16}, {"s1r1": Life("f1", 1, "now")}
        self.successResultOf(
            store.write(
                Write(HardState(3, "s1r1"), entries, 5, founders=founders, lives=lives)
            )
        )
        self.successResultOf(store.write(Write(compact_through=2)))
        self.successResultOf(store.close())
        self.whole = self.path.read_bytes()

    def opened(self) -> Recovered | Failure:
        """Open the file, as it is now."""
        store = storage(self.path, InlineDisk())
        outcome: list[Any] = []
        store.open().addBoth(outcome.append)
        self.successResultOf(store.close())
        recovered: Recovered | Failure = outcome[0]
        return recovered

    def assert_found(self, statement: str) -> None:
        """Damage done by ``statement`` is found, and the file would be set aside."""
        self.path.write_bytes(self.whole)
        connection = sqlite.connect(self.path, isolation_level=None)
        try:
            connection.execute("PRAGMA ignore_check_constraints = ON")
            self.assertGreater(connection.execute(statement).rowcount, 0, statement)
        finally:
            connection.close()
        outcome = self.opened()
        assert isinstance(outcome, Failure), statement
        self.assertTrue(is_damage(outcome.value), f"{statement}: {outcome.value!r}")

    def query(self, sql: str) -> list[Any]:
        connection = sqlite.connect(self.path)
        try:
            found: list[Any] = connection.execute(sql).fetchall()
            return found
        finally:
            connection.close()


class ColumnTests(DamageCase):
    def test_every_column(self) -> None:
        """Another number or text, or another type, in any column of any row."""
        for table in sorted(OWN_TABLES - {FORGOTTEN}):
            # The first column is the key.
            columns = [row[1] for row in self.query(f"PRAGMA table_info({table})")]
            keys = [row[0] for row in self.query(f"SELECT {columns[0]} FROM {table}")]
            self.assertTrue(keys, table)
            for column in columns:
                values = [f"{column} + 100"]
                if column not in {"one", "idx"}:  # Row numbers have but one type.
                    values.append(f"{column} || 'x'")
                    values.append(f"CAST({column} || 'x' AS BLOB)")
                    values.append("CAST(x'ff' AS TEXT)")
                for value in values:
                    for key in keys:
                        self.path.write_bytes(self.whole)
                        self.assert_found(
                            f"UPDATE {table} SET {column} = {value}"
                            f" WHERE {columns[0]} = {key!r}"
                        )

    def test_every_row(self) -> None:
        """A row that is gone, of any table that needs it."""
        for table, rows in {
            "hard_state": "1",
            "log_base": "1",
            "digest": "1",
            "log": "idx = 4",
            "meta": "key IN ('starts', 'checksum', 'schema', 'format', 'founders')",
        }.items():
            self.assert_found(f"DELETE FROM {table} WHERE {rows}")

    def test_term_in_an_old_entry(self) -> None:
        """An entry is looked at that nobody has asked for, since elections go by it."""
        self.assert_found("UPDATE log SET term = 2 WHERE idx = 3")

    def test_vote(self) -> None:
        """A vote that was never given, or is forgotten, is no vote."""
        self.assert_found("UPDATE hard_state SET vote = 's1r0'")
        self.assert_found("UPDATE hard_state SET vote = NULL")
        outcome = self.opened()
        assert isinstance(outcome, Failure)
        self.assertIn(
            "hard_state does not match its checksum", outcome.getErrorMessage()
        )
        self.assertTrue(outcome.check(Damaged))

    def test_older_hard_state(self) -> None:
        """A lost write leaves a row of hard_state from before the log's last rows: its
        checksum is right, its term or its applied index is not."""
        for state in (
            State(HardState(1), 5, 5),  # The log has entries of term 2,
            State(HardState(3, "s1r1"), 1, 1),  # and is compacted through 2.
        ):
            self.path.write_bytes(self.whole)
            connection = sqlite.connect(self.path, isolation_level=None)
            save(connection.cursor(), state)
            connection.close()
            outcome = self.opened()
            assert isinstance(outcome, Failure), state
            self.assertTrue(outcome.check(Damaged), outcome)
            self.assertIn("older than the log", outcome.getErrorMessage())


class ByteTests(DamageCase):
    """Whichever byte is changed: the file holds what it held, or damage is found."""

    def setUp(self) -> None:
        super().setUp()
        sound = self.opened()
        assert isinstance(sound, Recovered)
        self.sound = sound

    def flip(self, at: int) -> Failure | None:
        """Change a bit and open the file: return what is found."""
        changed = bytearray(self.whole)
        changed[at] ^= 1 << at % 8
        self.path.write_bytes(changed)
        outcome = self.opened()
        if isinstance(outcome, Failure):
            return outcome
        self.assertEqual(outcome, self.sound, at)
        return None

    def test_every_byte(self) -> None:
        """Those of own tables' pages."""
        ((size,),) = self.query("PRAGMA page_size")
        for table, page in self.query("SELECT name, rootpage FROM sqlite_master"):
            if table not in OWN_TABLES:
                continue
            for at in range((page - 1) * size, page * size):
                if self.whole[at] or at % size < HEAD_BYTES:
                    found = self.flip(at)
                    self.assertTrue(
                        found is None or is_damage(found.value),
                        f"{table} {at}: {found!r}",
                    )

    def test_every_definition(self) -> None:
        """Those of the tables' definitions, whose text Python may fail to decode."""
        ((size,),) = self.query("PRAGMA page_size")
        for at in range(FILE_HEAD_BYTES, size):
            if self.whole[at] or at < FILE_HEAD_BYTES + HEAD_BYTES:
                found = self.flip(at)
                self.assertTrue(
                    found is None or is_damage(found.value), f"{at}: {found!r}"
                )

    def test_every_byte_of_an_index(self) -> None:
        """Those by which rows are found, though every row is right."""
        self.edit("CREATE INDEX by_sum ON till (sum)")
        ((page,),) = self.query(
            "SELECT rootpage FROM sqlite_master WHERE name = 'by_sum'"
        )
        self.assert_sound_or_found(page)

    def test_every_byte_about_free_pages(self) -> None:
        """Those that say which pages are free: one that is not would be written to."""
        self.edit("CREATE TABLE spare AS SELECT zeroblob(20000)", "DROP TABLE spare")
        self.assert_sound_or_found(int.from_bytes(self.whole[32:36]))

    def edit(self, *statements: str) -> None:
        """Go on from the file as these leave it."""
        connection = sqlite.connect(self.path, isolation_level=None)
        for statement in statements:
            connection.execute(statement)
        connection.close()
        self.whole = self.path.read_bytes()
        sound = self.opened()
        assert isinstance(sound, Recovered)
        self.sound = sound

    def assert_sound_or_found(self, page: int) -> None:
        """Whichever byte of ``page`` is changed."""
        ((size,),) = self.query("PRAGMA page_size")
        self.assertGreater(page, 0)
        for at in range((page - 1) * size, page * size):
            if self.whole[at] or at % size < HEAD_BYTES:
                found = self.flip(at)
                if found is None:
                    sound = self.query("PRAGMA integrity_check")
                    self.assertEqual(sound, [("ok",)], at)
                else:
                    self.assertTrue(is_damage(found.value), f"{at}: {found!r}")

    def test_every_byte_of_the_head(self) -> None:
        """Those of the file's head, some of which SQLite takes for what a disk does."""
        for at in range(FILE_HEAD_BYTES):
            found = self.flip(at)
            self.assertTrue(
                found is None or is_damage(found.value) or is_disk_trouble(found),
                f"{at}: {found!r}",
            )


class Killed(Exception):
    """The process ends here."""


class SetAsideTests(DamageCase):
    """A file that was closed by a power cut, with its write-ahead log beside it."""

    def setUp(self) -> None:
        super().setUp()
        store = storage(self.path, InlineDisk())
        self.successResultOf(store.open())
        self.successResultOf(store.write(Write(None, numbered(6, 7, 3), 7)))
        held = Path(self.mktemp())
        held.mkdir()
        for path in self.files():
            shutil.copy(path, held)
        self.successResultOf(store.close())
        for path in held.iterdir():
            shutil.copy(path, self.path.parent)

    def files(self, of: str = "") -> list[Path]:
        name = self.path.name + of
        return [
            path
            for path in (
                self.path.with_name(name + suffix) for suffix in ("", "-wal", "-shm")
            )
            if path.exists()
        ]

    def set_aside(self) -> None:
        store = storage(self.path, InlineDisk())
        self.successResultOf(store.close())
        store.set_aside()

    def test_whole(self) -> None:
        """All that belongs to a file goes with it, and another is in its place."""
        held = len(self.files())
        self.assertGreater(held, 1)

        self.set_aside()

        self.assertEqual(self.files(), [])
        self.assertEqual(len(self.files(".set-aside-1")), held)
        fresh = self.opened()
        assert isinstance(fresh, Recovered)
        self.assertEqual((fresh.last_index, fresh.starts), (0, 1))

    def test_killed(self) -> None:
        """Wherever it is cut short, no older copy is left in the file's place."""
        rename, renamed = Path.rename, list[Path]()

        def rename_once(source: Path, target: Path) -> Path:
            if renamed:
                raise Killed
            renamed.append(source)
            return rename(source, target)

        patch = self.patch(Path, "rename", rename_once)
        with self.assertRaises(Killed):
            self.set_aside()
        patch.restore()

        self.assertGreater(len(self.files()), 0)
        fresh = self.opened()
        assert isinstance(fresh, Recovered)
        self.assertEqual((fresh.last_index, fresh.starts), (0, 1))
        self.assertEqual(self.query("PRAGMA integrity_check"), [("ok",)])
