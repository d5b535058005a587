from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from cartnet.checkout.coordinator import DeposedError
from cartnet.checkout.saga import Outcome
from cartnet.errors import Refused
from cartnet.limits import (
    SETTLEMENT_RETRY_SECONDS_MAX,
    SETTLEMENTS_AT_ONCE_MAX,
    SURVEY_SECONDS,
)
from cartnet.shop.answers import CheckoutBegun, Order, Refusal
from tests.checkout.world import REQUEST_TIMEOUT, World


class CoordinatorTests(SynchronousTestCase):
    """Pending orders come to an end."""

    def setUp(self) -> None:
        self.world = World()
        self.world.register("ada")
        self.world.fill("ada", A=2, B=1)

    def tearDown(self) -> None:
        self.assertEqual(self.world.broken, [])
        for coordinator in self.world.coordinators.values():
            coordinator.deposed()
        self.assertEqual(self.world.clock.getDelayedCalls(), [])

    def _checkout(self, user: str = "ada") -> Deferred[Outcome]:
        begun = self.world.begin(user, key=f"key of {user}")
        assert isinstance(begun, CheckoutBegun)
        return self.world.leader.settle(begun)

    def test_placed(self) -> None:
        """What is in stock becomes an order, and the cart is empty."""
        outcome = self.successResultOf(self._checkout())

        assert isinstance(outcome, Order)
        self.assertEqual((outcome.status, outcome.total), ("placed", 450))
        self.assertEqual(self.world.placed(), {outcome.id: {"A": 2, "B": 1}})
        self.assertEqual(self.world.taken(), self.world.placed())
        self.assertEqual(self.world.quantities("ada"), {})
        self.assertEqual(self.world.stock_of("A"), 98)

    def test_refused(self) -> None:
        """What is not in stock stays in the cart, and nothing is taken at all."""
        self.world.set_stock("A", 1)

        outcome = self.successResultOf(self._checkout())

        assert isinstance(outcome, Refusal)
        self.assertEqual(outcome.code, "out_of_stock")
        self.assertEqual(self.world.quantities("ada"), {"A": 2, "B": 1})
        self.assertIsNone(self.world.cart("ada").pending)
        self.assertEqual(self.world.taken(), {})
        self.assertEqual(self.world.stock_of("B"), 100)

    def test_last_item(self) -> None:
        """Of fifty checkouts of the last item one gets it; the other carts stay."""
        world = self.world
        world.set_stock("C", 1)
        world.inventory.holds = True
        users = [f"user{number}" for number in range(50)]
        outcomes = []
        for user in users:
            world.register(user)
            world.fill(user, C=1)
            outcomes.append(self._checkout(user))

        while world.inventory.on_their_way:
            world.inventory.deliver()

        results = [self.successResultOf(outcome) for outcome in outcomes]
        self.assertEqual(sum(isinstance(result, Order) for result in results), 1)
        refused = [result for result in results if isinstance(result, Refusal)]
        self.assertEqual({refusal.code for refusal in refused}, {"out_of_stock"})
        self.assertEqual(len(refused), 49)
        self.assertEqual(world.stock_of("C"), 0)
        full = [user for user in users if world.quantities(user) == {"C": 1}]
        self.assertEqual(len(full), 49)

    def test_found_by_a_new_leader(self) -> None:
        """An order that was cut off is finished by whoever leads next, unasked."""
        self.world.inventory.down = True
        waiting = self._checkout()

        self.world.shard.elect("s1r1")

        self.failureResultOf(waiting, DeposedError)
        self.world.inventory.down = False
        self.world.clock.advance(SETTLEMENT_RETRY_SECONDS_MAX)
        self.assertEqual(self.world.pending(), ())
        self.assertEqual(self.world.taken(), self.world.placed())
        self.assertEqual(len(self.world.placed()), 1)

    def test_found_by_the_same_leader(self) -> None:
        """An order whose caller never heard that it began is finished all the same."""
        self.world.begin("ada")
        self.assertEqual(len(self.world.pending()), 1)

        self.world.clock.advance(SURVEY_SECONDS)

        self.assertEqual(self.world.pending(), ())
        self.assertEqual(len(self.world.placed()), 1)

    def test_inventory_outage(self) -> None:
        """The inventory is asked until it answers, less and less often."""
        self.world.inventory.down = True
        waiting = self._checkout()
        self.world.clock.pump([0.1] * 600)
        self.assertNoResult(waiting)
        self.assertEqual(self.world.taken(), {})

        self.world.inventory.down = False
        self.world.clock.advance(SETTLEMENT_RETRY_SECONDS_MAX)

        self.assertIsInstance(self.successResultOf(waiting), Order)

    def test_silent_inventory(self) -> None:
        """A call that is never answered is given up, and made again."""
        self.world.inventory.holds = True
        waiting = self._checkout()
        self.world.clock.advance(REQUEST_TIMEOUT)
        self.world.inventory.holds = False

        self.world.clock.advance(SETTLEMENT_RETRY_SECONDS_MAX)

        self.assertIsInstance(self.successResultOf(waiting), Order)
        self.assertEqual(self.world.stock_of("A"), 98)

    def test_taken_but_unanswered(self) -> None:
        """Asking again takes nothing again."""
        self.world.inventory.holds = True
        waiting = self._checkout()
        self.world.inventory.lose_answer()
        self.world.clock.advance(SETTLEMENT_RETRY_SECONDS_MAX)

        self.world.inventory.deliver()

        self.assertIsInstance(self.successResultOf(waiting), Order)
        self.assertEqual(self.world.inventory.taken_count, 2)
        self.assertEqual(self.world.stock_of("A"), 98)

    def test_finished_but_unanswered(self) -> None:
        """A finish whose answer is lost is proposed again, and its caller hears it."""
        for stock, kind in ((100, Order), (0, Refusal)):
            self.world.set_stock("A", stock)
            begun = self.world.begin("ada", key=f"stock {stock}")
            if not isinstance(begun, CheckoutBegun):
                self.world.fill("ada", A=1)
                begun = self.world.begin("ada", key="again")
            assert isinstance(begun, CheckoutBegun)
            self.world.shard.answers_lost = 1

            waiting = self.world.leader.settle(begun)

            self.assertNoResult(waiting)
            self.world.clock.advance(REQUEST_TIMEOUT)
            self.world.clock.advance(SETTLEMENT_RETRY_SECONDS_MAX)
            self.assertIsInstance(self.successResultOf(waiting), kind)

    def test_one_settlement_of_an_order(self) -> None:
        """Callers, surveys and retries of one order share one way."""
        self.world.inventory.holds = True
        begun = self.world.begin("ada", key="k")
        assert isinstance(begun, CheckoutBegun)
        waiting = [self.world.leader.settle(begun) for _ in range(5)]
        self.world.clock.advance(SURVEY_SECONDS)

        self.assertEqual(len(self.world.inventory.on_their_way), 1)
        self.world.inventory.deliver()

        outcomes = [self.successResultOf(waiter) for waiter in waiting]
        self.assertEqual(len(set(map(repr, outcomes))), 1)

    def test_a_waiter_may_leave(self) -> None:
        """Who stops waiting stops nothing."""
        self.world.inventory.holds = True
        waiting = self._checkout()

        waiting.cancel()

        self.failureResultOf(waiting)
        self.world.inventory.deliver()
        self.assertEqual(len(self.world.placed()), 1)

    def test_ended(self) -> None:
        """Who waits for a cart to thaw hears when its order is over, found or not."""
        self.world.inventory.holds = True
        begun = self.world.begin("ada")
        assert isinstance(begun, CheckoutBegun)

        waiting = self.world.leader.ended(begun.order)

        self.assertNoResult(waiting)
        self.world.inventory.deliver()
        self.successResultOf(waiting)
        self.successResultOf(self.world.leader.ended(begun.order))

    def test_deposed(self) -> None:
        """A deposed coordinator does nothing more, and says so to who waits."""
        self.world.inventory.holds = True
        waiting = self._checkout()
        former = self.world.leader

        self.world.shard.elect(None)
        self.world.inventory.deliver()

        self.failureResultOf(waiting, DeposedError)
        self.assertEqual(len(self.world.pending()), 1)
        begun = CheckoutBegun("shard-1", 1, (), None)
        self.failureResultOf(former.settle(begun), DeposedError)
        self.failureResultOf(former.ended("shard-1"), DeposedError)

    def test_late_message_of_a_former_leader(self) -> None:
        """A take that comes after its order was refused and forgotten takes nothing."""
        world = self.world
        world.set_stock("A", 0)
        world.inventory.holds = True
        self._checkout().addErrback(lambda failure: failure.trap(DeposedError))
        late = world.inventory.on_their_way.pop()
        world.inventory.holds = False
        world.shard.elect("s1r1")
        world.clock.advance(SURVEY_SECONDS)
        self.assertEqual(world.pending(), ())
        world.set_stock("A", 100)
        world.register("bob")
        world.fill("bob", A=1)
        self.successResultOf(self._checkout("bob"))
        world.fill("bob", A=1)
        world.clock.advance(SURVEY_SECONDS)
        begun = world.begin("bob")
        assert isinstance(begun, CheckoutBegun)
        self.successResultOf(world.leader.settle(begun))

        answer = world.inventory.do(late)

        self.assertEqual(bytes(answer), b'{"type":"lapsed"}')
        self.assertEqual(world.taken(), world.placed())
        self.assertEqual(world.stock_of("A"), 98)

    def test_bounded_at_once(self) -> None:
        """More orders than may be under way take their turns, and all end."""
        world = self.world
        world.inventory.holds = True
        count = SETTLEMENTS_AT_ONCE_MAX + 10
        for number in range(count):
            world.register(f"user{number}")
            world.fill(f"user{number}", C=1)
            world.begin(f"user{number}")
        world.set_stock("C", count)

        world.clock.advance(SURVEY_SECONDS)

        self.assertEqual(len(world.inventory.on_their_way), SETTLEMENTS_AT_ONCE_MAX)
        while world.inventory.on_their_way:
            world.inventory.deliver()
        self.assertEqual(world.pending(), ())
        self.assertEqual(world.stock_of("C"), 0)

    def test_deposed_with_many_in_turn(self) -> None:
        """Orders that wait for their turn when their leader is deposed, however many,
        take none with them."""
        world = self.world
        world.inventory.holds = True
        count = 2 * SETTLEMENTS_AT_ONCE_MAX
        for number in range(count):
            world.register(f"user{number}")
            world.fill(f"user{number}", C=1)
            world.begin(f"user{number}")
        world.clock.advance(SURVEY_SECONDS)
        leader = world.leader

        leader.deposed()
        world.inventory.on_their_way.clear()
        leader.led()

        self.assertEqual(len(world.inventory.on_their_way), SETTLEMENTS_AT_ONCE_MAX)

    def test_undecided(self) -> None:
        """Orders that the inventory refuses to decide, however many, keep no other
        from its turn."""
        world = self.world
        for number in range(SETTLEMENTS_AT_ONCE_MAX):
            world.register(f"user{number}")
            world.fill(f"user{number}", C=1)
            begun = world.begin(f"user{number}")
            assert isinstance(begun, CheckoutBegun)
            world.inventory.undecided.add(begun.index)
        world.clock.advance(SURVEY_SECONDS)

        self.assertIsInstance(self.successResultOf(self._checkout()), Order)
        self.assertEqual(len(world.pending()), SETTLEMENTS_AT_ONCE_MAX)

    def test_unreadable(self) -> None:
        """A survey that fails is made again."""
        log = self.world.shard.members["s1r0"]
        self.world.begin("ada")
        log.reads_refused = Refused("overloaded", "busy")
        self.world.clock.advance(SURVEY_SECONDS)
        self.assertEqual(len(self.world.pending()), 1)

        log.reads_refused = None
        self.world.clock.advance(SURVEY_SECONDS)

        self.assertEqual(self.world.pending(), ())

    def test_not_understood(self) -> None:
        """An answer that cannot be read decides nothing; the order waits for one."""
        self.world.inventory.garbled = True
        waiting = self._checkout()
        self.assertNoResult(waiting)
        self.assertEqual(len(self.world.pending()), 1)

        self.world.inventory.garbled = False
        self.world.clock.advance(SETTLEMENT_RETRY_SECONDS_MAX)

        self.assertIsInstance(self.successResultOf(waiting), Order)

    def test_broken(self) -> None:
        """A failure that must not be is reported, so that the replica stops."""
        self.world.shard.members["s1r0"].reads_refused = ZeroDivisionError()

        self.world.clock.advance(SURVEY_SECONDS)

        [failure] = self.world.broken
        self.assertIs(failure.type, ZeroDivisionError)
        self.world.broken.clear()
