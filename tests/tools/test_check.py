"""Every kind of damage in a cluster's files is found, and said of the right one."""

from __future__ import annotations

import contextlib
import io
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.messages import HardState
from cartnet.limits import CHECK_FINDINGS_SHOWN_MAX
from cartnet.shop import commands
from cartnet.storage import journal
from cartnet.storage.lock import FileLock
from cartnet.tools.check import run
from cartnet.tools.check_report import Report
from cartnet.tools.failure import ToolError
from cartnet.tools.main import main
from cartnet.topology.configuration import Configuration
from tests.storage.doubles import sqlite
from tests.tools.cluster_files import ClusterFiles, names, topology


class CheckCase(SynchronousTestCase):
    healthy: ClassVar[Path]

    @classmethod
    def setUpClass(cls) -> None:
        cls.healthy = Path(tempfile.mkdtemp())
        ClusterFiles(cls.healthy).close()

    @classmethod
    def tearDownClass(cls) -> None:
        shutil.rmtree(cls.healthy)

    def setUp(self) -> None:
        self.data = Path(self.mktemp())
        shutil.copytree(self.healthy, self.data)

    def check(self) -> Report:
        return run(Configuration(topology(), data=self.data), lambda step: None)

    def edit(self, replica: str, *statements: str) -> None:
        """Change a file as any other program does."""
        connection = sqlite.connect(self.data / f"{replica}.db", isolation_level=None)
        try:
            for statement in statements:
                connection.execute(statement)
        finally:
            connection.close()

    def row(self, replica: str, sql: str) -> Any:
        connection = sqlite.connect(self.data / f"{replica}.db")
        try:
            return connection.execute(sql).fetchone()
        finally:
            connection.close()

    def put_entry(self, replica: str, index: int, term: int, command: bytes) -> None:
        """Put another entry into a log, with its checksum."""
        checksum = journal.checksum(index, term, command)
        self.edit(
            replica,
            f"UPDATE log SET term = {term}, command = x'{command.hex()}',"
            f" checksum = {checksum} WHERE idx = {index}",
        )

    def save_hard_state(self, replica: str, new: HardState) -> None:
        """Keep another term and vote, with their checksum."""
        connection = sqlite.connect(self.data / f"{replica}.db", isolation_level=None)
        try:
            cursor = connection.cursor()
            journal.save(cursor, replace(journal.state(cursor), hard_state=new))
        finally:
            connection.close()

    def edit_group(self, group: str, *statements: str) -> None:
        """Change all of a group's files alike, their digests with them: a group that
        was wrong from the first."""
        for name in topology().group(group).names:
            self.edit(name, *statements, "DROP TABLE digest", "DELETE FROM digests")

    def wrong(self, report: Report) -> dict[str, list[str]]:
        return {
            name: chapter.wrong
            for name, chapter in report.chapters.items()
            if chapter.wrong
        }

    def assert_wrong(self, guarantee: str, *parts: str, alone: bool = True) -> None:
        """Exactly one thing is wrong, with that guarantee, and all parts are said."""
        wrong = self.wrong(self.check())
        self.assertIn(guarantee, wrong)
        if alone:
            self.assertEqual(list(wrong), [guarantee], wrong)
            self.assertEqual(len(wrong[guarantee]), 1, wrong)
        for part in parts:
            self.assertIn(part, " ".join(wrong[guarantee]))


