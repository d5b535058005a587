"""Raft's messages as lines."""

from __future__ import annotations

from operator import attrgetter
from typing import Final

import msgspec

from cartnet.consensus.messages import AppendEntries, PeerMessage
from cartnet.limits import INTEGER_MAX
from cartnet.wire.framing import encode_line
from cartnet.wire.shown import one_line

_decode: Final = msgspec.json.Decoder(PeerMessage).decode
_index_and_term: Final = attrgetter("index", "term")


class BadMessage(Exception):
    """A line of a peer is no message of this protocol."""


def encode_message(message: PeerMessage) -> bytes:
    """Encode a message as one line, without LF."""
    return encode_line(message)


def decode_message(line: bytes) -> PeerMessage:
    """Read a line of a proven peer.

    :raises BadMessage: it is something else, or holds numbers that no log can.
    """
    try:
        if not line.isascii():
            # Commands and snapshots' rows are left raw, and not looked into.
            line.decode()
        message: PeerMessage = _decode(line)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadMessage(one_line(str(error))) from None
    for name in message.__struct_fields__:
        value = getattr(message, name)
        if type(value) is int and not 0 <= value <= INTEGER_MAX:
            raise BadMessage(f"{name} is out of bounds")
    if isinstance(message, AppendEntries) and message.entries:
        _check_entries(message)
    return message


def _check_entries(message: AppendEntries) -> None:
    """Entries must follow each other: one gap here would be one in the log."""
    index, term = message.previous_index, message.previous_term
    for entry_index, entry_term in map(_index_and_term, message.entries):
        index += 1
        if entry_index != index:
            raise BadMessage("the entries do not follow each other")
        if not term <= entry_term <= message.term:
            raise BadMessage("the entries' terms do not ascend to the leader's")
        term = entry_term
