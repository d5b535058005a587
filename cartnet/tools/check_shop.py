"""S6 to S9: whether the tables of shards, inventory and directory agree."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Any

from cartnet.limits import KEY_SECONDS_MAX, KEYS_PER_USER_MAX
from cartnet.shop.accounts import OPERATOR
from cartnet.shop.group import group_id
from cartnet.tools.check_report import Chapter, count


@dataclass(frozen=True)
class Settled:
    """The tables of one group, as its best log leaves them.

    :ivar index: the last entry that is applied.
    :ivar complete: whether they hold all that the group has promised: a majority of
        its replicas is here.
    """

    name: str
    cursor: Any
    index: int
    complete: bool

    def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        self.cursor.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = self.cursor.fetchall()
        return rows


# --- S6 ------------------------------------------------------------------------------


def check_once(shards: Sequence[Settled], chapter: Chapter) -> int:
    """No key may have had two effects; return how many keys are remembered."""
    keys = 0
    for shard in shards:
        with chapter.reading(f"{shard.name}: its keys"):
            keys += shard.rows("SELECT COUNT(*) FROM remembered_keys")[0][0]
            for key, user, index in shard.rows(
                "SELECT k.key, k.username, k.order_index FROM remembered_keys k"
                " LEFT JOIN orders o ON o.log_index = k.order_index"
                " AND o.username = k.username AND o.key = k.key"
                " WHERE k.order_index IS NOT NULL AND o.log_index IS NULL"
                " ORDER BY k.log_index"
            ):
                chapter.wrong.append(
                    f"{shard.name}: the key {key!r} of {user} stands for order {index},"
                    " which is not there or not theirs"
                )
            _check_twice(shard, chapter)
    return keys


def _check_twice(shard: Settled, chapter: Chapter) -> None:
    """A key may order again only once it has been forgotten."""
    for (user, key), rows in groupby(
        shard.rows(
            "SELECT username, key, log_index, order_id, placed_at FROM orders"
            " WHERE key IS NOT NULL ORDER BY username, key, log_index"
        ),
        key=lambda row: row[:2],
    ):
        orders = list(rows)
        for before, order in pairwise(orders):
            near = order[2] - before[2] < KEYS_PER_USER_MAX
            soon = (order[4] or 0) - (before[4] or 0) < KEY_SECONDS_MAX
            if near and soon:
                chapter.wrong.append(
                    f"{shard.name}: the key {key!r} of {user} has ordered twice:"
                    f" {before[3]} and {order[3]}"
                )


# --- S7 ------------------------------------------------------------------------------


def check_stock(inventory: Settled, chapter: Chapter) -> tuple[int, int]:
    """Balance every item's books; return how many items and takings there are."""
    wrong = chapter.wrong
    items = inventory.rows(
        "SELECT i.item, i.stock, i.removed, i.initial_stock, i.operator_changes,"
        " (SELECT COALESCE(SUM(t.quantity), 0) FROM taking_lines t"
        " WHERE t.item = i.item) FROM items i ORDER BY i.item"
    )
    for item, stock, removed, initial, changes, sold in items:
        if initial + changes - stock != sold:
            wrong.append(
                f"item {item}: initial stock {initial}, changed by {changes:+}, now"
                f" {stock}: {initial + changes - stock} are gone, but {sold} are sold"
            )
        if stock < 0 or (removed and stock):
            wrong.append(
                f"item {item}: {'removed, but ' if removed else ''}its stock is {stock}"
            )
    for (item,) in inventory.rows(
        "SELECT DISTINCT item FROM taking_lines"
        " WHERE item NOT IN (SELECT item FROM items) ORDER BY item"
    ):
        wrong.append(f"item {item}: it is sold, but the inventory never had it")
    (takings,) = inventory.rows("SELECT COUNT(*) FROM takings")[0]
    return len(items), takings


# --- S8 ------------------------------------------------------------------------------

Line = tuple[Any, Any, Any, Any]
"""Item, quantity, name and price."""


@dataclass(frozen=True)
class Bought:
    """An order as its shard has it, or a taking as the inventory has it.

    :ivar at: when it was taken; None while an order is pending.
    """

    index: int
    total: int | None
    at: int | None
    lines: tuple[Line, ...]


def check_checkouts(
    shards: Sequence[Settled],
    inventory: Settled | None,
    chapter: Chapter,
    *,
    all_shards: bool,
) -> tuple[int, int]:
    """Hold orders and takings against each other; return how many orders are placed,
    and how many are pending."""
    placed = pending = 0
    groups: list[str | None] = []
    for shard in shards:
        with chapter.reading(f"{shard.name}: its orders"):
            groups.append(group_id(shard.cursor))
            _check_carts(shard, chapter)
            pairs = _pairs(shard, groups[-1], inventory)
            for order, taking in pairs:
                if order is not None:
                    placed += order.at is not None
                    pending += order.at is None
                if inventory is not None:
                    _check_pair(shard, order, taking, inventory, chapter)
    if inventory is not None:
        with chapter.reading(f"{inventory.name}: its takings"):
            _check_takings(inventory, groups, chapter, all_shards=all_shards)
    return placed, pending


