"""Mutants of the state machines: every replica does the same wrong thing, or not."""

from __future__ import annotations

from itertools import count
from typing import Any

import msgspec

from cartnet.shop import (
    accounts,
    carts,
    catalogue,
    directory,
    group,
    inventory,
    keys,
    orders,
    takings,
)
from cartnet.shop.answers import AccountCreated, CartLine, SessionClosed
from tests.simulator.mutants.mutant import Replace, mutant


class Lenient:
    """A cursor whose tables have no bound for stock."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def execute(self, sql: str) -> None:
        self._cursor.execute(sql.replace(" CHECK (stock >= 0)", ""))


@mutant("M8", "a checkout whose decision is asked for again is taken again")
def _(replace: Replace) -> None:
    def decided(cursor: Any, group_id: str, order_index: int) -> Any:
        decision = former(cursor, group_id, order_index)
        if isinstance(decision, takings.Taken):
            sold = [(line.item, line.quantity) for line in decision.lines]
            catalogue.sell(cursor, catalogue.revision(cursor), sold)
        return decision

    former = replace(takings, "_decided", decided)


@mutant("M9", "log time is what the replica's own clock has when it applies an entry")
def _(replace: Replace) -> None:
    clock = count()

    def advance(cursor: Any, stamped: int) -> Any:
        return former(cursor, stamped + next(clock) // 50)

    former = replace(group, "advance", advance)


@mutant("M10", "the operator may take out more than there is: stock falls below zero")
def _(replace: Replace) -> None:
    def create_tables(cursor: Any) -> None:
        former(Lenient(cursor))

    def set_stock(cursor: Any, index: int, item: Any, stock: int) -> None:
        catalogue._put(cursor, index, msgspec.structs.replace(item, stock=stock))

    former = replace(catalogue, "create_tables", create_tables)
    replace(catalogue, "set_stock", set_stock)


@mutant("M12", "a second claim of a username moves its home")
def _(replace: Replace) -> None:
    def assign(cursor: Any, command: Any) -> Any:
        cursor.execute("DELETE FROM homes WHERE username = ?", (command.username,))
        return former(cursor, command)

    former = replace(directory, "_assign", assign)


@mutant("M30", "an account is made anew where there is one: the last password counts")
def _(replace: Replace) -> None:
    def create(cursor: Any, now: int, username: str, hash_: str, key: Any) -> Any:
        cursor.execute("DELETE FROM accounts WHERE username = ?", (username,))
        former(cursor, now, username, hash_, key)
        return AccountCreated(username)

    former = replace(accounts, "create_account", create)


@mutant("M31", "keys are forgotten at once")
def _(replace: Replace) -> None:
    replace(keys, "recall", lambda cursor, keyed, now: None)


@mutant("M32", "what a removal takes out of stock is not in the books")
def _(replace: Replace) -> None:
    def remove(cursor: Any, index: int, item: str) -> None:
        cursor.execute(
            "UPDATE items SET removed = 1, revision = ?, stock = 0 WHERE item = ?",
            (index, item),
        )

    replace(catalogue, "remove", remove)


@mutant("M33", "a checkout is taken at any price, whatever its user has confirmed")
def _(replace: Replace) -> None:
    def judge(cursor: Any, now: int, take: Any) -> Any:
        return former(cursor, now, msgspec.structs.replace(take, expected_total=None))

    former = replace(takings, "_judge", judge)


@mutant("M34", "a cart is written to while its checkout is not decided")
def _(replace: Replace) -> None:
    def write(cursor: Any, index: int, user: str, cart: Any, *line: Any) -> Any:
        thawed = msgspec.structs.replace(cart, pending=None)
        return former(cursor, index, user, thawed, *line)

    former = replace(carts, "_write", write)


@mutant("M35", "a placed order leaves its lines in the cart")
def _(replace: Replace) -> None:
    replace(carts, "empty", carts.unfreeze)


@mutant("M36", "a refused checkout leaves its cart frozen")
def _(replace: Replace) -> None:
    replace(carts, "unfreeze", lambda cursor, username: None)


@mutant("M37", "a user has one session: the next login ends it")
def _(replace: Replace) -> None:
    replace(accounts, "SESSIONS_PER_USER_MAX", 1)


@mutant("M38", "orders are shown without their last line")
def _(replace: Replace) -> None:
    def shown(cursor: Any, row: Any) -> Any:
        order = former(cursor, row)
        return msgspec.structs.replace(order, lines=order.lines[:-1])

    former = replace(orders, "shown", shown)


@mutant("M39", "log time goes back where a leader's clock is behind")
def _(replace: Replace) -> None:
    def advance(cursor: Any, stamped: int) -> Any:
        cursor.execute("UPDATE machine SET log_time = ? WHERE id = 1", (stamped,))
        return stamped, False

    replace(group, "advance", advance)


@mutant("M58", "a total is not that of its lines")
def _(replace: Replace) -> None:
    def judge(cursor: Any, now: int, take: Any) -> Any:
        decision = former(cursor, now, take)
        if isinstance(decision, takings.Taken):
            return msgspec.structs.replace(decision, total=decision.total + 1)
        return decision

    former = replace(takings, "_judge", judge)


@mutant("M59", "a line of nothing stays in its cart")
def _(replace: Replace) -> None:
    def read(cursor: Any, username: str) -> Any:
        cart = former(cursor, username)
        empty = CartLine("i1", 0)
        return msgspec.structs.replace(cart, items=cart.items or (empty,))

    former = replace(carts, "read", read)


@mutant("M60", "a placed order begins the versions of its cart anew")
def _(replace: Replace) -> None:
    def empty(cursor: Any, username: str) -> None:
        former(cursor, username)
        cursor.execute("UPDATE carts SET version = 1 WHERE username = ?", (username,))

    former = replace(carts, "empty", empty)


@mutant("M71", "lists of orders begin with the oldest")
def _(replace: Replace) -> None:
    def listing(*args: Any) -> Any:
        found = former(*args)
        return msgspec.structs.replace(found, orders=found.orders[::-1])

    former = replace(orders, "listing", listing)


@mutant("M72", "a key is answered for, whatever its arguments are now")
def _(replace: Replace) -> None:
    def recall(cursor: Any, keyed: Any, now: int) -> Any:
        sql = "SELECT call, arguments FROM remembered_keys WHERE username = ?"
        cursor.execute(sql + " AND key = ?", (keyed.username, keyed.key))
        if row := cursor.fetchone():
            keyed = msgspec.structs.replace(keyed, call=row[0], arguments=row[1])
        return former(cursor, keyed, now)

    former = replace(keys, "recall", recall)


@mutant("M73", "a session that was ended goes on")
def _(replace: Replace) -> None:
    replace(accounts, "close_session", lambda *_: SessionClosed())


@mutant("M67", "a call that was refused is answered with success when it is repeated")
def _(replace: Replace) -> None:
    def recall(cursor: Any, keyed: Any, now: int) -> Any:
        recalled = former(cursor, keyed, now)
        if isinstance(recalled, keys.Remembered):
            return msgspec.structs.replace(recalled, refusal=None)
        return recalled

    former = replace(keys, "recall", recall)


@mutant("M77", "what is sold leaves stock with the log's next entry")
def _(replace: Replace) -> None:
    def sell(cursor: Any, index: int, lines: Any) -> None:
        former(cursor, index, [(item, 0) for item, _ in lines])

    def apply(self: Any, cursor: Any, index: int, payload: Any) -> Any:
        cursor.execute(
            "UPDATE items SET stock = initial_stock + operator_changes - COALESCE(("
            "SELECT SUM(quantity) FROM taking_lines t WHERE t.item = items.item), 0)"
        )
        return applied(self, cursor, index, payload)

    former = replace(catalogue, "sell", sell)
    applied = replace(inventory.InventoryMachine, "apply", apply)


@mutant("M78", "an item whose quantity changes goes to the end of its cart")
def _(replace: Replace) -> None:
    def write(cursor: Any, index: int, user: str, cart: Any, item: str, n: int) -> Any:
        answer = former(cursor, index, user, cart, item, n)
        cursor.execute(
            "UPDATE cart_lines SET added_index = ? WHERE username = ? AND item = ?"
            " AND quantity = ?",
            (index, user, item, n),
        )
        return answer

    former = replace(carts, "_write", write)


@mutant("M79", "an order that is placed puts up the prices of those before it")
def _(replace: Replace) -> None:
    def place(cursor: Any, row: Any, taken: Any) -> Any:
        sql = "UPDATE order_lines SET price = price + 1 WHERE log_index < ?"
        cursor.execute(sql, (row.index,))
        return former(cursor, row, taken)

    former = replace(orders, "place", place)
