"""A group's members as a client sees them: links, the search for the leader, time."""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import msgspec
from twisted.internet.defer import Deferred

from cartnet.client.belief import Belief
from cartnet.client.link import Attempt, Link, UnansweredError
from cartnet.limits import (
    ATTEMPT_SECONDS_MAX,
    LEADER_SEARCH_SECONDS_MAX,
    LEADER_SEARCH_SECONDS_MIN,
    PROBE_ANSWER_SECONDS_MAX,
    PROBE_SECONDS,
    SWEEP_SECONDS,
)
from cartnet.wire.requests import encode_request

if TYPE_CHECKING:
    from twisted.internet.interfaces import IDelayedCall

    from cartnet.client.dial import Dial
    from cartnet.seams import Seams
    from cartnet.topology.groups import Group
    from cartnet.wire.replies import Reply


class Pulse(msgspec.Struct):
    """As much of a ``heartbeat`` call's answer as tells who leads."""

    term: int
    role: str


class Waiter:
    """A call that cannot be sent yet.

    :ivar ready: fires with True when it is worth another look, with False when the
        deadline has passed or the member cannot be reached.
    """

    __slots__ = ("deadline", "ready")

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.ready: Deferred[bool] = Deferred()


class Members:
    """Keeps a link to each member that is used, and finds the one that leads.

    :ivar ids: the request ids of this group, used by everyone who sends.
    """

    def __init__(self, group: Group, seams: Seams, dial: Dial) -> None:
        self.ids = count(1)
        self._group = group
        self._clock = seams.clock
        self._random = seams.random
        self._belief = Belief()
        # In preference order: the smallest address leads when everyone is well.
        self.links = {
            name: Link(group.member(name), dial, seams.clock, self)
            for name in group.preference
        }
        self._for_leader: list[Waiter] = []
        self._for_any: list[Waiter] = []
        self._for_member: dict[str, list[Waiter]] = {}
        self._for_slot: list[Waiter] = []
        self._slots_released = 0
        self._search: IDelayedCall | None = None
        self._sweeping: IDelayedCall | None = None
        self._swept_at = 0.0
        self._stopped = False

    @property
    def leader(self) -> str | None:
        """The member that is taken for the leader."""
        return self._belief.leader

    def link(self, stale: bool) -> Link | None:
        """The proven link that a call goes by: the leader's, or for stale reads any."""
        leader = self._belief.leader
        if leader is not None:
            link = self.links[leader]
            if link.connected:
                return link
        if stale:
            for link in self.links.values():
                if link.connected:
                    return link
        return None

    # --- Waiting -----------------------------------------------------------------

    def reach(self, stale: bool, deadline: float) -> Deferred[bool]:
        """Fire with True once :meth:`link` has one, with False at the deadline."""
        waiter = Waiter(deadline)
        (self._for_any if stale else self._for_leader).append(waiter)
        if self._stopped:
            self._expire(deadline)
        else:
            self.watch_time()
            if self._search is None:
                self._round()
        return waiter.ready

    def reach_member(self, link: Link, deadline: float) -> Deferred[bool]:
        """Fire with True once ``link`` is connected, with False if it cannot be."""
        waiter = Waiter(deadline)
        if link.connected or self._stopped:
            waiter.ready.callback(link.connected)
            return waiter.ready
        self._for_member.setdefault(link.name, []).append(waiter)
        self.watch_time()
        link.connect()
        return waiter.ready

    def reach_slot(self, deadline: float) -> Deferred[bool]:
        """Fire with True when a full link may have room, False at the deadline."""
        waiter = Waiter(deadline)
        self._for_slot.append(waiter)
        self.watch_time()
        return waiter.ready

    def release(self) -> None:
        """A call has ended: another one may take its place on the link.

        Whoever is told may end at once as well: that is counted, and the next one told
        when this one is through, since a hundred nested would be too deep.
        """
        self._slots_released += 1
        if self._slots_released > 1:
            return
        while self._slots_released:
            if self._for_slot:
                self._for_slot.pop(0).ready.callback(True)
            self._slots_released -= 1

    def _release_all(self) -> None:
        waiting, self._for_slot = self._for_slot, []
        for waiter in waiting:
            waiter.ready.callback(True)

    def _wake(self) -> None:
        if self._for_leader and self.link(stale=False) is not None:
            waiting, self._for_leader = self._for_leader, []
            for waiter in waiting:
                waiter.ready.callback(True)
        if self._for_any and self.link(stale=True) is not None:
            waiting, self._for_any = self._for_any, []
            for waiter in waiting:
                waiter.ready.callback(True)

    def _expire(self, now: float) -> None:
        late: list[Waiter] = []
        for waiting in (
            self._for_leader,
            self._for_any,
            self._for_slot,
            *self._for_member.values(),
        ):
            overdue = [waiter for waiter in waiting if waiter.deadline <= now]
            if overdue:
                waiting[:] = [waiter for waiter in waiting if waiter.deadline > now]
                late += overdue
        # Told last: they may come straight back and wait for something else.
        for waiter in late:
            waiter.ready.callback(False)

    # --- What links say ----------------------------------------------------------

    def link_proven(self, link: Link, leads: bool) -> None:
        if leads:
            self._belief.claims(link.name, None, self._clock.seconds())
        for waiter in self._for_member.pop(link.name, ()):
            waiter.ready.callback(True)
        self._wake()

    def link_lost(self, link: Link) -> None:
        self._belief.lost(link.name)
        for waiter in self._for_member.pop(link.name, ()):
            waiter.ready.callback(False)

    def denied(self, name: str, leader_address: object) -> None:
        """``name`` answered ``not_leader``, with the leader's address if it knows."""
        named = None
        for member in self._group.members:
            if leader_address in (member.address, member.name):
                named = member.name
        self._belief.denies(name, named, self._clock.seconds())

    # --- The search for a leader -------------------------------------------------

    def _round(self) -> None:
        """Ask every member whether it leads; a hung one holds nobody up."""
        self._search = None
        waiting = self._for_leader or (self._for_any and self.link(True) is None)
        if not waiting or self._stopped:
            return
        self._search = self._clock.callLater(
            self._random.uniform(LEADER_SEARCH_SECONDS_MIN, LEADER_SEARCH_SECONDS_MAX),
            self._round,
        )
        for link in list(self.links.values()):
            if not link.connected:
                link.connect()
            elif link.probed_at is None:
                self._probe(link)

    def _probe(self, link: Link) -> None:
        link.probed_at = self._clock.seconds()
        request_id = next(self.ids)
        link.feeds[request_id] = partial(self._pulse, link, request_id)
        link.say(encode_request(request_id, "heartbeat"))

    def _pulse(self, link: Link, request_id: int, reply: Reply | None) -> None:
        if reply is None:
            return
        del link.feeds[request_id]
        link.probed_at = None
        if reply.ok is None:
            return  # Not fit to answer at the moment, hence not to lead.
        pulse = msgspec.json.decode(reply.ok, type=Pulse)
        now = self._clock.seconds()
        if pulse.role == "leader":
            self._belief.claims(link.name, pulse.term, now)
            self._wake()
        elif self._belief.leader == link.name:
            self._belief.denies(link.name, None, now)

    # --- Time --------------------------------------------------------------------

    def watch_time(self) -> None:
        """See to it that what is under way is held against its deadlines."""
        if self._sweeping is None and not self._stopped:
            self._swept_at = self._clock.seconds()
            self._sweeping = self._clock.callLater(SWEEP_SECONDS, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = None
        now = self._clock.seconds()
        # When this process itself was held, answers may lie unread in its sockets.
        held = now - self._swept_at > SWEEP_SECONDS + PROBE_SECONDS
        self._expire(now)
        self._release_all()
        busy = bool(
            self._for_leader
            or self._for_any
            or self._for_slot
            or any(self._for_member.values())
        )
        for link in list(self.links.values()):
            if link.attempts or link.probed_at is not None:
                busy = True
                self._sweep_link(link, now, held)
        if busy:
            self.watch_time()

    def _sweep_link(self, link: Link, now: float, held: bool) -> None:
        leads = link.name == self._belief.leader
        for request_id, attempt in list(link.attempts.items()):
            overdue = not leads and now - attempt.sent_at > ATTEMPT_SECONDS_MAX
            if now >= attempt.expires_at or (overdue and attempt.resend):
                link.abandon(request_id, UnansweredError(link.name))
        if link.probed_at is not None:
            if held:
                link.probed_at = now
            elif now - link.probed_at > PROBE_ANSWER_SECONDS_MAX:
                link.drop()
        elif link.attempts and not held:
            oldest = next(iter(link.attempts.values()))
            if now - max(link.heard_at, oldest.sent_at) > PROBE_SECONDS:
                self._probe(link)

    def stop(self) -> None:
        """Drop every connection; whoever waits hears that there is none."""
        self._stopped = True
        for timer in (self._search, self._sweeping):
            if timer is not None and timer.active():
                timer.cancel()
        self._search = self._sweeping = None
        for link in self.links.values():
            link.stop()
        self._expire(float("inf"))

    def attempt(
        self, link: Link, request_id: int, line: bytes, expires_at: float, resend: bool
    ) -> Deferred[Reply]:
        """Send a call by a link; fire with its reply.

        Fails with :class:`LinkLostError` or :class:`UnansweredError`.
        """
        attempt = Attempt(self._clock.seconds(), expires_at, resend)
        link.send(request_id, line, attempt)
        if self._sweeping is None:
            self.watch_time()
        return attempt.answer
