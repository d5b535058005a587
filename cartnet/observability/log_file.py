"""One log file: appended to, private, and never larger than its bound."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from cartnet.limits import LOG_FILE_BYTES_MAX, LOG_FILES_KEPT, LOG_TAIL_BYTES_MAX


def tail(path: Path, lines_max: int) -> list[str]:
    """Read a log file's last lines, the oldest first, without their ends.

    There are fewer where they have more than ``LOG_TAIL_BYTES_MAX`` bytes together.

    :raises OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        start = max(0, size - LOG_TAIL_BYTES_MAX)
        file.seek(start)
        lines = file.read(LOG_TAIL_BYTES_MAX).decode("utf-8", "replace").split("\n")
    if start > 0:
        del lines[0]  # The end of a line.
    if lines and not lines[-1]:
        del lines[-1]
    return lines[-lines_max:]


class LogFile:
    """A file that several processes may append to, line by line.

    Twisted's own ``LogFile`` writes where it last was, so that two processes in one
    folder would write over each other.

    :ivar lost_count: events that the disk has refused since it last took one.
    """

    def __init__(self, path: Path, bytes_max: int = LOG_FILE_BYTES_MAX) -> None:
        """Open ``path``, made where missing, readable by its owner alone.

        :param bytes_max: from this size on the file becomes ``path.1``, that one
            ``path.2`` and so on; the oldest is deleted.
        :raises OSError: if it cannot be opened.
        """
        self.path = path
        self.lost_count = 0
        self._bytes_max = bytes_max
        self._fd = self._open()

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        return os.open(self.path, flags, 0o600)

    def write(self, text: str) -> None:
        """Append ``text``; what a full or broken disk refuses is counted, not raised.

        A replica serves on without its log.
        """
        if self.lost_count:
            text = f"... {self.lost_count} events before this one were lost\n{text}"
        try:
            if os.fstat(self._fd).st_size >= self._bytes_max:
                self._rotate()
            os.write(self._fd, text.encode("utf-8", "backslashreplace"))
            self.lost_count = 0
        except OSError:
            self.lost_count += 1

    def _rotate(self) -> None:
        """Start a new file, unless another process has just done so."""
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        old = self._fd
        try:
            if self._is_current():
                for number in reversed(range(LOG_FILES_KEPT)):
                    source = self._numbered(number)
                    if source.exists():
                        source.replace(self._numbered(number + 1))
            self._fd = self._open()
        finally:
            if self._fd == old:
                fcntl.flock(old, fcntl.LOCK_UN)
            else:
                os.close(old)

    def _is_current(self) -> bool:
        """Whether the open file is still the one at ``path``."""
        try:
            return os.path.samestat(os.fstat(self._fd), os.stat(self.path))
        except FileNotFoundError:
            return False

    def _numbered(self, number: int) -> Path:
        return (
            self.path.with_name(f"{self.path.name}.{number}") if number else self.path
        )

    def close(self) -> None:
        """Close the file; nothing may be written after."""
        os.close(self._fd)
