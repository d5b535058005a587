"""The arguments of every call, and how they are checked.

The structs are named after their calls, as the commands of the logs are: use them as
``arguments.AddToCart``. What a struct holds has been checked for form, never against
state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, get_type_hints

import msgspec

from cartnet.errors import Refused
from cartnet.limits import (
    CART_LINES_MAX,
    ITEM_NAME_BYTES_MAX,
    LOG_LINES_DEFAULT,
    ORDERS_PER_PAGE_DEFAULT,
)
from cartnet.shop.commands import TakeLine
from cartnet.wire.exact import NotJson, read_exactly
from cartnet.wire.forms import (
    OPERATOR,
    ControlCommand,
    Flag,
    GroupId,
    GroupName,
    Index,
    ItemId,
    ItemName,
    LogLines,
    OrderId,
    OrdersLimit,
    Password,
    Price,
    Quantity,
    QuantityChange,
    QuantityOrNone,
    ReplicaName,
    RequestId,
    Revision,
    Stock,
    Total,
    Username,
    Word,
    canonical_username,
    has_name_form,
)
from cartnet.wire.shown import shown

__all__ = [
    "CALLS",
    "CONSOLE_CALLS",
    "OPERATOR",
    "READS",
    "TRUSTED_CALLS",
    "Arguments",
    "canonical_username",
    "decode_arguments",
]


class Arguments(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True
):
    """The base of every call's arguments."""


class Nothing(Arguments, frozen=True, forbid_unknown_fields=True):
    """The call takes no arguments."""


class Credentials(Arguments, frozen=True, forbid_unknown_fields=True):
    """``login``: the username is in its canonical form."""

    username: Username
    password: Password

    def __post_init__(self) -> None:
        _fold(self, self.username)


class CreateAccount(Credentials, frozen=True, forbid_unknown_fields=True):
    def __post_init__(self) -> None:
        if _fold(self, self.username) == OPERATOR:
            raise ValueError(f"username must not be {OPERATOR}, which is reserved")


class Login(Credentials, frozen=True, forbid_unknown_fields=True):
    pass


class WatchInventory(Arguments, frozen=True, forbid_unknown_fields=True):
    from_revision: Revision | None = None


class AddToCart(Arguments, frozen=True, forbid_unknown_fields=True):
    """``unchecked`` comes from balancers alone: their copy of the catalogue lacks the
    item, so that the inventory is to be asked whether there is one by now."""

    item: ItemId
    quantity: Quantity
    unchecked: Flag = False


class SetQuantity(Arguments, frozen=True, forbid_unknown_fields=True):
    """A quantity of 0 removes; ``unchecked`` as in :class:`AddToCart`."""

    item: ItemId
    quantity: QuantityOrNone
    unchecked: Flag = False


class RemoveFromCart(Arguments, frozen=True, forbid_unknown_fields=True):
    item: ItemId


class Checkout(Arguments, frozen=True, forbid_unknown_fields=True):
    expected_total: Total | None = None


class ListOrders(Arguments, frozen=True, forbid_unknown_fields=True):
    limit: OrdersLimit = ORDERS_PER_PAGE_DEFAULT
    before: OrderId | None = None


class GetOrder(Arguments, frozen=True, forbid_unknown_fields=True):
    order: OrderId


class PutItem(Arguments, frozen=True, forbid_unknown_fields=True):
    item: ItemId
    name: ItemName
    price: Price
    stock: Stock

    def __post_init__(self) -> None:
        if not has_name_form(self.name):
            raise ValueError(
                f"name must be at most {ITEM_NAME_BYTES_MAX} bytes as JSON,"
                f" not {shown(self.name)}"
            )


class RemoveItem(Arguments, frozen=True, forbid_unknown_fields=True):
    item: ItemId


class UpdateInventory(Arguments, frozen=True, forbid_unknown_fields=True):
    item: ItemId
    quantity_change: QuantityChange


class Cancel(Arguments, frozen=True, forbid_unknown_fields=True):
    id: RequestId


# --- Between replicas only -----------------------------------------------------------


class Locate(Arguments, frozen=True, forbid_unknown_fields=True):
    """Where does ``username`` live? The directory answers ``{shard}`` or null."""

    username: Username

    def __post_init__(self) -> None:
        _fold(self, self.username)


class Assign(Locate, frozen=True, forbid_unknown_fields=True):
    """Give ``username`` a home where it has none: ``{shard}``."""


