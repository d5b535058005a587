"""An ini file's sections, read value by value, with errors that say what to do."""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final, NoReturn

from cartnet.topology.address import split
from cartnet.topology.listening import listening

KEYS: Final[dict[str, tuple[str, ...]]] = {
    "cluster": (
        "name",
        "data",
        "logs",
        "prefer",
        "secret",
        "tls_certificate",
        "tls_key",
        "tls_authority",
    ),
    "timing": ("heartbeat", "election_timeout", "request_timeout", "log_kept"),
    "balancer": ("replicas",),
    "inventory": ("replicas",),
    "console": ("listen", "metrics_token"),
    "admin": ("listen", "password", "chaos"),
    "operator": ("password",),
}
SHARD_KEYS: Final = ("replicas",)
_SHARD_SECTION: Final = re.compile(r"shard:(s[1-9][0-9]{0,5})")

SET: Final = "(set)"
"""What is shown in place of a secret; never accepted as one."""

SECRET_KEYS: Final = frozenset({"secret", "password", "metrics_token"})

_NUMBER: Final = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?")
_TOKEN: Final = re.compile(r"[!-~]+")
_WHOLE: Final = re.compile(r"[0-9]{1,18}")
_FLAGS: Final = {
    "yes": True,
    "no": False,
    "true": True,
    "false": False,
    "on": True,
    "off": False,
    "1": True,
    "0": False,
}


class ConfigurationError(Exception):
    """The configuration cannot be used; one line that says where, what and why."""


def shown(text: str) -> str:
    """Text as it may stand in a message: escaped where a terminal would obey it."""
    return text if text.isprintable() else repr(text)


class Section:
    """The keys and values of one section.

    Every method raises :class:`ConfigurationError`, which names the file, the section,
    the key, the value and what was expected.
    """

    def __init__(self, source: str, name: str, values: Mapping[str, str]) -> None:
        self.source = source
        self.name = name
        self._values = values

    def only(self, known: tuple[str, ...]) -> None:
        """Refuse keys that are not ``known``."""
        for key in self._values:
            if key not in known:
                meant = get_close_matches(key, known, n=1)
                hint = f"; did you mean {meant[0]}?" if meant else ""
                self.refuse(
                    key, f"unknown key; expected one of {', '.join(known)}{hint}"
                )

    def refuse(self, key: str, expected: str) -> NoReturn:
        """Refuse the value of ``key``."""
        value = repr(self._values[key]) if key in self._values else "(nothing)"
        # A misspelt key may hold a secret as well as the right one.
        if key in self._values and get_close_matches(key, SECRET_KEYS):
            value = "(not shown)"
        raise ConfigurationError(
            f"{self.source}: [{self.name}] {shown(key)} = {value}: {expected}"
        )

    def text(self, key: str, default: str) -> str:
        """A text of one line, not empty."""
        value = self._values.get(key, default)
        if not value or not value.isprintable():
            self.refuse(key, "expected one line of printable text, not empty")
        return value

    def name_text(self, key: str, default: str) -> str:
        """A name that is safe in a file name and on a line."""
        value = self.text(key, default)
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", value):
            self.refuse(key, "expected 1 to 64 of A-Z a-z 0-9 . _ -")
        return value

    def choice(self, key: str, default: str, choices: tuple[str, ...]) -> str:
        """One of a few words."""
        value = self._values.get(key, default)
        if value not in choices:
            self.refuse(key, f"expected {' or '.join(choices)}")
        return value

    def flag(self, key: str, default: bool) -> bool:
        """Yes or no."""
        value = self._values.get(key)
        if value is None:
            return default
        if value.lower() not in _FLAGS:
            self.refuse(key, "expected yes or no")
        return _FLAGS[value.lower()]

    def seconds(self, key: str, default: float, least: float, most: float) -> float:
        """A duration."""
        value = self._values.get(key)
        if value is None:
            return default
        if not _NUMBER.fullmatch(value) or not least <= float(value) <= most:
            self.refuse(key, f"expected seconds, a number from {least:g} to {most:g}")
        return float(value)

    def whole(self, key: str, default: int, least: int, most: int) -> int:
        """A whole number."""
        value = self._values.get(key)
        if value is None:
            return default
        if not _WHOLE.fullmatch(value) or not least <= int(value) <= most:
            self.refuse(key, f"expected a whole number from {least} to {most}")
        return int(value)

    def addresses(self, key: str) -> tuple[str, ...]:
        """One or more addresses ``host:port``, with blanks between them."""
        addresses = tuple(self._values.get(key, "").split())
        if not addresses:
            self.refuse(key, "expected one host:port or more, with blanks between them")
        for address in addresses:
            try:
                split(address)
            except ValueError as error:
                self.refuse(key, f"expected host:port; {error}")
        return addresses

    def listen(self, key: str) -> str | None:
        """A server endpoint string; ``none``, or no such key, is None."""
        value = self._values.get(key, "none")
        if value == "none":
            return None
        try:
            listening(value)
        except ValueError as error:
            self.refuse(
                key,
                "expected none or a Twisted server endpoint string, such as"
                f" tcp:8023:interface=127.0.0.1; {error}",
            )
        return value

    def secret(self, key: str, least: int = 1, most: int | None = None) -> str | None:
        """A secret or a password, ``least`` to ``most`` characters."""
        value = self._values.get(key)
        if value is None:
            return None
        if value == SET:
            self.refuse(key, f"expected the secret itself; {SET} only stands for one")
        if len(value) < least or (most is not None and len(value) > most):
            bound = f"{least} to {most}" if most is not None else f"at least {least}"
            self.refuse(key, f"expected {bound} characters")
        if not value.isprintable():
            self.refuse(key, "expected one line of printable characters")
        return value

    def token(self, key: str) -> str | None:
        """A secret that a header of HTTP can carry."""
        value = self.secret(key)
        if value is not None and not _TOKEN.fullmatch(value):
            self.refuse(key, "expected ASCII letters, digits and signs, without blanks")
        return value


