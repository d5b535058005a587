"""A shopper's page: it follows the cart, and shows it as a shard's replicas have it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from cartnet.client.group import GroupClient
    from cartnet.workload.findings import Tally
    from cartnet.workload.history import History


class Page:
    """Follows one cart for as long as the session lasts.

    What it is shown is noted as stale reads are: the next source may be behind the one
    before it, but shows nothing that never was.

    :ivar seen: the last cart that it was shown: its version, then its lines.
    """

    def __init__(self, user: str, history: History, tally: Tally) -> None:
        self.user = user
        self.seen: tuple[int, list[tuple[str, int]]] | None = None
        self._history = history
        self._tally = tally

    def follow(self, shard: GroupClient, session: str) -> None:
        shard.watch("watch_cart", dict, self._event, session=session)

    def _event(self, raw: msgspec.Raw) -> None:
        event: dict[str, Any] = msgspec.json.decode(raw)
        self._tally.reached["a cart's feed spoke"] += 1
        if "version" not in event:
            return  # It only says that it is still there.
        lines = [(each["item"], each["quantity"]) for each in event["items"]]
        self.seen = event["version"], lines
        shown = self._history.begin(self.user, "watch_cart", {}, None, "a page")
        shown.stale = True
        shown.answer = {**event, "stale": True}
        self._history.end(shown, "ok")
