"""The verdict on a run: a line a guarantee, as ``cartnet check`` has it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cartnet.tools.check_report import SAFETY, Report, count
from cartnet.tools.live import ledger
from cartnet.tools.live.ending import (
    ANSWERED,
    CAUGHT_UP,
    ENDING_SECONDS_MAX,
    FOUND_OUT,
    HURRIED_SECONDS_MAX,
    PLACED,
    SERVING,
)
from cartnet.tools.live.outages import Outages
from cartnet.workload import models, orders, stale

if TYPE_CHECKING:
    from cartnet.tools.live.seen import Seen
    from cartnet.workload.history import Operation

TITLES: Final = {
    **{number: title for number, title in SAFETY.items() if number != "S3"},
    "L1": "serves",
    "feeds": "whole, in order",
}
"""What customers and statuses can show: logs are in the files alone."""

CHAPTERS: Final = {"D": "S9", "F": "feeds", "I": "S7", "K": "S5", "O": "S8", "R": "S5"}
"""Where checks are told that name no guarantee, but an invariant, by its letter."""

_ENTANGLED: Final = "histories too entangled to order"


def judge(seen: Seen) -> Report:
    """Hold all that was seen against the guarantees."""
    report = Report(titles=TITLES, unseen="nothing that this run could show")
    # The last looks first: what the searches need to know comes out of them.
    unheard = ledger.check_orders(seen)
    ledger.check_stock(seen)
    ledger.check_homes(seen)
    ledger.check_sessions(seen)
    ledger.check_terms(seen)
    ledger.check_feeds(seen)
    ledger.check_revisions(seen)
    orders.check(seen.history, seen.findings)
    stale.check(seen.history, seen.findings)
    models.check(seen.history, seen.findings, unheard, seen.share.initial)
    for violation in seen.findings.violations:
        report[guarantee_of(violation.check)].wrong.append(str(violation))
    _look(seen, report)
    _liveness(seen, report)
    report.heading = _heading(seen)
    for chapter in report.chapters.values():
        # Accounts stay behind: their passwords are nobody's to read.
        for lines in (chapter.wrong, chapter.notes):
            lines[:] = [each.replace(seen.share.secret, "") for each in lines]
    return report


def guarantee_of(check: str) -> str:
    """Which guarantee a check is about, by what its name begins with."""
    first = check.split()[0]
    return first if first in TITLES else CHAPTERS[first[0]]


def _heading(seen: Seen) -> str:
    options, operations = seen.options, seen.operations
    endings = [
        f"{sum(each.ending == ending for each in operations)} {said}"
        for ending, said in (
            ("ok", "ok"),
            ("refused", "refused"),
            ("nothing", "not done"),
            ("unknown", "unknown"),
        )
    ]
    name = seen.share.prefix.rstrip("-")
    struck = ", ".join(f"{kind} {n}" for kind, n in seen.findings.faults.items())
    return (
        f"{name} at {seen.cluster}: {seen.stopped - seen.began:.0f} s"
        f"{', interrupted' if seen.interrupted else ''},"
        f" {count(options.users, 'user')}, seed {options.seed},"
        f" {count(len(operations), 'operation')}: {', '.join(endings)}"
        + (f"; faults: {struck or 'none'}" if options.chaos else "")
    )


def _look(seen: Seen, report: Report) -> None:
    """Say what was looked at."""

    def say(name: str, *parts: str) -> None:
        report[name].looked_at = ", ".join(parts)

    made, share = seen.findings.made, seen.share
    users = {each.user for each in seen.operations if each.user not in ("", "operator")}
    placed = count(sum(map(len, seen.orders.values())), "order")
    if sessions := made("S1 a session"):
        found = count(made("S1 an acknowledged order"), "order")
        say(
            "S1",
            f"{count(sessions, 'answer')} to known sessions",
            f"{found} found again",
        )
    if seen.leaders:
        terms = count(len(seen.leaders), "term")
        say("S2", count(seen.heartbeats, "heartbeat"), f"{terms} with a leader")
    if compared := made("S4"):
        say("S4", f"digests at {count(compared, 'common index', 'common indexes')}")
    if carts := made("S5 K1"):
        items = f"the inventory's {len(share.items)} items of this run"
        say("S5", count(carts, "cart"), count(made("S5 D1"), "username"), items)
    keyed = [e for e in seen.operations if e.key is not None and e.sendings > 1]
    repeated = count(made("S6 K3"), "call")
    say("S6", f"{count(len(keyed), 'key')} sent again", f"{repeated} repeated")
    if made("S7"):
        say("S7", ledger.stock_told(seen))
    if seen.orders:
        say("S8", f"{placed} of {len(seen.orders)} users")
        # Those of carts and of the inventory are looked at under S5.
        refused = [e for e in seen.operations if _is_refused_checkout(seen, e)]
        none = "" if report["S10"].wrong else "none of them by "
        say("S10", placed, f"{none}{count(len(refused), 'refused checkout')}")
    if users:
        say("S9", count(made("S9"), "username"))
    if events := sum(watcher.events for watcher in seen.watchers):
        watchers = count(len(seen.watchers), "watcher")
        tables = count(made("F3"), "table")
        say("feeds", f"{count(events, 'event')} to {watchers}", f"{tables} compared")
    entangled = seen.findings.reached[_ENTANGLED]
    if entangled:
        report["S5"].notes.append(
            f"{count(entangled, 'history', 'histories')} too"
            " entangled to be ordered: neither right nor wrong"
        )


def _is_refused_checkout(seen: Seen, operation: Operation) -> bool:
    return (
        operation.call == "checkout"
        and operation.ending in ("refused", "nothing")
        and operation.user in seen.orders
        and not operation.again
    )


def _outages_told(seen: Seen) -> str:
    outages = Outages(seen)
    told = []
    if outages.longest:
        longest = outages.longest.items()
        each = ", ".join(f"{group} {seconds:.1f} s" for group, (seconds, _) in longest)
        told.append(f"longest without an answer: {each}")
    for group in seen.groups:
        if group in outages.longest:
            continue
        if group in outages.asked:
            told.append(f"{group} gave no answer")
        elif outages.unplaced:
            calls = count(outages.unplaced, "call")
            unknown = f"{calls} waited for a shard that is not known"
            told.append(f"{group} gave no answer, and {unknown}")
        else:
            told.append(f"{group} was not asked")
    return "; ".join(told)


def _liveness(seen: Seen, report: Report) -> None:
    chapter = report["L1"]
    chapter.looked_at = _outages_told(seen)
    seconds_max = HURRIED_SECONDS_MAX if seen.interrupted else ENDING_SECONDS_MAX
    for what in (SERVING, ANSWERED, FOUND_OUT, PLACED, CAUGHT_UP):
        if seen.awaited.get(what, 0.0) is not None:
            continue
        told = f"not within {seconds_max:g} s: {what}; {seen.missing[what]}"
        # Where nobody's orders are known S8 is not seen, and neither kept nor broken.
        places = {PLACED: "S8" if seen.orders else "L1", CAUGHT_UP: "feeds"}
        where = places.get(what, "L1")
        wrong = report[where].notes if seen.interrupted else report[where].wrong
        wrong.append(told)
    for failure in seen.failures:
        lines = failure.strip().splitlines()
        chapter.wrong.append(f"a customer could not go on: {lines[-1]}")
    if seen.unused:
        chapter.notes.append(f"nobody's account lives on {', '.join(seen.unused)}")
    chapter.notes.extend(seen.left)
