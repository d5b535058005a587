"""Bytes to lines and values to one line: LF ends a line, a CR before it is dropped."""

from __future__ import annotations

from typing import Any

import msgspec

_encode = msgspec.json.Encoder().encode


class LineTooLong(Exception):
    """A line is longer than permitted, so that nobody knows where the next begins.

    :ivar lines: those that were complete before it; handle them first.
    """

    def __init__(self, bytes_max: int, lines: list[bytes]) -> None:
        super().__init__(f"a line may have at most {bytes_max} bytes")
        self.lines = lines


class LineSplitter:
    """Cuts a stream into lines of at most ``bytes_max`` bytes, whatever the chunks."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._rest = bytearray()
        self._lost = False

    @property
    def unfinished(self) -> bool:
        """Whether a line has begun whose end has not come."""
        return bool(self._rest)

    def feed(self, data: bytes) -> list[bytes]:
        """Take what arrived; return the lines it completed, without their ends.

        :raises LineTooLong: once; everything after it is ignored.
        """
        if self._lost:
            return []
        pieces = data.split(b"\n")
        rest = pieces.pop()
        if pieces and self._rest:
            pieces[0] = bytes(self._rest + pieces[0])
            self._rest.clear()
        lines = [line[:-1] if line[-1:] == b"\r" else line for line in pieces]
        self._rest += rest
        # An unfinished line may hold one byte more, which may be the CR of its end.
        longest_max = max(len(data), len(self._rest), len(lines[0]) if lines else 0)
        if longest_max > self._bytes_max:
            self._check(lines)
        return lines

    def _check(self, lines: list[bytes]) -> None:
        good = len(lines)
        for at, line in enumerate(lines):
            if len(line) > self._bytes_max:
                good = at
                break
        if good == len(lines) and len(self._rest) <= self._bytes_max + 1:
            return
        self._lost = True
        self._rest.clear()
        raise LineTooLong(self._bytes_max, lines[:good])


def encode_line(value: Any) -> bytes:
    """Encode a value as one line of JSON, without LF.

    Only a :class:`msgspec.Raw` inside can hold a newline, between its tokens.
    """
    line = _encode(value)
    return msgspec.json.format(line, indent=-1) if b"\n" in line else line
