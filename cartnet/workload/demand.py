"""How much is asked of a shop."""

from __future__ import annotations

from dataclasses import dataclass, field

from cartnet.workload.share import Share


@dataclass(frozen=True)
class Demand:
    """How much is asked of a shop.

    :ivar users: how many shoppers; each has one device or two.
    :ivar think_seconds: the mean time between two operations of a device.
    :ivar stock: what the operator puts in, at most.
    :ivar operator_password: with which the operator logs in.
    :ivar logins: how many of the wishes to log in are followed: each costs a hash.
    :ivar share: what of the shop is asked for.
    :ivar sale: how much of one item, which most then want, there is at most (W4); 0 for
        no such sale.
    :ivar roaming: one watcher comes and goes.
    :ivar following: shoppers' pages follow their carts.
    """

    users: int
    think_seconds: float
    stock: int
    operator_password: str
    logins: float = 1.0
    share: Share = field(default_factory=Share)
    sale: int = 0
    roaming: bool = False
    following: bool = False
