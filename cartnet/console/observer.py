"""Watches the cluster: looks at all replicas, again and again, and tells watchers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec
from twisted.internet.defer import Deferred

from cartnet.console.groups import Groups, replica_reports
from cartnet.console.light import ConservationLight
from cartnet.console.report import ClusterReport, Conservation
from cartnet.console.timeline import Timeline
from cartnet.errors import Refused
from cartnet.limits import (
    OBSERVE_PATIENCE_SECONDS,
    OBSERVE_SECONDS,
    OBSERVE_UNWATCHED_SECONDS,
)
from cartnet.replica.status import Status, not_alive
from cartnet.supervisor.cluster import with_one_leader

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall, IReactorTime
    from twisted.logger import Logger
    from twisted.python.failure import Failure

    from cartnet.console.load import Load
    from cartnet.console.report import EventKind
    from cartnet.replica.ports import Sink
    from cartnet.seams import Seams
    from cartnet.supervisor.cluster import Cluster

_encode = msgspec.json.Encoder().encode


class Observer:
    """Knows how the cluster is, and what has happened to it.

    Each look asks the replicas one by one: whoever is slow to say how it is is shown as
    it was, and is not asked again before it has answered.
    """

    def __init__(self, cluster: Cluster, load: Load, seams: Seams, log: Logger) -> None:
        self._cluster = cluster
        self._load = load
        self._clock: IReactorTime = seams.clock
        self._wall = seams.wall
        self._log = log
        self._names = cluster.topology.names
        self._groups = Groups(cluster.topology.groups)
        self._timeline = Timeline(seams.wall)
        self._light = ConservationLight(cluster.inventory, seams.clock, log)
        self._known: dict[str, Status] = {}
        # In the order in which they came; dicts, since sets have none.
        self._asked: dict[str, None] = {}
        self._watchers: dict[_Watcher, None] = {}
        # Those who wait for the next look to end, and for the one in hand.
        self._waiting: list[Deferred[None]] = []
        self._served: list[Deferred[None]] = []
        self._again = False
        self._report: ClusterReport | None = None
        self._looked_at = float("-inf")
        self._next_look: IDelayedCall | None = None
        self._patience: IDelayedCall | None = None
        self._stopped = False

    def start(self) -> None:
        """Look, from now on."""
        self._look()

    def stop(self) -> None:
        """Look no more; nothing is sent any more."""
        self._stopped = True
        for timer in (self._next_look, self._patience):
            if timer is not None and timer.active():
                timer.cancel()
        self._patience = None
        self._watchers.clear()
        waiting, self._waiting, self._served = self._waiting + self._served, [], []
        for each in waiting:
            each.errback(Refused("unavailable", "this console is stopping"))

    async def report(self) -> ClusterReport:
        """How the cluster is now, with the newest part of its timeline.

        :raises Refused: ``unavailable``.
        """
        await self._light.renewed()
        if self._clock.seconds() - self._looked_at >= OBSERVE_SECONDS:
            looked: Deferred[None] = Deferred()
            self._waiting.append(looked)
            self._look_soon()
            await looked
        return self._since(0)

    def noted(
        self, kind: EventKind, group: str, replica: str | None, text: str, by: str
    ) -> None:
        """Put on the timeline what the user ``by`` has done, and show it at once."""
        self._timeline.noted(kind, group, replica, text, by)
        self._looked_at = float("-inf")
        self._look_soon()

    def subscribe(self, sink: Sink) -> _Watcher:
        """Send it reports from now on."""
        watcher = _Watcher(self, sink)
        if not self._stopped:
            self._watchers[watcher] = None
            self._look_soon()
        return watcher

    def unsubscribe(self, watcher: _Watcher) -> None:
        """Send it nothing more."""
        self._watchers.pop(watcher, None)

    def send(self, watchers: Sequence[_Watcher]) -> None:
        """Send those that keep up the last report; the others get a later one."""
        if self._report is None:
            return
        events: dict[int, bytes] = {}
        for watcher in watchers:
            if not watcher.sink.writable:
                continue
            event = events.get(watcher.position)
            if event is None:
                event = _encode(self._since(watcher.position))
                events[watcher.position] = event
            watcher.position = self._timeline.position
            watcher.sink.send(event)

    # --- Looks -----------------------------------------------------------------------

    def _look_soon(self) -> None:
        """Look now, or right after the look in hand, which may be from before."""
        if self._patience is not None:
            self._again = True
        elif not self._stopped:
            self._look()

    def _look(self) -> None:
        """Ask everybody who does not owe an answer already."""
        watched = bool(self._watchers)
        if self._next_look is not None and self._next_look.active():
            self._next_look.cancel()
        seconds = OBSERVE_SECONDS if watched else OBSERVE_UNWATCHED_SECONDS
        self._next_look = self._clock.callLater(seconds, self._look)
        self._served, self._waiting = self._waiting, []
        self._again = False
        if watched:
            self._light.ask()
        for name in self._names:
            if name not in self._asked:
                self._ask(name)
        if self._asked:
            self._patience = self._clock.callLater(OBSERVE_PATIENCE_SECONDS, self._seen)
        else:
            self._seen()

    def _ask(self, name: str) -> None:
        self._asked[name] = None
        asking = Deferred.fromCoroutine(self._cluster.statuses([name]))
        asking.addCallbacks(self._answered, self._unanswered, errbackArgs=(name,))
        asking.addErrback(lambda failure: self._log.failure("a look broke", failure))

    def _answered(self, statuses: list[Status]) -> None:
        (status,) = statuses
        self._known[status.name] = status
        self._heard(status.name)

    def _unanswered(self, failure: Failure, name: str) -> None:
        self._log.failure("{name} could not be looked at", failure, name=name)
        self._heard(name)

    def _heard(self, name: str) -> None:
        del self._asked[name]
        if not self._asked and self._patience is not None:
            self._patience.cancel()
            self._seen()

    def _seen(self) -> None:
        """All have said how they are, or have had their time: put it together."""
        self._patience = None
        if self._stopped:
            return
        self._looked_at = self._clock.seconds()
        self._report = self._put_together()
        served, self._served = self._served, []
        for each in served:
            each.callback(None)
        self.send(list(self._watchers))
        if self._again:
            self._look()

    def _put_together(self) -> ClusterReport:
        topology = self._cluster.topology
        known = with_one_leader(list(self._known.values()))
        groups = self._groups.look(known, self._clock.seconds())
        self._timeline.look(known, groups)
        found = {status.name: status for status in known}
        statuses = [
            found.get(name) or not_alive(topology, name, "unreachable")
            for name in self._names
        ]
        return ClusterReport(
            at=self._wall(),
            chaos=self._cluster.chaos,
            cluster=topology.cluster,
            groups=groups,
            replicas=replica_reports(statuses, groups, self._cluster.here),
            conservation=Conservation(),
            load=self._load.report(),
            timeline=(),
        )

    def _since(self, position: int) -> ClusterReport:
        """The last report as whoever was at ``position`` gets it."""
        assert self._report is not None, "there was a look"
        inventory = self._cluster.topology.inventory.name
        leaders = {group.name: group.leader for group in self._report.groups}
        return msgspec.structs.replace(
            self._report,
            # Without a leader nobody vouches for what was last heard.
            conservation=self._light.last if leaders[inventory] else Conservation(),
            timeline=self._timeline.since(position),
        )


class _Watcher:
    """One watcher: its subscription.

    :ivar position: in the timeline, of what it has been sent.
    """

    def __init__(self, observer: Observer, sink: Sink) -> None:
        self.sink = sink
        self.position = 0
        self._observer = observer

    def wake(self) -> None:
        """The sink is writable again: send what has been merged meanwhile."""
        self._observer.send([self])

    def cancel(self) -> None:
        """Nothing is sent after this."""
        self._observer.unsubscribe(self)
