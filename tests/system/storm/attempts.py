"""Every call as its client saw it, one attempt at a time."""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from typing_extensions import override

from tests.system.customers import TRANSIENT, Customer
from tests.system.lines import Lost, Refused

NOTED_SECONDS: Final = 0.2
"""An attempt that took longer is kept, to be judged and to see how near to a violation
the longest ones come."""

PATIENCE_SECONDS: Final = 5.0
"""A balancer owes an answer after the request timeout (3 s) and a second; a client that
has waited for longer gives the connection up."""

LOST: Final = "lost"
ANSWERED: Final = "answered"


@dataclass(frozen=True)
class Attempt:
    """One sending of a call, and what came of it.

    :ivar groups: whom the call needs.
    :ivar balancer: the replica that was asked.
    :ivar connected: when the connection was made; ``sent`` and ``ended`` likewise in
        seconds of the script's clock.
    :ivar outcome: ``answered``, ``lost`` or an error's code.
    :ivar said: the error's message.
    """

    call: str
    user: str
    groups: frozenset[str]
    balancer: str
    connected: float
    sent: float
    ended: float
    outcome: str
    said: str = ""

    @property
    def seconds(self) -> float:
        return self.ended - self.sent


@dataclass
class Record:
    """What all clients saw; only what may have to be excused is kept in full.

    :ivar noted: attempts that were slow, refused for the time being, or lost.
    :ivar outcomes: how often each call came to each outcome, by call.
    :ivar slowest: the longest that an attempt of each call took, in seconds.
    """

    noted: list[Attempt] = field(default_factory=list)
    outcomes: dict[str, Counter[str]] = field(
        default_factory=lambda: defaultdict(Counter)
    )
    slowest: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, attempt: Attempt) -> None:
        troubled = attempt.outcome == LOST or attempt.outcome in TRANSIENT
        call = attempt.call
        with self._lock:
            self.outcomes[call][attempt.outcome] += 1
            self.slowest[call] = max(self.slowest[call], attempt.seconds)
            if troubled or attempt.seconds > NOTED_SECONDS:
                self.noted.append(attempt)


class Watched(Customer):
    """A customer whose every attempt is recorded.

    :param balancers: their names, by address, in the order in which to try them.
    :param shards: all the shards' names.
    """

    def __init__(
        self,
        user: str,
        password: str,
        balancers: Mapping[str, str],
        shards: frozenset[str],
        record: Record,
    ) -> None:
        super().__init__(user, list(balancers), password, PATIENCE_SECONDS)
        self._names = balancers
        self._shards = shards
        self._record = record
        self._address = ""
        self._connected = 0.0

    @override
    def _attempt(
        self, balancer: str, call: str, args: dict[str, Any], fields: dict[str, Any]
    ) -> dict[str, Any]:
        sent = time.monotonic()
        if self._line is None:
            self._address = balancer
            self._connected = sent
        outcome, said = ANSWERED, ""
        try:
            return super()._attempt(balancer, call, args, fields)
        except (Refused, Lost) as error:
            outcome = error.code if isinstance(error, Refused) else LOST
            said = error.message if isinstance(error, Refused) else str(error)
            raise
        finally:
            self._record.add(
                Attempt(
                    call,
                    self.user,
                    self._groups(call, fields.get("session", "")),
                    self._names[self._address],
                    self._connected,
                    sent,
                    time.monotonic(),
                    outcome,
                    said,
                )
            )

    def _groups(self, call: str, session: str) -> frozenset[str]:
        """The groups whose leaders a call needs; a session's token names its own."""
        home = frozenset({session.partition(".")[0]}) if session else frozenset()
        match call:
            case "create_account":
                return self._shards | {"lb"}
            case "login" if self.user != "operator":
                return self._shards | {"lb"}
            case "login" | "get_inventory":
                return frozenset({"it"})
            case "checkout":
                return home | {"it"}
            case _:
                return home
