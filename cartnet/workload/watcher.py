"""A follower of the inventory's feed: its table is the inventory's at each revision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from cartnet.limits import WATCH_KEEPALIVE_SECONDS

if TYPE_CHECKING:
    from twisted.internet.interfaces import IReactorTime

    from cartnet.client.group import GroupClient
    from cartnet.seams import Seams
    from cartnet.workload.findings import Tally
    from cartnet.workload.share import Share

SILENCE_SECONDS_MAX = 2 * WATCH_KEEPALIVE_SECONDS + 2
"""A feed that serves is silent for no longer, a change of its source included."""

Table = dict[str, tuple[int, int]]
"""Price and stock by item."""


class Watcher:
    """Follows the feed through the balancers, and resumes where a source ends.

    :ivar states: the table of its share after each event, with its revision.
    :ivar events: how many there were.
    """

    def __init__(self, name: str, seams: Seams, tally: Tally, share: Share) -> None:
        self.name = name
        self.share = share
        self.events = 0
        self.states: list[tuple[int, Table]] = []
        self._tally = tally
        self._clock: IReactorTime = seams.clock
        self._heard_at = 0.0
        self._revision: int | None = None
        self._table: Table = {}

    def follow(self, client: GroupClient) -> None:
        client.watch("watch_inventory", self._resume, self._event)

    @property
    def silent_seconds(self) -> float:
        return self._clock.seconds() - self._heard_at

    def _resume(self) -> dict[str, Any]:
        return {} if self._revision is None else {"from_revision": self._revision}

    def _event(self, raw: msgspec.Raw) -> None:
        event = msgspec.json.decode(raw)
        self.events += 1
        self._heard_at = self._clock.seconds()
        revision = event["revision"]
        changed = bool(event["items"] or event["removed"])
        before = -1 if self._revision is None else self._revision
        if event["full"]:
            self._table = {}
        else:
            self._tally.require(
                "F1 a feed that was not begun begins whole",
                self._revision is not None,
                self.name,
                " got ",
                event,
                " at first",
            )
            self._tally.require(
                "F1 a feed goes on in order",
                revision > before or (revision == before and not changed),
                self.name,
                " got ",
                event,
                " after ",
                before,
            )
        for item in event["items"]:
            if self.share.has(item["id"]):
                self._table[item["id"]] = item["price"], item["stock"]
        for item in event["removed"]:
            self._table.pop(item, None)
        self._revision = revision
        if changed or event["full"]:
            self.states.append((revision, dict(self._table)))
