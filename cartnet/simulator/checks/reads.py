"""R12: what a read sees, against what anybody had applied when it was asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cartnet.workload.findings import Incorrect

if TYPE_CHECKING:
    from cartnet.replica.replica import Replica
    from cartnet.simulator.checks.truth import Truth
    from cartnet.workload.findings import Tally


class Reads:
    """Looks at one group's linearizable reads, in the replicas' readers.

    A write is acknowledged after it was applied, so that what nobody has applied yet a
    read need not see.
    """

    def __init__(self, truth: Truth, tally: Tally) -> None:
        self._truth = truth
        self._tally = tally
        self._found: Incorrect | None = None

    def check(self) -> None:
        """:raises Incorrect: a read was too old."""
        if self._found is not None:
            raise self._found

    def watch(self, replica: Replica) -> None:
        """Look at each read that a replica's calls ask for."""
        former = replica.read

        def read(query: Callable[[Any], Any], *, stale: bool = False) -> Any:
            if stale:
                return former(query, stale=True)
            least = self._truth.applied_index

            def looked_at(cursor: Any) -> Any:
                self._look(replica.name, cursor, least)
                return query(cursor)

            return former(looked_at)

        replica.read = read  # type: ignore[method-assign] # its calls look it up there

    def _look(self, name: str, cursor: Any, least: int) -> None:
        seen = cursor.connection.plain_cursor().execute(
            "SELECT applied_index FROM hard_state"
        )
        try:
            self._tally.require(
                "R12 a read sees all that was applied when it was asked for",
                (applied := seen.fetchone()[0]) >= least,
                name,
                " reads after ",
                applied,
                " what was applied through ",
                least,
            )
        except Incorrect as incorrect:
            # The product would take it for an error of the query.
            self._found = self._found or incorrect
