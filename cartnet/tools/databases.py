"""``cartnet databases``: what every replica's file holds.

On read-only connections, which take no lock that a running replica waits for and copy
nothing back from its write-ahead log.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

from cartnet.admin.format import columns
from cartnet.storage.database import library
from cartnet.tools.files import present
from cartnet.topology.configuration import Configuration
from cartnet.wire.shown import one_line

BUSY_SECONDS_MAX: Final = 2.0

VALUE_CHARACTERS_MAX: Final = 60

_PASSWORD_HASH: Final = re.compile(r"\$argon2[a-z]*\$[^\s\"']*")
_LONG_HEX: Final = re.compile(r"([0-9a-fA-F]{8})[0-9a-fA-F]{24,}")


def describe(configuration: Configuration, rows_max: int) -> Iterator[str]:
    """Give, line by line, every file's tables, their row counts and a few rows.

    :param rows_max: how many rows of a table.
    :raises ToolError: if there is no file at all, or this user may not look.
    """
    found = present(configuration)
    for name in configuration.topology.names:
        if (path := found.get(name)) is not None:
            yield f"{path}  {path.stat().st_size} bytes"
            yield from _file(path, rows_max)
        else:
            yield f"{configuration.data / name}.db  no file"


def _file(path: Path, rows_max: int) -> Iterator[str]:
    module = importlib.import_module(library()[0])
    try:
        with closing(_open(module, path)) as connection:
            connection.execute("PRAGMA query_only = ON")
            for (table,) in connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table'"
                " AND name NOT LIKE 'sqlite_%' ORDER BY name"
            ).fetchall():
                yield from _table(connection, table, rows_max)
    except module.Error as error:
        yield f"  cannot be read: {one_line(str(error))}"


def _open(module: Any, path: Path) -> Any:
    # A running replica has a write-ahead log. Without one nothing can change, and an
    # immutable file is read without leaving files of our own beside it.
    resting = not path.with_name(path.name + "-wal").exists()
    mode = "mode=ro&immutable=1" if resting else "mode=ro"
    return module.connect(
        f"{path.absolute().as_uri()}?{mode}", uri=True, timeout=BUSY_SECONDS_MAX
    )


def _table(connection: Any, table: str, rows_max: int) -> Iterator[str]:
    quoted = '"' + table.replace('"', '""') + '"'
    (count,) = connection.execute(f"SELECT count(*) FROM {quoted}").fetchone()  # noqa: S608 (a name from the schema, quoted)
    yield f"  {table}  {count} {'row' if count == 1 else 'rows'}"
    if not count or not rows_max:
        return
    cursor = connection.execute(f"SELECT * FROM {quoted} LIMIT ?", (rows_max,))  # noqa: S608 (likewise)
    names = [column[0] for column in cursor.description]
    rows = [[_shown(value) for value in row] for row in cursor.fetchall()]
    yield from (f"    {line}" for line in columns([names, *rows]))
    if count > rows_max:
        yield "    ..."


def _shown(value: object) -> str:
    """A value on one line, cut; hashes of passwords and sessions never whole."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            return f"({len(value)} bytes)"
    text = _PASSWORD_HASH.sub("$argon2...", str(value))
    text = one_line(_LONG_HEX.sub(r"\1...", text), 2 * VALUE_CHARACTERS_MAX)
    if len(text) > VALUE_CHARACTERS_MAX:
        text = text[: VALUE_CHARACTERS_MAX - 3] + "..."
    return text
