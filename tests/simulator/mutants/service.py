"""Mutants of what stands around the machines: calls, coordinators, clients, feeds."""

from __future__ import annotations

from dataclasses import replace as changed
from typing import Any

import msgspec

from cartnet.calls import catalogue_feed, logins, shard
from cartnet.calls.catalogue import Catalogue
from cartnet.calls.homes import Homes
from cartnet.calls.passwords import Passwords
from cartnet.calls.router import Router
from cartnet.calls.throttle import LoginFailures
from cartnet.checkout import coordinator
from cartnet.checkout.coordinator import Coordinator
from cartnet.checkout.saga import Saga
from cartnet.client.link import Link
from cartnet.client.outcome import Outcome
from cartnet.client.watch import Watch
from cartnet.errors import Refused
from cartnet.replica.meeting import Meeting
from cartnet.replica.pending import Proposals
from cartnet.replica.replica import Replica
from cartnet.shop.answers import Refusal
from cartnet.shop.commands import OutOfStock, Shortage, Taken
from tests.simulator.mutants.mutant import Replace, mutant


@mutant("M40", "who loses the office says that what it has proposed was not done")
def _(replace: Replace) -> None:
    def refuse_waiting(self: Any, not_leader: Any) -> None:
        former(self, not_leader)
        for _, answered, _ in self._in_log.values():
            if not answered.called:
                answered.errback(not_leader())

    former = replace(Proposals, "refuse_waiting", refuse_waiting)


@mutant("M41", "a new leader does not look for its predecessor's checkouts")
def _(replace: Replace) -> None:
    def survey(cursor: Any) -> Any:
        return changed(former(cursor), pending=())

    former = replace(coordinator, "_survey", survey)


@mutant("M42", "a checkout whose decision is lost on its way is refused")
def _(replace: Replace) -> None:
    async def take(self: Any, take: Any) -> Any:
        args = {name: getattr(take, name) for name in take.__struct_fields__}
        try:
            answer = await self._inventory.call("take", args, resend=False)
        except Refused:
            short = Shortage(take.lines[0].item, take.lines[0].quantity, 0)
            return OutOfStock((short,))
        return coordinator._DECISIONS.decode(answer)

    replace(Coordinator, "_take", take)


@mutant("M43", "a coordinator hands on other prices than were taken")
def _(replace: Replace) -> None:
    def decided(self: Any, decision: Any) -> None:
        if isinstance(decision, Taken):
            lines = [changed(line, price=line.price + 1) for line in decision.lines]
            total = sum(line.quantity * line.price for line in lines)
            decision = changed(decision, lines=tuple(lines), total=total)
        former(self, decision)

    changed = msgspec.structs.replace
    former = replace(Saga, "decided", decided)


@mutant("M44", "a balancer's feed does not tell of items that are gone")
def _(replace: Replace) -> None:
    def changes(self: Any, from_revision: int | None) -> Any:
        changed = former(self, from_revision)
        return msgspec.structs.replace(changed, removed=())

    former = replace(Catalogue, "changes", changes)


@mutant("M45", "a feed begins with what changes, not with all there is")
def _(replace: Replace) -> None:
    def changes(self: Any, from_revision: int | None) -> Any:
        return former(self, self.revision if from_revision is None else from_revision)

    former = replace(Catalogue, "changes", changes)


@mutant("M46", "a feed tells the last change twice")
def _(replace: Replace) -> None:
    def send(self: Any, event: bytes) -> None:
        former(self, event)
        former(self, event)

    former = replace(catalogue_feed._Watcher, "_send", send)


@mutant("M47", "a feed that is lost is not resumed elsewhere")
def _(replace: Replace) -> None:
    replace(Watch, "_start_later", lambda self: None)


@mutant("M48", "balancers answer with their copy of the inventory, as if it were new")
def _(replace: Replace) -> None:
    async def get_inventory(self: Any, asked: Any) -> Any:
        if not self._catalogue.ready:
            return await former(self, asked)
        return self._catalogue.inventory()

    former = replace(Router, "_get_inventory", get_inventory)


@mutant("M50", "any replica reads its own tables, a follower too")
def _(replace: Replace) -> None:
    def read(self: Any, query: Any, *, stale: bool = False) -> Any:
        return former(self, query, stale=True)

    former = replace(Replica, "read", read)


@mutant("M51", "a client takes a sending that was lost for one that was not done")
def _(replace: Replace) -> None:
    def lost(self: Any) -> Any:
        then = former(self)
        self.unknown = False
        return then

    former = replace(Outcome, "lost", lost)


@mutant("M52", "balancers give each sending a key of its own")
def _(replace: Replace) -> None:
    async def forward(
        self: Any, asked: Any, group: Any, args: Any = None, *, write: bool = False
    ) -> Any:
        asked.request = msgspec.structs.replace(asked.request, key=None)
        return await former(self, asked, group, args, write=write)

    former = replace(Router, "_forward", forward)


@mutant("M53", "any password is right")
def _(replace: Replace) -> None:
    async def verify(self: Any, known: str | None, *rest: Any) -> bool:
        await former(self, known, *rest)
        return known is not None

    former = replace(Passwords, "verify", verify)


@mutant("M54", "a username lives where its balancer thinks, not where the group says")
def _(replace: Replace) -> None:
    def remember(self: Any, username: str, shard: str) -> None:
        former(self, username, min(self._known.values(), default=shard))

    former = replace(Homes, "_remember", remember)


@mutant("M55", "an account with failed logins is locked for good")
def _(replace: Replace) -> None:
    def check(self: Any, username: str) -> None:
        if username in self._failures:
            raise Refused("rate_limited", "too many failed logins of this account")

    replace(LoginFailures, "check", check)


@mutant("M61", "a checkout that is not decided in time is said not to be done")
def _(replace: Replace) -> None:
    replace(shard, "_undecided", lambda: Refused("conflict", "not decided"))


@mutant("M62", "an operator who comes before the account is told of a wrong password")
def _(replace: Replace) -> None:
    replace(logins, "FORMING", Refusal("unauthenticated", "wrong password"))


@mutant("M75", "a client does not close the connections that it gives up")
def _(replace: Replace) -> None:
    def drop(self: Any) -> None:
        if self._connection is not None:
            self._connection = None
            self._lost()

    replace(Link, "drop", drop)


@mutant("M76", "a coordinator that is deposed leaves its end to nobody")
def _(replace: Replace) -> None:
    replace(Coordinator, "_failed", lambda self, failure: failure)


@mutant("M68", "a coordinator does not hand on the total that is expected")
def _(replace: Replace) -> None:
    async def take(self: Any, take: Any) -> Any:
        return await former(self, msgspec.structs.replace(take, expected_total=None))

    former = replace(Coordinator, "_take", take)


@mutant("M69", "balancers refuse the operator's changes")
def _(replace: Replace) -> None:
    async def operate(self: Any, asked: Any) -> Any:
        raise Refused("forbidden", "only the operator may change the inventory")

    replace(Router, "_operate", operate)


@mutant("M70", "accounts are made under no key")
def _(replace: Replace) -> None:
    def create(**command: Any) -> Any:
        return former(**{**command, "key": None})

    former = replace(shard, "CreateAccount", create)


@mutant("M74", "a replica that has lost its file is never counted again")
def _(replace: Replace) -> None:
    replace(Meeting, "_admit_new_files", lambda self: None)