class HealthyTests(CheckCase):
    def test_clean(self) -> None:
        """A healthy cluster's files are clean, and it is said what was looked at."""
        report = self.check()
        self.assertEqual(self.wrong(report), {})
        self.assertTrue(report.clean)
        lines = "\n".join(report.lines())
        self.assertIn("12 files of 12", lines)
        self.assertIn("6 orders placed and 1 pending on s1, s2", lines)
        self.assertIn("3 items, 6 takings", lines)
        self.assertIn("3 usernames on s1, s2, 3 homes", lines)
        self.assertRegex(lines, r"S5 +linearizable +not seen")
        self.assertEqual(lines.splitlines()[-1], "clean")

    def test_no_notes(self) -> None:
        """Of a healthy cluster a pending order alone is worth a note."""
        notes = [c.notes for c in self.check().chapters.values() if c.notes]
        self.assertEqual(len(notes), 1)
        self.assertIn("1 order pending", notes[0][0])

    def test_untouched(self) -> None:
        """The folder is afterwards what it was before, to the byte."""

        def contents() -> dict[str, bytes]:
            return {
                path.name: path.read_bytes() for path in sorted(self.data.iterdir())
            }

        before = contents()
        self.check()
        self.assertEqual(contents(), before)

    def test_log_not_copied_back(self) -> None:
        """What stands in a write-ahead log alone is seen."""
        connection = sqlite.connect(self.data / "it0.db", isolation_level=None)
        self.addCleanup(connection.close)
        connection.execute("UPDATE items SET stock = stock + 1 WHERE item = 'A'")
        self.assertTrue((self.data / "it0.db-wal").stat().st_size)
        self.assert_wrong("S4", "it0", "differ from what was applied", alone=False)

    def test_any_subset(self) -> None:
        """With any files missing nothing is taken for wrong, and they are named."""
        for missing in [
            ("s1r0",),
            ("it0", "it1"),
            ("it0", "it1", "it2"),
            ("lb0", "lb1", "lb2"),
            ("s1r0", "s1r1", "s1r2"),
            ("s2r0", "s2r1"),
            tuple(name for name in names() if name != "it1"),
            tuple(name for name in names() if name != "lb2"),
        ]:
            kept = {name: (self.data / f"{name}.db").read_bytes() for name in missing}
            for name in missing:
                (self.data / f"{name}.db").unlink()
            report = self.check()
            self.assertEqual(self.wrong(report), {}, missing)
            self.assertIn(f"missing: {', '.join(missing)}", next(report.lines()))
            for name, content in kept.items():
                (self.data / f"{name}.db").write_bytes(content)

    def test_empty_file(self) -> None:
        """A file that its replica has not begun with is as good as missing."""
        (self.data / "s1r0.db").write_bytes(b"")
        report = self.check()
        self.assertEqual(self.wrong(report), {})
        self.assertEqual(report["files"].notes, ["s1r0: the file is empty"])
        self.assertIn("11 files of 12", report.heading)
        self.assertIn("; missing: s1r0", report.heading)
        for name in names():
            (self.data / f"{name}.db").write_bytes(b"")
        self.assertRaises(ToolError, self.check)

    def test_interrupted_checkout(self) -> None:
        """An order that is pending, and taken, is no damage."""
        shutil.rmtree(self.data)
        self.data.mkdir()
        cluster = ClusterFiles(self.data)
        cluster.take("s1", cluster.begin("ann", "s1", None))
        cluster.close()
        report = self.check()
        self.assertEqual(self.wrong(report), {})
        self.assertIn("2 orders pending", report["S8"].notes[0])

    def test_uncommitted_end(self) -> None:
        """What the logs hold behind the commit index counts, when groups are compared:
        a decision may be known to its leader alone."""
        shutil.rmtree(self.data)
        self.data.mkdir()
        cluster = ClusterFiles(self.data)
        begun = cluster.begin("ann", "s1", None)
        inventory = cluster.groups["it"]
        taken = inventory.propose(
            commands.Take("id-of-s1", begun.index, begun.lines, None, 0),
            behind=("it1", "it2"),
        )
        cluster.groups["s1"].propose(commands.FinishCheckout(begun.order, taken))
        cluster.close()
        (self.data / "it0.db").unlink()
        self.assertEqual(self.wrong(self.check()), {})

    def test_contradicted_end(self) -> None:
        """What an ex-leader has alone at its log's end is no damage, and not taken
        for what the group applied."""
        shutil.rmtree(self.data)
        self.data.mkdir()
        cluster = ClusterFiles(self.data)
        cluster.add("bob", "s2", "C", None, behind=("s2r0",))
        cluster.close()
        index = cluster.groups["s2"].index
        command = self.row("s2r1", f"SELECT command FROM log WHERE idx = {index}")[0]
        for name in ("s2r1", "s2r2"):
            self.put_entry(name, index, 2, command)
            self.save_hard_state(name, HardState(2))
        other = command.replace(b'"C"', b'"A"')
        self.assertNotEqual(other, command)
        self.put_entry("s2r0", index, 1, other)
        self.assertEqual(self.wrong(self.check()), {})

    def test_compacted(self) -> None:
        """Logs that begin at different indexes match; one that cannot be brought to
        the others' index is noted."""
        shutil.rmtree(self.data)
        self.data.mkdir()
        cluster = ClusterFiles(self.data)
        log = cluster.groups["s2"]
        log.compact(s2r0=10, s2r1=15)
        cluster.groups["s1"].compact(s1r0=5, s1r1=6, s1r2=20)
        cluster.close()
        self.assertEqual(self.wrong(self.check()), {})
        # A replica without its log's end, and nobody else has what it lacks.
        shutil.rmtree(self.data)
        self.data.mkdir()
        cluster = ClusterFiles(self.data)
        log = cluster.groups["s2"]
        log.compact(s2r0=log.index, s2r1=log.index)
        cluster.close()
        self.assertEqual(self.wrong(self.check()), {})
        self.assertEqual(self.check()["S4"].notes, [])
        self.edit("s2r2", f"DELETE FROM log WHERE idx >= {log.index - 1}")
        report = self.check()
        self.assertEqual(self.wrong(report), {})
        self.assertIn("is compacted away", report["S4"].notes[0])


