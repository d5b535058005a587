"""A file that takes another's place once it is whole, and not before."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TextIO

from cartnet.tools.check_files import CannotCheck

DEVICES: Final = (Path("/dev"), Path("/dev/fd"), Path("/proc/self/fd"))
"""What is here may lead to a file that somebody else has opened."""


@contextmanager
def beside(path: Path | None) -> Iterator[Output | None]:
    """Be ready to write ``path``; what is there stays where nothing is written.

    :raises CannotCheck: it cannot be written. After a run it would be too late to say.
    """
    if path is None:
        yield None
        return
    try:
        output = Output(path)
    except OSError as error:
        raise _cannot(path, error) from None
    try:
        yield output
    finally:
        output.drop()


class Output:
    """Written to a hidden file beside its place, which it is then renamed to."""

    def __init__(self, path: Path) -> None:
        """:raises OSError: it cannot be written."""
        self._path = path
        # A device or a pipe has nothing to lose, nor is it to be replaced.
        inplace = path.parent in DEVICES or (path.exists() and not path.is_file())
        self._target = path if inplace else path.resolve()
        self._part = self._target
        there = not inplace and self._target.exists()
        if there:
            with self._target.open("a"):
                pass  # Who may not write it may not replace it.
        if not inplace:
            self._part = self._target.with_name(f".{self._target.name}.part")
        self._file = self._part.open("w", encoding="utf-8")
        if there:
            shutil.copymode(self._target, self._part)

    @contextmanager
    def written(self) -> Iterator[TextIO]:
        """Give what is to be written to; it is in its place in the end.

        :raises CannotCheck: it cannot be written after all.
        """
        try:
            with self._file:
                yield self._file
            if self._part != self._target:
                os.replace(self._part, self._target)
        except OSError as error:
            raise _cannot(self._path, error) from None

    def drop(self) -> None:
        """Leave nothing behind that was not written."""
        with suppress(OSError):
            self._file.close()
        if self._part != self._target:
            self._part.unlink(missing_ok=True)


def _cannot(path: Path, error: OSError) -> CannotCheck:
    return CannotCheck(f"cannot write {path}: {error.strerror}")
