"""Reach a group: find its leader, retry what is safe to retry, say what is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import CancelledError
from twisted.internet.task import deferLater

from cartnet.client.dial import dialler
from cartnet.client.link import LinkLostError, UnansweredError
from cartnet.client.members import Members
from cartnet.client.outcome import Next, Outcome
from cartnet.client.watch import Feed, Watch
from cartnet.errors import Refused
from cartnet.limits import (
    ANSWER_GRACE_SECONDS,
    CALLS_PER_GROUP_MAX,
    RETRY_SECONDS_MAX,
    RETRY_SECONDS_MIN,
)
from cartnet.wire.arguments import READS
from cartnet.wire.requests import encode_request

if TYPE_CHECKING:
    from collections.abc import Callable

    import msgspec
    from twisted.internet.defer import Deferred

    from cartnet.client.link import Link
    from cartnet.client.watch import Arguments
    from cartnet.seams import Seams
    from cartnet.topology.groups import Group
    from cartnet.wire.hello import Purpose


class GroupClient:
    """How one process (or one replica) calls another group.

    Connections are made when they are first needed, prove the cluster's secret, and
    are shared by all calls, which are pipelined on them.

    :ivar group: whom it calls.

    :param cluster: the cluster's name, and
    :param secret: its secret (``b""`` without one), which both sides prove to know.
    :param name: who calls, for the other side's log: a replica's name or a tool's.
    :param request_timeout: seconds a call is tried for, unless it says otherwise.
    :param purpose: what for (:class:`cartnet.wire.hello.Identity`).
    """

    def __init__(
        self,
        group: Group,
        seams: Seams,
        cluster: str,
        secret: bytes,
        name: str,
        request_timeout: float,
        purpose: Purpose = "client",
    ) -> None:
        self.group = group
        self._clock = seams.clock
        self._random = seams.random
        self._request_timeout = request_timeout
        self._members = Members(
            group, seams, dialler(seams, cluster, secret, name, group, purpose)
        )
        self._under_way = 0
        # In the order in which they came; dicts, since sets have none.
        self._pauses: dict[Deferred[None], None] = {}
        self._watches: dict[Watch, None] = {}
        self._stopped = False

    @property
    def leader(self) -> str | None:
        """The name of the member that is taken for the leader, if any."""
        return self._members.leader

    async def call(
        self,
        call: str,
        args: Arguments = None,
        *,
        session: str | None = None,
        key: str | None = None,
        stale: bool = False,
        resend: bool,
        deadline: float | None = None,
    ) -> msgspec.Raw:
        """Have the group's leader (any member, if ``stale``) do a call.

        While there is no leader the call is held, and sent again where it was
        certainly not done; where that is unknown only if ``resend``: a read, or a
        write with a ``key`` that the log remembers, or one that may be done twice.

        :param deadline: when to give up, by the injected clock; nothing is sent after
            it, an answer under way is awaited ``ANSWER_GRACE_SECONDS`` longer.
        :return: the ``ok`` of the answer.
        :raises Refused: with the group's own refusal; ``unavailable`` if certainly
            nothing was done by the deadline (or there was nothing to do but read),
            else ``timeout``; ``overloaded`` if too many calls are under way.
        """
        if self._under_way >= CALLS_PER_GROUP_MAX:
            raise Refused(
                "overloaded", f"too many calls to {self.group.name} are under way"
            )
        if deadline is None:
            deadline = self._clock.seconds() + self._request_timeout
        outcome = Outcome(
            self.group.name,
            resend=resend,
            keyed=key is not None,
            reads=call in READS,
        )
        pause = RETRY_SECONDS_MIN
        self._under_way += 1
        try:
            while (link := await self._link(stale, deadline)) is not None:
                request_id = next(self._members.ids)
                line = encode_request(
                    request_id, call, args, session=session, key=key, stale=stale
                )
                try:
                    reply = await self._members.attempt(
                        link, request_id, line, deadline + ANSWER_GRACE_SECONDS, resend
                    )
                except (LinkLostError, UnansweredError):
                    then = outcome.lost()
                else:
                    if reply.error is None:
                        assert reply.ok is not None
                        return reply.ok
                    if reply.error.code == "not_leader":
                        leader = reply.error.details.get("leader")
                        self._members.denied(link.name, leader)
                    then = outcome.refused(reply.error)
                if then is Next.RAISE:
                    break
                if then is Next.PAUSE:
                    await self._pause(pause)
                    pause = min(2 * pause, RETRY_SECONDS_MAX)
            raise outcome.error()
        finally:
            self._under_way -= 1
            self._members.release()

    async def _link(self, stale: bool, deadline: float) -> Link | None:
        """The link to send by, as soon as there is one; None at the deadline."""
        members = self._members
        while not self._stopped and self._clock.seconds() < deadline:
            link = members.link(stale)
            if link is None:
                await members.reach(stale, deadline)
            elif link.full:
                await members.reach_slot(deadline)
            else:
                return link
        return None

    async def _pause(self, seconds: float) -> None:
        """Wait for about ``seconds``, or until this client is stopped."""
        if self._stopped:
            return
        jittered = seconds * self._random.uniform(0.5, 1.5)
        waiting: Deferred[None] = deferLater(self._clock, jittered)
        self._pauses[waiting] = None
        try:
            await waiting
        except CancelledError:
            if not self._stopped:
                raise
        finally:
            del self._pauses[waiting]

    async def call_member(
        self,
        name: str,
        call: str,
        args: Arguments = None,
        *,
        session: str | None = None,
        timeout: float | None = None,
    ) -> msgspec.Raw:
        """Have one member do a call, whether or not it leads; once, without a retry.

        :param timeout: seconds for connection and answer together.
        :raises Refused: the member's own refusal; ``unavailable`` if it cannot be
            reached; ``timeout`` if it did not answer.
        :raises KeyError: if the group has no such member.
        """
        link = self._members.links[name]
        seconds = self._request_timeout if timeout is None else timeout
        deadline = self._clock.seconds() + seconds
        if not await self._members.reach_member(link, deadline):
            address = link.member.address
            raise Refused("unavailable", f"{name} cannot be reached at {address}")
        request_id = next(self._members.ids)
        line = encode_request(request_id, call, args, session=session)
        try:
            reply = await self._members.attempt(link, request_id, line, deadline, False)
        except (LinkLostError, UnansweredError):
            raise Refused("timeout", f"{name} has not answered") from None
        if reply.error is not None:
            raise reply.error
        assert reply.ok is not None
        return reply.ok

    def watch(
        self,
        call: str,
        resume: Callable[[], Arguments],
        on_event: Callable[[msgspec.Raw], None],
        on_state: Callable[[bool], None] | None = None,
        *,
        session: str | None = None,
        on_end: Callable[[Refused], None] | None = None,
    ) -> Watch:
        """Follow a feed for ever, from whichever member serves it.

        :param resume: the arguments to go on with, asked at every new source.
        :param on_event: is handed each event.
        :param on_state: is told True at a source's first event and False when it is
            lost; by default nobody is.
        :param session: whose feed it is, where it is a user's.
        :param on_end: is told that the session is none, or none any more, which ends
            the watch; by default nobody is.
        """
        watch = Watch(
            self._members,
            self._clock,
            self._random,
            Feed(call, resume, session),
            on_event,
            on_state or (lambda followed: None),
            on_end or (lambda refused: None),
        )
        self._watches = {one: None for one in self._watches if not one.stopped}
        self._watches[watch] = None
        watch.start()
        return watch

    def stop(self) -> None:
        """Close all connections and end all watches.

        Calls under way fail as if their deadline had come; nothing may be called
        after.
        """
        self._stopped = True
        for watch in self._watches:
            watch.stop()
        for pause in list(self._pauses):
            pause.cancel()
        self._members.stop()
