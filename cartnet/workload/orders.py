"""Orders: at the totals expected (O3); their lists whole and newest first (O1, O5)."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cartnet.workload.findings import Tally
    from cartnet.workload.history import History, Operation


def check(history: History, tally: Tally) -> None:
    """Hold each list against the checkouts and the lists before it.

    A stale one may lack what is new, but is in order, and shows what is placed as all
    others do.

    :raises Incorrect: a list lacks an order, shows another, or is not in order.
    """
    users: dict[str, list[Operation]] = defaultdict(list)
    for operation in history.operations:
        if operation.ending == "ok" and operation.call in ("checkout", "list_orders"):
            users[operation.user].append(operation)
    for operations in users.values():
        _check_user(operations, tally)


def check_total(checkout: Operation, total: int, tally: Tally) -> None:
    """Hold the total of what came of a checkout against the one that it named, if any.

    :raises Incorrect: it is another.
    """
    tally.require(
        "O3 an order is taken at the total that was expected",
        checkout.args.get("expected_total") in (None, total),
        checkout,
        ", but it was taken at ",
        total,
    )


def _check_user(operations: list[Operation], tally: Tally) -> None:
    checkouts: dict[str, Operation] = {}
    moments: list[tuple[int, bool, Operation]] = []
    for each in operations:
        if each.call == "list_orders":
            moments.append((each.invoked, False, each))
        elif not each.again:
            checkouts[each.answer["id"]] = each
        assert each.returned is not None
        moments.append((each.returned, True, each))
    known: dict[str, Any] = {}
    placed: dict[str, Any] = {}
    for _, ends, each in sorted(moments, key=lambda moment: moment[0]):
        if not ends:
            _check_whole(each, known, tally)
            continue
        for order in _placed(each):
            tally.require(
                "O1 O2 an order that is placed never changes",
                placed.setdefault(order["id"], order) == order,
                each,
                ", but it was ",
                placed[order["id"]],
            )
            known[order["id"]] = order
        if each.call == "list_orders":
            _check_sequence(each, checkouts, tally)


def _placed(operation: Operation) -> list[Any]:
    if operation.call == "checkout":
        return [operation.answer]
    rows = operation.answer["orders"]
    return [order for order in rows if order["status"] == "placed"]


def _check_whole(listed: Operation, known: dict[str, Any], tally: Tally) -> None:
    """What was known when a list was asked for is in it; ``known`` grows later."""
    if listed.stale or "before" in listed.args or listed.answer["next"] is not None:
        return
    missing = known.keys() - {order["id"] for order in listed.answer["orders"]}
    tally.require(
        "O1 O5 a list has all orders that were known before it",
        not missing,
        listed,
        " lacks ",
        sorted(missing),
    )


def _check_sequence(
    listed: Operation, checkouts: dict[str, Operation], tally: Tally
) -> None:
    """No order stands above one that was asked for when it was placed already."""
    names = [order["id"] for order in listed.answer["orders"]]
    tally.require("O5 a list has each order once", len({*names}) == len(names), listed)
    above: Operation | None = None
    for checkout in (checkouts[name] for name in names if name in checkouts):
        tally.require(
            "O5 a list begins with the newest order",
            above is None or checkout.invoked < (above.returned or 0),
            listed,
            " has ",
            above,
            " before ",
            checkout,
        )
        if above is None or (checkout.returned or 0) < (above.returned or 0):
            above = checkout