def _check_pair(
    shard: Settled,
    order: Bought | None,
    taking: Bought | None,
    inventory: Settled,
    chapter: Chapter,
) -> None:
    wrong = chapter.wrong
    if order is None:
        assert taking is not None
        name = f"order {taking.index} of {shard.name}"
        if taking.index > shard.index and not shard.complete:
            chapter.notes.append(
                f"{name} is taken; the files of {shard.name} end before it"
            )
        else:
            wrong.append(f"{name} is taken, but {shard.name} has no such order")
        return
    name = f"order {order.index} of {shard.name}"
    if not order.lines:
        wrong.append(f"{name} has no lines")
    if taking is None:
        if order.at is None:
            return
        if inventory.complete:
            wrong.append(f"{name} is placed, but was not taken from the inventory")
        else:
            chapter.notes.append(
                f"{name} is placed; the files of {inventory.name} do not show whether"
                " it was taken"
            )
        return
    if order.at is None:
        if [line[:2] for line in order.lines] != [line[:2] for line in taking.lines]:
            wrong.append(f"{name} is pending, and was taken with other lines")
    elif order != taking:
        what = "other lines"
        if order.lines == taking.lines:
            what = "another total or time"
        wrong.append(f"{name} is placed, and was taken with {what}")


def _check_carts(shard: Settled, chapter: Chapter) -> None:
    frozen = set(
        shard.rows("SELECT username, pending FROM carts WHERE pending IS NOT NULL")
    )
    orders = set(
        shard.rows("SELECT username, order_id FROM orders WHERE placed_at IS NULL")
    )
    for user, order in sorted(frozen - orders):
        chapter.wrong.append(
            f"{shard.name}: the cart of {user} is frozen for order {order}, which is"
            " not pending"
        )
    for user, order in sorted(orders - frozen):
        chapter.wrong.append(
            f"{shard.name}: order {order} is pending, but the cart of {user} is not"
            " frozen for it"
        )
    for (index,) in shard.rows(
        "SELECT DISTINCT log_index FROM order_lines"
        " WHERE log_index NOT IN (SELECT log_index FROM orders) ORDER BY log_index"
    ):
        chapter.wrong.append(
            f"{shard.name}: lines of order {index}, which is not there"
        )


def _check_takings(
    inventory: Settled,
    groups: Sequence[str | None],
    chapter: Chapter,
    *,
    all_shards: bool,
) -> None:
    for group, index in inventory.rows(
        "SELECT DISTINCT group_id, order_index FROM taking_lines l WHERE NOT EXISTS"
        " (SELECT 1 FROM takings t WHERE t.group_id = l.group_id"
        " AND t.order_index = l.order_index) ORDER BY group_id, order_index"
    ):
        chapter.wrong.append(
            f"{inventory.name}: lines of taking {group}-{index}, which is not there"
        )
    for group, takings in inventory.rows(
        "SELECT group_id, COUNT(*) FROM takings GROUP BY group_id ORDER BY group_id"
    ):
        if group in groups:
            continue
        found = f"{count(takings, 'taking')} of a shard with the id {group}"
        if all_shards:
            chapter.wrong.append(f"{inventory.name}: {found}, which is none of ours")
        else:
            chapter.notes.append(f"{inventory.name}: {found}, which is not here")


def _pairs(
    shard: Settled, group: str | None, inventory: Settled | None
) -> Iterator[tuple[Bought | None, Bought | None]]:
    """Give every order with its taking, either of which may be missing."""
    orders = _bought(
        shard,
        "SELECT o.log_index, o.total, o.placed_at, l.item, l.quantity, l.name, l.price"
        " FROM orders o LEFT JOIN order_lines l ON l.log_index = o.log_index"
        " ORDER BY o.log_index, l.position",
    )
    takings: Iterator[Bought] = iter(())
    if inventory is not None:
        takings = _bought(
            inventory,
            "SELECT t.order_index, t.total, t.taken_at, l.item, l.quantity, l.name,"
            " l.price FROM takings t LEFT JOIN taking_lines l"
            " ON l.group_id = t.group_id AND l.order_index = t.order_index"
            " WHERE t.group_id = ? ORDER BY t.order_index, l.position",
            group,
        )
    order, taking = next(orders, None), next(takings, None)
    while order is not None or taking is not None:
        if taking is None or (order is not None and order.index < taking.index):
            yield order, None
            order = next(orders, None)
        elif order is None or taking.index < order.index:
            yield None, taking
            taking = next(takings, None)
        else:
            yield order, taking
            order, taking = next(orders, None), next(takings, None)


def _bought(settled: Settled, sql: str, *parameters: object) -> Iterator[Bought]:
    rows = settled.cursor.connection.execute(sql, parameters)
    for (index, total, at), lines in groupby(rows, key=lambda row: row[:3]):
        # A LEFT JOIN gives one row of nulls where there are no lines.
        found = tuple(line[3:] for line in lines if line[3] is not None)
        yield Bought(index, total, at, found)


# --- S9 ------------------------------------------------------------------------------


def check_homes(
    shards: Sequence[Settled], directory: Settled | None, chapter: Chapter
) -> tuple[int, int]:
    """Hold accounts against their homes; return how many of each there are."""
    homes: Mapping[str, str] = {}
    if directory is not None:
        homes = dict(directory.rows("SELECT username, shard FROM homes"))
    lives: dict[str, str] = {}
    for shard in shards:
        with chapter.reading(f"{shard.name}: its accounts"):
            for (user,) in shard.rows(
                "SELECT username FROM accounts ORDER BY username"
            ):
                if user in lives:
                    chapter.wrong.append(
                        f"the username {user} is on {lives[user]} and on {shard.name}"
                    )
                lives[user] = shard.name
                home = homes.get(user)
                if home is not None and home != shard.name:
                    chapter.wrong.append(
                        f"the username {user} is on {shard.name}, but its home is"
                        f" {home}"
                    )
                elif user == OPERATOR:
                    chapter.wrong.append(f"{shard.name} has an account {OPERATOR}")
                elif directory is not None and home is None:
                    told = chapter.wrong if directory.complete else chapter.notes
                    told.append(
                        f"the username {user} is on {shard.name}, but has no home in"
                        f" {directory.name}"
                    )
    return len(lives), len(homes)
