"""The file that the operator finds the first password in, whatever dies meanwhile."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


class PasswordFile:
    """Where a made password is put once it is known to be the operator's.

    Before it is proposed it is on disk in a file of the replica's own, so that it is
    not lost where the replica ends before it knows what came of its proposal.
    """

    def __init__(self, path: Path, replica: str) -> None:
        """
        :param path: where the operator looks.
        :param replica: the name of the replica that may put it there.
        """
        self._path = path
        self._proposed = path.with_name(f"{path.name}.{replica}")

    def proposed(self) -> str | None:
        """Return the password of which it is not known yet what came of it, if any.

        :raises OSError: the file cannot be read.
        """
        try:
            text = self._proposed.read_text("ascii", errors="replace")
        except FileNotFoundError:
            return None
        # What was cut off while it was written was not proposed.
        return text.removesuffix("\n") if text.endswith("\n") else None

    def propose(self, password: str) -> None:
        """Have the password on disk before this returns.

        :raises OSError: that cannot be had.
        """
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        descriptor = os.open(self._proposed, flags, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(f"{password}\n")
            file.flush()
            os.fsync(file.fileno())
        self._sync_folder()

    def keep(self) -> None:
        """Put it where the operator looks: it is the account's; twice is once.

        :raises OSError: that cannot be done.
        """
        with suppress(FileNotFoundError):
            self._proposed.replace(self._path)
        self._sync_folder()

    def drop(self) -> None:
        """Forget it: the account has another's.

        :raises OSError: that cannot be done.
        """
        self._proposed.unlink(missing_ok=True)

    def _sync_folder(self) -> None:
        descriptor = os.open(self._path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
