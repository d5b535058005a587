"""``cartnet.ini``: what one process is told about its cluster.

Defaults are those of the dataclasses below. The groups have none: a file names every
group's replicas. What does not fit is refused, in one line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, cast

from cartnet.limits import (
    CONFIGURATION_BYTES_MAX,
    LOG_KEPT_MAX,
    PASSWORD_CHARACTERS_MAX,
    PASSWORD_CHARACTERS_MIN,
    TICK_SECONDS,
    TIMING_SECONDS_MAX,
)
from cartnet.resources import resource
from cartnet.topology.address import is_loopback, place, split
from cartnet.topology.groups import (
    BALANCERS,
    INVENTORY,
    Group,
    Kind,
    Topology,
    group_of_addresses,
)
from cartnet.topology.listening import listening
from cartnet.topology.settings import ConfigurationError as ConfigurationError
from cartnet.topology.settings import Section, sections_of

FILE_NAME: Final = "cartnet.ini"

Prefer = Literal["lexical", "none"]


@dataclass(frozen=True)
class Timing:
    """Durations, in seconds.

    :ivar heartbeat: between a leader's heartbeats.
    :ivar election_timeout: silence after which a follower may campaign.
    :ivar request_timeout: how long a call may wait for its outcome.
    :ivar log_kept: entries kept behind a snapshot.
    """

    heartbeat: float = 0.1
    election_timeout: float = 0.6
    request_timeout: float = 3.0
    log_kept: int = 10_000


@dataclass(frozen=True)
class Tls:
    """PEM files for mutual TLS between replicas."""

    certificate: Path
    key: Path
    authority: Path


@dataclass(frozen=True)
class Configuration:
    """All that a file says, its defaults filled in.

    :ivar data: the folder of the replicas' files.
    :ivar logs: the folder of the log files.
    :ivar prefer: whether the lexically smallest address should lead.
    :ivar secret: what replicas and balancers prove that they know; empty where unset.
    :ivar admin_listen: a server endpoint string, or None for no admin port.
    :ivar chaos: whether faults beyond kill, start and restart may be injected.
    :ivar console_listen: as ``admin_listen``, for HTTP and WebSocket.
    :ivar metrics_token: what opens ``/metrics`` to other machines, as a bearer token.
    :ivar source: the file's name, for messages.
    """

    topology: Topology
    data: Path = Path("db")
    logs: Path = Path("logs")
    prefer: Prefer = "lexical"
    secret: bytes = field(default=b"", repr=False)
    timing: Timing = Timing()
    admin_listen: str | None = None
    admin_password: str | None = field(default=None, repr=False)
    chaos: bool = False
    console_listen: str | None = None
    metrics_token: str | None = field(default=None, repr=False)
    operator_password: str | None = field(default=None, repr=False)
    tls: Tls | None = None
    source: str = FILE_NAME

    @property
    def operator_password_file(self) -> Path:
        """Where the operator's first password is put, if none is configured."""
        return self.data / "operator-password"


def load(path: Path | None = None) -> Configuration:
    """Read a file; by default ``./cartnet.ini``, else the packaged demo's.

    :raises ConfigurationError: if it cannot be read or used.
    """
    if path is None:
        path = Path(FILE_NAME)
        if not path.exists():
            path = resource(FILE_NAME)
    try:
        with path.open("rb") as file:
            content = file.read(CONFIGURATION_BYTES_MAX + 1)
    except OSError as error:
        raise ConfigurationError(
            f"{path}: cannot be read: {error.strerror or error}"
        ) from None
    if len(content) > CONFIGURATION_BYTES_MAX:
        raise ConfigurationError(
            f"{path}: expected at most {CONFIGURATION_BYTES_MAX} bytes"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path}: expected UTF-8 text; byte {error.start + 1} is not"
        ) from None
    return parse(text, str(path))


def parse(text: str, source: str) -> Configuration:
    """Make a configuration of an ini file's text; ``source`` names it in errors.

    :raises ConfigurationError: one line: the file, section, key, value and what was
        expected.
    """
    sections = sections_of(text, source)
    cluster = sections["cluster"]
    admin = sections["admin"]
    secret = cluster.secret("secret")
    timing = _timing(sections["timing"])
    configuration = Configuration(
        topology=Topology(cluster.name_text("name", "demo"), _groups(sections)),
        data=Path(cluster.text("data", "db")),
        logs=Path(cluster.text("logs", "logs")),
        prefer=cast(Prefer, cluster.choice("prefer", "lexical", ("lexical", "none"))),
        secret=(secret or "").encode(),
        timing=timing,
        admin_listen=admin.listen("listen"),
        admin_password=admin.secret("password"),
        chaos=admin.flag("chaos", default=False),
        console_listen=sections["console"].listen("listen"),
        metrics_token=sections["console"].token("metrics_token"),
        operator_password=sections["operator"].secret(
            "password", PASSWORD_CHARACTERS_MIN, PASSWORD_CHARACTERS_MAX
        ),
        tls=_tls(cluster),
        source=source,
    )
    check_places(configuration)
    check_exposure(configuration)
    return configuration


