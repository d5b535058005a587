"""A log file: private, bounded, and shared by processes."""

from __future__ import annotations

import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from cartnet.limits import LOG_FILES_KEPT, LOG_TAIL_BYTES_MAX
from cartnet.observability.log_file import LogFile, tail


class LogFileTests(SynchronousTestCase):
    """What is kept, and for whom."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "x.log"

    def open(self, bytes_max: int = 1_000) -> LogFile:
        file = LogFile(self.path, bytes_max)
        self.addCleanup(file.close)
        return file

    def test_only_for_its_owner(self) -> None:
        """Nobody but the owner reads a log."""
        self.open()

        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)

    def test_goes_on(self) -> None:
        """A log that is opened again goes on where it ended."""
        self.open().write("a\n")
        self.open().write("b\n")

        self.assertEqual(self.path.read_text(), "a\nb\n")

    def test_bounded(self) -> None:
        """A full file is renamed, and only so many are kept."""
        file = self.open(bytes_max=10)

        for number in range(20):
            file.write(f"line {number:04}\n")

        kept = sorted(path.name for path in self.folder.iterdir())
        self.assertEqual(kept, ["x.log", "x.log.1", "x.log.2", "x.log.3"])
        self.assertEqual(len(kept), LOG_FILES_KEPT + 1)
        self.assertEqual(self.path.read_text(), "line 0019\n")
        self.assertEqual((self.folder / "x.log.3").read_text(), "line 0016\n")

    def test_two_processes(self) -> None:
        """Two that append to one file lose nothing, also when it is renamed."""
        one, other = self.open(bytes_max=40), self.open(bytes_max=40)

        for number in range(4):
            one.write(f"one {number:04}\n")
            other.write(f"oth {number:04}\n")

        lines = (self.folder / "x.log.1").read_text() + self.path.read_text()
        self.assertEqual(
            sorted(lines.splitlines()),
            [f"{who} {number:04}" for who in ("one", "oth") for number in range(4)],
        )

    def test_lost_lines_are_counted(self) -> None:
        """What the disk refuses stops nobody, and the log says so afterwards."""
        file = self.open(bytes_max=1)
        file.write("a\n")
        self.path.unlink()
        blocker = self.folder / "x.log"
        blocker.mkdir()

        file.write("b\n")
        file.write("c\n")
        self.assertEqual(file.lost_count, 2)
        blocker.rmdir()
        file.write("d\n")

        self.assertEqual(
            self.path.read_text(), "... 2 events before this one were lost\nd\n"
        )

    def test_tail(self) -> None:
        """The end is read: whole lines, so many, of bounded size together."""
        file = self.open(bytes_max=2 * LOG_TAIL_BYTES_MAX)
        self.assertEqual(tail(self.path, 3), [])
        file.write("one\ntwo\n")
        self.assertEqual(tail(self.path, 3), ["one", "two"])

        for number in range(LOG_TAIL_BYTES_MAX // 100):
            file.write(f"{number:0199}\n")

        lines = tail(self.path, 1_000_000)
        self.assertEqual(len(lines), LOG_TAIL_BYTES_MAX // 200)
        self.assertEqual({len(line) for line in lines}, {199})
        self.assertEqual(tail(self.path, 2), lines[-2:])
