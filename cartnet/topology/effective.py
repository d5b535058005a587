"""The configuration in force, as the text of a file that says the same."""

from __future__ import annotations

from cartnet.topology.configuration import Configuration
from cartnet.topology.settings import SET


def to_ini(configuration: Configuration) -> str:
    """Write every value, defaults too; secrets and passwords only as ``(set)``."""
    timing, tls = configuration.timing, configuration.tls
    sections: dict[str, dict[str, str | None]] = {
        "cluster": {
            "name": configuration.topology.cluster,
            "data": str(configuration.data),
            "logs": str(configuration.logs),
            "prefer": configuration.prefer,
            "secret": SET if configuration.secret else None,
            "tls_certificate": str(tls.certificate) if tls else None,
            "tls_key": str(tls.key) if tls else None,
            "tls_authority": str(tls.authority) if tls else None,
        },
        "timing": {
            "heartbeat": _number(timing.heartbeat),
            "election_timeout": _number(timing.election_timeout),
            "request_timeout": _number(timing.request_timeout),
            "log_kept": str(timing.log_kept),
        },
    }
    for group in configuration.topology.groups:
        section = f"shard:{group.name}" if group.kind == "shard" else group.kind
        addresses = " ".join(member.address for member in group.members)
        sections[section] = {"replicas": addresses}
    sections["console"] = {
        "listen": configuration.console_listen or "none",
        "metrics_token": SET if configuration.metrics_token else None,
    }
    sections["admin"] = {
        "listen": configuration.admin_listen or "none",
        "password": SET if configuration.admin_password else None,
        "chaos": "yes" if configuration.chaos else "no",
    }
    sections["operator"] = {
        "password": SET if configuration.operator_password else None,
    }
    return "\n".join(_section(name, values) for name, values in sections.items())


def _number(seconds: float) -> str:
    """Seconds without an exponent, which a file may not have."""
    return f"{seconds:.9f}".rstrip("0").rstrip(".")


def _section(name: str, values: dict[str, str | None]) -> str:
    """One section's lines; a value that is None has none."""
    lines = [f"{key} = {value}\n" for key, value in values.items() if value is not None]
    return f"[{name}]\n{''.join(lines)}"
