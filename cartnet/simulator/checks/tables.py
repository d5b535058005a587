"""The product's tables against the books: what its machines have made of their logs."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, assert_never

from cartnet.simulator.checks.directory_book import DirectoryBook
from cartnet.simulator.checks.inventory_book import InventoryBook
from cartnet.simulator.checks.shard_book import ShardBook

if TYPE_CHECKING:
    from cartnet.simulator.checks.shard_book import OrderBook
    from cartnet.workload.findings import Tally

Book = DirectoryBook | InventoryBook | ShardBook


def check_entry(book: Book, cursor: Any, index: int, tally: Tally) -> None:
    """Look at what is small, after each entry: ``index`` is its."""
    time = cursor.execute("SELECT log_time FROM machine").fetchone()[0]
    tally.require(
        "S6 log time never goes back, at every index",
        time == book.time,
        "after ",
        index,
        ": ",
        time,
        " != ",
        book.time,
    )
    match book:
        case DirectoryBook():
            _check_homes(book, cursor, index, tally)
        case InventoryBook():
            _check_accounts(book, cursor, index, tally)
            _check_items(book, cursor, index, tally)
        case ShardBook():
            _check_accounts(book, cursor, index, tally)
            _check_carts(book, cursor, index, tally)
        case _:
            assert_never(book)


# --- Usernames -----------------------------------------------------------------------


def _check_homes(book: DirectoryBook, cursor: Any, index: int, tally: Tally) -> None:
    """Who was at home somewhere first is there for ever."""
    homes = dict(cursor.execute("SELECT username, shard FROM homes"))
    tally.require(
        "S9 D3 homes are those of the first claims, at every index",
        homes == book.homes,
        "after ",
        index,
        ": ",
        homes,
        " != ",
        book.homes,
    )


def _check_accounts(
    book: InventoryBook | ShardBook, cursor: Any, index: int, tally: Tally
) -> None:
    """Accounts have the passwords and keys that they were made with."""
    found = {
        user: (password_hash, key)
        for user, password_hash, key in cursor.execute(
            "SELECT username, password_hash, creation_key FROM accounts"
        )
    }
    tally.require(
        "S1 D1 accounts are what their logs say, at every index",
        found == book.accounts,
        "after ",
        index,
        ": ",
        found,
        " != ",
        book.accounts,
    )


# --- The inventory -------------------------------------------------------------------


def _check_items(book: InventoryBook, cursor: Any, index: int, tally: Tally) -> None:
    """Stock is right, and all of it accounted for."""
    rows = cursor.execute(
        "SELECT item, price, stock, removed, initial_stock + operator_changes - stock"
        " FROM items ORDER BY item"
    ).fetchall()
    tally.require(
        "S7 I1 stock is never negative, at every index",
        all(stock >= 0 for _, _, stock, _, _ in rows),
        "after ",
        index,
        ": ",
        rows,
    )
    found = {
        item: (price, stock) for item, price, stock, removed, _ in rows if not removed
    }
    tally.require(
        "S7 I1 the inventory is what its log says, at every index",
        found == book.table,
        "after ",
        index,
        ": ",
        found,
        " != ",
        book.table,
    )
    gone = {item: count for item, _, _, _, count in rows if count}
    tally.require(
        "S7 I2 I6 initial + changes - stock = sold, at every index",
        gone == book.sold,
        "after ",
        index,
        ": ",
        gone,
        " gone, by the log ",
        dict(book.sold),
    )


def check_takings(book: InventoryBook, cursor: Any, tally: Tally) -> None:
    """What the log sold is what the takings add up to."""
    taken = dict(
        cursor.execute("SELECT item, SUM(quantity) FROM taking_lines GROUP BY item")
    )
    tally.require(
        "S7 I2 takings add up to what was sold",
        taken == book.sold,
        taken,
        " taken, by the log ",
        dict(book.sold),
    )


# --- A shard -------------------------------------------------------------------------


def _check_carts(book: ShardBook, cursor: Any, index: int, tally: Tally) -> None:
    """Versions, lines in the order added, and the orders that carts wait for."""
    lines: dict[str, list[tuple[str, int]]] = defaultdict(list)
    for user, item, quantity in cursor.execute(
        "SELECT username, item, quantity FROM cart_lines ORDER BY added_index"
    ):
        lines[user].append((item, quantity))
    found = {
        user: (version, lines.pop(user, []), pending)
        for user, version, pending in cursor.execute(
            "SELECT username, version, pending FROM carts"
        )
    }
    expected = {
        user: (cart.version, [*cart.lines.items()], cart.pending)
        for user, cart in book.carts.items()
    }
    tally.require(
        "K1 K2 K5 carts are what their logs say, at every index",
        found == expected and not lines,
        "after ",
        index,
        ": ",
        found,
        " != ",
        expected,
        ", and lines of no cart: ",
        dict(lines),
    )


def check_orders(book: ShardBook, cursor: Any, tally: Tally) -> None:
    """Orders in the order begun, each with its own lines, which its total adds up."""
    lines: dict[int, list[tuple[str, int, int | None]]] = defaultdict(list)
    for index, item, quantity, price in cursor.execute(
        "SELECT log_index, item, quantity, price FROM order_lines ORDER BY position"
    ):
        lines[index].append((item, quantity, price))
    found = [
        (number, user, key, total, lines.pop(index, []))
        for index, number, user, key, total in cursor.execute(
            "SELECT log_index, order_id, username, key, total FROM orders"
            " ORDER BY log_index"
        )
    ]
    expected = [
        (number, order.user, order.key, order.total, _lines(order))
        for number, order in book.orders.items()
    ]
    tally.require(
        "O1 O2 O5 orders and their lines are what their logs say",
        found == expected and not lines,
        found,
        " != ",
        expected,
        ", and lines of no order: ",
        dict(lines),
    )
    for number, _, _, total, ordered in found:
        tally.require(
            "O2 a total is the sum of its lines",
            total is None or total == sum(n * (price or 0) for _, n, price in ordered),
            "order ",
            number,
            ": ",
            total,
            " for ",
            ordered,
        )


def _lines(order: OrderBook) -> list[tuple[str, int, int | None]]:
    """An order's lines; they have no prices while it is pending."""
    if order.total is None:
        return [(item, quantity, None) for item, quantity in order.lines]
    return [*order.priced]
