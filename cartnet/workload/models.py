"""S5: what customers saw, as histories of carts, usernames and the inventory.

Small models of our own: they know the interface (``docs/protocol.md``), no code.
An operation that was certainly not done is left out; one whose outcome is not known may
have taken effect at any time after its call, or never.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from cartnet.workload.linearizable import Search, State, Step, Timed
from cartnet.workload.share import FRESH, Stock

if TYPE_CHECKING:
    from cartnet.workload.findings import Tally
    from cartnet.workload.history import History, Operation

Lines = tuple[tuple[str, int], ...]
Cart = tuple[int, Lines]
"""Its version, then items with quantities in the order added."""

CART_WRITES: Final = frozenset({"add_to_cart", "set_quantity", "remove_from_cart"})


def check(
    history: History,
    tally: Tally,
    extra: Iterable[Timed] = (),
    initial: Stock = FRESH,
) -> None:
    """Search for an order of every object's operations.

    :param extra: orders that no customer has heard of, for the inventory.
    :param initial: the inventory at first.
    :raises Incorrect: an object has none.
    """
    carts: dict[str, list[Timed]] = defaultdict(list)
    names: dict[str, list[Timed]] = defaultdict(list)
    inventory: list[Timed] = []
    for operation in history.operations:
        if operation.ending == "nothing" or operation.stale:
            continue
        if operation.call in ("create_account", "login"):
            if operation.user != "operator":
                names[operation.user].extend(_username(operation))
            continue
        if operation.user not in ("", "operator"):
            _add(carts[operation.user], _cart(operation))
        _add(inventory, _inventory(operation))
    inventory.extend(extra)
    for user, operations in sorted(carts.items()):
        _search(f"the cart of {user}", operations, (0, ()), "S5 K1 K5 a cart", tally)
    for name, operations in sorted(names.items()):
        _search(f"the username {name}", operations, (), "S5 D1 a username", tally)
    _search("the inventory", inventory, initial, "S5 R12 the inventory", tally)


def _search(
    what: str, operations: list[Timed], initial: State, check: str, tally: Tally
) -> None:
    search = Search(operations, initial)
    found = search.run()
    tally.reached["histories too entangled to order"] += found is None
    if found is None:
        return
    tally.require(
        f"{check} is linearizable",
        found,
        what,
        ": ",
        search.furthest,
        " operations can be put in order, but then not ",
        search.stuck.told if search.stuck else "?",
    )


def _add(operations: list[Timed], steps: Iterator[Timed]) -> None:
    """Add an operation's steps, each after the one before it."""
    after: int | None = None
    for step in steps:
        operations.append(
            Timed(step.step, step.invoked, step.returned, step.told, after)
        )
        after = len(operations) - 1


def _timed(operation: Operation, step: Callable[[Any], Any]) -> Timed:
    ending = operation.returned if operation.ending != "unknown" else None
    return Timed(step, operation.invoked, ending, operation)


# --- Carts ---------------------------------------------------------------------------


def _cart(operation: Operation) -> Iterator[Timed]:
    timed = partial(_timed, operation)
    done, args = operation.ending, operation.args
    if operation.again:
        # It is answered with the cart as it is by then.
        if operation.call in CART_WRITES and done == "ok":
            yield timed(_reads_cart(operation.answer))
    elif operation.call in CART_WRITES and done != "refused":
        yield timed(partial(_write, operation.call, args))
        if done == "ok":
            # A repeated call is answered with the cart as it is by then.
            yield timed(_reads_cart(operation.answer))
    elif operation.call == "get_cart" and done == "ok":
        yield timed(_reads_cart(operation.answer))
    elif operation.call == "checkout":
        if done == "ok":
            ordered = tuple(
                (line["item"], line["quantity"]) for line in operation.answer["lines"]
            )
            yield timed(partial(_places, ordered))
        elif done == "unknown":
            yield timed(partial(_places, None))
        elif operation.refused is not None and operation.refused.code == "empty_cart":
            yield timed(lambda cart: None if cart[1] else cart)


def _write(call: str, args: dict[str, Any], cart: Cart) -> Cart:
    version, lines = cart
    item = args["item"]
    present = dict(lines).get(item, 0)
    quantity = args.get("quantity", 0)
    if call == "add_to_cart":
        quantity += present
    if quantity == present:
        return cart
    if quantity == 0:
        return version + 1, tuple(line for line in lines if line[0] != item)
    if not present:
        return version + 1, (*lines, (item, quantity))
    return version + 1, tuple(
        (item, quantity) if line[0] == item else line for line in lines
    )


