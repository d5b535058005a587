"""Before the reactor runs: may this process start this replica on this file?"""

from __future__ import annotations

import importlib
import os
from contextlib import closing
from pathlib import Path
from typing import Final

from cartnet.storage import owner
from cartnet.storage.database import library
from cartnet.storage.digest import is_corruption
from cartnet.storage.journal import Damaged
from cartnet.storage.lock import FileLock, Held
from cartnet.storage.owner import Owner, StartError

INSPECTION_SECONDS_MAX: Final = 0.5
"""How long to wait for another program, such as a backup, that has the file open."""


def claim(path: Path, claimant: Owner) -> FileLock:
    """Make the folder, take the lock, and look whose file it is.

    The database is looked at only under the lock and only through SQLite, and is
    closed again before this returns: no other connection of this process can lose its
    locks by it. A damaged one may be had: opening it finds the damage.

    :raises StartError: with one line that says what is wrong and what to do.
    """
    lock = FileLock(path.with_name(f"{path.name}.lock"))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock.acquire(
            f"pid {os.getpid()} cluster {claimant.cluster} replica {claimant.replica}"
        )
    except Held as held:
        raise StartError(
            f"{path} is in use ({held}): stop that one first, or change `data` in the"
            " configuration"
        ) from None
    except OSError as error:
        raise StartError(
            f"{path} cannot be made or written ({error.strerror}: {error.filename}):"
            " give this user the right to write there, or change `data` in the"
            " configuration"
        ) from None
    try:
        if path.exists():
            _inspect(path, claimant)
    except BaseException:
        lock.release()
        raise
    return lock


def _inspect(path: Path, claimant: Owner) -> None:
    dbapi = importlib.import_module(library()[0])
    try:
        with closing(
            dbapi.connect(
                f"{path.absolute().as_uri()}?mode=rw",
                uri=True,
                timeout=INSPECTION_SECONDS_MAX,
                isolation_level=None,
            )
        ) as connection:
            cursor = connection.cursor()
            # Immediate: a file that cannot be written is found out now.
            cursor.execute("BEGIN IMMEDIATE")
            owner.check(cursor, claimant, str(path))
            cursor.execute("ROLLBACK")
    except (Damaged, UnicodeDecodeError):
        return
    except dbapi.Error as error:
        if is_corruption(error) and "not a database" not in str(error):
            return
        raise StartError(
            f"{path} cannot be used ({error}): move it away, restore it from a backup,"
            " or change `data` in the configuration"
        ) from None
