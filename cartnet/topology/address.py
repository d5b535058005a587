"""Addresses ``host:port``, and the order that decides who should lead (L2).

The order is that of the strings, character by character, not that of the numbers in
them. Three traps follow, and all three are the rule, not mistakes:

- ``"h:10000" < "h:9000"``: a fifth digit makes a port smaller, not larger;
- ``"10.0.0.10:1" < "10.0.0.9:1"``: host numbers compare as text as well;
- ``"127.0.0.1:1" < "[::1]:1" < "localhost:1"``: digits before brackets before letters.

So that one place has one string, a port has no leading zero and hosts are lower case.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Final

PORT_MAX: Final = 65_535

_HOST_NAME: Final = re.compile(
    r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
    r"(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")
_LOOKS_LIKE_IPV4: Final = re.compile(r"[0-9.]+")


def split(address: str) -> tuple[str, int]:
    """Split ``host:port`` into a host, without its brackets, and a port.

    :raises ValueError: with a sentence that says what is wrong.
    """
    host, colon, port = address.rpartition(":")
    if not colon:
        raise ValueError(f"{address!r} has no port: an address is host:port")
    if not _PORT.fullmatch(port) or int(port) > PORT_MAX:
        raise ValueError(
            f"the port of {address!r} is not a number from 1 to {PORT_MAX}"
            " without leading zeros"
        )
    return _bare_host(address, host), int(port)


def _bare_host(address: str, host: str) -> str:
    """Check the host part of ``address`` and take an IPv6 host's brackets off."""
    if host.startswith("[") and host.endswith("]"):
        bare = host[1:-1]
        try:
            number = ipaddress.IPv6Address(bare)
        except ValueError:
            raise ValueError(f"{bare!r} in {address!r} is no IPv6 address") from None
        if number.is_unspecified:
            raise ValueError(f"{address!r} is every address of a host, not one")
        return bare
    if ":" in host:
        raise ValueError(
            f"{address!r} has too many colons: an IPv6 host stands in brackets"
        )
    if not _HOST_NAME.fullmatch(host):
        raise ValueError(
            f"{host!r} in {address!r} is no host name (lower case) or IP address"
        )
    if _LOOKS_LIKE_IPV4.fullmatch(host):
        try:
            number4 = ipaddress.IPv4Address(host)
        except ValueError:
            raise ValueError(f"{host!r} in {address!r} is no IPv4 address") from None
        if number4.is_unspecified:
            raise ValueError(f"{address!r} is every address of a host, not one")
    return host


def join(host: str, port: int) -> str:
    """Make an address of a bare host and a port."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def lexical(addresses: Iterable[str]) -> list[str]:
    """Sort addresses as the strings they are; the first should lead."""
    return sorted(addresses)


def place(host: str, port: int) -> tuple[str, int]:
    """Name the socket behind an address: two spellings of one place are equal.

    ``localhost`` is ``127.0.0.1`` here; other names are not looked up.
    """
    if host == "localhost":
        return "127.0.0.1", port
    try:
        return str(ipaddress.ip_address(host)), port
    except ValueError:
        return host.lower(), port


def is_loopback(host: str) -> bool:
    """Say whether only this machine reaches ``host`` (a bare host, no brackets).

    A name other than ``localhost`` counts as reachable from elsewhere.
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