def sections_of(text: str, source: str) -> dict[str, Section]:
    """Split an ini file into its sections; those of ``KEYS`` are always there.

    :raises ConfigurationError: for a text that is no ini file, and for sections and
        keys that nobody knows.
    """
    parser = configparser.RawConfigParser(
        delimiters=("=",),
        comment_prefixes=("#", ";"),
        empty_lines_in_values=False,
        # No section's values are inherited by the others.
        default_section="",
    )
    parser.optionxform = str  # type: ignore[assignment,method-assign] # documented use
    try:
        parser.read_string(text, source)
    except configparser.Error as error:
        raise ConfigurationError(_unreadable(error, source)) from None
    sections = {name: Section(source, name, {}) for name in KEYS}
    for name in parser.sections():
        shard = _SHARD_SECTION.fullmatch(name)
        known = SHARD_KEYS if shard else KEYS.get(name)
        if known is None:
            expected = ", ".join(f"[{each}]" for each in KEYS)
            raise ConfigurationError(
                f"{source}: [{shown(name)}]: unknown section; expected {expected},"
                " or [shard:s1], [shard:s2], ..."
            )
        sections[name] = Section(source, name, dict(parser.items(name)))
        sections[name].only(known)
    return sections


def _unreadable(error: configparser.Error, source: str) -> str:
    """Say in one line what ``configparser`` says in several, without the values."""
    match error:
        case configparser.DuplicateSectionError():
            return f"{source}: [{error.section}] in line {error.lineno}: stands twice"
        case configparser.DuplicateOptionError():
            return (
                f"{source}: [{error.section}] {error.option} in line {error.lineno}:"
                " stands twice"
            )
        case configparser.MissingSectionHeaderError():
            return f"{source}: line {error.lineno} stands before the first [section]"
        case configparser.ParsingError():
            lines = ", ".join(str(number) for number, _ in error.errors)
            return f"{source}: line {lines}: expected [section] or key = value"
    return f"{source}: " + " ".join(str(error).split())
