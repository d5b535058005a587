"""Whether a replica may start on a file, and what it says when it may not."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import cartnet
from cartnet.storage.lock import FileLock, Held
from cartnet.storage.owner import save
from cartnet.storage.storage import Owner, StartError, Write
from tests.storage.doubles import OWNER, InlineDisk, sqlite, storage

ROOT = Path(cartnet.__file__).parent.parent

HOLDER = """
import sys
from pathlib import Path
from cartnet.storage import claims
from cartnet.storage.owner import Owner
owner = Owner("demo", "s1", "s1r0", (("s1r0", "127.0.0.1:5005"),), "5e1f")
lock = claims.claim(Path(sys.argv[1]), owner)
print("held", flush=True)
sys.stdin.read()
"""


class ClaimCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.path = self.folder / "s1r0.db"

    def made(self, owner: Owner = OWNER) -> None:
        """Make a database of ``owner``, and close it."""
        store = storage(self.path, InlineDisk(), owner=owner)
        store.claim()
        self.successResultOf(store.open())
        self.successResultOf(store.close())

    def refused(self, owner: Owner = OWNER) -> str:
        """Claim the file in vain; return the one line that says why."""
        store = storage(self.path, InlineDisk(), owner=owner)
        line = str(self.assertRaises(StartError, store.claim))
        self.assertNotIn("\n", line)
        self.assertIn(self.path.name, line)
        self.successResultOf(store.close())
        return line

    def claimed(self) -> None:
        """Claim the file, and give it back."""
        store = storage(self.path, InlineDisk())
        store.claim()
        self.successResultOf(store.close())


class ClaimTests(ClaimCase):
    def test_the_folder_is_made(self) -> None:
        """A missing folder is made for this user alone; the file is not yet."""
        self.claimed()

        self.assertEqual(stat.S_IMODE(self.folder.stat().st_mode), 0o700)
        self.assertFalse(self.path.exists())

    def test_its_own_file(self) -> None:
        """A replica's own file may be claimed again and again."""
        self.made()

        self.claimed()
        self.claimed()

    def test_an_empty_file(self) -> None:
        """A file without a byte is a fresh database."""
        self.folder.mkdir()
        self.path.touch()

        self.claimed()

    def test_another_replica(self) -> None:
        """A file of another replica, group or cluster is named as theirs."""
        for number, (theirs, who) in enumerate(
            (
                (replace(OWNER, replica="s1r1"), "s1r1 of group s1 in cluster demo"),
                (replace(OWNER, group="s2"), "s1r0 of group s2 in cluster demo"),
                (replace(OWNER, cluster="live"), "s1r0 of group s1 in cluster live"),
            )
        ):
            self.path = self.folder / f"{number}.db"
            self.made(theirs)

            line = self.refused()

            self.assertIn(f"belongs to replica {who}, not to replica s1r0 of", line)

    def test_other_members(self) -> None:
        """A file made for other members says where they differ."""
        self.made()
        members = (("s1r0", "127.0.0.1:5005"), ("s1r2", "127.0.0.1:5007"))

        line = self.refused(replace(OWNER, members=members, members_hash="0"))

        self.assertIn(
            "s1r1 is 127.0.0.1:5006 there and no member in the configuration", line
        )
        self.assertIn(
            "s1r2 is no member there and 127.0.0.1:5007 in the configuration", line
        )
        self.assertNotIn("127.0.0.1:5005", line)

    def test_no_database(self) -> None:
        """A file of another kind is left alone."""
        self.folder.mkdir()
        self.path.write_bytes(b"once upon a time " * 100)

        self.assertIn("file is not a database", self.refused())
        self.assertEqual(self.path.read_bytes(), b"once upon a time " * 100)

    def test_another_programs_database(self) -> None:
        """A SQLite file of another program is left alone."""
        self.folder.mkdir()
        connection = sqlite.connect(self.path)
        connection.execute("CREATE TABLE meta (key TEXT, value TEXT)")
        connection.close()

        self.assertIn("not one of cartnet's", self.refused())

    def test_a_folder_in_its_place(self) -> None:
        """A folder where the file should be is one clear line."""
        self.path.mkdir(parents=True)

        self.assertIn("unable to open database file", self.refused())

    def test_a_newer_format(self) -> None:
        """A file of a later release says which formats meet."""
        self.made()
        connection = sqlite.connect(self.path, isolation_level=None)
        save(connection.cursor(), "format", "9")
        connection.close()

        self.assertIn("has format 9, this release reads format 2", self.refused())

    def test_the_former_format(self) -> None:
        """A file without checksums says so; it is not taken for a damaged one."""
        self.made()
        connection = sqlite.connect(self.path, isolation_level=None)
        connection.execute("UPDATE meta SET value = '1' WHERE key = 'format'")
        connection.execute("DELETE FROM meta WHERE key = 'checksum'")
        connection.close()

        self.assertIn("has format 1, this release reads format 2", self.refused())

    def test_a_damaged_file(self) -> None:
        """Damage that is the file's own, be it in its name, is left to its opening."""
        self.made()
        connection = sqlite.connect(self.path, isolation_level=None)
        connection.execute("UPDATE meta SET value = 's1r1' WHERE key = 'replica'")
        connection.close()

        self.claimed()

        self.path.write_bytes(self.path.read_bytes()[:8192])
        self.claimed()

    def test_an_impossible_folder(self) -> None:
        """A folder that cannot be made is one clear line."""
        self.folder.mkdir()
        (self.folder / "file").touch()
        self.path = self.folder / "file" / "s1r0.db"

        line = self.refused()

        self.assertIn("cannot be made or written (", line)
        self.assertIn("change `data` in the configuration", line)

    def test_another_program_writes(self) -> None:
        """A file that another program is writing to is not waited for."""
        self.made()
        other = sqlite.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")

        self.assertIn("database is locked", self.refused())
        other.execute("ROLLBACK")
        self.claimed()

    def test_open_checks_too(self) -> None:
        """Without a claim, as on a simulated disk, opening finds the wrong owner."""
        self.made(replace(OWNER, replica="s1r1"))

        store = storage(self.path, InlineDisk())

        failure = self.failureResultOf(store.open(), StartError)
        self.assertIn("belongs to replica s1r1", str(failure.value))
        self.successResultOf(store.close())


