"""Readable log files: one a replica, and one for the process.

A line is the time (UTC), the level, the replica, its term and the message::

    2026-11-22T14:13:07.250Z info     s1r0 term=3 leads

Whatever came from outside is escaped, so that nobody can forge a line or command the
terminal that shows it. A traceback follows its line, indented.
"""

from __future__ import annotations

import stat
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from twisted.application.service import IService, MultiService
from twisted.logger import (
    ILogObserver,
    LogEvent,
    Logger,
    LogLevel,
    LogPublisher,
    formatEvent,
    globalLogPublisher,
)
from twisted.python.components import Componentized
from typing_extensions import override
from zope.interface import implementer

from cartnet.errors import Refused
from cartnet.limits import LOG_MESSAGE_CHARACTERS_MAX, LOG_TRACEBACK_CHARACTERS_MAX
from cartnet.observability.log_file import LogFile, tail

PROCESS: Final = "cartnet"

_NOISE: Final = frozenset(
    {"Starting factory {factory!r}", "Stopping factory {factory!r}"}
)
"""What Twisted says at every attempt to connect; a dead peer would fill the log."""


def escaped(text: str) -> str:
    """Escape what is not printable, the backslash included, as Python does."""
    if text.isprintable() and "\\" not in text:
        return text
    return "".join(
        character
        if character.isprintable() and character != "\\"
        else character.encode("unicode_escape", "surrogatepass").decode("ascii")
        for character in text
    )


def format_line(event: LogEvent, replica: str, term: int | None) -> str:
    """Format one event, with its traceback if it has one; ends with a line feed."""
    at = datetime.fromtimestamp(event.get("log_time", 0), UTC)
    level = event.get("log_level") or LogLevel.info
    message = formatEvent(event)
    if len(message) > LOG_MESSAGE_CHARACTERS_MAX:
        rest = len(message) - LOG_MESSAGE_CHARACTERS_MAX
        message = f"{message[:LOG_MESSAGE_CHARACTERS_MAX]}... ({rest} more)"
    who = replica if term is None else f"{replica} term={term}"
    time = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = f"{time} {level.name:<8} {who} {escaped(message)}\n"
    return line + _traceback(event)


def _traceback(event: LogEvent) -> str:
    failure = event.get("log_failure")
    if failure is None:
        return ""
    # The end of a traceback says more than its beginning.
    text = failure.getTraceback()[-LOG_TRACEBACK_CHARACTERS_MAX:]
    return "".join(f"    {escaped(line)}\n" for line in text.splitlines())


def _is_worth_a_line(event: LogEvent) -> bool:
    level = event.get("log_level") or LogLevel.info
    return level >= LogLevel.info and event.get("log_format") not in _NOISE


@implementer(ILogObserver)
class FileObserver:
    """Writes events to one file.

    :param term: the replica's current term, asked for at each event; None for a
        process, which has none.
    """

    def __init__(
        self, file: LogFile, replica: str, term: Callable[[], int] | None
    ) -> None:
        self._file = file
        self._replica = replica
        self._term = term

    def __call__(self, event: LogEvent) -> None:
        if not _is_worth_a_line(event):
            return
        # A replica's event says whose it is, to the process's file too.
        replica = event.get("cartnet_replica", self._replica)
        term = event.get("cartnet_term", self._term() if self._term else None)
        self._file.write(format_line(event, replica, term))


class Logs:
    """The log files of one process, in one folder.

    :ivar process: writes the process's events, and its replicas', to ``cartnet.log``.
    """

    def __init__(
        self, folder: Path, publisher: ILogObserver = globalLogPublisher
    ) -> None:
        """Make the folder (mode 0700) where it is missing, and open ``cartnet.log``.

        :param publisher: hears the replicas' events too; the process's, by default.
        :raises OSError: if either cannot be had.
        """
        folder.mkdir(mode=stat.S_IRWXU, parents=True, exist_ok=True)
        self._folder = folder
        self._publisher = publisher
        self._files: dict[str, LogFile] = {}
        self.process = FileObserver(self._file(PROCESS), PROCESS, term=None)

    def _file(self, name: str) -> LogFile:
        if name not in self._files:
            self._files[name] = LogFile(self._folder / f"{name}.log")
        return self._files[name]

    def replica_logger(self, name: str, term: Callable[[], int]) -> Logger:
        """Make a logger for one replica's life: its own file, and the process's.

        :param term: the replica's current term.
        :raises OSError: if its file cannot be opened.
        """
        own = FileObserver(self._file(name), name, term)
        both = LogPublisher(own, self._publisher)

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            both({**event, "cartnet_replica": name, "cartnet_term": term()})

        return Logger(namespace=f"cartnet.{name}", observer=observe)

    def tail(self, name: str, lines_max: int) -> list[str]:
        """Read the end of a replica's file; it has none before its first start.

        :param name: one of the topology's, never what a client sent.
        :raises Refused: ``unavailable`` if it cannot be read.
        """
        try:
            return tail(self._folder / f"{name}.log", lines_max)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Refused(
                "unavailable", f"the log of {name} cannot be read: {error.strerror}"
            ) from None

    def close(self) -> None:
        """Close every file; nothing may be logged after."""
        for file in self._files.values():
            file.close()
        self._files.clear()


class LoggedService(MultiService):
    """The top service of a process: twistd logs to ``observer`` instead of standard
    output, which is for the lines that :mod:`cartnet.observability.terminal` writes.

    twistd asks the application for its observer after it has made this service, and
    before it starts it. Its own ``--logger`` still wins.
    """

    def __init__(self, observer: ILogObserver, service: IService) -> None:
        super().__init__()
        self._observer = observer
        service.setServiceParent(self)

    @override
    def setServiceParent(self, parent: object) -> None:
        super().setServiceParent(parent)
        if isinstance(parent, Componentized):
            parent.setComponent(ILogObserver, self._observer)
