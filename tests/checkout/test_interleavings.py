from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING, cast

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from cartnet.checkout.coordinator import DeposedError
from cartnet.limits import SETTLEMENT_RETRY_SECONDS_MAX, SURVEY_SECONDS
from cartnet.shop.answers import CheckoutBegun, Frozen, Order, Refusal
from tests.checkout.world import REQUEST_TIMEOUT, World

if TYPE_CHECKING:
    from twisted.python.failure import Failure

    from cartnet.checkout.saga import Outcome
    from cartnet.seams import Cursor

USERS = ("ada", "bob", "eve")
ITEMS = ("A", "B")
MEMBERS = ("s1r0", "s1r1", "s1r2")


class Interleavings(RuleBasedStateMachine):
    """Everything that can happen between a checkout's steps, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        for item in ITEMS:
            self.world.set_stock(item, 3)
        for user in USERS:
            self.world.register(user)
        self.world.shard.holds = True
        self.world.inventory.holds = True
        self.keys = map(str, itertools.count())
        self.last_key: dict[str, str] = {}
        self.outcomes: dict[str, list[Outcome]] = {}

    # --- What happens ----------------------------------------------------------------

    @rule(user=st.sampled_from(USERS), item=st.sampled_from(ITEMS))
    def check_out(self, user: str, item: str) -> None:
        """Begin a checkout under a new key."""
        with_holds, self.world.shard.holds = self.world.shard.holds, False
        if self.world.shard.leader is not None:
            self.world.fill(user, **{item: 2})
            self._begin(user, next(self.keys))
        self.world.shard.holds = with_holds

    @precondition(lambda self: self.last_key)
    @rule(user=st.sampled_from(USERS))
    def check_out_again(self, user: str) -> None:
        """Send the last checkout again, under its key."""
        with_holds, self.world.shard.holds = self.world.shard.holds, False
        if user in self.last_key and self.world.shard.leader is not None:
            self._begin(user, self.last_key[user])
        self.world.shard.holds = with_holds

    def _begin(self, user: str, key: str) -> None:
        answer = self.world.begin(user, key)
        if isinstance(answer, Frozen):
            return
        self.last_key[user] = key
        if isinstance(answer, CheckoutBegun):
            settled = self.world.leader.settle(answer)
            settled.addCallbacks(self._heard, self._deposed, callbackArgs=(key,))
        else:
            self._heard(cast("Order | Refusal", answer), key)

    def _heard(self, outcome: Outcome, key: str) -> None:
        self.outcomes.setdefault(key, []).append(outcome)

    def _deposed(self, failure: Failure) -> None:
        failure.trap(DeposedError)

    @precondition(lambda self: self.world.inventory.on_their_way)
    @rule(how=st.sampled_from(("deliver", "lose", "lose_answer", "double")))
    def inventory(self, how: str) -> None:
        """A call reaches the inventory, or not, or twice, or its answer is lost."""
        getattr(self.world.inventory, how)()

    @precondition(lambda self: self.world.shard.waiting)
    @rule(lost=st.booleans())
    def shard(self, lost: bool) -> None:
        """The oldest proposal is committed, its answer perhaps lost."""
        self.world.shard.answers_lost = int(lost)
        self.world.shard.commit(1)
        self.world.shard.answers_lost = 0

    @rule(
        member=st.sampled_from(MEMBERS),
        committed=st.integers(0, 3),
        unnoticed=st.booleans(),
    )
    def lead(self, member: str, committed: int, unnoticed: bool) -> None:
        """Another member leads; of what waits some is in its log, the rest is lost."""
        if member == self.world.shard.leader:
            return
        if self.world.shard.members[member].deluded:
            self.world.shard.members[member].notice()
        self.world.shard.commit(committed)
        self.world.shard.elect(member, unnoticed=unnoticed)
        self.world.shard.lose()

    @rule(member=st.sampled_from(MEMBERS))
    def notice(self, member: str) -> None:
        """A paused former leader hears of the new one."""
        if self.world.shard.members[member].deluded:
            self.world.shard.members[member].notice()

    @rule(seconds=st.sampled_from((0.05, 0.4, SURVEY_SECONDS, REQUEST_TIMEOUT)))
    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.world.clock.advance(seconds)

    @rule(item=st.sampled_from(ITEMS), stock=st.integers(0, 4))
    def restock(self, item: str, stock: int) -> None:
        """The operator counts again."""
        self.world.set_stock(item, stock)

    # --- What must hold --------------------------------------------------------------

    @invariant()
    def stock_is_conserved(self) -> None:
        """S7: what is missing from stock has been taken, item by item."""

        def query(cursor: Cursor) -> list[tuple[str, int, int]]:
            cursor.execute(
                "SELECT item, initial_stock + operator_changes - stock, stock"
                " FROM items ORDER BY item"
            )
            return cursor.fetchall()

        taken: Counter[str] = Counter()
        for lines in self.world.taken().values():
            taken.update(lines)
        for item, missing, stock in self.world.stock.query(query):
            assert stock >= 0
            assert missing == taken[item]

    @invariant()
    def checkouts_are_whole(self) -> None:
        """S8: placed is taken, and taken is placed or pending, line by line."""
        placed, taken = self.world.placed(), self.world.taken()
        for order, lines in placed.items():
            assert taken[order] == lines
        pending = self.world.pending()
        for order in taken:
            assert order in placed or order in pending

    @invariant()
    def keys_have_one_outcome(self) -> None:
        """S6: whoever asks under a key hears the same, and it is true."""
        for outcomes in self.outcomes.values():
            assert all(outcome == outcomes[0] for outcome in outcomes)
            if isinstance(outcomes[0], Order):
                assert outcomes[0].id in self.world.placed()

    @invariant()
    def nothing_is_broken(self) -> None:
        assert self.world.broken == []

    def teardown(self) -> None:
        """When all is well again, every checkout ends without anybody's help."""
        world = self.world
        world.shard.holds = world.inventory.holds = False
        for log in world.shard.members.values():
            if log.deluded:
                log.notice()
        world.shard.lose()
        world.shard.elect("s1r0" if world.shard.leader != "s1r0" else "s1r1")
        while world.inventory.on_their_way:
            world.inventory.deliver()
        world.clock.advance(REQUEST_TIMEOUT)
        world.clock.advance(SETTLEMENT_RETRY_SECONDS_MAX)

        assert world.pending() == ()
        assert world.placed() == world.taken()
        self.stock_is_conserved()
        for user, key in self.last_key.items():
            self._begin(user, key)
            assert self.outcomes[key], "every key has an outcome"
            assert world.cart(user).pending is None
        self.keys_have_one_outcome()
        for coordinator in world.coordinators.values():
            coordinator.deposed()
        assert world.clock.getDelayedCalls() == []
        assert world.broken == []


class InterleavingsTests(SynchronousTestCase):
    """The saga cut anywhere, by anything."""

    def test_interleavings(self) -> None:
        """Lost, late and doubled messages and any leaders leave every promise kept."""
        run_state_machine_as_test(
            Interleavings,
            settings=settings(
                max_examples=60,
                stateful_step_count=40,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=[HealthCheck.too_slow],
            ),
        )
