"""The inventory: items, the decision of every checkout, and the operator's account.

An item's revision is the log index of its last change, and a removed item stays as a
row: "what changed since" is a query. Every row also counts what has been put in and
taken out by the operator, so that stock can be accounted for at every index (S7):
``initial_stock + operator_changes - stock`` is the sum of its takings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, assert_never

import msgspec

from cartnet.shop import accounts, catalogue, group, keys, takings, users
from cartnet.shop.answers import (
    Answer,
    InventoryChanged,
    Nothing,
    Refusal,
)
from cartnet.shop.catalogue import changes, find, items
from cartnet.shop.commands import (
    ChangeStock,
    CloseSession,
    Found,
    InventoryCommand,
    OpenSession,
    PutItem,
    RemoveItem,
    ResetInventory,
    SetOperatorPassword,
    SetStock,
    Stamped,
    Take,
)

if TYPE_CHECKING:
    from cartnet.seams import Cursor

__all__ = [
    "InventoryMachine",
    "OperatorCommand",
    "changes",
    "find",
    "items",
    "remembered",
]

OperatorCommand = PutItem | RemoveItem | ChangeStock | ResetInventory
"""What the logged-in operator does, perhaps under a key; or the admin line."""

ITEM_UNKNOWN: Final = Refusal("not_found", "There is no such item in the inventory.")

_DECODER = msgspec.json.Decoder(Stamped[InventoryCommand])


class InventoryMachine:
    """The machine of the inventory's group."""

    def create(self, cursor: Cursor) -> None:
        """Make the machine's tables where they are missing."""
        users.create_tables(cursor)
        catalogue.create_tables(cursor)
        takings.create_tables(cursor)

    def apply(self, cursor: Cursor, index: int, payload: msgspec.Raw | bytes) -> Answer:
        """Apply one command, as :class:`~cartnet.shop.machine.Machine` says."""
        stamped = _DECODER.decode(payload)
        now = users.advance(cursor, stamped.time)
        command = stamped.command
        match command:
            case Found():
                if group.found(cursor, command.group_id):
                    catalogue.reset(cursor, index)
                return Nothing()
            case SetOperatorPassword():
                return accounts.set_operator_password(
                    cursor, now, command.password_hash, replace=command.replace
                )
            case _ if group.group_id(cursor) is None:
                # What it is to hold at first is not there yet: nothing could be taken.
                return group.FORMING
            case Take():
                return takings.decide(cursor, index, now, command)
            case PutItem() | RemoveItem() | ChangeStock() | ResetInventory():
                return _do_once(cursor, index, now, command)
            case SetStock():
                return _set_stock(cursor, index, command)
            case OpenSession():
                return accounts.open_session(cursor, index, now, command)
            case CloseSession():
                return accounts.close_session(cursor, now, command.session)
            case _:
                assert_never(command)


def remembered(cursor: Cursor, command: OperatorCommand, now: int) -> Answer | None:
    """Return the answer that the log would give without doing anything new.

    That is ``unauthenticated``, or what the command's key came to before; ``None``
    where the command has no key, or a new one. A read: ``now`` is in Unix seconds.
    """
    if not _authenticated(cursor, command.session, now):
        return accounts.UNAUTHENTICATED
    keyed = _keyed(command)
    return None if keyed is None else _recall(cursor, keyed, now)


def _authenticated(cursor: Cursor, session: str | None, now: int) -> bool:
    """Say whether the operator asks; without a session it is the admin line."""
    if session is None:
        return True
    return accounts.session_user(cursor, session, now) == accounts.OPERATOR


def _keyed(command: OperatorCommand) -> keys.KeyedCall | None:
    """Return the call that the command stands for, by its public name."""
    user, key = accounts.OPERATOR, command.key
    match command:
        case PutItem():
            return keys.keyed_call(
                user,
                key,
                "put_item",
                (command.item, command.name, command.price, command.stock),
            )
        case RemoveItem():
            return keys.keyed_call(user, key, "remove_item", (command.item,))
        case ChangeStock():
            return keys.keyed_call(
                user,
                key,
                "update_inventory",
                (command.item, command.quantity_change),
            )
        case ResetInventory():
            return keys.keyed_call(user, key, "reset_inventory", ())
        case _:
            assert_never(command)


def _recall(cursor: Cursor, keyed: keys.KeyedCall, now: int) -> Answer | None:
    recalled = keys.recall(cursor, keyed, now)
    if recalled is None or isinstance(recalled, Refusal):
        return recalled
    return recalled.refusal or _changed(cursor)


def _do_once(cursor: Cursor, index: int, now: int, command: OperatorCommand) -> Answer:
    """Do an operator's command, unless its key tells what it came to before."""
    if not _authenticated(cursor, command.session, now):
        return accounts.UNAUTHENTICATED
    keyed = _keyed(command)
    if keyed is None:
        return _do(cursor, index, command) or _changed(cursor)
    recalled = _recall(cursor, keyed, now)
    if recalled is not None:
        return recalled
    refusal = _do(cursor, index, command)
    keys.remember(cursor, index, now, keyed, refusal)
    return refusal or _changed(cursor)


def _do(cursor: Cursor, index: int, command: OperatorCommand) -> Refusal | None:
    """Change the inventory, or say why not."""
    match command:
        case PutItem():
            return catalogue.put(
                cursor, index, command.item, command.name, command.price, command.stock
            )
        case RemoveItem():
            if find(cursor, command.item) is None:
                return ITEM_UNKNOWN
            catalogue.remove(cursor, index, command.item)
        case ChangeStock():
            item = find(cursor, command.item)
            if item is None:
                return ITEM_UNKNOWN
            stock = item.stock + command.quantity_change
            return catalogue.set_stock(cursor, index, item, stock)
        case ResetInventory():
            catalogue.reset(cursor, index)
        case _:
            assert_never(command)
    return None


def _set_stock(
    cursor: Cursor, index: int, command: SetStock
) -> InventoryChanged | Refusal:
    item = find(cursor, command.item)
    if item is None:
        return ITEM_UNKNOWN
    refusal = catalogue.set_stock(cursor, index, item, command.stock)
    return refusal or _changed(cursor)


def _changed(cursor: Cursor) -> InventoryChanged:
    return InventoryChanged(catalogue.revision(cursor))
