"""What has happened to the cluster: out of what differs from one look to the next."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from cartnet.console.report import Event
from cartnet.limits import DONE_SECONDS_MAX, TIMELINE_EVENTS_MAX, TIMELINE_SHOWN_FIRST

if TYPE_CHECKING:
    from cartnet.console.report import EventKind, GroupReport
    from cartnet.replica.status import State, Status

_SEEN_AS: Final[Mapping[EventKind, EventKind]] = {
    "isolated": "unreachable",
    "healed": "recovered",
    "transferred": "leader",
}
"""What an operator does, and how that looks where it looks otherwise."""

_BECAME: Final[Mapping[State, tuple[EventKind, str]]] = {
    "dead": ("died", "died"),
    "paused": ("paused", "is paused"),
    "unreachable": ("unreachable", "cannot be reached"),
}
_AGAIN: Final[Mapping[State, tuple[EventKind, str]]] = {
    "dead": ("started", "was started"),
    "paused": ("resumed", "goes on"),
    "unreachable": ("recovered", "can be reached again"),
}
"""What a replica has become, and what one has that is alive again."""


class Timeline:
    """The newest events, oldest first, for watchers that have seen some of them.

    An event of which more becomes known (who has had it done) is sent again as it is
    now, under its id.

    :ivar position: of whoever has seen all of them.
    """

    def __init__(self, wall: Callable[[], float]) -> None:
        """
        :param wall: gives the time, in Unix seconds.
        """
        self.position = 0
        self._wall = wall
        self._last_id = 0
        # The events by id, each with the position of its last change.
        self._events: dict[int, tuple[int, Event]] = {}
        self._before: dict[str, Status] = {}
        self._offices: dict[str, tuple[str | None, int]] = {}
        # What an operator has done and nobody has seen yet: the event, by replica.
        self._unseen: dict[tuple[str | None, EventKind], Event] = {}

    def since(self, position: int) -> tuple[Event, ...]:
        """What whoever was at ``position`` has not seen; of old events but the newest.

        A watcher begins at 0.
        """
        events = [event for at, event in self._events.values() if at > position]
        return tuple(events if position else events[-TIMELINE_SHOWN_FIRST:])

    # --- Seen ------------------------------------------------------------------------

    def look(self, statuses: Iterable[Status], groups: Iterable[GroupReport]) -> None:
        """Note what differs from the last look.

        Of what is looked at for the first time there is nothing to tell.
        """
        for status in statuses:
            before = self._before.get(status.name)
            self._before[status.name] = status
            if before is not None:
                self._compare(before, status)
        for group in groups:
            before_office = self._offices.get(group.name)
            office = (group.leader, group.term if group.leader else 0)
            self._offices[group.name] = office
            if before_office is not None and before_office != office:
                self._office(group)

    def _compare(self, before: Status, now: Status) -> None:
        if now.state == before.state:
            # Nobody looked while it was dead.
            restarted = now.uptime_seconds < before.uptime_seconds
            if now.state == "alive" and restarted:
                self._seen("started", now.group, now.name, "was started again", 0)
            return
        kind, text = _BECAME.get(now.state) or _AGAIN[before.state]
        self._seen(kind, now.group, now.name, text, before.term or now.term)

    def _office(self, group: GroupReport) -> None:
        if group.leader is None:
            text = f"{group.name} has no leader"
            self._add("no_leader", group.name, None, group.term, text)
        else:
            text = f"leads {group.name} in term {group.term}"
            self._seen("leader", group.name, group.leader, text, group.term)

    def _seen(
        self, kind: EventKind, group: str, replica: str, text: str, term: int
    ) -> None:
        done = self._unseen.pop((replica, kind), None)
        if done is None or self._wall() - done.at > DONE_SECONDS_MAX:
            self._add(kind, group, replica, term, f"{replica} {text}")
        elif kind == "leader":
            self._change(done, kind=kind, term=term, text=_led(done.text, group, term))

    # --- Done ------------------------------------------------------------------------

    def noted(
        self, kind: EventKind, group: str, replica: str | None, text: str, by: str
    ) -> None:
        """Note what a user has done, together with what was or will be seen of it."""
        seen_as = _SEEN_AS.get(kind, kind)
        seen = self._newest(seen_as, replica)
        if seen is None:
            event = self._add(kind, group, replica, 0, text, by)
            self._unseen[replica, seen_as] = event
        elif seen_as == "leader":
            self._change(seen, text=_led(text, group, seen.term), by=by)
        else:
            self._change(seen, kind=kind, text=text, by=by)

    def _newest(self, kind: EventKind, replica: str | None) -> Event | None:
        """The newest event of the kind, if it is new and nobody's yet."""
        for _, event in reversed(self._events.values()):
            if self._wall() - event.at > DONE_SECONDS_MAX:
                return None
            if (event.kind, event.replica) == (kind, replica):
                return event if event.by is None else None
        return None

    # --- Kept ------------------------------------------------------------------------

    def _add(
        self,
        kind: EventKind,
        group: str,
        replica: str | None,
        term: int,
        text: str,
        by: str | None = None,
    ) -> Event:
        self._last_id += 1
        event = Event(self._last_id, self._wall(), kind, group, replica, term, text, by)
        self._keep(event)
        if len(self._events) > TIMELINE_EVENTS_MAX:
            del self._events[next(iter(self._events))]
        return event

    def _change(self, event: Event, **changes: object) -> None:
        if event.id in self._events:
            self._keep(msgspec.structs.replace(event, **changes))

    def _keep(self, event: Event) -> None:
        self.position += 1
        self._events[event.id] = self.position, event


def _led(text: str, group: str, term: int) -> str:
    return f"{text}, which leads {group} in term {term}"
