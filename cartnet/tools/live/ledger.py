"""What the last look must show: orders, stock, homes; and what was seen meanwhile."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from cartnet.storage.digest import told_apart
from cartnet.tools.live.findings import shown
from cartnet.workload import models
from cartnet.workload.linearizable import Timed
from cartnet.workload.orders import check_total

if TYPE_CHECKING:
    from cartnet.tools.live.seen import Seen
    from cartnet.workload.history import Operation


def check_orders(seen: Seen) -> list[Timed]:
    """S1, S8, S10: the orders are those that were acknowledged, and no others.

    :return: those that nobody has heard of, but that may have been placed.
    """
    require = seen.findings.require
    told: dict[str, Operation] = {}
    unknown: dict[str, list[Operation]] = {}
    for each in seen.operations:
        if each.call == "checkout" and each.user in seen.orders and not each.again:
            if each.ending == "ok":
                told[each.answer["id"]] = each
            elif each.ending == "unknown":
                unknown.setdefault(each.user, []).append(each)
    listed = {
        order["id"]: (user, order)
        for user, orders in seen.orders.items()
        for order in orders
    }
    for number, operation in told.items():
        user, order = listed.get(number, ("", None))
        require(
            "S1 an acknowledged order is there in the end, as it was told",
            user == operation.user and order == operation.answer,
            operation,
            ", but in the list: ",
            "nothing" if order is None else msgspec.json.encode(order).decode(),
        )
        check_total(operation, operation.answer["total"], seen.findings)
    unheard = []
    found: Counter[str] = Counter()
    for number, (user, order) in listed.items():
        if number in told or order["status"] != "placed":
            continue
        guesses = unknown.get(user, [])
        found[user] += 1
        require(
            "S10 an order was asked for, and not said to be refused",
            found[user] <= len(guesses),
            shown(order),
            " of ",
            user,
        )
        if guesses:
            step = models.sells(order)
            unheard.append(Timed(step, guesses[0].invoked, None, shown(order)))
    return unheard


def check_stock(seen: Seen) -> None:
    """S7: what the operator has given is in stock or sold."""
    if seen.stock is None or not _is_certain(seen):
        return
    given, sold = _given(seen), _sold(seen)
    for item in sorted(seen.share.counted):
        left = seen.stock.get(item)
        seen.findings.require(
            "S7 given = in stock + sold",
            left is not None and given[item] == left + sold[item],
            item,
            f": given {given[item]}, in stock {left}, sold {sold[item]}"
            " (or somebody else has bought or changed it)",
        )


def stock_told(seen: Seen) -> str:
    """The sums, for people."""
    given, sold = _given(seen), _sold(seen)
    stock = seen.stock or {}
    return ", ".join(
        f"{seen.short(item)}: {given[item]} = {stock.get(item)} + {sold[item]} sold"
        for item in sorted(seen.share.counted)
    )


def _is_certain(seen: Seen) -> bool:
    """Whether it is known what was given, and to whom all was sold."""
    for each in seen.operations:
        given = each.call in ("put_item", "update_inventory") and not each.again
        if given and each.ending == "unknown":
            return False
        if each.call == "checkout" and each.user not in seen.orders:
            return False
    orders = [order for orders in seen.orders.values() for order in orders]
    return all(order["status"] == "placed" for order in orders)


def _given(seen: Seen) -> Counter[str]:
    given: Counter[str] = Counter()
    for each in seen.operations:
        if each.user == "operator" and each.ending == "ok" and not each.again:
            if each.call == "put_item":
                given[each.args["item"]] += each.args["stock"]
            elif each.call == "update_inventory":
                given[each.args["item"]] += each.args["quantity_change"]
    return given


def _sold(seen: Seen) -> Counter[str]:
    sold: Counter[str] = Counter()
    for orders in seen.orders.values():
        for order in orders:
            for line in order["lines"]:
                sold[line["item"]] += line["quantity"]
    return sold


def check_homes(seen: Seen) -> None:
    """S9: a username is on one shard, whoever says so."""
    users = dict.fromkeys(each.user for each in seen.operations)
    for user in users:
        if user in ("", "operator"):
            continue
        homes = seen.homes(user)
        seen.findings.require(
            "S9 D1 a username lives on one shard",
            len(homes) <= 1,
            seen.short(user),
            " is on ",
            ", ".join(homes),
        )


def check_sessions(seen: Seen) -> None:
    """S1: the operator's session is known all the time; devices see to their own."""
    for each in seen.operations:
        if each.user != "operator" or each.call == "login" or each.ending == "unknown":
            continue
        refused = each.refused if each.ending == "refused" else None
        seen.findings.require(
            "S1 a session that was given is known",
            refused is None or refused.code != "unauthenticated",
            each,
        )


def check_terms(seen: Seen) -> None:
    """S2 and S4: of each term one leader, of each index one digest."""
    for (group, term), leaders in seen.leaders.items():
        seen.findings.require(
            "S2 R1 a term has one leader",
            len(leaders) == 1,
            f"{group} in term {term}: {', '.join(sorted(leaders))}",
        )
    for (group, index), digests in seen.digests.items():
        if len(digests) > 1:
            told = told_apart(*digests.values())
            seen.findings.require(
                "S4 R5 equal indexes mean equal tables",
                len(set(digests.values())) == 1,
                f"{group} at index {index}: ",
                ", ".join(map(" has ".join, zip(digests, told, strict=True))),
            )


def check_feeds(seen: Seen) -> None:
    """F3: whoever shows the inventory at a revision shows the same."""
    tables: dict[int, tuple[Any, object]] = {}

    def compare(revision: int, table: Any, source: object) -> None:
        known = tables.setdefault(revision, (table, source))
        if known[1] is not source:
            feed = isinstance(source, str) or isinstance(known[1], str)
            seen.findings.require(
                f"{'F3' if feed else 'S5'} a revision is one table",
                known[0] == table,
                source,
                f" shows {table} at revision {revision}, but ",
                known[1],
                f" {known[0]}",
            )

    for each in _reads(seen):
        items = each.answer["items"]
        table = {item["id"]: (item["price"], item["stock"]) for item in items}
        compare(each.answer["revision"], table, each)
    for watcher in seen.watchers:
        for revision, states in watcher.states:
            compare(revision, states, watcher.name)


def check_revisions(seen: Seen) -> None:
    """S5: who asks later is shown no older revision, whatever others change."""
    moments: list[tuple[int, int, Operation]] = []
    for each in _reads(seen):
        if each.stale:
            continue
        moments.append((each.invoked, 0, each))
        if each.returned is not None:
            moments.append((each.returned, 1, each))
    newest: Operation | None = None
    for _, ends, each in sorted(moments, key=lambda moment: moment[:2]):
        revision = each.answer["revision"]
        if ends:
            if newest is None or revision > newest.answer["revision"]:
                newest = each
        elif newest is not None:
            seen.findings.require(
                "S5 R12 a later read is of no older revision",
                revision >= newest.answer["revision"],
                each,
                " came after ",
                newest,
            )


def _reads(seen: Seen) -> list[Operation]:
    """What showed the inventory, with its revision."""
    return [e for e in seen.operations if e.ending == "ok" and "revision" in e.answer]
