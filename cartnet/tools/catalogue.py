"""A catalogue as a CSV file: ``id,name,price,stock``, checked as a whole."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cartnet.limits import (
    CATALOGUE_ITEMS_MAX,
    IMPORT_ERRORS_SHOWN_MAX,
    ITEM_ID_CHARACTERS_MAX,
    ITEM_NAME_BYTES_MAX,
    ITEM_NAME_CHARACTERS_MAX,
    PRICE_MAX,
    STOCK_MAX,
)
from cartnet.tools.failure import ToolError
from cartnet.wire.shown import one_line

COLUMNS: Final = ["id", "name", "price", "stock"]

_ID: Final = re.compile(rf"[A-Za-z0-9._-]{{1,{ITEM_ID_CHARACTERS_MAX}}}")
_WHOLE: Final = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True)
class Item:
    """One line of the file; ``price`` in cents.

    :ivar line: its number in the file.
    """

    line: int
    id: str
    name: str
    price: int
    stock: int


def read(path: Path) -> list[Item]:
    """Read a whole file.

    :raises ToolError: naming every wrong line (the first of them), or what else is
        wrong with the file.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _items(path, csv.reader(file, strict=True))
    except OSError as error:
        raise ToolError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ToolError(f"{path}: expected UTF-8 text") from None


def _items(path: Path, reader: Any) -> list[Item]:
    items: list[Item] = []
    errors: list[str] = []
    lines_by_id: dict[str, int] = {}
    try:
        header: list[str] = next(reader, [])
        if [name.strip().lower() for name in header] != COLUMNS:
            raise ToolError(
                f"{path}: line 1: expected the columns {','.join(COLUMNS)},"
                f" not {one_line(','.join(header), 80)}"
            )
        for row in reader:
            line = reader.line_num
            if not any(row):
                continue
            try:
                item = _item(line, row)
            except ValueError as error:
                errors.append(f"line {line}: {error}")
                continue
            first = lines_by_id.setdefault(item.id, line)
            if first != line:
                errors.append(f"line {line}: the id {item.id} is on line {first} too")
            items.append(item)
    except csv.Error as error:
        errors.append(f"line {reader.line_num}: {error}")
    if len(items) > CATALOGUE_ITEMS_MAX:
        errors.append(
            f"{len(items)} items: an inventory holds at most {CATALOGUE_ITEMS_MAX}"
        )
    if errors:
        raise ToolError("\n".join(_shown(path, errors)))
    if not items:
        raise ToolError(f"{path}: no items below the line of column names")
    return items


def _shown(path: Path, errors: list[str]) -> list[str]:
    shown = [f"{path}: {error}" for error in errors[:IMPORT_ERRORS_SHOWN_MAX]]
    if len(errors) > len(shown):
        shown.append(f"{path}: and {len(errors) - len(shown)} more wrong lines")
    return [*shown, f"{path}: nothing was imported"]


def _item(line: int, row: list[str]) -> Item:
    if len(row) != len(COLUMNS):
        raise ValueError(f"expected {len(COLUMNS)} values, not {len(row)}")
    item_id, name, price, stock = (value.strip() for value in row)
    if not _ID.fullmatch(item_id):
        raise ValueError(
            f"an id is 1 to {ITEM_ID_CHARACTERS_MAX} of A-Z a-z 0-9 . _ -,"
            f" not {one_line(item_id, 80)!r}"
        )
    if not 1 <= len(name) <= ITEM_NAME_CHARACTERS_MAX or not name.isprintable():
        raise ValueError(
            f"a name is 1 to {ITEM_NAME_CHARACTERS_MAX} printable characters,"
            f" not {one_line(name, 80)!r}"
        )
    if len(json.dumps(name, ensure_ascii=False).encode()) > ITEM_NAME_BYTES_MAX:
        raise ValueError(f"the name is longer than {ITEM_NAME_BYTES_MAX} bytes as JSON")
    return Item(
        line,
        item_id,
        name,
        _whole("price", price, PRICE_MAX),
        _whole("stock", stock, STOCK_MAX),
    )


def _whole(column: str, text: str, most: int) -> int:
    if not _WHOLE.fullmatch(text) or int(text) > most:
        raise ValueError(
            f"a {column} is a whole number from 0 to {most}, not {one_line(text, 80)!r}"
        )
    return int(text)
