"""The replicas' files for ``cartnet check``: copied while nobody writes, then opened.

The copies lie in a temporary folder, and may be changed; the files never are.
"""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from cartnet.storage import journal, owner, schema
from cartnet.storage.database import library
from cartnet.storage.journal import Damaged
from cartnet.storage.lock import Held, kept_still
from cartnet.storage.owner import Owner, StartError
from cartnet.tools.failure import CANNOT_CHECK, ToolError
from cartnet.tools.files import present
from cartnet.wire.shown import one_line

if TYPE_CHECKING:
    from cartnet.tools.check_report import Chapter
    from cartnet.topology.configuration import Configuration
    from cartnet.topology.groups import Group

PARTS = ("", "-wal", "-journal")
"""What a database consists of; SQLite makes its ``-shm`` anew."""


class CannotCheck(ToolError):
    """What is to be looked at cannot be, or somebody is changing it."""

    status = CANNOT_CHECK


@dataclass
class ReplicaFile:
    """The copy of one replica's file, readable at least where it says whose it is.

    :ivar cursor: on the copy, outside of any transaction.
    :ivar sound: whether its tables are what was applied, as far as is known.
    """

    replica: str
    group: Group
    cursor: Any
    meta: dict[str, str]
    state: journal.State
    base: tuple[int, int]
    last: tuple[int, int]
    sound: bool = True

    @property
    def applied_index(self) -> int:
        return self.state.applied_index

    def term_at(self, index: int) -> int | None:
        """Return the term of a log entry; None where the log has it not (any more)."""
        if index == self.base[0]:
            return self.base[1]
        self.cursor.execute("SELECT term FROM log WHERE idx = ?", (index,))
        row = self.cursor.fetchone()
        return None if row is None else row[0]

    @contextmanager
    def transaction(self, *, kept: bool = False) -> Iterator[None]:
        """A transaction that ends, whatever is found in it; what it changed is
        ``kept`` or undone, and undone where something is raised."""
        self.cursor.execute("BEGIN")
        try:
            yield
            self.cursor.execute("COMMIT" if kept else "ROLLBACK")
        finally:
            # Some errors have ended it themselves.
            if self.cursor.connection.in_transaction:
                self.cursor.execute("ROLLBACK")


@contextmanager
def copies(
    configuration: Configuration, progress: Callable[[str], object]
) -> Iterator[dict[str, Path]]:
    """Copy every file there is; give the copies' paths by replica.

    :raises ToolError: there is none, or a running process holds one.
    """
    found = present(configuration)
    with TemporaryDirectory(prefix="cartnet-check-") as folder:
        # All are held before the first is copied, so that the copies fit together.
        with ExitStack() as stack:
            for path in found.values():
                _hold(stack, path)
            for name, path in found.items():
                progress(f"copying {name}")
                _copy(path, Path(folder))
        yield {name: Path(folder) / path.name for name, path in found.items()}


def _hold(stack: ExitStack, path: Path) -> None:
    try:
        stack.enter_context(kept_still(path.with_name(f"{path.name}.lock")))
    except Held as held:
        raise CannotCheck(
            f"{path} is in use ({one_line(str(held))}): stop that one first"
        ) from None
    except OSError as error:
        raise CannotCheck(f"{error.filename}: {error.strerror}") from None


def _copy(path: Path, folder: Path) -> None:
    try:
        for part in PARTS:
            source = path.with_name(path.name + part)
            if source.exists():
                shutil.copyfile(source, folder / source.name)
    except OSError as error:
        raise CannotCheck(
            f"{path} cannot be copied to {folder}: {error.strerror}"
        ) from None


@contextmanager
def opened(
    configuration: Configuration,
    paths: dict[str, Path],
    chapter: Chapter,
) -> Iterator[tuple[list[ReplicaFile], list[str]]]:
    """Open the copies; what cannot be read, or is somebody else's, is reported.

    Those that are empty are given by their replicas' names.
    """
    dbapi = importlib.import_module(library()[0])
    with ExitStack() as stack:
        files: list[ReplicaFile] = []
        empty: list[str] = []
        for name, path in paths.items():
            group = configuration.topology.group_of(name)
            try:
                connection = stack.enter_context(
                    closing(dbapi.connect(path, isolation_level=None))
                )
                cursor = connection.cursor()
                mine = Owner.of(configuration.topology.cluster, group, name)
                file = _file(name, group, cursor, mine)
                if file is None:
                    chapter.notes.append(f"{name}: the file is empty")
                    empty.append(name)
                else:
                    files.append(file)
            except StartError as error:
                chapter.wrong.append(str(error))
            except Damaged as error:
                chapter.wrong.append(f"{name}: {error}")
            except (dbapi.Error, UnicodeDecodeError) as error:
                chapter.wrong.append(f"{name}: the file cannot be read: {error}")
        yield files, empty


def _file(name: str, group: Group, cursor: Any, mine: Owner) -> ReplicaFile | None:
    """Read what every file has; None where its replica has not begun with it.

    :raises StartError: it is another replica's.
    :raises Damaged: what it says of itself is not what was written.
    """
    if owner.is_fresh(cursor):
        return None
    owner.check(cursor, mine, f"{name}.db")
    schema.check(cursor)
    return ReplicaFile(
        replica=name,
        group=group,
        cursor=cursor,
        meta=owner.read(cursor),
        state=journal.state(cursor),
        base=journal.base(cursor),
        last=journal.last(cursor),
    )


def counted(files: Sequence[ReplicaFile]) -> list[ReplicaFile]:
    """Return the files of a group that hold what its replicas promised.

    A file that replaced a lost one does so once it has been admitted.
    """
    newest = max(files, key=lambda file: file.applied_index, default=None)
    if newest is None:
        return []
    founders = owner.founders(newest.meta)
    return [
        file for file in files if founders.get(file.replica) == file.meta["file_id"]
    ]
