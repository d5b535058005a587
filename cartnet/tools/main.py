"""The console script ``cartnet``: its command line."""

from __future__ import annotations

import argparse
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cartnet import __version__
from cartnet.tools import catalogue, ctl, simulate_options
from cartnet.tools.balancer import Balancer
from cartnet.tools.catalogue import Item
from cartnet.tools.check_help import CHECK_DESCRIPTION, CHECK_EPILOG
from cartnet.tools.failure import CANNOT_CHECK, ToolError
from cartnet.tools.importing import Import
from cartnet.tools.live import options as live_options
from cartnet.tools.option_types import whole
from cartnet.topology.configuration import Configuration, ConfigurationError, load
from cartnet.topology.effective import to_ini

if TYPE_CHECKING:
    from cartnet.tools.check_report import Progress

ROWS_MAX = 1_000_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a tool; give its exit status."""
    parsed = _parser().parse_args(arguments)
    try:
        configured = (_configuration(parsed),) if "config" in parsed else ()
        status: int = parsed.run(parsed, *configured)
        sys.stdout.flush()
    except (ToolError, ConfigurationError) as error:
        lines = str(error).splitlines()
        sys.stderr.write("".join(f"cartnet: {line}\n" for line in lines))
        status = error.status if isinstance(error, ToolError) else 1
        # A check's 1 is a verdict on what it has looked at.
        return CANNOT_CHECK if parsed.run is _check else status
    except BrokenPipeError:
        # Whoever read has seen enough; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("cartnet: interrupted\n")
        return 130
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="cartnet",
        description="Tools for a cartnet cluster; twistd cartnet runs one.",
    )
    parser.add_argument("--version", action="version", version=f"cartnet {__version__}")
    common, data, web = _shared_options()
    tools = parser.add_subparsers(required=True, metavar="TOOL")

    tool = tools.add_parser(
        "ctl",
        parents=[common, data, web],
        help="one admin command, such as: list, kill s1r0",
    )
    tool.add_argument("--admin", metavar="ENDPOINT", help="where the admin port is")
    tool.add_argument("command", nargs=argparse.REMAINDER, metavar="COMMAND")
    tool.set_defaults(run=_ctl)

    tool = tools.add_parser(
        "databases", parents=[common, data], help="what is in every replica's file"
    )
    tool.add_argument(
        "--rows",
        type=whole(0, ROWS_MAX),
        default=3,
        metavar="N",
        help="rows a table [default: 3]",
    )
    tool.set_defaults(run=_databases)

    tool = tools.add_parser(
        "check",
        parents=[common, data],
        help="are the guarantees kept by a stopped cluster's files, or a running one?",
        description=CHECK_DESCRIPTION + live_options.DESCRIPTION,
        epilog=CHECK_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    live_options.add_options(tool)
    tool.set_defaults(run=_check, misused=tool.error)

    tool = tools.add_parser(
        "config", parents=[common], help="the configuration in force"
    )
    tool.set_defaults(run=_config)

    tool = tools.add_parser(
        "import-catalog",
        parents=[common, data, web],
        help="items from a CSV file: id,name,price,stock",
    )
    tool.add_argument("file", type=Path, metavar="FILE.csv")
    tool.set_defaults(run=_import_catalog)

    tool = tools.add_parser(
        "simulate",
        help="a whole cluster in a simulated world, with faults",
        description=simulate_options.DESCRIPTION,
        epilog=simulate_options.EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    simulate_options.add_options(tool)
    tool.set_defaults(run=_simulate)
    return parser


def _shared_options() -> tuple[
    argparse.ArgumentParser, argparse.ArgumentParser, argparse.ArgumentParser
]:
    """What several tools can be told: the configuration, where its databases are, and
    how to reach a console."""
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "-c",
        "--config",
        type=Path,
        metavar="FILE",
        help="the configuration [default: ./cartnet.ini, else the demo's]",
    )
    data = argparse.ArgumentParser(add_help=False)
    data.add_argument(
        "--data", type=Path, metavar="DIR", help="where the databases are"
    )
    web = argparse.ArgumentParser(add_help=False)
    web.add_argument(
        "--url", metavar="URL", help="speak to the console there, by HTTP, instead"
    )
    web.add_argument(
        "--password-file",
        type=Path,
        metavar="FILE",
        help="the operator's password [default: as configured, or as in DIR]",
    )
    return common, data, web


def _configuration(parsed: argparse.Namespace) -> Configuration:
    configuration = load(parsed.config)
    data: Path | None = getattr(parsed, "data", None)
    return configuration if data is None else replace(configuration, data=data)


def _ctl(parsed: argparse.Namespace, configuration: Configuration) -> int:
    if not " ".join(parsed.command).strip():
        raise ToolError("ctl needs a command, such as: cartnet ctl help")
    if parsed.url is None:
        reply, succeeded = ctl.run(configuration, parsed.command, parsed.admin)
    else:
        from cartnet.tools import reacting, remote

        reply, succeeded = reacting.run(
            partial(
                remote.command,
                url=parsed.url,
                password=_operator_password(parsed.password_file, configuration),
                words=parsed.command,
                seconds_max=ctl.REPLY_SECONDS_MAX,
            )
        )
    (sys.stdout if succeeded else sys.stderr).write(reply)
    return 0 if succeeded else 1


def _databases(parsed: argparse.Namespace, configuration: Configuration) -> int:
    # What it needs takes a while to import, which the other tools are spared.
    from cartnet.tools import databases

    for line in databases.describe(configuration, parsed.rows):
        sys.stdout.write(f"{line}\n")
    return 0


def _check(parsed: argparse.Namespace, configuration: Configuration) -> int:
    terminal = sys.stderr if sys.stderr.isatty() else None

    def progress(step: str) -> None:
        if terminal is not None:
            with suppress(OSError):  # The terminal may be closed, the check goes on.
                terminal.write(f"\r\x1b[K{step}")
                terminal.flush()

    if (wrong := live_options.misuse(parsed)) is not None:
        parsed.misused(wrong)
    if parsed.live:
        return _check_live(parsed, configuration, progress)
    from cartnet.tools import check

    try:
        report = check.run(configuration, progress)
    finally:
        progress("")
    for line in report.lines():
        sys.stdout.write(f"{line}\n")
    return 0 if report.clean else 1


def _check_live(
    parsed: argparse.Namespace, configuration: Configuration, progress: Progress
) -> int:
    from cartnet.tools.live import command

    return command.run(
        configuration,
        _operator_password(parsed.password_file, configuration),
        live_options.options(parsed),
        parsed.report,
        parsed.history,
        progress,
    )


def _config(parsed: argparse.Namespace, configuration: Configuration) -> int:
    sys.stdout.write(f"# {configuration.source}\n{to_ini(configuration)}")
    return 0


def _simulate(parsed: argparse.Namespace) -> int:
    from cartnet.tools import simulate

    return simulate.run(parsed)


def _import_catalog(parsed: argparse.Namespace, configuration: Configuration) -> int:
    items = catalogue.read(parsed.file)
    terminal = sys.stderr if sys.stderr.isatty() else None

    def progress(done: int) -> None:
        if terminal is not None:
            terminal.write(f"\r{done} of {len(items)} items")
            terminal.flush()

    seconds_max = configuration.timing.request_timeout + 2
    run = Import(
        addresses=[m.address for m in configuration.topology.balancers.members],
        connect=lambda address: Balancer(address, seconds_max),
        password=_operator_password(parsed.password_file, configuration),
        run_id=os.urandom(8).hex(),  # noqa: TID251 (nobody is outside of this)
        progress=progress,
        pause=threading.Event().wait,
    )
    try:
        if parsed.url is None:
            run.put(items)
        else:
            _put_through_console(run, items, parsed.url, seconds_max)
    finally:
        if terminal is not None:
            terminal.write("\n")
    count = "1 item" if len(items) == 1 else f"{len(items)} items"
    sys.stdout.write(
        f"imported {count} from {parsed.file};"
        f" the inventory is at revision {run.revision}\n"
    )
    return 0


def _put_through_console(
    run: Import, items: Sequence[Item], url: str, seconds_max: float
) -> None:
    # It costs what a reactor costs, which the other tools are spared.
    from twisted.internet.threads import deferToThread

    from cartnet.tools import reacting, web

    async def put(reactor: Any) -> None:
        run.addresses = [url]
        run.connect = lambda address: web.WebBalancer(reactor, address, seconds_max)
        await deferToThread(run.put, items)

    reacting.run(put)


def _operator_password(given: Path | None, configuration: Configuration) -> str:
    """From the file given, the configuration, or the file that the cluster made."""
    if given is None and configuration.operator_password is not None:
        return configuration.operator_password
    path = given or configuration.operator_password_file
    try:
        return path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "expected UTF-8"
        hint = ""
        if given is None and isinstance(error, FileNotFoundError):
            hint = (
                " a cluster writes it when it starts: is the cluster running, and is"
                " this its configuration?"
            )
        raise ToolError(
            f"the operator's password: {path}: {reason};{hint}"
            " --password-file tells another file"
        ) from None
