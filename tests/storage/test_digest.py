"""The digest of the tables: equal to a recount, whatever happened before."""

from __future__ import annotations

import weakref
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.messages import HardState
from cartnet.limits import DIGEST_ENTRIES, DIGESTS_KEPT_MAX
from cartnet.storage import digest, journal, owner
from cartnet.storage.digest import DigestKeeper, StateDamaged
from cartnet.storage.journal import State
from tests.storage.doubles import sqlite

VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0, 1, "0", "1", b"1", b"", ""]),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    st.binary(max_size=4),
)
KEYS = st.integers(0, 5)
TABLES = st.sampled_from(["shelf", "odd 'name\""])
STATEMENTS = st.one_of(
    st.tuples(st.just("insert"), TABLES, KEYS, VALUES),
    st.tuples(st.just("upsert"), TABLES, KEYS, VALUES),
    st.tuples(st.just("replace"), TABLES, KEYS, VALUES),
    st.tuples(st.just("update"), TABLES, KEYS, VALUES),
    st.tuples(st.just("update all"), TABLES, KEYS, VALUES),
    st.tuples(st.just("delete"), TABLES, KEYS, VALUES),
    st.tuples(st.just("delete all"), TABLES, KEYS, VALUES),
)
TRANSACTIONS = st.lists(st.tuples(st.lists(STATEMENTS, max_size=6), st.booleans()))

SQL = {
    "insert": 'INSERT INTO {0} ("the key", value) VALUES (?1, ?2)'
    " ON CONFLICT DO NOTHING",
    "upsert": 'INSERT INTO {0} ("the key", value) VALUES (?1, ?2)'
    ' ON CONFLICT ("the key") DO UPDATE SET value = excluded.value RETURNING value',
    "replace": 'INSERT OR REPLACE INTO {0} ("the key", value) VALUES (?1, ?2)',
    "update": 'UPDATE {0} SET value = ?2 WHERE "the key" = ?1',
    "update all": "UPDATE {0} SET value = ?2 WHERE ?1 = ?1",
    "delete": 'DELETE FROM {0} WHERE "the key" = ?1 AND ?2 IS ?2',
    "delete all": "DELETE FROM {0} WHERE ?1 = ?1 AND ?2 IS ?2",
}


class Shelves:
    """Two tables on a connection, with a digest."""

    def __init__(self, path: str = ":memory:") -> None:
        self.connection: Any = sqlite.connect(
            path, isolation_level=None, check_same_thread=False
        )
        # Whichever thread collects it closes it.
        weakref.finalize(self, self.connection.close)
        self.cursor = self.connection.cursor()
        self.keeper = DigestKeeper()
        self.open()

    def open(self) -> None:
        self.begin()
        if owner.is_fresh(self.cursor):
            journal.create(self.cursor)
        for table in ("shelf", "odd 'name\""):
            self.cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {quoted(table)}"
                ' ("the key" INTEGER PRIMARY KEY, value)'
            )
        digest.open_tables(self.cursor)
        self.commit()

    def begin(self) -> None:
        self.cursor.execute("BEGIN")
        self.keeper.begin(self.connection)

    def commit(self) -> None:
        self.keeper.save(self.cursor)
        self.cursor.execute("COMMIT")

    def do(self, what: str, table: str, key: int, value: object) -> None:
        self.cursor.execute(SQL[what].format(quoted(table)), (key, value)).fetchall()

    def put(self, *rows: tuple[int, object]) -> None:
        self.begin()
        for key, value in rows:
            self.do("upsert", "shelf", key, value)
        self.commit()

    def difference(self) -> str | None:
        return digest.compare(self.cursor).difference

    def kept(self) -> str:
        return digest.digest_at(self.cursor)[1]


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class KeptTests(SynchronousTestCase):
    @given(TRANSACTIONS)
    @settings(deadline=None)
    def test_kept_is_recounted(
        self, transactions: list[tuple[list[Any], bool]]
    ) -> None:
        """The kept digest equals a recount after any statements and rollbacks."""
        shelves = Shelves()
        self.addCleanup(shelves.connection.close)
        for statements, rolled_back in transactions:
            shelves.begin()
            for statement in statements:
                shelves.do(*statement)
                self.assertEqual(
                    shelves.keeper.value(shelves.cursor),
                    digest.recount(shelves.cursor),
                )
            if rolled_back:
                shelves.cursor.execute("ROLLBACK")
            else:
                shelves.commit()
            self.assertIsNone(shelves.difference())

    @given(st.lists(st.tuples(KEYS, VALUES), unique_by=lambda row: row[0]), st.data())
    @settings(deadline=None)
    def test_order_and_batches(
        self, rows: list[tuple[int, object]], data: st.DataObject
    ) -> None:
        """Equal tables have equal digests, in whatever order and batches they came."""
        together, apart = Shelves(), Shelves()
        self.addCleanup(together.connection.close)
        self.addCleanup(apart.connection.close)
        together.put(*rows)
        for row in data.draw(st.permutations(rows)):
            apart.put((row[0], "on the way"))
            apart.put(row)
        self.assertEqual(together.kept(), apart.kept())

    @given(VALUES, VALUES)
    @settings(deadline=None)
    def test_values_are_told_apart(self, one: object, other: object) -> None:
        """Values of other types or texts give other digests, 1 and "1" among them."""
        same = type(one) is type(other) and one == other
        self.assertEqual(
            digest.row_hash(("t", one)) == digest.row_hash(("t", other)), same
        )
        self.assertNotEqual(digest.row_hash(("t", one)), digest.row_hash(("u", one)))

    def test_tables_are_told_apart(self) -> None:
        """A row that moves to another table changes the digest."""
        one, other = Shelves(), Shelves()
        self.addCleanup(one.connection.close)
        self.addCleanup(other.connection.close)
        for shelves, table in ((one, "shelf"), (other, "odd 'name\"")):
            shelves.begin()
            shelves.do("insert", table, 1, 1)
            shelves.commit()
        self.assertNotEqual(one.kept(), other.kept())


class FileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = self.mktemp()
        self.shelves = Shelves(self.path)
        self.shelves.put((1, "one"), (2, 2))

    def tearDown(self) -> None:
        self.shelves.connection.close()

    def reopened(self) -> Shelves:
        self.shelves.connection.close()
        self.shelves = Shelves(self.path)
        return self.shelves

    def edit(self, sql: str) -> None:
        """Change the file as another program does, which knows no digests."""
        other = sqlite.connect(self.path, isolation_level=None)
        try:
            other.execute(sql)
        finally:
            other.close()

    def test_reopened(self) -> None:
        """A file goes on where it ended, on another connection."""
        kept = self.shelves.kept()
        shelves = self.reopened()
        self.assertEqual(shelves.kept(), kept)
        shelves.put((2, 3))
        self.assertNotEqual(shelves.kept(), kept)
        shelves.put((2, 2))
        self.assertEqual(shelves.kept(), kept)

    def test_adopted(self) -> None:
        """A file of a release without digests gets the digest of what it holds."""
        kept = self.shelves.kept()
        self.edit("DROP TABLE digest")
        self.assertEqual(self.reopened().kept(), kept)

    def test_altered_row(self) -> None:
        """A row altered by another program is found, now and when opened."""
        self.edit("UPDATE shelf SET value = '2' WHERE value = 2")
        difference = self.shelves.difference()
        assert difference is not None
        self.assertIn("differ from what was applied", difference)
        with self.assertRaisesRegex(StateDamaged, "differ"):
            self.reopened()
        self.shelves = Shelves()

    def test_altered_digest(self) -> None:
        """A digest that is altered, or gone, is a difference too."""
        self.edit("UPDATE digest SET digest = replace(digest, '0', '1')")
        self.assertIsNotNone(self.shelves.difference())
        self.edit("DELETE FROM digest")
        difference = self.shelves.difference()
        self.assertEqual(difference, "the digest of the tables is missing")
        with self.assertRaisesRegex(StateDamaged, "missing"):
            digest.digest_at(self.shelves.cursor)

    def test_bad_text(self) -> None:
        """Text that is no UTF-8 is damage, not an error."""
        self.edit("UPDATE shelf SET value = CAST(x'ff' AS TEXT) WHERE value = 2")
        difference = self.shelves.difference()
        assert difference is not None
        self.assertIn("damaged", difference)

    def test_own_tables(self) -> None:
        """What is storage's own may change without a trace in the digest."""
        journal.save(self.shelves.cursor, State(HardState(9), 0, 0))
        self.assertIsNone(self.shelves.difference())

    def test_damaged_index(self) -> None:
        """An index that lacks a row is found, though every row is right."""
        self.edit("CREATE INDEX by_value ON shelf (value)")
        self.edit("CREATE TABLE spare (value)")
        self.edit("CREATE INDEX spare_by_value ON spare (value)")
        self.assertIsNone(self.shelves.difference())
        other = sqlite.connect(self.path, isolation_level=None)
        other.execute("PRAGMA writable_schema = ON")
        other.execute(
            "UPDATE sqlite_master SET rootpage ="
            " (SELECT rootpage FROM sqlite_master WHERE name = 'spare_by_value')"
            " WHERE name = 'by_value'"
        )
        other.close()
        self.shelves.connection.close()
        self.shelves.connection = sqlite.connect(self.path, isolation_level=None)
        self.shelves.cursor = self.shelves.connection.cursor()
        self.assertIsNotNone(self.shelves.difference())

    def test_every_bit(self) -> None:
        """Whichever byte of the rows' page is altered: what can be read of the tables
        is right, or a difference is found."""
        self.edit("PRAGMA journal_mode = DELETE")
        connection = sqlite.connect(self.path)
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'shelf'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        connection.close()
        self.shelves.connection.close()
        whole = Path(self.path).read_bytes()
        start = (page - 1) * size
        rows = [(1, "one"), (2, 2)]
        for at in [*range(start, start + 20), *range(start + size - 20, start + size)]:
            changed = bytearray(whole)
            changed[at] ^= 0x04
            Path(self.path).write_bytes(changed)
            connection = sqlite.connect(self.path, isolation_level=None)
            cursor = connection.cursor()
            try:
                if digest.compare(cursor).difference is None:
                    found = cursor.execute("SELECT * FROM shelf").fetchall()
                    self.assertEqual(found, rows, f"byte {at - start}")
            finally:
                connection.close()
        self.shelves = Shelves()

    def test_clear(self) -> None:
        """Cleared tables count from nothing, even where they were damaged."""
        kept = self.shelves.kept()
        self.edit("UPDATE shelf SET value = '2' WHERE value = 2")
        self.shelves.begin()
        self.shelves.keeper.clear(self.shelves.cursor)
        self.shelves.do("insert", "shelf", 2, 2)
        self.shelves.do("insert", "shelf", 1, "one")
        self.assertEqual(self.shelves.keeper.value(self.shelves.cursor), kept)
        self.shelves.commit()
        self.assertEqual(self.shelves.kept(), kept)
        self.assertIsNone(self.shelves.difference())

    def test_clear_rolled_back(self) -> None:
        """After a clearing that is rolled back all is as before."""
        kept = self.shelves.kept()
        self.shelves.begin()
        self.shelves.keeper.clear(self.shelves.cursor)
        self.shelves.do("insert", "shelf", 7, 7)
        self.shelves.cursor.execute("ROLLBACK")
        self.assertEqual(self.shelves.kept(), kept)
        self.shelves.put((3, 3))
        self.assertIsNone(self.shelves.difference())

    def test_recorded(self) -> None:
        """Recorded digests are those of their instant; the oldest are forgotten."""
        expected = []
        for index in range(1, DIGESTS_KEPT_MAX + 4):
            self.shelves.begin()
            self.shelves.do("upsert", "shelf", 1, index)
            self.shelves.keeper.record(self.shelves.cursor, index)
            expected.append((index, self.shelves.keeper.value(self.shelves.cursor)))
            self.shelves.do("upsert", "shelf", 1, "later")
            self.shelves.commit()
        recorded = digest.recorded(self.shelves.cursor)
        self.assertEqual(list(recorded), expected[-DIGESTS_KEPT_MAX:])
        self.assertEqual(
            digest.recorded(self.shelves.cursor, expected[-2][0]), tuple(expected[-2:])
        )

    def test_due(self) -> None:
        """Digests are recorded at round indexes, and at entries without a command."""
        self.assertTrue(digest.due(DIGEST_ENTRIES, b"[1]"))
        self.assertTrue(digest.due(3, journal.NULL_COMMAND))
        self.assertFalse(digest.due(3, b"[1]"))

    def test_recount_ends(self) -> None:
        """A recount that is not wanted any more ends with what its check raises."""

        class Enough(Exception):
            pass

        def check() -> None:
            raise Enough

        with self.assertRaises(Enough):
            digest.recount(self.shelves.cursor, check)
