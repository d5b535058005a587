"""A shard's cart, with the names and prices of a balancer's catalogue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cartnet.shop.answers import Item


class BareLine(msgspec.Struct):
    item: str
    quantity: int


class BareCart(msgspec.Struct):
    """What a shard answers."""

    version: int
    items: list[BareLine]
    pending: str | None
    stale: bool = False


class PricedLine(msgspec.Struct):
    """A line; name and price are null where the catalogue has no such item."""

    item: str
    name: str | None
    quantity: int
    price: int | None


class PricedCart(msgspec.Struct, omit_defaults=True):
    """What a balancer answers; lines without a price are not in the total."""

    version: int
    items: list[PricedLine]
    total: int
    pending: str | None
    stale: bool = False


_CART = msgspec.json.Decoder(BareCart)


def priced(answer: msgspec.Raw, catalogue: Mapping[str, Item]) -> PricedCart:
    """Put names, prices and the total into a shard's cart."""
    cart = _CART.decode(answer)
    lines = []
    total = 0
    for line in cart.items:
        item = catalogue.get(line.item)
        if item is None:
            lines.append(PricedLine(line.item, None, line.quantity, None))
        else:
            lines.append(PricedLine(line.item, item.name, line.quantity, item.price))
            total += line.quantity * item.price
    return PricedCart(cart.version, lines, total, cart.pending, cart.stale)