def _reads_cart(answer: Any) -> Step:
    lines = tuple((line["item"], line["quantity"]) for line in answer["items"])
    seen = answer["version"], lines
    return lambda cart: cart if cart == seen else None


def _places(ordered: Lines | None, cart: Cart) -> Cart | None:
    version, lines = cart
    if not lines or (ordered is not None and ordered != lines):
        return None
    return version + 1, ()


# --- Usernames -----------------------------------------------------------------------


def _username(operation: Operation) -> Iterator[Timed]:
    """The state is empty, or the account's password and creation key."""
    timed = partial(_timed, operation)
    password = operation.args["password"]
    refused = operation.refused.code if operation.refused is not None else ""
    done = operation.ending
    if operation.call == "create_account":
        mine = password, operation.key
        if done == "ok":
            yield timed(lambda state: mine if state in ((), mine) else None)
        elif done == "unknown":
            yield timed(lambda state: mine if state == () else None)
        elif refused == "username_taken":
            yield timed(lambda state: None if state in ((), mine) else state)
    elif done == "ok":
        yield timed(lambda state: state if state and state[0] == password else None)
    elif done == "refused" and refused == "unauthenticated":
        yield timed(lambda state: None if state and state[0] == password else state)


# --- The inventory -------------------------------------------------------------------


def _inventory(operation: Operation) -> Iterator[Timed]:
    timed = partial(_timed, operation)
    done, args, call = operation.ending, operation.args, operation.call
    if operation.again:
        if operation.user == "operator" and done == "ok":
            yield timed(_reads_inventory(operation.answer))
    elif call == "get_inventory":
        if done == "ok":
            yield timed(_reads_inventory(operation.answer))
    elif call == "checkout":
        if done == "ok":
            yield timed(sells(operation.answer))
        elif done == "refused" and operation.refused is not None:
            yield from map(timed, _refuses(operation.refused))
    elif operation.user == "operator" and call != "logout":
        if done != "refused":
            yield timed(partial(_changes, call, args))
            if done == "ok":
                yield timed(_reads_inventory(operation.answer))
        elif operation.refused is not None:
            yield timed(partial(_cannot, call, args, operation.refused.code))


def _reads_inventory(answer: Any) -> Step:
    seen = tuple((each["id"], each["price"], each["stock"]) for each in answer["items"])
    return lambda stock: stock if stock == seen else None


def sells(order: Any) -> Step:
    """Take all lines of an order out of stock, at the prices of that instant."""
    wanted = {
        line["item"]: (line["quantity"], line["price"]) for line in order["lines"]
    }

    def step(stock: Any) -> Any:
        left = []
        found = 0
        for item, price, count in stock:
            quantity, paid = wanted.get(item, (0, price))
            found += item in wanted
            if count < quantity or paid != price:
                return None
            left.append((item, price, count - quantity))
        return tuple(left) if found == len(wanted) else None

    return step


def _refuses(refused: Any) -> Iterator[Step]:
    if refused.code == "out_of_stock":
        shortages = refused.details["shortages"]

        def is_short(stock: Any) -> Any:
            counts = {item: count for item, _, count in stock}
            fits = all(
                counts.get(each["item"], 0) == each["stock"] < each["wanted"]
                for each in shortages
            )
            return stock if fits and shortages else None

        yield is_short
    elif refused.code == "price_changed":
        details = refused.details

        def has_prices(stock: Any) -> Any:
            prices = {item: price for item, price, _ in stock}
            lines = details["lines"]
            fits = all(prices.get(line["item"]) == line["price"] for line in lines)
            total = sum(line["quantity"] * line["price"] for line in lines)
            return stock if fits and total == details["total"] else None

        yield has_prices


def _changes(call: str, args: dict[str, Any], stock: Stock) -> Stock | None:
    items = {item: (price, count) for item, price, count in stock}
    item = args.get("item", "")
    match call:
        case "put_item":
            items[item] = args["price"], args["stock"]
        case "update_inventory":
            if item not in items or items[item][1] + args["quantity_change"] < 0:
                return None
            price, count = items[item]
            items[item] = price, count + args["quantity_change"]
        case "remove_item":
            if item not in items:
                return None
            del items[item]
        case "reset_inventory":
            return FRESH
    return tuple((each, *items[each]) for each in sorted(items))


def _cannot(call: str, args: dict[str, Any], code: str, stock: Stock) -> Stock | None:
    counts = {item: count for item, _, count in stock}
    item = args.get("item", "")
    if code == "not_found":
        return None if item in counts else stock
    if code == "conflict" and call == "update_inventory":
        short = item in counts and counts[item] + args["quantity_change"] < 0
        return stock if short else None
    return stock
