"""The handshake of two processes of a cluster, sans I/O.

::

    dialer                          listener
      hello, challenge       ->
                             <-       hello, challenge
      proof                  ->
                             <-       proof

A hello says who one is. A proof is an HMAC-SHA256 (RFC 2104) under the cluster's
secret, over the side it is from and both hello lines, so that neither a proof of the
other side nor one of an earlier connection is of use. Whoever finds a difference that
matters closes the connection, and says in one line what differs.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Annotated, Final, Literal

import msgspec

from cartnet.consensus.messages import Life
from cartnet.limits import HELLO_MEMBERS_MAX, HELLO_STRING_CHARACTERS_MAX
from cartnet.wire.shown import one_line, shown

VERSION: Final = 1
"""Raised when two releases could no longer understand each other's messages."""

_HELLO: Final = re.compile(rb'\s*\{\s*"hello"\s*:')

Name = Annotated[str, msgspec.Meta(max_length=HELLO_STRING_CHARACTERS_MAX)]
Files = Annotated[dict[Name, Name], msgspec.Meta(max_length=HELLO_MEMBERS_MAX)]
Lives = Annotated[dict[Name, Life], msgspec.Meta(max_length=HELLO_MEMBERS_MAX)]
Purpose = Literal["peer", "client", "supervisor"]
Side = Literal["dialer", "listener"]


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who speaks.

    :ivar group: the replica's, empty for one who is no replica.
    :ivar replica: its name, or a tool's.
    :ivar purpose: ``peer`` to send Raft's messages, ``client`` to send requests,
        ``supervisor`` to send ``supervise`` alone, which even a replica that was paused
        or isolated on purpose takes.
    :ivar members: the hash of the group's members, as this process has them.
    :ivar incarnation: random, drawn when the replica started.
    :ivar file: the random id of its database, null before that is read.
    :ivar starts: how often a replica has started on that, this time included.
    :ivar lives: of the other members, as it has last met them and does not forget.
    :ivar founders: the file ids with which its group was formed, by replica name;
        empty before.
    :ivar met: the file ids, by replica name, of the other members that have answered
        its own dials since it started; empty once it says who the founders are.
    :ivar group_id: the group's random id, null in the run in which it is founded.
    :ivar leads: whether it leads its group.
    """

    cluster: Name
    replica: Name
    purpose: Purpose
    group: Name = ""
    members: Name = ""
    incarnation: Name = ""
    file: Name | None = None
    starts: int = 0
    lives: Lives = msgspec.field(default_factory=dict)
    founders: Files = msgspec.field(default_factory=dict)
    met: Files = msgspec.field(default_factory=dict)
    group_id: Name | None = None
    leads: bool = False

    @property
    def life(self) -> Life | None:
        """The start that it speaks for, None before its file is read."""
        if self.file is None:
            return None
        return Life(self.file, self.starts, self.incarnation)


class _Hello(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    hello: Identity
    challenge: Name
    version: int


class _Version(msgspec.Struct, frozen=True):
    version: int


class _Proof(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    proof: Name


_decode_hello = msgspec.json.Decoder(_Hello).decode
_decode_version = msgspec.json.Decoder(_Version).decode
_decode_proof = msgspec.json.Decoder(_Proof).decode


class HelloRefused(Exception):
    """The two do not belong together; the message says what differs."""


class NotYet(HelloRefused):
    """They may belong together, but one of them cannot say so before it has begun."""


class Handshake:
    """One side of one handshake.

    :ivar peer: who is at the other end; believe it only once :attr:`done`.
    :ivar done: both sides have proved that they know the secret.
    """

    def __init__(
        self,
        side: Side,
        identity: Callable[[], Identity],
        challenge: str,
        secret: bytes,
        check: Callable[[Identity], str | None],
    ) -> None:
        """
        :param identity: asked for at the moment it is sent.
        :param challenge: random, never used before.
        :param check: says why the other one is unwelcome, None where it is welcome;
            may raise :class:`NotYet`.
        """
        self.peer: Identity | None = None
        self.done = False
        self._side: Side = side
        self._identity = identity
        self._challenge = challenge
        self._secret = secret
        self._check = check
        self._lines: dict[Side, bytes] = {}

    def start(self) -> bytes:
        """The line that the dialer begins with."""
        assert self._side == "dialer"
        return self._say_hello()

    def receive(self, line: bytes) -> bytes | None:
        """Take the other side's next line; return the one to answer with, if any.

        :raises HelloRefused: the handshake has failed.
        """
        assert not self.done
        try:
            if self.peer is None:
                return self._take_hello(line)
            return self._take_proof(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            wanted = "a hello" if self.peer is None else "a proof"
            raise HelloRefused(f"{shown(line)} came instead of {wanted}") from None

    def _say_hello(self) -> bytes:
        hello = _Hello(self._identity(), self._challenge, VERSION)
        self._lines[self._side] = line = msgspec.json.encode(hello)
        return line

    def _take_hello(self, line: bytes) -> bytes:
        # Of another version nothing else may be readable.
        version = _decode_version(line).version
        if version != VERSION:
            raise HelloRefused(f"protocol version {shown(version)}, here {VERSION}")
        theirs = _decode_hello(line).hello
        cluster = self._identity().cluster
        if theirs.cluster != cluster:
            raise HelloRefused(
                f"cluster {shown(theirs.cluster)}, here {shown(cluster)}"
            )
        reason = self._check(theirs)
        if reason is not None:
            raise HelloRefused(reason)
        self.peer = theirs
        if self._side == "listener":
            self._lines["dialer"] = line
            return self._say_hello()
        self._lines["listener"] = line
        return self._say_proof()

    def _say_proof(self) -> bytes:
        return msgspec.json.encode(_Proof(self._proof_of(self._side)))

    def _take_proof(self, line: bytes) -> bytes | None:
        other: Side = "dialer" if self._side == "listener" else "listener"
        proof = _decode_proof(line).proof
        if not hmac.compare_digest(proof.encode(), self._proof_of(other).encode()):
            raise HelloRefused("the secret differs from the one here")
        self.done = True
        return self._say_proof() if self._side == "listener" else None

    def _proof_of(self, side: Side) -> str:
        said = b"\n".join([side.encode(), *map(self._lines.__getitem__, _SIDES)])
        return hmac.new(self._secret, said, hashlib.sha256).hexdigest()


_SIDES: Final[tuple[Side, ...]] = ("dialer", "listener")


def is_supervisors_hello(line: bytes) -> bool:
    """Say whether a line says hello, and that it wants to supervise; not proven yet."""
    try:
        return _decode_hello(line).hello.purpose == "supervisor"
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False


def is_hello(line: bytes) -> bool:
    """Whether a connection's first line begins a handshake, not a client's requests."""
    return _HELLO.match(line) is not None


def peer_mismatch(mine: Identity, theirs: Identity, name: str | None) -> str | None:
    """Say why two replicas cannot be members of one group, None if they can.

    :param name: who was dialled, None where any member may call.
    """
    theirs_shown = one_line(theirs.replica)
    if theirs.group != mine.group:
        return f"group {shown(theirs.group)}, here {shown(mine.group)}"
    if name is not None and theirs.replica != name:
        return f"{theirs_shown} answers at the address of {name}"
    if theirs.replica == mine.replica:
        return f"{mine.replica} runs elsewhere too"
    if theirs.members != mine.members:
        return (
            f"{theirs_shown} has other members of group {mine.group} configured:"
            f" their hash is {shown(theirs.members)}, here {shown(mine.members)}"
        )
    if mine.group_id and theirs.group_id and theirs.group_id != mine.group_id:
        return f"group id {shown(theirs.group_id)}, here {shown(mine.group_id)}"
    return None
