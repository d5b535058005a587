"""``cartnet check``: the guarantees, as far as the replicas' files can show them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cartnet.tools import check_logs, check_shop, check_states
from cartnet.tools.check_files import (
    ReplicaFile,
    copies,
    counted,
    opened,
)
from cartnet.tools.check_report import Progress, Report, count
from cartnet.tools.check_shop import Settled
from cartnet.tools.files import nothing_in

if TYPE_CHECKING:
    from cartnet.topology.configuration import Configuration


def run(configuration: Configuration, progress: Progress) -> Report:
    """Check the files that there are.

    :param progress: is told, in a few words, what is being done.
    :raises ToolError: there are none, or a running process holds one.
    """
    report = Report()
    names = configuration.topology.names
    with (
        copies(configuration, progress) as paths,
        opened(configuration, paths, report["files"]) as (files, empty),
    ):
        if len(empty) == len(paths):
            raise nothing_in(configuration.data)
        missing = [name for name in names if name not in paths or name in empty]
        report.heading = (
            f"{count(len(paths) - len(empty), 'file')} of {len(names)} in"
            f" {configuration.data}"
            + (f"; missing: {', '.join(missing)}" if missing else "")
        )
        report["files"].looked_at = count(len(files), "file")
        _check(configuration, files, report, progress)
    return report


def _check(
    configuration: Configuration,
    files: list[ReplicaFile],
    report: Report,
    progress: Progress,
) -> None:
    entries = compared = 0
    settled: dict[str, Settled] = {}
    for group in configuration.topology.groups:
        members = [file for file in files if file.group == group]
        if not members:
            continue
        progress(f"reading the logs of {group.name}")
        entries += check_logs.check(members, report)
        compared += check_states.check(members, report["S4"], progress)
        state, index = check_states.settled(members, report["S4"])
        end = max((file.last[1], file.last[0]) for file in members)[1]
        majority = len(counted(members)) > len(group.members) // 2
        settled[group.name] = Settled(
            group.name, state.cursor, index, majority and index >= end
        )
    if files:
        logs = f"{count(len(files), 'log')}"
        report["S1"].looked_at = f"commit indexes of {logs}"
        report["S2"].looked_at = f"terms and votes of {count(len(files), 'file')}"
        report["S3"].looked_at = f"{count(entries, 'entry', 'entries')} of {logs}"
        report["S4"].looked_at = (
            f"tables of {count(len(files), 'file')}, digests at"
            f" {count(compared, 'common index', 'common indexes')}"
        )
    progress("comparing the groups")
    _check_shop(configuration, settled, report)


def _check_shop(
    configuration: Configuration, settled: dict[str, Settled], report: Report
) -> None:
    topology = configuration.topology
    shards = [settled[each.name] for each in topology.shards if each.name in settled]
    inventory = settled.get(topology.inventory.name)
    directory = settled.get(topology.balancers.name)
    if shards:
        keys = check_shop.check_once(shards, report["S6"])
        report["S6"].looked_at = f"{count(keys, 'key')} remembered"
        with report["S9"].reading("usernames"):
            users, homes = check_shop.check_homes(shards, directory, report["S9"])
            report["S9"].looked_at = (
                f"{count(users, 'username')} on {_names(shards)}"
                + (f", {count(homes, 'home')}" if directory else "")
            )
    if inventory is not None:
        with report["S7"].reading("the inventory"):
            items, takings = check_shop.check_stock(inventory, report["S7"])
            report[
                "S7"
            ].looked_at = f"{count(items, 'item')}, {count(takings, 'taking')}"
    if shards:
        placed, pending = check_shop.check_checkouts(
            shards,
            inventory,
            report["S8"],
            all_shards=len(shards) == len(topology.shards),
        )
        report["S8"].looked_at = (
            f"{count(placed, 'order')} placed and {pending} pending on"
            f" {_names(shards)}" + ("" if inventory else "; no inventory to compare")
        )
        if pending:
            report["S8"].notes.append(
                f"{count(pending, 'order')} pending: the next leader of the shard"
                " finishes what was cut off"
            )


def _names(groups: Iterable[Settled]) -> str:
    return ", ".join(group.name for group in groups)
