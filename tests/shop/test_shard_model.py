"""A shard against a plain model of it, whatever is done in whatever order."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)
from twisted.trial.unittest import SynchronousTestCase

from cartnet.limits import KEY_SECONDS_MAX, SESSION_SECONDS_MAX
from cartnet.shop import answers, carts, orders
from cartnet.shop.accounts import UNAUTHENTICATED
from cartnet.shop.answers import (
    Answer,
    Cart,
    CartLine,
    CheckoutBegun,
    Frozen,
    Nothing,
    Order,
    Refusal,
    ShownLine,
)
from cartnet.shop.commands import (
    AddToCart,
    BeginCheckout,
    Decision,
    FinishCheckout,
    Lapsed,
    OpenSession,
    OrderLine,
    OutOfStock,
    PriceChanged,
    RemoveFromCart,
    SetQuantity,
    Shortage,
    TakeLine,
    Taken,
)
from cartnet.shop.keys import CONFLICT
from cartnet.shop.shard import EMPTY_CART, UNKNOWN_ITEM, UserCommand
from tests.shop.feeding import shard

USERS = st.sampled_from(("ada", "bob"))
ITEMS = st.sampled_from(("A", "B", "C"))
KEYS = st.sampled_from((None, "k1", "k2", "k3"))
QUANTITIES = st.integers(1, 3)
KINDS = st.sampled_from(("t", "t", "s", "p", "l"))
TOTALS = st.sampled_from((None, 100))


@dataclass
class UserModel:
    """One user: the cart in order, orders by index, what keys came to."""

    lines: dict[str, int] = field(default_factory=dict)
    version: int = 0
    pending: int | None = None
    orders: dict[int, Order] = field(default_factory=dict)
    totals: dict[int, int | None] = field(default_factory=dict)
    keys: dict[str, tuple[int, object, Refusal | int | None]] = field(
        default_factory=dict
    )
    session: str = ""
    session_ends: int = 0

    def cart(self) -> Cart:
        lines = tuple(CartLine(*line) for line in self.lines.items())
        return Cart(self.version, lines, order_id(self.pending))

    def begun(self, index: int) -> CheckoutBegun:
        order = self.orders[index]
        lines = tuple(TakeLine(line.item, line.quantity) for line in order.lines)
        return CheckoutBegun(order.id, index, lines, self.totals[index])


def order_id(index: int | None) -> str | None:
    return None if index is None else f"feed-{index}"


def meaning(command: UserCommand) -> object:
    """Return the call and its arguments alone, as what a key stands for."""
    match command:
        case AddToCart():
            return "add", command.item, command.quantity
        case SetQuantity():
            return "set", command.item, command.quantity
        case RemoveFromCart():
            return "remove", command.item
        case BeginCheckout():
            return "checkout", command.expected_total


class ShardModel(RuleBasedStateMachine):
    """Commands of two users; every answer and every read is the model's."""

    def __init__(self) -> None:
        super().__init__()
        self.group = shard()
        self.users = {"ada": UserModel(), "bob": UserModel()}
        self.begun: list[tuple[str, CheckoutBegun]] = []
        self.sent: list[tuple[str, UserCommand]] = []
        for username in self.users:
            self.group.log_in(username)
            self._log_in(username)

    def _log_in(self, username: str) -> None:
        session = f"{username}-{self.group.index}"
        self.group.do(OpenSession(username, f"hash-of-{username}", session))
        user = self.users[username]
        user.session = session
        user.session_ends = self.group.time + SESSION_SECONDS_MAX

    @rule(username=USERS)
    def log_in(self, username: str) -> None:
        self._log_in(username)

    @rule(seconds=st.sampled_from((1, KEY_SECONDS_MAX // 2, SESSION_SECONDS_MAX // 4)))
    def wait(self, seconds: int) -> None:
        self.group.time += seconds

    @rule(
        username=USERS, key=KEYS, item=ITEMS, quantity=QUANTITIES, unknown=st.booleans()
    )
    def add(
        self, username: str, key: str | None, item: str, quantity: int, unknown: bool
    ) -> None:
        session = self.users[username].session
        unknown = unknown and item == "C"
        self._do(username, AddToCart(session, key, item, quantity, unknown))

    @rule(username=USERS, key=KEYS, item=ITEMS, quantity=st.integers(0, 3))
    def set_quantity(
        self, username: str, key: str | None, item: str, quantity: int
    ) -> None:
        session = self.users[username].session
        self._do(username, SetQuantity(session, key, item, quantity))

    @rule(username=USERS, key=KEYS, item=ITEMS)
    def remove(self, username: str, key: str | None, item: str) -> None:
        session = self.users[username].session
        self._do(username, RemoveFromCart(session, key, item))

    @rule(username=USERS, key=KEYS, expected_total=TOTALS)
    def begin(self, username: str, key: str | None, expected_total: int | None) -> None:
        session = self.users[username].session
        answer = self._do(username, BeginCheckout(session, key, expected_total))
        if isinstance(answer, CheckoutBegun):
            self.begun.append((username, answer))

    @rule(choice=st.integers(0, 1000), kind=KINDS)
    def finish(self, choice: int, kind: str) -> None:
        """Finish any order that was ever begun, perhaps again."""
        if self.begun:
            self._finish(*self.begun[-1 - choice % len(self.begun)], kind)

    @rule(username=USERS, key=KEYS, kind=KINDS)
    def check_out(self, username: str, key: str | None, kind: str) -> None:
        """Begin, finish, and ask again, as a caller does who lost the answer."""
        self.add(username, None, "A", 1, unknown=False)
        self.begin(username, key, None)
        if self.begun:
            self._finish(*self.begun[-1], kind)
        self.begin(username, key, None)

    def _finish(self, username: str, begun: CheckoutBegun, kind: str) -> None:
        lines = tuple(
            OrderLine(line.item, f"Item {line.item}", line.quantity, 7)
            for line in begun.lines
        )
        total = sum(line.quantity * line.price for line in lines)
        decision: Decision
        match kind:
            case "t":
                decision = Taken(lines, total, self.group.time)
            case "s":
                decision = OutOfStock((Shortage(lines[0].item, 2, 1),))
            case "p":
                decision = PriceChanged(total, lines)
            case _:
                decision = Lapsed()
        expected = self._expect_finish(self.users[username], begun.index, decision)

        answer = self.group.do(FinishCheckout(begun.order, decision))

        assert answer == expected

    @rule(
        choice=st.integers(0, 3),
        seconds=st.sampled_from((0, 0, 0, KEY_SECONDS_MAX - 1, KEY_SECONDS_MAX)),
    )
    def repeat(self, choice: int, seconds: int) -> None:
        """Send again what was sent lately, as a caller does who lost the answer."""
        if not self.sent:
            return
        self.group.time += seconds
        username, command = self.sent[-1 - choice % len(self.sent)]
        answer = self._do(username, command)
        if isinstance(answer, CheckoutBegun):
            self.begun.append((username, answer))

    def _do(self, username: str, command: UserCommand) -> Answer:
        self.sent.append((username, command))
        expected = self._expect(self.users[username], command)
        answer = self.group.do(command)
        assert answer == expected, (answer, expected)
        return answer

    def _expect(self, user: UserModel, command: UserCommand) -> Answer:
        now, index = self.group.time, self.group.index + 1
        if now >= user.session_ends:
            return UNAUTHENTICATED
        key = command.key
        if key in user.keys and now - user.keys[key][0] < KEY_SECONDS_MAX:
            _, used_for, outcome = user.keys[key]
            if used_for != meaning(command):
                return CONFLICT
            if isinstance(outcome, Refusal):
                return outcome
            if outcome is None:
                return user.cart()
            if user.orders[outcome].status == "pending":
                return user.begun(outcome)
            return user.orders[outcome]
        answer = self._expect_new(user, index, command)
        if key is not None and not isinstance(answer, Frozen):
            came_to: Refusal | int | None = None
            if isinstance(answer, Refusal):
                came_to = answer
            elif isinstance(answer, CheckoutBegun):
                came_to = index
            user.keys[key] = (now, meaning(command), came_to)
        return answer

    def _expect_new(self, user: UserModel, index: int, command: UserCommand) -> Answer:
        unknown = getattr(command, "unknown_item", False)
        if unknown and command.quantity:
            return UNKNOWN_ITEM
        if user.pending is not None:
            return Frozen(f"feed-{user.pending}")
        before = dict(user.lines)
        match command:
            case AddToCart():
                quantity = user.lines.get(command.item, 0) + command.quantity
                user.lines[command.item] = quantity
            case SetQuantity() if command.quantity:
                user.lines[command.item] = command.quantity
            case SetQuantity() | RemoveFromCart():
                user.lines.pop(command.item, None)
            case BeginCheckout():
                if not user.lines:
                    return EMPTY_CART
                lines = tuple(
                    ShownLine(item, None, quantity, None)
                    for item, quantity in user.lines.items()
                )
                order = Order(f"feed-{index}", "pending", lines, None, None)
                user.orders[index] = order
                user.totals[index] = command.expected_total
                user.pending = index
                return user.begun(index)
        user.version += user.lines != before
        return user.cart()

    def _expect_finish(self, user: UserModel, index: int, decision: Decision) -> Answer:
        if index not in user.orders:
            return Nothing()
        if user.orders[index].status == "placed":
            return user.orders[index]
        user.pending = None
        if isinstance(decision, Taken):
            lines = tuple(
                ShownLine(line.item, line.name, line.quantity, line.price)
                for line in decision.lines
            )
            user.orders[index] = Order(
                f"feed-{index}", "placed", lines, decision.total, decision.taken_at
            )
            user.lines.clear()
            user.version += 1
            return user.orders[index]
        del user.orders[index]
        match decision:
            case OutOfStock():
                refusal = answers.out_of_stock(decision)
            case PriceChanged():
                refusal = answers.price_changed(decision)
            case Lapsed():
                refusal = answers.lapsed()
        for key, (time, used_for, outcome) in user.keys.items():
            if outcome == index:
                user.keys[key] = (time, used_for, refusal)
        return refusal

    @invariant()
    def reads_are_the_models(self) -> None:
        pending = []
        for username, user in self.users.items():
            cart = self.group.read(lambda c, u=username: carts.read(c, u))
            assert cart == user.cart()
            page = self.group.read(
                lambda c, u=username: orders.listing(c, u, 1000, None)
            )
            newest_first = sorted(user.orders.items(), reverse=True)
            assert list(page.orders) == [order for _, order in newest_first]
            if user.pending is not None:
                pending.append(user.begun(user.pending))
        pending.sort(key=lambda begun: begun.index)
        assert self.group.read(orders.pending) == tuple(pending)
        finished = self.group.read(orders.finished_index)
        assert all(begun.index > finished for begun in pending)

    def teardown(self) -> None:
        assert self.group.replay().tables() == self.group.replica.tables()


class ShardModelTests(SynchronousTestCase):
    """A shard does what its model does."""

    def test_model(self) -> None:
        """Every answer and read is the model's; a second replica is equal (S4, S6)."""
        run_state_machine_as_test(
            ShardModel,
            settings=settings(max_examples=60, stateful_step_count=40, deadline=None),
        )
