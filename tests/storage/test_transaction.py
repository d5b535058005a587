"""One Write, cut off everywhere: the whole of it is on the disk, or nothing."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from cartnet.consensus.messages import HardState, Life
from cartnet.limits import APPLY_ENTRIES_MAX
from cartnet.storage import journal
from cartnet.storage.storage import Damaged, Fenced, Recovered, Storage, Write
from tests.storage.doubles import InlineDisk, entry, numbered, sqlite, storage, till


class Cut(Exception):
    """The power went."""


class CutOff:
    """A connection, and its cursors, that end at one statement and stay dead.

    :ivar steps: statements begun so far; each is two steps, before and after it.
    """

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.steps = 0
        self.cut_at = -1
        self.dead = False
        self.committing = False

    def step(self) -> None:
        self.dead = self.dead or self.steps == self.cut_at
        if self.dead:
            raise Cut
        self.steps += 1

    def cursor(self) -> CutOffCursor:
        return CutOffCursor(self, self.connection.cursor())

    @property
    def in_transaction(self) -> bool:
        return bool(self.connection.in_transaction)

    def create_function(self, *arguments: Any) -> None:
        self.connection.create_function(*arguments)

    def close(self) -> None:
        self.connection.close()


class CutOffCursor:
    def __init__(self, owner: CutOff, cursor: Any) -> None:
        self._owner = owner
        self._cursor = cursor

    def execute(self, sql: str, parameters: Any = ()) -> Any:
        self._owner.step()
        self._cursor.execute(sql, parameters)
        self._owner.committing = sql == "COMMIT"
        self._owner.step()

    def executemany(self, sql: str, parameters: Any) -> Any:
        for row in parameters:
            self.execute(sql, row)

    def fetchone(self) -> Any:
        return self._cursor.fetchone()

    def fetchmany(self, size: int) -> Any:
        return self._cursor.fetchmany(size)

    def fetchall(self) -> Any:
        return self._cursor.fetchall()


class StorageCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir(parents=True)
        self.path = self.folder / "s1r0.db"

    def opened(self, path: Path | None = None) -> tuple[Storage, Recovered]:
        store = storage(path or self.path, InlineDisk())
        return store, self.successResultOf(store.open())

    def reopened(self, store: Storage) -> tuple[Storage, Recovered]:
        self.successResultOf(store.close())
        return self.opened()

    def ended(self, store: Storage) -> None:
        self.successResultOf(store.close())


class AtomicityTests(StorageCase):
    BEFORE = Write(HardState(1, "s1r0"), numbered(1, 6), commit_index=2)
    CUT = Write(
        HardState(3, "s1r1"),
        numbered(5, 8, term=3),
        commit_index=7,
        founders={"s1r0": "aa"},
    )

    def contents(self, path: Path) -> tuple[Any, ...]:
        store, recovered = self.opened(path)
        # To look is to start, and starts are counted.
        recovered = replace(recovered, starts=0)
        found = (recovered, self.successResultOf(store.read(till)))
        self.ended(store)
        return found

    def cut_at(self, step: int, path: Path) -> CutOff:
        """Write with a cut at one step, and leave the file as a dead process does."""
        cuts: list[CutOff] = []

        def wrap(connection: Any) -> CutOff:
            cuts.append(CutOff(connection))
            return cuts[0]

        store = storage(path, InlineDisk(wrap))
        self.successResultOf(store.open())
        cuts[0].steps, cuts[0].cut_at, cuts[0].committing = 0, step, False
        written = store.write(self.CUT)
        if cuts[0].dead:
            self.failureResultOf(written, Cut)
            # Nothing may follow a transaction that failed.
            self.failureResultOf(store.write(Write()), Fenced)
        else:
            self.assertEqual(self.successResultOf(written).applied_index, 7)
        self.ended(store)
        return cuts[0]

    def test_whole_or_nothing(self) -> None:
        """A cut before or after any statement leaves all of a Write or none of it."""
        store, _ = self.opened()
        self.successResultOf(store.write(self.BEFORE))
        self.ended(store)
        copy = self.folder / "copy.db"
        before = self.contents(self.path)
        self.assertEqual(before[1], (1 + 2, 2))
        after = None
        seen = []

        for step in range(1000):
            shutil.copy(self.path, copy)
            cut = self.cut_at(step, copy)
            found = self.contents(copy)
            if not cut.dead or cut.committing:
                after = after or found
                self.assertEqual(found, after)
            else:
                self.assertEqual(found, before)
            seen.append((cut.dead, cut.committing))
            if not cut.dead:
                break

        assert after is not None
        self.assertEqual(after[1], (1 + 2 + 3 + 4 + 5 + 6 + 7, 7))
        self.assertEqual(after[0].hard_state, HardState(3, "s1r1"))
        self.assertEqual(after[0].founders, {"s1r0": "aa"})
        self.assertEqual(after[0].term_runs, ((1, 1), (5, 3)))
        # It has been cut in many places, once behind COMMIT, and at last nowhere.
        self.assertGreater(len(seen), 30)
        self.assertEqual(seen[-2:], [(True, True), (False, True)])

    def test_a_cut_write_may_be_repeated(self) -> None:
        """Asked again after a cut anywhere, a Write has its effects once."""
        for step in range(1000):
            path = self.folder / f"{step}.db"
            store, _ = self.opened(path)
            self.successResultOf(store.write(self.BEFORE))
            self.ended(store)
            cut = self.cut_at(step, path)

            store, recovered = self.opened(path)
            if recovered.commit_index < 7:
                self.successResultOf(store.write(self.CUT))

            self.assertEqual(self.successResultOf(store.read(till)), (28, 7))
            self.ended(store)
            if not cut.dead:
                return
        self.fail("the Write never ended")


class ApplyTests(StorageCase):
    def test_a_restart_applies_nothing_twice(self) -> None:
        """A restarted follower that hears the old commit index changes nothing."""
        store, _ = self.opened()
        self.successResultOf(store.write(Write(HardState(1), numbered(1, 3), 3)))

        for _ in range(3):
            store, recovered = self.reopened(store)
            written = self.successResultOf(store.write(Write(commit_index=3)))
            self.assertEqual(written.answers, ())
            self.assertEqual(recovered.applied_index, 3)

        self.assertEqual(self.successResultOf(store.read(till)), (6, 3))
        self.ended(store)

    def test_answers(self) -> None:
        """Every applied entry is told of, in order; a null command has no answer."""
        store, _ = self.opened()
        entries = (entry(1, 1, b"null"), entry(2, 1, b"5"), entry(3, 2, b"6"))

        written = self.successResultOf(store.write(Write(None, entries, 3)))

        told = [
            (a.index, a.term, getattr(a.answer, "shard", None)) for a in written.answers
        ]
        self.assertEqual(told, [(1, 1, None), (2, 1, "2:5"), (3, 2, "3:6")])
        self.assertEqual(written.applied_index, 3)
        self.assertEqual(self.successResultOf(store.read(till)), (11, 2))
        self.ended(store)

    def test_a_long_backlog_is_applied_in_parts(self) -> None:
        """One transaction applies a bounded number; the next goes on behind it."""
        store, _ = self.opened()
        count = 2 * APPLY_ENTRIES_MAX + 5
        first = self.successResultOf(
            store.write(Write(HardState(1), numbered(1, count), count))
        )
        store, recovered = self.reopened(store)
        self.assertEqual(recovered.commit_index, count)

        more = Write(commit_index=count, sync=False)
        rest = [self.successResultOf(store.write(more)) for _ in range(3)]

        self.assertEqual(first.applied_index, APPLY_ENTRIES_MAX)
        self.assertEqual(
            [len(part.answers) for part in rest], [APPLY_ENTRIES_MAX, 5, 0]
        )
        self.assertEqual(
            self.successResultOf(store.read(till)), (count * (count + 1) // 2, count)
        )
        self.ended(store)

    def test_only_who_asks_applies(self) -> None:
        """What is written beside the log applies nothing of a backlog: nobody would
        hear the answers, or that a replica's file was admitted."""
        store, _ = self.opened()
        count = APPLY_ENTRIES_MAX + 5
        self.successResultOf(store.write(Write(None, numbered(1, count), count)))

        for beside in (
            Write(founders={"s1r0": "07" * 16}),
            Write(lives={"s1r1": Life("f1", 1, "now")}),
            Write(compact_through=3),
        ):
            written = self.successResultOf(store.write(beside))
            self.assertEqual(written.answers, ())
            self.assertEqual(written.applied_index, APPLY_ENTRIES_MAX)

        rest = self.successResultOf(store.write(Write(commit_index=count)))
        self.assertEqual(len(rest.answers), 5)
        self.ended(store)

    def test_a_lower_commit_index_changes_nothing(self) -> None:
        """What is known to be committed stays known."""
        store, _ = self.opened()
        self.successResultOf(store.write(Write(HardState(1), numbered(1, 3), 2)))

        self.successResultOf(store.write(Write(commit_index=1)))

        store, recovered = self.reopened(store)
        self.assertEqual((recovered.commit_index, recovered.applied_index), (2, 2))
        self.ended(store)

    def test_a_damaged_entry_is_never_applied(self) -> None:
        """Damage between append and apply fails the Write and leaves no effect."""
        store, _ = self.opened()
        self.successResultOf(store.write(Write(None, numbered(1, 3), 1)))
        self.successResultOf(
            store._writer.run(  # type: ignore[union-attr]  # opened above
                lambda connection: connection.execute(
                    "UPDATE log SET command = X'39' WHERE idx = 3"
                )
            )
        )

        failure = self.failureResultOf(store.write(Write(commit_index=3)), Damaged)

        self.assertIn("log entry 3 does not match its checksum", str(failure.value))
        self.failureResultOf(store.read_entries(1, 3, 1000), Fenced)
        self.ended(store)
        again = storage(self.path, InlineDisk())
        self.failureResultOf(again.open(), Damaged)
        self.ended(again)

    def test_a_raising_machine_fails_the_write(self) -> None:
        """A machine that raises leaves the file as it was, log rows included."""
        store, _ = self.opened()

        failed = store.write(Write(None, (entry(1, 1, b"oops"),), 1))

        self.failureResultOf(failed, ValueError)
        store, recovered = self.reopened(store)
        self.assertEqual((recovered.last_index, recovered.applied_index), (0, 0))
        self.ended(store)

    def test_a_full_disk_fails_the_write(self) -> None:
        """Where the disk is full, the file stays as it was, and can be read."""
        disk = InlineDisk()
        store = storage(self.path, disk)
        self.successResultOf(store.open())
        self.successResultOf(store.write(Write(HardState(1), numbered(1, 2), 2)))
        connection = disk.workers[0]._connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages + 5}")

        failed = store.write(Write(None, (entry(3, 1, b"8" * 100_000),), 2))

        failure = self.failureResultOf(failed, sqlite.OperationalError)
        self.assertIn("full", str(failure.value))
        store, recovered = self.reopened(store)
        self.assertEqual((recovered.last_index, recovered.applied_index), (2, 2))
        self.assertEqual(self.successResultOf(store.read(till)), (3, 2))
        self.ended(store)


