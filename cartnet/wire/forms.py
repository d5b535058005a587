"""The forms of the values in requests: one type each, which says what would be right.

A ``description`` ends the sentence "NAME must be ..."; bounds are those of
:mod:`cartnet.limits`.
"""

from __future__ import annotations

import unicodedata
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from cartnet.limits import (
    CALL_CHARACTERS_MAX,
    INTEGER_MAX,
    ITEM_ID_CHARACTERS_MAX,
    ITEM_NAME_BYTES_MAX,
    ITEM_NAME_CHARACTERS_MAX,
    KEY_CHARACTERS_MAX,
    LOG_LINES_MAX,
    ORDER_ID_CHARACTERS_MAX,
    ORDERS_PER_PAGE_MAX,
    PASSWORD_CHARACTERS_MAX,
    PASSWORD_CHARACTERS_MIN,
    PRICE_MAX,
    QUANTITY_MAX,
    REQUEST_ID_CHARACTERS_MAX,
    STOCK_MAX,
    USERNAME_CHARACTERS_MAX,
)

OPERATOR: Final = "operator"
"""The operator's username; nobody can create it."""

RequestId = Annotated[
    Annotated[int, Meta(ge=-INTEGER_MAX, le=INTEGER_MAX)]
    | Annotated[str, Meta(min_length=1, max_length=REQUEST_ID_CHARACTERS_MAX)],
    Meta(
        description=f"an integer within {-INTEGER_MAX} to {INTEGER_MAX} or a string of"
        f" 1 to {REQUEST_ID_CHARACTERS_MAX} characters"
    ),
]
CallName = Annotated[
    str,
    Meta(
        min_length=1, max_length=CALL_CHARACTERS_MAX, description="the name of a call"
    ),
]
Key = Annotated[
    str,
    Meta(
        pattern=rf"\A[ -~]{{1,{KEY_CHARACTERS_MAX}}}\Z",
        description=f"1 to {KEY_CHARACTERS_MAX} printable ASCII characters",
    ),
]
ItemId = Annotated[
    str,
    Meta(
        pattern=rf"\A[A-Za-z0-9._-]{{1,{ITEM_ID_CHARACTERS_MAX}}}\Z",
        description=f"1 to {ITEM_ID_CHARACTERS_MAX} characters of A-Z a-z 0-9 . _ -",
    ),
]
ItemName = Annotated[
    str,
    Meta(
        pattern=rf"\A[^\x00-\x1f\x7f-\x9f]{{1,{ITEM_NAME_CHARACTERS_MAX}}}\Z",
        description=f"1 to {ITEM_NAME_CHARACTERS_MAX} characters without control"
        f" characters, at most {ITEM_NAME_BYTES_MAX} bytes as JSON",
    ),
]
Username = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=USERNAME_CHARACTERS_MAX,
        description=f"1 to {USERNAME_CHARACTERS_MAX} characters of a-z 0-9 . _ -",
    ),
]
Password = Annotated[
    str,
    Meta(
        min_length=PASSWORD_CHARACTERS_MIN,
        max_length=PASSWORD_CHARACTERS_MAX,
        description=f"a string of {PASSWORD_CHARACTERS_MIN} to"
        f" {PASSWORD_CHARACTERS_MAX} characters",
    ),
]
Quantity = Annotated[
    int,
    Meta(ge=1, le=QUANTITY_MAX, description=f"an integer from 1 to {QUANTITY_MAX}"),
]
QuantityOrNone = Annotated[
    int,
    Meta(ge=0, le=QUANTITY_MAX, description=f"an integer from 0 to {QUANTITY_MAX}"),
]
QuantityChange = Annotated[
    int,
    Meta(
        ge=-STOCK_MAX,
        le=STOCK_MAX,
        description=f"an integer from {-STOCK_MAX} to {STOCK_MAX}",
    ),
]
Stock = Annotated[
    int, Meta(ge=0, le=STOCK_MAX, description=f"an integer from 0 to {STOCK_MAX}")
]
Price = Annotated[
    int, Meta(ge=0, le=PRICE_MAX, description=f"an integer from 0 to {PRICE_MAX}")
]
Total = Annotated[
    int, Meta(ge=0, le=INTEGER_MAX, description=f"an integer from 0 to {INTEGER_MAX}")
]
Revision = Total
Index = Total
OrdersLimit = Annotated[
    int,
    Meta(
        ge=1,
        le=ORDERS_PER_PAGE_MAX,
        description=f"an integer from 1 to {ORDERS_PER_PAGE_MAX}",
    ),
]
OrderId = Annotated[
    str,
    Meta(
        pattern=rf"\A[!-~]{{1,{ORDER_ID_CHARACTERS_MAX}}}\Z",
        description="an order's id",
    ),
]
GroupId = Annotated[
    str, Meta(pattern=r"\A[!-~]{1,128}\Z", description="a group's random id")
]
ReplicaName = Annotated[
    str,
    Meta(pattern=r"\A[A-Za-z0-9._-]{1,64}\Z", description="the name of a replica"),
]
GroupName = Annotated[
    str,
    Meta(pattern=r"\A[A-Za-z0-9._-]{1,64}\Z", description="the name of a group"),
]
ControlCommand = Annotated[
    Literal["kill", "start", "restart", "pause", "resume", "isolate", "heal"],
    Meta(
        description="one of kill, start, restart, pause, resume, isolate and heal",
    ),
]
LogLines = Annotated[
    int,
    Meta(ge=1, le=LOG_LINES_MAX, description=f"an integer from 1 to {LOG_LINES_MAX}"),
]
Word = Annotated[
    str, Meta(pattern=r"\A[a-z_-]{1,32}\Z", description="the name of a command")
]
Flag = Annotated[bool, Meta(description="true or false")]


def canonical_username(text: str) -> str:
    """Fold look-alikes together: NFKC, then case folding.

    :raises ValueError: where the outcome is not of a username's form.
    """
    # Most are plain already, and a long one must not be made longer by NFKC.
    if len(text) <= USERNAME_CHARACTERS_MAX:
        folded = unicodedata.normalize("NFKC", text).casefold()
        if 1 <= len(folded) <= USERNAME_CHARACTERS_MAX and not folded.strip(
            "abcdefghijklmnopqrstuvwxyz0123456789._-"
        ):
            return folded
    raise ValueError("not the form of a username")


def has_name_form(name: str) -> bool:
    """Whether an item's name is short enough as JSON, its quotes included."""
    try:
        return len(msgspec.json.encode(name)) <= ITEM_NAME_BYTES_MAX
    except UnicodeEncodeError:
        return False
