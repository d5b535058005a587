"""What a command line asks for, before it is held against a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from cartnet.topology.configuration import ConfigurationError
from cartnet.topology.groups import Kind
from cartnet.topology.settings import shown

ALL: Final = "all"
KINDS: Final[tuple[Kind, ...]] = ("balancer", "shard", "inventory")
CONSOLE: Final = "console"
ROLES: Final[tuple[str, ...]] = (ALL, *KINDS, CONSOLE)


class OptionError(ConfigurationError):
    """An option that cannot be followed; one line that says why and what can be."""


@dataclass(frozen=True)
class Wanted:
    """What a command line asks for; every field is as good as left out by default.

    :ivar port: with ``peers``, the original's style: this one replica.
    :ivar admin: a server endpoint string, ``none``, or None to follow the
        configuration; ``console`` likewise.
    """

    roles: tuple[str, ...] = ()
    host: str | None = None
    replicas: tuple[str, ...] = ()
    shard: str | None = None
    port: int | None = None
    peers: tuple[str, ...] | None = None
    db: Path | None = None
    admin: str | None = None
    console: str | None = None
    data: Path | None = None
    logs: Path | None = None
    processes: bool = False


def refuse(option: str, value: str, why: str) -> NoReturn:
    """Refuse an option's value."""
    raise OptionError(f"{option} {shown(value)}: {why}")