class SyncTests(StorageCase):
    def test_sync_is_switched_only_when_it_changes(self) -> None:
        """Whether SQLite syncs follows each Write, by one PRAGMA per change."""
        disk = InlineDisk()
        store = storage(self.path, disk)
        self.successResultOf(store.open())
        statements: list[str] = []
        connection = disk.workers[0]._connection
        connection.set_trace_callback(statements.append)
        levels = []

        for sync in (True, False, False, True):
            self.successResultOf(store.write(Write(sync=sync)))
            levels.append(connection.execute("PRAGMA synchronous").fetchone()[0])

        self.assertEqual(levels, [2, 1, 1, 2])
        switches = [text for text in statements if "synchronous =" in text]
        self.assertEqual(len(switches), 2)
        # A disk that is simulated reads it off the job.
        self.assertEqual(
            [job.sync for job in disk.workers[0].jobs], [True, True, False, False, True]
        )
        self.ended(store)

    def test_promises_are_synced(self) -> None:
        """A Write that others will rely on cannot be asked for without a sync."""
        self.assertRaises(AssertionError, Write, None, numbered(1, 1), sync=False)
        self.assertRaises(AssertionError, Write, HardState(1), sync=False)
        self.assertRaises(AssertionError, Write, founders={}, sync=False)
        self.assertRaises(AssertionError, Write, lives={}, sync=False)


