"""The file of the operator's first password."""

from __future__ import annotations

import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from cartnet.calls.password_file import PasswordFile


class PasswordFileTests(SynchronousTestCase):
    """Two replicas that share a folder."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.told = self.folder / "operator-password"

    def file(self, replica: str = "it0") -> PasswordFile:
        """What an incarnation has."""
        return PasswordFile(self.told, replica)

    def test_kept(self) -> None:
        """What was proposed is known to the next incarnation, which may tell it."""
        self.assertIsNone(self.file().proposed())
        self.file().propose("first")
        self.assertEqual(self.file().proposed(), "first")
        self.assertFalse(self.told.exists())

        self.file().keep()

        self.assertEqual(self.told.read_text(), "first\n")
        self.assertEqual(stat.S_IMODE(self.told.stat().st_mode), 0o600)
        self.assertIsNone(self.file().proposed())
        self.file().keep()
        self.assertEqual([*self.folder.iterdir()], [self.told])

    def test_dropped(self) -> None:
        """What is dropped leaves nothing, and no other replica's alone."""
        self.file("it0").propose("first")
        self.file("it1").propose("second")
        self.file("it1").drop()
        self.file("it1").drop()

        self.assertIsNone(self.file("it1").proposed())
        self.assertEqual(self.file("it0").proposed(), "first")

    def test_cut_off(self) -> None:
        """What a crash cut off while it was written was not proposed."""
        self.file().propose("first")
        (mine,) = self.folder.iterdir()
        mine.write_bytes(b"fir")

        self.assertIsNone(self.file().proposed())