class CommandTests(CheckCase):
    def tool(self, *arguments: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(["check", "--data", str(self.data), *arguments])
        return status, out.getvalue(), err.getvalue()

    def test_statuses(self) -> None:
        """0 for a clean cluster, 1 for a broken one, 2 where there is none."""
        status, out, _ = self.tool()
        self.assertEqual((status, out.splitlines()[-1]), (0, "clean"))
        self.edit("it2", "UPDATE items SET stock = 1 WHERE item = 'A'")
        status, out, _ = self.tool()
        self.assertEqual((status, out.splitlines()[-1]), (1, "wrong: S4"))
        shutil.rmtree(self.data)
        status, out, err = self.tool()
        self.assertEqual((status, out), (2, ""))
        self.assertIn("has the cluster ever run here?", err)

    def test_held(self) -> None:
        """A file that a process holds is refused in one line, and keeps its lock."""
        lock = FileLock(self.data / "s2r1.db.lock")
        lock.acquire("pid 12 cluster demo replica s2r1")
        self.addCleanup(lock.release)
        status, out, err = self.tool()
        self.assertEqual((status, out), (2, ""))
        self.assertRegex(err, r"^cartnet: .*s2r1\.db is in use \(pid 12 .*\): .*\n$")
        self.assertEqual(err.count("\n"), 1)

    def test_released(self) -> None:
        """A lock that nobody holds is no obstacle, and stays as it was."""
        lock = FileLock(self.data / "s2r1.db.lock")
        lock.acquire("pid 12 cluster demo replica s2r1")
        lock.release()
        self.assertEqual(self.wrong(self.check()), {})
        self.assertIn("pid 12", lock.path.read_text())

    def test_no_files(self) -> None:
        """Without any file there is nothing to check."""
        shutil.rmtree(self.data)
        with self.assertRaises(ToolError):
            self.check()

    def test_many_findings(self) -> None:
        """Of many findings some are shown, and the number of the others."""
        report = Report()
        report["S3"].wrong.extend(f"finding {at}\n" for at in range(100))
        lines = list(report.lines())
        self.assertEqual(
            sum("finding" in line for line in lines), CHECK_FINDINGS_SHOWN_MAX
        )
        self.assertTrue(any("and 80 more" in line for line in lines))


class DamageTests(CheckCase):
    def test_row_altered(self) -> None:
        """One row of one replica: its digest gives it away, and only its."""
        self.edit("s1r1", "UPDATE carts SET version = version + 1")
        wrong = self.wrong(self.check())
        self.assertEqual(list(wrong), ["S4"])
        self.assertIn("s1r1: the tables differ from what was applied", wrong["S4"][0])
        self.assertRegex(
            wrong["S4"][1], r"s1: at index \d+ s1r0, s1r2 have .* but s1r1 has"
        )

    def test_digest_altered_too(self) -> None:
        """A replica whose digest agrees with its wrong tables differs from others."""
        self.edit("s1r1", "UPDATE carts SET version = 9", "DROP TABLE digest")
        self.assert_wrong("S4", "s1r0, s1r2 have", "s1r1 has")

    def test_no_majority(self) -> None:
        """Where all three differ that is wrong, and said to be undecided."""
        for version, replica in enumerate(("s1r1", "s1r2"), 9):
            self.edit(
                replica, f"UPDATE carts SET version = {version}", "DROP TABLE digest"
            )
        self.assert_wrong("S4", "s1r0 has", "s1r1 has", "s1r2 has", "no majority")

    def test_no_majority_of_two(self) -> None:
        """Two that differ are wrong without the third's file, too."""
        self.edit("s1r1", "UPDATE carts SET version = 9", "DROP TABLE digest")
        (self.data / "s1r2.db").unlink()
        self.assert_wrong("S4", "s1r0 has", "s1r1 has", "no majority", alone=False)

    def test_brought_to_one_index(self) -> None:
        """Replicas that end at other indexes are compared at the last one."""
        self.edit(
            "s2r2",
            "UPDATE accounts SET created_at = 1",
            "DROP TABLE digest",
            "DELETE FROM digests",
        )
        self.assert_wrong("S4", "s2: at index", "s2r0, s2r1 have", "s2r2 has")

    def test_recorded_digest(self) -> None:
        """Digests that were recorded on the way are compared too."""
        self.edit(
            "lb0",
            f"UPDATE digests SET digest = '{'0' * 64}',"
            f" checksum = {journal.checksum(1, '0' * 64)} WHERE idx = 1",
        )
        self.assert_wrong("S4", "lb: at index 1 lb0 has", "lb1, lb2 have")

    def test_recorded_digest_alike(self) -> None:
        """Digests that begin alike are shown as far as they differ."""
        told = self.row("lb1", "SELECT digest FROM digests WHERE idx = 1")[0]
        other = told[:-1] + ("0" if told[-1] != "0" else "1")
        self.edit(
            "lb0",
            f"UPDATE digests SET digest = '{other}',"
            f" checksum = {journal.checksum(1, other)} WHERE idx = 1",
        )
        self.assert_wrong("S4", f"lb0 has {other}", f"lb1, lb2 have {told}")

    def test_digest_ahead(self) -> None:
        """A digest recorded for what is not applied yet is wrong."""
        checksum = journal.checksum(99999, "0" * 64)
        self.edit(
            "lb0", f"INSERT INTO digests VALUES (99999, '{'0' * 64}', {checksum})"
        )
        self.assert_wrong("S4", "lb0: a digest is recorded at index 99999")

    def test_page_flipped(self) -> None:
        """Bytes of a page, whichever: what is wrong is named, and nothing crashes."""
        path = self.data / "it1.db"
        self.edit("it1", "PRAGMA wal_checkpoint(TRUNCATE)")
        connection = sqlite.connect(path)
        (page,) = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'taking_lines'"
        ).fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        connection.close()
        whole = path.read_bytes()
        for at in ((page - 1) * size, page * size - 1, page * size - 9):
            changed = bytearray(whole)
            changed[at] ^= 0x15
            path.write_bytes(changed)
            wrong = self.wrong(self.check())
            self.assertIn("S4", wrong, f"byte {at}")
            self.assertIn("it1", wrong["S4"][0])

    def test_truncated(self) -> None:
        """Half a file is named, and the others are checked without it."""
        path = self.data / "it1.db"
        path.write_bytes(path.read_bytes()[:8192])
        wrong = self.wrong(self.check())
        self.assertTrue(
            any("it1" in line for lines in wrong.values() for line in lines)
        )

    def test_no_database(self) -> None:
        """A file that is no database is named."""
        (self.data / "it1.db").write_bytes(b"no database at all" * 500)
        self.assert_wrong("files", "it1: the file cannot be read", "not a database")

    def test_another_replicas(self) -> None:
        """A file of another replica is named."""
        shutil.copyfile(self.data / "it0.db", self.data / "it1.db")
        self.assert_wrong("files", "it1.db belongs to replica it0")

    def test_log_altered(self) -> None:
        """An altered command does not match its checksum."""
        self.edit("s1r2", "UPDATE log SET command = x'00' WHERE idx = 5")
        self.assert_wrong("S3", "s1r2: log entry 5 does not match", alone=False)

    def test_log_altered_with_checksum(self) -> None:
        """An entry that is another one than the others' is found all the same."""
        command = msgspec.json.encode([1, {"do": "close_session", "session": "x"}])
        self.put_entry("s1r2", 5, 1, command)
        self.assert_wrong("S3", "s1r2: entry 5 of term 1 differs", alone=False)

    def test_hole(self) -> None:
        """A hole in a log is named with its ends."""
        self.edit("s1r2", "DELETE FROM log WHERE idx IN (5, 6)")
        self.assert_wrong("S3", "s1r2: log entries 5 to 6 are missing")

    def test_another_term(self) -> None:
        """Committed entries of different terms at one index cannot be."""
        (command,) = self.row("s1r2", "SELECT command FROM log WHERE idx = 5")
        self.put_entry("s1r2", 5, 2, command)
        wrong = " ".join(self.wrong(self.check())["S3"])
        self.assertIn("s1r0 and s1r2: entry 5 is committed in both", wrong)
        self.assertIn("s1r2: the term falls from 2 to 1 at index 6", wrong)
        self.assertIn("but differ at index 5 before it", wrong)

    def test_cut_log(self) -> None:
        """A log that lost its end is named; so is what a majority lost."""
        for name in ("s1r1", "s1r2"):
            self.edit(name, "DELETE FROM log WHERE idx > 20")
        wrong = self.wrong(self.check())
        self.assertEqual(list(wrong), ["S1"])
        self.assertEqual(len(wrong["S1"]), 3)
        self.assertIn("its log ends at 20", wrong["S1"][0])
        self.assertIn("a majority lacks it: s1r1, s1r2", wrong["S1"][2])

    def test_term_behind(self) -> None:
        """A replica that has forgotten its term may vote twice in one."""
        self.save_hard_state("lb2", HardState(0))
        self.assert_wrong("S2", "lb2: its term is 0, its log reaches term 1")

    def test_vote_for_a_stranger(self) -> None:
        """A vote is for a member."""
        self.save_hard_state("lb2", HardState(1, "it0"))
        self.assert_wrong("S2", "lb2: it voted for it0")

    def test_own_tables(self) -> None:
        """What a file says of itself is held against its checksums."""
        for change, what in (
            ("UPDATE hard_state SET vote = 'lb1'", "the row of hard_state"),
            ("UPDATE log_base SET term = 7", "the row of log_base"),
            ("UPDATE meta SET value = 'f' WHERE key = 'file_id'", "the table meta"),
        ):
            whole = (self.data / "lb2.db").read_bytes()
            self.edit("lb2", change, "PRAGMA journal_mode = DELETE")
            self.assert_wrong("files", f"lb2: {what} does not match its checksum")
            (self.data / "lb2.db").write_bytes(whole)

    def test_recorded_digest_damaged(self) -> None:
        """A recorded digest that has changed by itself accuses nobody."""
        self.edit("lb0", f"UPDATE digests SET digest = '{'0' * 64}' WHERE idx = 1")
        self.assert_wrong("S4", "lb0", "the digest at index 1 does not match its")

    def test_recorded_digest_damaged_behind(self) -> None:
        """It is said in one line of a file whose log ends after what is applied, even
        of the only one of its group, or of all that there are."""
        damage = (
            "UPDATE digests SET digest = replace(digest, 'a', 'b')"
            " WHERE idx = (SELECT min(idx) FROM digests)"
        )
        for lost, damaged in (
            (None, ["s2r2"]),
            ("s2r0", ["s2r1", "s2r2"]),
            ("s2r1", ["s2r2"]),
        ):
            if lost is not None:
                (self.data / f"{lost}.db").unlink()
            self.edit(damaged[0], damage)
            wrong = self.wrong(self.check())
            self.assertEqual(list(wrong), ["S4"])
            self.assertEqual(
                [line.partition(";")[0] for line in wrong["S4"]],
                [
                    f"{name}: the digest at index 1 does not match its checksum"
                    for name in damaged
                ],
            )

    def test_definition(self) -> None:
        """A table that is gone, or is another one, is named."""
        self.edit("lb2", "ALTER TABLE homes RENAME TO hones")
        self.assert_wrong("files", "lb2: the table homes is not defined as it was")


