"""The report for a browser."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cartnet.tools.check_report import Report
    from cartnet.tools.live.seen import Seen


def render(seen: Seen, report: Report) -> str:
    return "\n".join(report.lines())
