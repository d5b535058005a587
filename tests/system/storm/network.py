"""What a network between replicas has to let be done to it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeAlias

CLIENTS: Final = "clients"
JUDGE: Final = "judge"
OUTSIDE: Final = (CLIENTS, JUDGE)
"""Those of the people outside who dial balancers."""

Direction: TypeAlias = "tuple[str, str]"
"""A sender's and a receiver's name, whoever of them has dialled."""


@dataclass(frozen=True, eq=False)
class Weather:
    """What happens to the messages of one direction; each fault is one of its own.

    :ivar held: nothing passes until the fault ends.
    :ivar delay_seconds_max: each takes up to so much longer.
    :ivar lost: of so many messages one is lost, with the rest of its connection.
    :ivar damaged: of so many messages one is damaged.
    :ivar doubled: of so many messages between members one comes twice.
    :ivar overtaken: of so many of those one comes after others that were sent later.
    :ivar replayed: with so many of those an old one comes once more, late.
    """

    held: bool = False
    delay_seconds_max: float = 0.0
    lost: float = 0.0
    damaged: float = 0.0
    doubled: float = 0.0
    overtaken: float = 0.0
    replayed: float = 0.0


@dataclass(frozen=True)
class Damage:
    """A damaged message whose receiver did not end the connection soon.

    :ivar since: when it was delivered, ``until`` when its connection ended, or now, in
        seconds of the script's clock.
    """

    what: str
    receiver: str
    since: float
    until: float


class Network(Protocol):
    """A network that can be had to order.

    :ivar kinds: the faults that it can have, of :mod:`tests.system.storm.links`.
    :ivar outside: the people outside whose connections can be troubled, too.
    :ivar counts: what happened in it, how often.
    """

    kinds: Sequence[str]
    outside: Sequence[str]
    counts: Counter[str]

    def start(self) -> None:
        """Be there, before anybody dials."""

    def stop(self) -> None:
        """End, once nobody needs it any more."""

    def way(self, dialer: str) -> list[str]:
        """What becomes the command behind it, at its place in this network."""

    def entrances(self, names: Iterable[str]) -> dict[str, str]:
        """Where people find replicas: their names by address."""

    def admin(self, name: str) -> tuple[str, str | int]:
        """A replica's admin line: its process's endpoint, and where that is found."""

    def files(self, name: str) -> Path:
        """Where a replica's files are, seen from outside."""

    def begin(self, directions: Iterable[Direction], weather: Weather) -> None:
        """Trouble all messages in these directions."""

    def end(
        self, directions: Iterable[Direction], weather: Weather, *, resets: bool
    ) -> None:
        """Let messages pass again: those that were held, or, where it ``resets``, only
        those of new connections."""

    def clear(self) -> None:
        """End all faults there are."""

    def suffered(self) -> list[Damage]:
        """The damaged messages whose connections went on for a while."""
