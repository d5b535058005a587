"""Customers' operations against the logs: what was acknowledged, and what was not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cartnet.workload import models
from cartnet.workload.linearizable import Timed
from cartnet.workload.orders import check_total

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cartnet.simulator.checks.inventory_book import InventoryBook
    from cartnet.simulator.checks.shard_book import OrderBook, ShardBook
    from cartnet.workload.findings import Tally
    from cartnet.workload.history import History, Operation


def check(
    history: History,
    tally: Tally,
    shards: Mapping[str, ShardBook],
    inventory: InventoryBook,
) -> list[Timed]:
    """Look at each operation.

    :return: orders that nobody has heard of, for the inventory's history.
    :raises Incorrect: a guarantee was broken.
    """
    used = {key for book in shards.values() for key in book.keys}
    used |= {("operator", key) for key in inventory.keys}
    orders = {
        number: o for book in shards.values() for number, o in book.orders.items()
    }
    begun = {number: o for book in shards.values() for number, o in book.begun.items()}
    heard = set()
    for operation in history.operations:
        if operation.call == "list_orders" and operation.ending == "ok":
            _check_list(operation, tally, begun)
        if operation.again or operation.key is None:
            continue
        if operation.call == "create_account":
            _check_account(operation, tally, shards)
            continue
        key = operation.user, operation.key
        if operation.ending == "nothing":
            tally.require(
                "S10 what was refused for now was not done",
                key not in used,
                operation,
            )
        elif operation.ending == "ok":
            tally.require(
                "S1 S6 R6 K3 what was acknowledged is in the log",
                key in used,
                operation,
            )
        if operation.call == "checkout" and operation.ending == "ok":
            _check_order(operation, tally, orders)
            heard.add(operation.answer["id"])
    return _unheard(history, tally, orders, heard)


def _check_account(
    operation: Operation, tally: Tally, shards: Mapping[str, ShardBook]
) -> None:
    made = {
        name: book.accounts[operation.user][1]
        for name, book in shards.items()
        if operation.user in book.accounts
    }
    if operation.ending == "ok":
        tally.require(
            "S1 D1 W7 an acknowledged account is there, under its key",
            made == {operation.answer["shard"]: operation.key},
            operation,
            ", but there are ",
            made,
        )
    elif operation.ending != "unknown":
        tally.require(
            "S10 D1 an account that was refused was not made",
            operation.key not in made.values(),
            operation,
            ", but there are ",
            made,
        )


def _check_order(
    operation: Operation, tally: Tally, orders: Mapping[str, OrderBook]
) -> None:
    answer = operation.answer
    order = orders.get(answer["id"])
    lines = [(e["item"], e["quantity"], e["price"]) for e in answer["lines"]]
    tally.require(
        "O1 O2 an acknowledged order exists, as it was told",
        order is not None
        and (order.user, order.key) == (operation.user, operation.key)
        and (order.total, order.priced) == (answer["total"], lines),
        operation,
        ", but ",
        order,
    )
    check_total(operation, answer["total"], tally)


def _check_list(
    operation: Operation, tally: Tally, begun: Mapping[str, OrderBook]
) -> None:
    for order in operation.answer["orders"]:
        book = begun.get(order["id"])
        lines = [(e["item"], e["quantity"], e["price"]) for e in order["lines"]]
        tally.require(
            "O1 O2 a list shows orders as their logs have them",
            book is not None
            and book.user == operation.user
            and [line[:2] for line in lines] == book.lines
            and (
                order["status"] == "pending"
                or (order["total"], lines) == (book.total, book.priced)
            ),
            operation,
            ", but ",
            order["id"],
            " is ",
            book,
        )
    names = [order["id"] for order in operation.answer["orders"]]
    tally.require(
        "O5 a list begins with the newest order",
        names == [name for name in reversed([*begun]) if name in names],
        operation,
    )


def _unheard(
    history: History,
    tally: Tally,
    orders: Mapping[str, OrderBook],
    heard: set[str],
) -> list[Timed]:
    unknown = {
        (each.user, each.key): each
        for each in history.operations
        if each.call == "checkout" and each.ending == "unknown" and not each.again
    }
    steps = []
    for number, order in orders.items():
        if number in heard or order.total is None:
            continue
        operation = unknown.get((order.user, order.key))
        tally.require(
            "O1 S10 an order was asked for, and not said to be refused",
            operation is not None,
            "order ",
            number,
            ": ",
            order,
        )
        assert operation is not None
        check_total(operation, order.total, tally)
        lines = [
            {"item": item, "quantity": count, "price": price}
            for item, count, price in order.priced
        ]
        step = models.sells({"lines": lines})
        steps.append(Timed(step, operation.invoked, None, f"unheard order {number}"))
    return steps