class LockTests(ClaimCase):
    def test_a_second_claim_in_this_process(self) -> None:
        """Two replicas of one process cannot hold one file; the line names both."""
        store = storage(self.path, InlineDisk())
        store.claim()

        line = self.refused()

        self.assertIn(f"pid {os.getpid()} cluster demo replica s1r0", line)
        self.successResultOf(store.close())
        self.claimed()

    def test_a_second_claim_touches_nothing(self) -> None:
        """A refused claim leaves SQLite's locks of this process in place.

        Leaving WAL mode needs the database file alone, so it fails exactly while the
        other process still sees the lock of the open storage.
        """
        store = storage(self.path, InlineDisk())
        store.claim()
        self.successResultOf(store.open())
        self.successResultOf(store.write(Write()))

        self.refused()

        leave = (
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1], timeout=0);"
            " print(c.execute('PRAGMA journal_mode = DELETE').fetchone()[0])"
        )
        command = [sys.executable, "-c", leave, str(self.path)]
        locked = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertIn("database is locked", locked.stderr)
        self.successResultOf(store.close())
        free = subprocess.run(command, capture_output=True, text=True, check=False)
        self.assertEqual(free.stdout, "delete\n")

    def test_the_lock_dies_with_its_process(self) -> None:
        """Another process's claim stands until it is killed, and no longer."""
        with subprocess.Popen(
            [sys.executable, "-c", HOLDER, str(self.path.absolute())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        ) as holder:
            assert holder.stdout is not None
            try:
                self.assertEqual(holder.stdout.readline(), "held\n")
                self.assertIn(f"pid {holder.pid} ", self.refused())
            finally:
                holder.send_signal(signal.SIGKILL)
                holder.wait()

        self.claimed()

    def test_a_lock_may_be_taken_again(self) -> None:
        """A released lock is free, and its file tells of the last holder alone."""
        self.folder.mkdir()
        lock, other = (FileLock(self.folder / "lock") for _ in range(2))
        lock.acquire("a much longer line than the next one")
        self.assertRaises(Held, other.acquire, "b")
        self.assertFalse(other.held)

        lock.release()
        lock.release()
        other.acquire("b")

        self.assertTrue(other.held)
        self.assertEqual((self.folder / "lock").read_text(), "b\n")
        self.assertEqual(str(self.assertRaises(Held, lock.acquire, "a")), "b")
        other.release()
