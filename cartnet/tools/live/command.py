"""``cartnet check --live``, from the command line to the exit status."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from cartnet.tools import reacting
from cartnet.tools.failure import INTERRUPTED
from cartnet.tools.live import history_file, page
from cartnet.tools.live.judge import judge
from cartnet.tools.live.output import Output, beside
from cartnet.tools.live.run import LiveRun

if TYPE_CHECKING:
    from pathlib import Path

    from cartnet.tools.check_report import Progress
    from cartnet.tools.live.options import Options
    from cartnet.tools.live.seen import Seen
    from cartnet.topology.configuration import Configuration


def run(
    configuration: Configuration,
    operator_password: str,
    options: Options,
    report_path: Path | None,
    history_path: Path | None,
    progress: Progress,
) -> int:
    """Run customers against a cluster; print the verdict and give the exit status.

    :raises ToolError: it could not be checked.
    """

    async def live(reactor: Any) -> Seen:
        return await LiveRun(
            reactor, configuration, operator_password, options, progress
        ).run()

    with beside(report_path) as report, beside(history_path) as history:
        seen = reacting.run(live)
        if history is not None:
            with history.written() as file:
                history_file.write(seen, file)
        return conclude(seen, report, progress)


def conclude(seen: Seen, output: Output | None, progress: Progress) -> int:
    """Print the verdict on a run; give the exit status."""
    progress("looking for an order of what happened")
    report = judge(seen)
    progress("")
    if output is not None:
        with output.written() as file:
            file.write(page.render(seen, report))
    for line in report.lines():
        sys.stdout.write(f"{line}\n")
    if not report.clean:
        return 1
    return INTERRUPTED if seen.interrupted else 0
