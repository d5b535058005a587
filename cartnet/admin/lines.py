"""A terminal's bytes as lines, and text that is safe to show. Pure."""

from __future__ import annotations

import enum
import re
import unicodedata
from typing import Final

LF, CR, NUL, IAC = 10, 13, 0, 255
SE, SB, WILL, DONT = 240, 250, 251, 254

_HTTP: Final = re.compile(rb"[A-Za-z]+ \S+ HTTP/[0-9]")


class _Expect(enum.Enum):
    TEXT = enum.auto()
    COMMAND = enum.auto()
    OPTION = enum.auto()
    SUBNEGOTIATION = enum.auto()
    SUBNEGOTIATION_COMMAND = enum.auto()


class TelnetFilter:
    """Skips a telnet client's commands (RFC 854) and subnegotiations (RFC 855).

    A doubled 255 is a byte of text, and CR NUL is what a telnet client in character
    mode sends for Enter.
    """

    def __init__(self) -> None:
        self._expect = _Expect.TEXT
        self._after_cr = False

    def feed(self, data: bytes) -> bytes:
        """Give the text among ``data``, wherever the stream was cut."""
        text = bytearray()
        for byte in data:
            match self._expect:
                case _Expect.TEXT:
                    self._text(byte, text)
                case _Expect.COMMAND:
                    self._command(byte, text)
                case _Expect.OPTION:
                    self._expect = _Expect.TEXT
                case _Expect.SUBNEGOTIATION:
                    if byte == IAC:
                        self._expect = _Expect.SUBNEGOTIATION_COMMAND
                case _Expect.SUBNEGOTIATION_COMMAND:
                    ended = byte == SE
                    self._expect = _Expect.TEXT if ended else _Expect.SUBNEGOTIATION
        return bytes(text)

    def _text(self, byte: int, text: bytearray) -> None:
        if byte == IAC:
            self._expect = _Expect.COMMAND
            return
        text.append(LF if self._after_cr and byte == NUL else byte)
        self._after_cr = byte == CR

    def _command(self, byte: int, text: bytearray) -> None:
        self._expect = _Expect.TEXT
        if byte == IAC:
            text.append(IAC)
        elif byte == SB:
            self._expect = _Expect.SUBNEGOTIATION
        elif WILL <= byte <= DONT:
            self._expect = _Expect.OPTION


def is_http(line: bytes) -> bool:
    """Say whether a line is how an HTTP request begins."""
    return _HTTP.match(line) is not None


def printable(text: str) -> str:
    """Leave out control characters, and those that turn or hide what is shown."""
    return "".join(
        character
        for character in text
        if unicodedata.category(character) not in ("Cc", "Cf", "Cs", "Zl", "Zp")
    )
