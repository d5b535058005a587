"""Who watches the inventory's feed: its table is the inventory's at each revision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from twisted.internet.task import deferLater

from cartnet.limits import WATCH_KEEPALIVE_SECONDS

if TYPE_CHECKING:
    from random import Random

    from twisted.internet.interfaces import IReactorTime

    from cartnet.client.group import GroupClient
    from cartnet.client.watch import Watch
    from cartnet.seams import Seams
    from cartnet.workload.findings import Tally
    from cartnet.workload.share import Share

SILENCE_SECONDS_MAX = 2 * WATCH_KEEPALIVE_SECONDS + 2
"""A feed that serves is silent for no longer, a change of its source included."""

ATTENTION_SECONDS = 3.0
"""How long one who comes and goes follows, in the mean, or is away."""

Table = dict[str, tuple[int, int]]
"""Price and stock by item."""


class Watcher:
    """Follows the feed through the balancers, and resumes where a source ends.

    :ivar states: the table of its share after each event, with its revision.
    :ivar events: how many there were.
    :ivar stopping: it is to come and go no more.
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
        self._client: GroupClient | None = None
        self._watch: Watch | None = None
        self._returned: str | None = None
        self.stopping = False

    def follow(self, client: GroupClient) -> None:
        self._client = client
        self._watch = client.watch("watch_inventory", self._resume, self._event)

    async def roam(self, random: Random) -> None:
        """Leave and come back, at times with a revision that nobody has had."""
        assert self._client is not None
        while not self.stopping:
            await deferLater(self._clock, random.expovariate(1 / ATTENTION_SECONDS))
            if self._revision is None:
                continue
            assert self._watch is not None
            self._watch.stop()
            await deferLater(self._clock, random.uniform(0, 2 * ATTENTION_SECONDS))
            self._returned = "an absence"
            if random.random() < 0.3:
                self._revision += 1_000_000
                self._returned = "a revision that is ahead"
            self.follow(self._client)

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
        if self._returned is not None:
            how = "begins anew" if event["full"] else "goes on"
            self._tally.reached[f"F2 a feed {how} after {self._returned}"] += 1
            self._returned = None
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
