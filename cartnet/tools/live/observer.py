"""Who leads, as every replica says itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import LoopingCall

from cartnet.errors import Refused
from cartnet.tools.live.seen import Office, Seen

if TYPE_CHECKING:
    from collections.abc import Mapping

    from twisted.internet.interfaces import IReactorTime

    from cartnet.client.group import GroupClient

POLL_SECONDS: Final = 0.25
ANSWER_SECONDS_MAX: Final = 1.0

SILENCE_SECONDS_MAX: Final = 1.5
"""A leader that is silent for longer is not taken to have led meanwhile."""


class Observer:
    """Asks every replica for its heartbeat, again and again."""

    def __init__(
        self, clients: Mapping[str, GroupClient], clock: IReactorTime, seen: Seen
    ) -> None:
        self._clients = clients
        self._clock = clock
        self._seen = seen
        self._asked: set[str] = set()
        self._polling = LoopingCall(self._poll)
        self._polling.clock = clock

    def start(self) -> None:
        self._polling.start(POLL_SECONDS)

    def stop(self) -> None:
        if self._polling.running:
            self._polling.stop()

    def leader(self, group: str) -> str | None:
        """Who led a group last."""
        led = [each for each in self._seen.offices if each.group == group]
        return led[-1].leader if led else None

    def _poll(self) -> None:
        for client in self._clients.values():
            for name in client.group.names:
                if name not in self._asked:
                    self._asked.add(name)
                    Deferred.fromCoroutine(self._ask(client, name))

    async def _ask(self, client: GroupClient, name: str) -> None:
        try:
            raw = await client.call_member(
                name, "heartbeat", timeout=ANSWER_SECONDS_MAX
            )
        except Refused:
            return  # Dead, hung or cut off.
        finally:
            self._asked.discard(name)
        beat: Any = msgspec.json.decode(raw)
        self.heard(client.group.name, name, beat["role"], beat["term"])

    def heard(self, group: str, name: str, role: str, term: int) -> None:
        """Note one heartbeat."""
        self._seen.heartbeats += 1
        if role != "leader":
            return
        now = self._clock.seconds()
        self._seen.leaders.setdefault((group, term), set()).add(name)
        led = [each for each in self._seen.offices if each.group == group]
        known = bool(led) and (led[-1].leader, led[-1].term) == (name, term)
        if known and now - led[-1].until <= SILENCE_SECONDS_MAX:
            led[-1].until = now
        elif not led or term >= led[-1].term:
            self._seen.offices.append(Office(group, name, term, now, now))

    async def compare(self) -> None:
        """Note the newest digest of every replica's tables."""
        await gatherResults(
            [
                Deferred.fromCoroutine(self._digest(client, name))
                for client in self._clients.values()
                for name in client.group.names
            ],
            consumeErrors=True,
        )

    async def _digest(self, client: GroupClient, name: str) -> None:
        try:
            raw = await client.call_member(name, "status", timeout=ANSWER_SECONDS_MAX)
        except Refused:
            return
        status: Any = msgspec.json.decode(raw)
        if status.get("digest") is not None:
            at = client.group.name, status["digest_index"]
            self._seen.digests.setdefault(at, {})[name] = status["digest"]