class ShopTests(CheckCase):
    """Groups that agree among themselves, and yet are wrong."""

    def test_once(self) -> None:
        """One key with two orders."""
        self.edit_group("s1", "UPDATE orders SET key = 'first-0' WHERE key = 'first-1'")
        self.assert_wrong(
            "S6", "the key 'first-0' of ann has ordered twice", alone=False
        )

    def test_key_of_nothing(self) -> None:
        """A key that stands for an order that is not there."""
        self.edit_group(
            "s1",
            "UPDATE remembered_keys SET order_index = 999 WHERE key = 'first-0'",
        )
        self.assert_wrong("S6", "the key 'first-0' of ann stands for order 999")

    def test_stock(self) -> None:
        """Stock that appeared from nowhere."""
        self.edit_group("it", "UPDATE items SET stock = stock + 5 WHERE item = 'B'")
        self.assert_wrong(
            "S7", "item B: initial stock 100, changed by -30, now 63", "12 are sold"
        )

    def test_sold_unknown(self) -> None:
        """What was sold was there."""
        self.edit_group("it", "DELETE FROM items WHERE item = 'A'")
        self.assert_wrong("S7", "item A: it is sold, but the inventory never had it")

    def test_order_without_taking(self) -> None:
        """A placed order that the inventory knows nothing of."""
        where = (
            " WHERE group_id = 'id-of-s2' AND order_index = (SELECT MAX(order_index)"
            " FROM takings WHERE group_id = 'id-of-s2')"
        )
        self.edit_group(
            "it", f"DELETE FROM taking_lines{where}", f"DELETE FROM takings{where}"
        )
        self.assert_wrong(
            "S8", "of s2 is placed, but was not taken from the inventory", alone=False
        )

    def test_taking_without_order(self) -> None:
        """A taking whose order is not in its shard."""
        self.edit_group(
            "s2",
            "DELETE FROM order_lines WHERE log_index ="
            " (SELECT MIN(log_index) FROM orders)",
            "DELETE FROM orders WHERE log_index = (SELECT MIN(log_index) FROM orders)",
        )
        self.assert_wrong("S8", "is taken, but s2 has no such order")

    def test_other_lines(self) -> None:
        """An order with other lines, or another total, than what was taken for it."""
        self.edit_group(
            "s2",
            "UPDATE order_lines SET quantity = 3 WHERE item = 'A' AND log_index ="
            " (SELECT MIN(log_index) FROM orders)",
            "UPDATE orders SET total = 1 WHERE log_index ="
            " (SELECT MAX(log_index) FROM orders)",
        )
        wrong = self.wrong(self.check())
        self.assertEqual(list(wrong), ["S8"])
        self.assertIn("was taken with other lines", wrong["S8"][0])
        self.assertIn("was taken with another total or time", wrong["S8"][1])

    def test_frozen_for_nothing(self) -> None:
        """A cart that is frozen for an order that is not pending."""
        self.edit_group(
            "s1", "UPDATE carts SET pending = 'id-of-s1-7' WHERE username = 'ann'"
        )
        self.assert_wrong("S8", "the cart of ann is frozen for order id-of-s1-7")

    def test_unknown_shard(self) -> None:
        """Takings of a shard that is none of this cluster's."""
        self.edit_group(
            "it",
            "UPDATE takings SET group_id = 'x' WHERE group_id = 'id-of-s2'",
            "UPDATE taking_lines SET group_id = 'x' WHERE group_id = 'id-of-s2'",
        )
        self.assert_wrong("S8", "3 takings of a shard with the id x", alone=False)

    def test_two_homes(self) -> None:
        """A username on two shards."""
        self.edit_group("s2", "INSERT INTO accounts VALUES ('ann', 'hash', NULL, 1000)")
        self.assert_wrong("S9", "the username ann is on s1 and on s2", alone=False)

    def test_wrong_home(self) -> None:
        """A username on another shard than the directory says."""
        self.edit_group("lb", "UPDATE homes SET shard = 's2' WHERE username = 'ann'")
        self.assert_wrong("S9", "the username ann is on s1, but its home is s2")

    def test_no_home(self) -> None:
        """A username that the directory does not know."""
        self.edit_group("lb", "DELETE FROM homes WHERE username = 'ann'")
        self.assert_wrong("S9", "the username ann is on s1, but has no home in lb")