def _groups(sections: dict[str, Section]) -> tuple[Group, ...]:
    """The balancers, the shards by number, the inventory."""

    def group(section: str, name: str, kind: Kind) -> Group:
        return group_of_addresses(name, kind, sections[section].addresses("replicas"))

    shards = [name for name in sections if name.startswith("shard:")]
    shards.sort(key=lambda name: int(name.removeprefix("shard:s")))
    source = sections["cluster"].source
    if not shards:
        raise ConfigurationError(
            f"{source}: [shard:s1] replicas = (nothing): expected one shard or more"
        )
    return (
        group("balancer", BALANCERS, "balancer"),
        *(group(name, name.removeprefix("shard:"), "shard") for name in shards),
        group("inventory", INVENTORY, "inventory"),
    )


def _timing(section: Section) -> Timing:
    default = Timing()
    most = TIMING_SECONDS_MAX
    timing = Timing(
        section.seconds("heartbeat", default.heartbeat, TICK_SECONDS, most),
        section.seconds("election_timeout", default.election_timeout, 0, most),
        section.seconds("request_timeout", default.request_timeout, 0, most),
        section.whole("log_kept", default.log_kept, 1, LOG_KEPT_MAX),
    )
    if timing.heartbeat >= timing.election_timeout / 2:
        section.refuse(
            "election_timeout",
            "expected more than twice the heartbeat"
            f" ({timing.heartbeat:g} s; election_timeout is"
            f" {timing.election_timeout:g} s)",
        )
    if timing.request_timeout < timing.election_timeout:
        section.refuse(
            "request_timeout",
            "expected no less than the election_timeout"
            f" ({timing.election_timeout:g} s; request_timeout is"
            f" {timing.request_timeout:g} s)",
        )
    return timing


def _tls(cluster: Section) -> Tls | None:
    keys = ("tls_certificate", "tls_key", "tls_authority")
    values = [cluster.text(key, "-") for key in keys]
    if values == ["-"] * 3:
        return None
    for key, value in zip(keys, values, strict=True):
        if value == "-":
            cluster.refuse(key, f"expected a PEM file; {', '.join(keys)} go together")
    return Tls(*map(Path, values))


def check_places(configuration: Configuration) -> None:
    """Refuse two users of one ``host:port``.

    :raises ConfigurationError: naming both.
    """
    taken: dict[tuple[str, int], str] = {}

    def take(host: str, port: int, user: str) -> None:
        holder = taken.setdefault(place(host, port), user)
        if holder is not user:
            raise ConfigurationError(
                f"{configuration.source}: {user}: the same place as {holder};"
                " expected a host:port of its own for each"
            )

    for group in configuration.topology.groups:
        section = f"shard:{group.name}" if group.kind == "shard" else group.kind
        for member in group.members:
            user = f"[{section}] replicas = {member.address!r} ({member.name})"
            take(*split(member.address), user)
    for section, text in (
        ("console", configuration.console_listen),
        ("admin", configuration.admin_listen),
    ):
        where = listening(text) if text is not None else None
        if where is not None and where.host is not None and where.port:
            take(where.host, where.port, f"[{section}] listen = {text!r}")


def check_exposure(configuration: Configuration) -> None:
    """Refuse to be reachable from other machines without a secret or a password.

    :raises ConfigurationError: saying which address, and what is missing.
    """
    source = configuration.source
    members = [
        member for group in configuration.topology.groups for member in group.members
    ]
    for member in members:
        if not configuration.secret and not is_loopback(split(member.address)[0]):
            raise ConfigurationError(
                f"{source}: [cluster] secret = (nothing): other machines reach"
                f" {member.name} at {member.address}; expected a long random string,"
                " the same on every host"
            )
    listen = configuration.admin_listen
    if listen and listening(listen).exposed and not configuration.admin_password:
        raise ConfigurationError(
            f"{source}: [admin] password = (nothing): other machines reach the admin"
            f" port at {listen!r}; expected a password, or interface=127.0.0.1 there"
        )
    listen = configuration.console_listen
    if listen and listening(listen).exposed_in_clear and not configuration.secret:
        raise ConfigurationError(
            f"{source}: [console] listen = {listen!r}: other machines reach it without"
            " TLS, and [cluster] secret = (nothing); expected a secret, an ssl:"
            " endpoint, or interface=127.0.0.1"
        )
