"""Who may type what: one line in, one reply out."""

from __future__ import annotations

import enum
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError

from cartnet.admin.commands import HELP, Commands, misuse
from cartnet.admin.lines import printable
from cartnet.admin.replies import Reply, reply_text
from cartnet.errors import Refused
from cartnet.limits import (
    ADMIN_COMMAND_SECONDS_MAX,
    ADMIN_FAILURE_HOSTS_MAX,
    ADMIN_FAILURE_SECONDS,
    ADMIN_FAILURES_FREE,
)
from cartnet.topology.address import is_loopback
from cartnet.wire.shown import one_line

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime
    from twisted.logger import Logger


class After(enum.Enum):
    """What happens to the connection after a reply."""

    STAY = enum.auto()
    CLOSE = enum.auto()
    EXIT = enum.auto()
    """It closes, and the process stops."""


@dataclass(frozen=True)
class Said:
    """A reply as it is sent: lines, each with its end; empty for an empty line."""

    text: str
    after: After = After.STAY


class Gate:
    """The admin password, and patience with those who guess it."""

    def __init__(self, clock: IReactorTime, password: str | None) -> None:
        self._clock = clock
        self._password = password
        self._failures: dict[str, tuple[int, float]] = {}

    @property
    def closed(self) -> bool:
        """Whether a password is needed at all."""
        return self._password is not None

    def check(self, host: str, typed: str) -> None:
        """Compare a password.

        :raises Refused: ``unauthenticated``, or ``rate_limited`` after too many wrong
            ones from this host.
        """
        if self._password is None:
            return
        now = self._clock.seconds()
        count, last = self._failures.pop(host, (0, now))
        left = last + ADMIN_FAILURE_SECONDS - now
        if count >= ADMIN_FAILURES_FREE and left > 0:
            self._failures[host] = count, last
            raise Refused(
                "rate_limited",
                f"too many wrong passwords: try again in {left:.0f} s",
                {"retry_after": round(left)},
            )
        if hmac.compare_digest(typed.encode(), self._password.encode()):
            return
        self._failures[host] = count + 1, now
        if len(self._failures) > ADMIN_FAILURE_HOSTS_MAX:
            del self._failures[next(iter(self._failures))]
        raise Refused("unauthenticated", "wrong password")


class Session:
    """One connection's commands, answered in order."""

    def __init__(
        self,
        clock: IReactorTime,
        commands: Commands,
        gate: Gate,
        cluster_name: str,
        who: str,
        host: str | None,
        log: Logger,
    ) -> None:
        """Serve one connection.

        :param who: the other end, for the log.
        :param host: its host; None for a local socket.
        """
        self._clock = clock
        self._commands = commands
        self._gate = gate
        self._cluster_name = cluster_name
        self._who = who
        self._host = host or ""
        self._is_local = host is None or is_loopback(host)
        self._log = log
        self._is_open = not gate.closed

    async def answer(self, line: bytes) -> Said:
        """Do what a line asks; whatever it holds, there is one reply."""
        typed = printable(line.decode("utf-8", "replace"))
        words = typed.split()
        as_json = words[:1] == ["json"]
        if as_json:
            words = words[1:]
        elif not words:
            return Said("")
        if words[:1] == ["password"]:
            # A password may have spaces; all that follows is it.
            secret = typed.partition("password")[2].strip()
            words = ["password", secret] if secret else ["password"]
        after = After.STAY
        try:
            reply, after = await self._bounded(words)
            outcome = "ok"
            text = reply_text(reply, as_json)
        except Refused as refused:
            outcome = refused.code
            if _is_command(words):
                outcome += f": {refused.message}"
            text = reply_text(refused, as_json)
        self._log.info(
            "admin {who}: {command}: {outcome}",
            who=self._who,
            command=_audited(words),
            outcome=one_line(outcome),
        )
        return Said(text, after)

    async def _bounded(self, words: list[str]) -> tuple[Reply, After]:
        done = Deferred.fromCoroutine(self._do(words))
        done.addTimeout(ADMIN_COMMAND_SECONDS_MAX, self._clock)
        try:
            return await done
        except DeferredTimeoutError:
            raise Refused(
                "timeout", "no answer in time: it may or may not have been done"
            ) from None
        except Refused:
            raise
        except Exception:
            self._log.failure("admin {who}: a command failed", who=self._who)
            raise Refused(
                "internal", "that failed for a reason that the log has"
            ) from None

    async def _do(self, words: list[str]) -> tuple[Reply, After]:
        match words:
            case ["quit"]:
                return Reply(("bye",), "bye"), After.CLOSE
            case ["password", typed]:
                self._gate.check(self._host, typed)
                self._is_open = True
                return Reply(("ok",), "ok"), After.STAY
            case []:
                raise misuse("json")
            case [verb, *_] if not self._is_open and verb != "help":
                raise Refused("unauthenticated", "password required")
            case ["exit", *confirmation]:
                return self._exit(confirmation), After.EXIT
            case _:
                return await self._commands.run(words), After.STAY

    def _exit(self, confirmation: list[str]) -> Reply:
        if confirmation not in ([], [self._cluster_name]):
            raise misuse("exit")
        if not confirmation and not self._is_local:
            raise Refused(
                "bad_request",
                "this stops all replicas of this process; to go ahead: "
                f"exit {self._cluster_name}",
            )
        return Reply(("stopping",), "stopping")


def _is_command(words: list[str]) -> bool:
    """Whether it begins as a command; else it may be a password, typed for one."""
    return not words or words[0] in HELP


def _audited(words: list[str]) -> str:
    """A command as it may be logged."""
    if words[:1] == ["password"]:
        return "password (not logged)"
    if not _is_command(words):
        return "no command (not logged)"
    return one_line(" ".join(words), 200)
