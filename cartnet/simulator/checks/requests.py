"""What replicas' calls ask of the log, and what they are told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
from twisted.python.failure import Failure

from cartnet.errors import OUTCOME_UNKNOWN, Refused
from cartnet.workload.findings import Incorrect

if TYPE_CHECKING:
    from twisted.internet.defer import Deferred

    from cartnet.replica.replica import Replica
    from cartnet.shop.commands import Command
    from cartnet.simulator.checks.truth import Truth
    from cartnet.workload.findings import Tally


class Requests:
    """Looks at one group's linearizable reads and proposals, on all replicas."""

    def __init__(self, truth: Truth, tally: Tally) -> None:
        self._truth = truth
        self._tally = tally
        self._proposed: Counter[bytes] = Counter()
        self._refused: Counter[bytes] = Counter()
        self._asked = "", 0
        self._found: Incorrect | None = None

    def watch(self, replica: Replica) -> None:
        """Look at all that a replica's calls ask for."""
        replica.read = self._reading(replica)  # type: ignore[method-assign] # its calls
        replica.propose = self._proposing(replica)  # type: ignore[method-assign] # too

    def stepped(self, replica: Replica) -> None:
        """A replica has done something.

        :raises Incorrect: a read was too old.
        """
        if self._found is not None:
            raise self._found
        raft = replica.raft
        if raft is not None and raft.leads and not replica.gate.shut:
            behind = raft.applied_index < self._truth.applied_index
            if behind and (raft.term < self._truth.led_term or not raft.may_serve):
                self._ask(replica)

    def _ask(self, replica: Replica) -> None:
        """Ask one for a read that may only think that it leads, or has just begun to:
        customers are seldom there at that moment."""
        asked = replica.name, self._truth.applied_index
        if asked == self._asked:
            return
        self._asked = asked
        self._tally.reached["a leader that is behind was asked"] += 1
        try:
            reading = replica.read(lambda cursor: None)
        except Refused:
            return
        reading.addErrback(lambda failure: failure.trap(Refused))

    # --- R12: a read, against what anybody had applied when it was asked for ---------

    def _reading(self, replica: Replica) -> Any:
        former = replica.read

        def read(query: Callable[[Any], Any], *, stale: bool = False) -> Deferred[Any]:
            if stale:
                return former(query, stale=True)
            # A write is acknowledged after it was applied by whoever does so.
            least = self._truth.applied_index

            def looked_at(cursor: Any) -> Any:
                self._look(replica.name, cursor, least)
                return query(cursor)

            return former(looked_at)

        return read

    def _look(self, name: str, cursor: Any, least: int) -> None:
        row = cursor.connection.plain_cursor().execute(
            "SELECT applied_index FROM hard_state"
        )
        applied = row.fetchone()[0]
        try:
            self._tally.require(
                "R12 a read sees all that was applied when it was asked for",
                applied >= least,
                name,
                " reads after ",
                applied,
                " what was applied through ",
                least,
            )
        except Incorrect as incorrect:
            # The product would take it for an error of the query.
            self._found = self._found or incorrect

    # --- S10: what is said not to be done never is -----------------------------------

    def _proposing(self, replica: Replica) -> Any:
        former = replica.propose

        def propose(command: Command) -> Deferred[Any]:
            answered = former(command)
            proposal = msgspec.json.encode(command)
            self._proposed[proposal] += 1

            def failed(reason: Failure) -> Failure:
                refused = reason.value
                if isinstance(refused, Refused) and refused.code not in OUTCOME_UNKNOWN:
                    self._refused[proposal] += 1
                return reason

            return answered.addErrback(failed)

        return propose

    def check_refused(self) -> None:
        """:raises Incorrect: the log has what was said not to be done."""
        committed: Counter[bytes] = Counter()
        for _, payload in self._truth.committed.values():
            if payload.startswith(b"["):
                committed[bytes(msgspec.json.decode(payload, type=_Stamped)[1])] += 1
        for proposal, refused in self._refused.items():
            self._tally.require(
                "S10 what was refused is not in the log",
                committed[proposal] <= self._proposed[proposal] - refused,
                proposal,
                " was proposed ",
                self._proposed[proposal],
                " times, refused ",
                refused,
                " times, and committed ",
                committed[proposal],
                " times",
            )


_Stamped = tuple[int, msgspec.Raw]