class FindItem(Arguments, frozen=True, forbid_unknown_fields=True):
    item: ItemId


class SetStock(Arguments, frozen=True, forbid_unknown_fields=True):
    item: ItemId
    stock: Stock


class Take(Arguments, frozen=True, forbid_unknown_fields=True):
    """A shard's checkout, to be decided by the inventory (commands.Take)."""

    group_id: GroupId
    index: Index
    lines: tuple[TakeLine, ...]
    finished: Index
    expected_total: Total | None = None

    def __post_init__(self) -> None:
        # The machine takes these for granted: it would stop on every replica.
        if not 1 <= len(self.lines) <= CART_LINES_MAX:
            raise ValueError(f"lines must be 1 to {CART_LINES_MAX}")
        if len({line.item for line in self.lines}) != len(self.lines):
            raise ValueError("lines must be of different items")
        for line in self.lines:
            try:
                msgspec.convert(line.item, ItemId)
                msgspec.convert(line.quantity, Quantity)
            except msgspec.ValidationError:
                raise ValueError("lines must be items and quantities") from None


class Supervise(Arguments, frozen=True, forbid_unknown_fields=True):
    """A command for the supervisor of the process that runs this replica.

    :ivar target: who is to lead, for ``transfer``.
    :ivar lines: how many of the last lines of its log, for ``log``.
    """

    command: Word
    replica: ReplicaName | None = None
    target: ReplicaName | None = None
    lines: LogLines = LOG_LINES_DEFAULT


# --- At the console only -------------------------------------------------------------


class ControlReplica(Arguments, frozen=True, forbid_unknown_fields=True):
    replica: ReplicaName
    command: ControlCommand


class Transfer(Arguments, frozen=True, forbid_unknown_fields=True):
    """Have ``to`` lead its group."""

    group: GroupName
    to: ReplicaName


class GetLog(Arguments, frozen=True, forbid_unknown_fields=True):
    replica: ReplicaName
    lines: LogLines = LOG_LINES_DEFAULT


CALLS: Final[Mapping[str, type[Arguments]]] = {
    "create_account": CreateAccount,
    "login": Login,
    "logout": Nothing,
    "whoami": Nothing,
    "get_inventory": Nothing,
    "watch_inventory": WatchInventory,
    "get_cart": Nothing,
    "add_to_cart": AddToCart,
    "set_quantity": SetQuantity,
    "remove_from_cart": RemoveFromCart,
    "checkout": Checkout,
    "list_orders": ListOrders,
    "get_order": GetOrder,
    "put_item": PutItem,
    "remove_item": RemoveItem,
    "update_inventory": UpdateInventory,
    "reset_inventory": Nothing,
    "cancel": Cancel,
    "ping": Nothing,
    "status": Nothing,
    "heartbeat": Nothing,
}
"""The calls that anyone may send."""

TRUSTED_CALLS: Final[Mapping[str, type[Arguments]]] = {
    "locate": Locate,
    "assign": Assign,
    "find_item": FindItem,
    "set_stock": SetStock,
    "take": Take,
    "watch_cart": Nothing,
    "conservation": Nothing,
    "supervise": Supervise,
}
"""The calls that need a proven hello."""

CONSOLE_CALLS: Final[Mapping[str, type[Arguments]]] = {
    "watch_cart": Nothing,
    "watch_cluster": Nothing,
    "get_cluster": Nothing,
    "control_replica": ControlReplica,
    "transfer": Transfer,
    "get_log": GetLog,
}
"""What the console answers besides the calls of :data:`CALLS`."""

READS: Final = frozenset(
    {
        "whoami",
        "get_inventory",
        "get_cart",
        "list_orders",
        "get_order",
        "locate",
        "find_item",
        "conservation",
    }
)
"""The calls that may be ``stale``."""

LARGE: Final = frozenset(
    {
        "get_inventory",
        "put_item",
        "remove_item",
        "update_inventory",
        "reset_inventory",
        "list_orders",
    }
)
"""The calls whose answers may fill a line."""

_TRUSTED_FIELDS: Final = frozenset({"unchecked"})
_SECRET_FIELDS: Final = frozenset({"password"})


