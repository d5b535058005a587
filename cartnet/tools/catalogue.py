"""A catalogue as a CSV file: ``id,name,price,stock``, checked as a whole."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from cartnet.errors import Refused
from cartnet.limits import CATALOGUE_ITEMS_MAX, IMPORT_ERRORS_SHOWN_MAX
from cartnet.tools.failure import ToolError
from cartnet.wire.arguments import decode_arguments
from cartnet.wire.shown import one_line, shown

COLUMNS: Final = ["id", "name", "price", "stock"]

_WHOLE: Final = re.compile(r"[0-9]{1,15}")


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

    @property
    def arguments(self) -> dict[str, object]:
        """Of ``put_item``."""
        return {
            "item": self.id,
            "name": self.name,
            "price": self.price,
            "stock": self.stock,
        }


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
        raise ToolError("\n".join(_summed_up(path, errors)))
    if not items:
        raise ToolError(f"{path}: no items below the line of column names")
    return items


def _summed_up(path: Path, errors: list[str]) -> list[str]:
    named = [f"{path}: {error}" for error in errors[:IMPORT_ERRORS_SHOWN_MAX]]
    if len(errors) > len(named):
        named.append(f"{path}: and {len(errors) - len(named)} more wrong lines")
    return [*named, f"{path}: nothing was imported"]


def _item(line: int, row: list[str]) -> Item:
    if len(row) != len(COLUMNS):
        raise ValueError(f"expected {len(COLUMNS)} values, not {len(row)}")
    item_id, name, price, stock = (value.strip() for value in row)
    item = Item(line, item_id, name, _whole("price", price), _whole("stock", stock))
    # What the inventory would refuse is refused here, before anything is sent.
    try:
        decode_arguments(
            "put_item",
            msgspec.Raw(msgspec.json.encode(item.arguments)),
            trusted=False,
        )
    except Refused as refused:
        raise ValueError(refused.message) from None
    return item


def _whole(column: str, text: str) -> int:
    if not _WHOLE.fullmatch(text):
        raise ValueError(f"{column} must be a whole number, not {shown(text)}")
    return int(text)
