"""Tables as they are copied out."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from cartnet.storage import snapshot
from tests.storage.doubles import InlineDisk, sqlite, storage


class TakeTests(SynchronousTestCase):
    def test_cut_off(self) -> None:
        """A copy that cannot be finished leaves no file open."""
        path = Path(self.mktemp())
        store = storage(path, InlineDisk())
        self.successResultOf(store.open())
        self.successResultOf(store.close())
        files: list[Any] = []

        def opened(size_max: int) -> Any:
            file = tempfile.SpooledTemporaryFile(size_max)  # noqa: SIM115 # kept open
            files.append(file)
            return file

        self.patch(snapshot, "SpooledTemporaryFile", opened)
        with closing(sqlite.connect(path)) as connection:
            connection.execute("UPDATE till SET sum = 0.5")
            with self.assertRaises(AssertionError):
                snapshot.take(connection.cursor())

        self.assertEqual([file.closed for file in files], [True])