def decode_arguments(
    call: str, raw: msgspec.Raw, *, trusted: bool, console: bool = False
) -> Arguments:
    """Check a call's arguments.

    :param trusted: whether the caller proved the cluster's secret.
    :param console: whether it is the console that was called.
    :raises Refused: ``bad_request``, with a sentence that names the argument, what was
        wrong and what would be right; ``forbidden`` for a replica's call.
    """
    spec = (_CONSOLE_SPECS.get(call) if console else None) or _SPECS.get(call)
    if spec is None:
        raise Refused("bad_request", f"there is no call {shown(call)}")
    if spec.trusted and not trusted:
        raise Refused("forbidden", f"{call} is for the cluster's own replicas")
    line = bytes(raw)
    if b"\\" not in line:
        try:
            arguments: Arguments = spec.decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            pass
        else:
            # As many colons as fields are present: no key stands twice.
            colons = line.count(b":")
            if colons == spec.required_count:
                return arguments
            may_have_all = trusted or not spec.has_trusted_fields
            if may_have_all and colons == spec.present_count(arguments):
                return arguments
    return spec.decode_exactly(line, trusted)


def _fold(credentials: Any, username: str) -> str:
    try:
        folded = canonical_username(username)
    except ValueError:
        form = _description(Username)
        raise ValueError(f"username must be {form}, not {shown(username)}") from None
    if folded != username:
        msgspec.structs.force_setattr(credentials, "username", folded)
    return folded


@dataclass
class _Spec:
    """One call's arguments: the quick way to them, and the exact one."""

    call: str
    struct: type[Arguments]
    trusted: bool
    forms: dict[str, Any] = field(default_factory=dict)
    optional: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        hints = get_type_hints(self.struct, include_extras=True)
        for info in msgspec.structs.fields(self.struct):
            self.forms[info.name] = hints[info.name]
            if not info.required:
                self.optional[info.name] = info.default
        self.required_count = len(self.forms) - len(self.optional)
        self.has_trusted_fields = not _TRUSTED_FIELDS.isdisjoint(self.forms)
        self.decode = msgspec.json.Decoder(self.struct).decode

    def present_count(self, arguments: Arguments) -> int:
        """How many fields were certainly present, those of lines included."""
        count = self.required_count
        for name, default in self.optional.items():
            count += getattr(arguments, name) != default
        if isinstance(arguments, Take):
            count += len(TakeLine.__struct_fields__) * len(arguments.lines)
        return count

    def decode_exactly(self, line: bytes, trusted: bool) -> Arguments:
        try:
            exact = read_exactly(line)
        except NotJson as error:
            raise Refused("bad_request", f"args is not JSON: {error}") from None
        if exact.fault is not None:
            raise Refused("bad_request", exact.fault)
        given = exact.value
        if not isinstance(given, dict):
            raise Refused("bad_request", f"args must be an object, not {shown(given)}")
        forms = self.forms
        if not trusted:
            forms = {name: forms[name] for name in forms.keys() - _TRUSTED_FIELDS}
        complaint = self._complaint(given, forms)
        if complaint is not None:
            raise Refused("bad_request", complaint)
        try:
            return msgspec.convert(given, self.struct)
        except msgspec.ValidationError as error:
            # Only the struct's own checks are left, and they speak to people.
            raise Refused("bad_request", str(error)) from None

    def _complaint(self, given: dict[str, Any], forms: dict[str, Any]) -> str | None:
        for name in given:
            if name not in forms:
                known = ", ".join(n for n in self.forms if n in forms) or "none"
                return f"{self.call} has no argument {shown(name)}; it takes: {known}"
        for name in (name for name in self.forms if name in forms):
            if name not in given:
                if name not in self.optional:
                    form = _description(forms[name])
                    return f"{name} is missing; it must be {form}"
                continue
            try:
                msgspec.convert(given[name], forms[name])
            except msgspec.ValidationError:
                wrong = f"{name} must be {_description(forms[name])}"
                if name in _SECRET_FIELDS:
                    return wrong
                return f"{wrong}, not {shown(given[name])}"
        return None


def _description(form: Any) -> str:
    """Say what is right; the outermost description in a form counts."""
    for meta in getattr(form, "__metadata__", ()):
        if meta.description is not None:
            return str(meta.description)
    for part in getattr(form, "__args__", ()):
        if part is not type(None) and hasattr(part, "__metadata__"):
            return _description(part)
    return "a list of {item, quantity}"


_SPECS: Final = {
    call: _Spec(call, struct, trusted)
    for trusted, calls in ((False, CALLS), (True, TRUSTED_CALLS))
    for call, struct in calls.items()
}
_CONSOLE_SPECS: Final = {
    call: _Spec(call, struct, trusted=False) for call, struct in CONSOLE_CALLS.items()
}
