"""A file that takes another's place once it is whole, and not before."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TextIO

from cartnet.tools.check_files import CannotCheck

if TYPE_CHECKING:
    from pathlib import Path


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
        self._target = path.resolve()
        there = self._target.exists()
        if there and not self._target.is_file():
            # Such as /dev/stdout: it has nothing to lose, nor is to be replaced.
            self._part = self._target
        else:
            self._part = self._target.with_name(f".{self._target.name}.part")
        if there:
            with self._target.open("a"):
                pass  # Who may not write it may not replace it.
        self._file = self._part.open("w", encoding="utf-8")
        if there and self._part != self._target:
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
