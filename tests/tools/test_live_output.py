"""What a live check writes is whole, and until then all is as it was."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from cartnet.tools.check_files import CannotCheck
from cartnet.tools.live.output import beside


class OutputTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "report.html"

    def files(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.folder.iterdir()}

    def write_half(self, text: str) -> None:
        with beside(self.path) as output:
            assert output is not None
            with output.written() as file:
                file.write(text)
                raise KeyError

    def test_written(self) -> None:
        """It replaces what was there, with its mode, and leaves nothing else."""
        self.path.write_text("older")
        self.path.chmod(0o640)
        with beside(self.path) as output:
            assert output is not None
            self.assertEqual(self.path.read_text(), "older")
            with output.written() as file:
                file.write("newer")
        self.assertEqual(self.files(), {"report.html": "newer"})
        self.assertEqual(self.path.stat().st_mode & 0o777, 0o640)

    def test_not_written(self) -> None:
        """Where nothing comes of the run, or of the writing, all is as it was."""
        for before in ({}, {"report.html": "older"}):
            for name, text in before.items():
                (self.folder / name).write_text(text)
            for half in ("", "half"):
                self.assertRaises(KeyError, self.write_half, half)
                self.assertEqual(self.files(), before)
            with beside(self.path):
                pass
            self.assertEqual(self.files(), before)

    def test_linked(self) -> None:
        """Through a link the file is written that it leads to."""
        link = self.folder / "link"
        link.symlink_to("report.html")
        with beside(link) as output:
            assert output is not None
            with output.written() as file:
                file.write("newer")
        self.assertTrue(link.is_symlink())
        self.assertEqual(self.path.read_text(), "newer")

    def test_no_file(self) -> None:
        """What is no file is written to, and not replaced."""
        with beside(Path(os.devnull)) as output:
            assert output is not None
            with output.written() as file:
                file.write("newer")
        self.assertTrue(Path(os.devnull).is_char_device())

    def test_pipe(self) -> None:
        """A pipe is written to by whatever name it has."""
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        self.addCleanup(os.close, writing)
        with beside(Path(f"/dev/fd/{writing}")) as output:
            assert output is not None
            with output.written() as file:
                file.write("newer")
        self.assertEqual(os.read(reading, 100), b"newer")

    def test_cannot(self) -> None:
        """A place that cannot be written is refused at once, by its name."""
        for path in (self.folder, self.folder / "no" / "such"):
            with self.assertRaises(CannotCheck) as raised, beside(path):
                pass
            self.assertIn(f"cannot write {path}: ", str(raised.exception))
        self.assertEqual(self.files(), {})
