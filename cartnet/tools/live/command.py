"""``cartnet check --live``, from the command line to the exit status."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TextIO

from cartnet.tools import reacting
from cartnet.tools.check_files import CannotCheck
from cartnet.tools.failure import INTERRUPTED
from cartnet.tools.live import history_file, page
from cartnet.tools.live.judge import judge
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
    report_file, history = _open(report_path), _open(history_path)

    async def live(reactor: Any) -> Seen:
        return await LiveRun(
            reactor, configuration, operator_password, options, progress
        ).run()

    try:
        seen = reacting.run(live)
        if history is not None:
            history_file.write(seen, history)
        return conclude(seen, report_file, progress)
    finally:
        for file in (report_file, history):
            if file is not None:
                file.close()


def conclude(seen: Seen, report_file: TextIO | None, progress: Progress) -> int:
    """Print the verdict on a run; give the exit status."""
    progress("looking for an order of what happened")
    report = judge(seen)
    progress("")
    if report_file is not None:
        report_file.write(page.render(seen, report))
    for line in report.lines():
        sys.stdout.write(f"{line}\n")
    if not report.clean:
        return 1
    return INTERRUPTED if seen.interrupted else 0


def _open(path: Path | None) -> TextIO | None:
    """Open a file before the run: afterwards it would be too late to say no."""
    if path is None:
        return None
    try:
        return path.open("w", encoding="utf-8")
    except OSError as error:
        raise CannotCheck(f"cannot write {path}: {error.strerror}") from None