class RecoveryTests(StorageCase):
    def test_a_fresh_file(self) -> None:
        """A fresh file is empty but for its owner and its random id."""
        store, recovered = self.opened()

        self.assertEqual(
            recovered,
            Recovered(HardState(), 0, (), (), 0, 0, "07" * 16, {}, None),
        )
        self.ended(store)

    def test_everything_comes_back(self) -> None:
        """Term, vote, log, indexes, founders, whom it has met and the file's id survive
        a restart, which is counted."""
        store, fresh = self.opened()
        founders = {"s1r0": "aa", "s1r1": "bb"}
        entries = (*numbered(1, 4), *numbered(5, 6, term=2))
        self.successResultOf(
            store.write(Write(HardState(2, "s1r1"), entries, 3, founders=founders))
        )
        lives = {"s1r1": Life("bb", 4, "drawn")}
        self.successResultOf(store.write(Write(lives=lives)))

        store, recovered = self.reopened(store)

        self.assertEqual(
            recovered,
            Recovered(
                HardState(2, "s1r1"),
                6,
                ((1, 1), (5, 2)),
                entries,
                3,
                3,
                fresh.file_id,
                founders,
                None,
                starts=2,
                lives=lives,
            ),
        )
        found = self.successResultOf(store.read_entries(3, 5, 2))
        self.assertEqual(found, entries[2:4])
        self.ended(store)

    def test_a_lost_end_of_the_log_is_noticed(self) -> None:
        """A file whose committed entries are gone is not opened, applied or not."""
        for count in (3, APPLY_ENTRIES_MAX + 1):
            path = self.path.with_name(f"of-{count}.db")
            store, _ = self.opened(path)
            self.successResultOf(store.write(Write(None, numbered(1, count), count)))
            self.ended(store)
            connection = InlineDisk().open(path, read_only=False)._connection
            connection.execute("DELETE FROM log WHERE idx = ?", (count,))
            connection.close()

            again = storage(path, InlineDisk())

            failure = self.failureResultOf(again.open(), Damaged)
            self.assertIn("committed entries are missing", str(failure.value))
            self.ended(again)

    def test_old_terms_do_not_come_back(self) -> None:
        """A term below the stored one is our own mistake."""
        store, _ = self.opened()
        self.successResultOf(store.write(Write(HardState(5))))

        self.failureResultOf(store.write(Write(HardState(4))), AssertionError)
        self.ended(store)

    def test_the_journal_reads_without_a_storage(self) -> None:
        """Tools read a stopped replica's file with the journal's functions alone."""
        store, _ = self.opened()
        self.successResultOf(store.write(Write(HardState(1), numbered(1, 2), 1)))
        self.ended(store)
        connection = InlineDisk().open(self.path, read_only=True)._connection
        self.addCleanup(connection.close)

        state = journal.state(connection.cursor())

        self.assertEqual(state, journal.State(HardState(1), 1, 1))
