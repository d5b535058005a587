"""The inventory's log, kept in books of our own: dicts, no SQL, no product code."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

import msgspec

from cartnet.workload import share

if TYPE_CHECKING:
    from cartnet.workload.watcher import Table

FRESH: Final = {item: (price, stock) for item, price, stock in share.FRESH}
"""Price and stock of what a fresh inventory holds."""


class InventoryBook:
    """What the inventory is after each index.

    :ivar time: the latest stamp.
    :ivar table: price and stock of each item.
    :ivar sold: how many were taken for orders.
    :ivar takings: total and lines (item, quantity, price) by order.
    :ivar accounts: password hash and key of the operator's, once there is one.
    :ivar keys: the operator's keys that were used up, with their calls.
    """

    def __init__(self) -> None:
        self.time = 0
        self.table: Table = {}
        self.sold: dict[str, int] = defaultdict(int)
        self.takings: dict[tuple[str, int], tuple[int, list[Any]]] = {}
        self.accounts: dict[str, tuple[str, str | None]] = {}
        self.keys: dict[str, str] = {}
        self._founded = False
        self._refused: set[tuple[str, int]] = set()
        self._finished: dict[str, int] = defaultdict(int)
        self._sessions: set[str] = set()
        self._indexes: list[int] = [0]
        self._tables: list[Table] = [{}]

    def at(self, revision: int) -> Table:
        """The table as it was after ``revision``."""
        return self._tables[bisect_right(self._indexes, revision) - 1]

    def apply(self, index: int, payload: bytes) -> None:
        """Apply an entry."""
        stamp, command = msgspec.json.decode(payload)
        self.time = max(self.time, stamp)
        what = command.pop("do")
        if what == "found":
            if not self._founded:
                self._founded = True
                self.table = dict(FRESH)
        elif what == "set_operator_password":
            if not self.accounts or command.get("replace"):
                self.accounts["operator"] = command["password_hash"], None
        elif self._founded:
            self._do(what, command)
        if self.table != self._tables[-1]:
            self._indexes.append(index)
            self._tables.append(dict(self.table))

    def _do(self, what: str, command: dict[str, Any]) -> None:
        match what:
            case "open_session":
                account = self.accounts.get(command["username"])
                if account is not None and account[0] == command["password_hash"]:
                    self._sessions.add(command["session"])
            case "close_session":
                self._sessions.discard(command["session"])
            case "take":
                self._take(**command)
            case "set_stock":
                self._change(what, command)
            case _:
                self._once(what, command)

    def _once(self, what: str, command: dict[str, Any]) -> None:
        session, key = command.pop("session"), command.pop("key")
        if session is not None and session not in self._sessions:
            return
        if key is not None:
            if key in self.keys:
                return
            self.keys[key] = what
        self._change(what, command)

    def _change(self, what: str, command: dict[str, Any]) -> None:
        table = dict(self.table)
        item = command.get("item", "")
        match what:
            case "put_item":
                table[item] = command["price"], command["stock"]
            case "remove_item":
                table.pop(item, None)
            case "change_stock" if item in table:
                price, count = table[item]
                if count + command["quantity_change"] >= 0:
                    table[item] = price, count + command["quantity_change"]
            case "set_stock" if item in table:
                table[item] = table[item][0], command["stock"]
            case "reset_inventory":
                table = dict(FRESH)
        self.table = table

    def _take(
        self,
        group_id: str,
        index: int,
        lines: list[dict[str, Any]],
        expected_total: int | None,
        finished: int,
    ) -> None:
        self._finished[group_id] = max(self._finished[group_id], finished)
        order = group_id, index
        if order in self.takings:
            return
        if index <= self._finished[group_id] or order in self._refused:
            return
        wanted = [(line["item"], line["quantity"]) for line in lines]
        if any(self.table.get(item, (0, 0))[1] < count for item, count in wanted):
            self._refused.add(order)
            return
        total = sum(self.table[item][0] * count for item, count in wanted)
        if expected_total not in (None, total):
            self._refused.add(order)
            return
        priced = [(item, count, self.table[item][0]) for item, count in wanted]
        self.takings[order] = total, priced
        for item, count, price in priced:
            self.table[item] = price, self.table[item][1] - count
            self.sold[item] += count
