"""Replies as text for a person: aligned columns, a replica in detail. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cartnet.replica.status import Status


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Align cells two spaces apart; a row's last cell has nothing behind it."""
    widths: dict[int, int] = {}
    for row in rows:
        for at, cell in enumerate(row):
            widths[at] = max(widths.get(at, 0), len(cell))
    return [
        "  ".join(cell.ljust(widths[at]) for at, cell in enumerate(row)).rstrip()
        for row in rows
    ]


def listed(statuses: Sequence[Status]) -> list[str]:
    """One line a replica; of one that is not alive nothing is known.

    Whoever leads a group that serves nobody leads its log alone: that is said, too.
    """
    return columns([_row(status) for status in statuses])


def _row(status: Status) -> list[str]:
    row = [status.name, status.address, status.state]
    if status.state != "alive":
        return [*row, "-"]
    log = f"term={status.term} commit={status.commit} applied={status.applied}"
    row += [status.role, log]
    return row if status.stopped is None else [*row, "stopped"]


def detailed(status: Status) -> list[str]:
    """All that is known of a replica."""
    lines = [f"{status.name}  {status.address}  {status.state}"]
    if status.state != "alive":
        return lines
    lines += [
        f"role={status.role} term={status.term} leader={status.leader or '-'}",
        f"log first={status.first} last={status.last}"
        f" commit={status.commit} applied={status.applied}",
        *([] if status.digest is None else [_digest(status)]),
        f"up {status.uptime_seconds:.0f} s, writes={status.writes}{_pace(status)}",
        *(
            f"peer {peer.name} match={peer.match} lag={peer.lag}"
            for peer in status.peers
        ),
        f"database={status.database_bytes} bytes"
        f" connections={status.connections} queue={status.queue_depth}",
        *([f"stopped: {status.stopped}"] if status.stopped is not None else ()),
    ]
    return [lines[0], *(f"  {line}" for line in lines[1:])]


def _digest(status: Status) -> str:
    return f"digest={str(status.digest)[:16]}... after {status.digest_index}"


def _pace(status: Status) -> str:
    """How long writes take, where there were any lately."""
    if status.write_p50_ms is None:
        return ""
    return f" p50={status.write_p50_ms:g} ms p99={status.write_p99_ms:g} ms"
