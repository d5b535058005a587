"""Raft's messages as lines."""

from __future__ import annotations

import msgspec

from cartnet.consensus.messages import PeerMessage

encode_message = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(PeerMessage).decode


class BadMessage(Exception):
    """A line of a peer is no message of this protocol."""


def decode_message(line: bytes) -> PeerMessage:
    """Read a line of a proven peer.

    :raises BadMessage: it is something else.
    """
    try:
        message: PeerMessage = _decode(line)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadMessage(str(error)) from None
    return message
