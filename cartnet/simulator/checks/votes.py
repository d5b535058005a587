"""Votes, as they are heard: one a term, and on the voter's disk before it is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cartnet.consensus.messages import RequestVote, RequestVoteReply
from cartnet.wire.messages import BadMessage, decode_message

if TYPE_CHECKING:
    from cartnet.simulator.checks.files import Files
    from cartnet.topology.groups import Group
    from cartnet.workload.findings import Tally

_MARK = b'"request_vote'


class Votes:
    """Listens to one group."""

    def __init__(self, group: Group, files: Files, tally: Tally) -> None:
        self._names = group.names
        self._files = files
        self._tally = tally
        self._given: dict[tuple[str, int], str] = {}

    def hear(self, source: str, target: str, data: bytes) -> None:
        """Something has arrived; of what comes in pieces nothing is understood.

        :raises Incorrect: it tells of a vote that must not be.
        """
        if _MARK not in data or source not in self._names or target not in self._names:
            return
        for line in data.splitlines():
            try:
                message = decode_message(line)
            except BadMessage:
                continue
            if isinstance(message, RequestVote):
                self._voted(source, message.term, source)
            elif isinstance(message, RequestVoteReply) and message.granted:
                self._voted(source, message.term, target)

    def _voted(self, voter: str, term: int, candidate: str) -> None:
        first = self._given.setdefault((voter, term), candidate)
        self._tally.require(
            "R7 S2 one vote a term, over all lives and files",
            first == candidate,
            f"{voter} votes for {first} and {candidate} in term {term}",
        )
        self._tally.require(
            "R7 S2 a vote is on the disk before it is said",
            self._files.binds(voter, term, candidate),
            f"{voter} votes for {candidate} in {term}, which no file of it has held",
        )
