"""A user at a balancer, who asks until an answer is certain."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from typing import Any

from tests.system.lines import ANSWER_SECONDS_MAX, Line, Lost, Refused

PASSWORD = "correct horse battery"
RETRY_SECONDS = 0.02
GIVE_UP_SECONDS = 120.0
CUSTOMERS = itertools.count()

TRANSIENT = frozenset(
    {"timeout", "internal", "unavailable", "overloaded", "not_leader", "rate_limited"}
)
"""After these a careful client asks again with the same key."""


class Customer:
    """One user at whichever balancer answers: each write has a key of its own, which
    is asked with until an answer is certain.

    :ivar attempts: how often the last call was sent.

    :param patience: seconds after which a connection without an answer is given up.
    """

    def __init__(
        self,
        user: str,
        balancers: Sequence[str],
        password: str = PASSWORD,
        patience: float = ANSWER_SECONDS_MAX,
    ) -> None:
        self.user = user
        self.session = ""
        self.attempts = 0
        self._password = password
        self._balancers = balancers
        self._patience = patience
        self._line: Line | None = None
        # Several customers may be one user, whose keys are all different.
        self._number = next(CUSTOMERS)
        self._numbers = itertools.count()

    def __enter__(self) -> Customer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    def enter(self) -> None:
        """Create the account and log in."""
        account = {"username": self.user, "password": self._password}
        self.call("create_account", account)
        self.log_in()

    def log_in(self) -> None:
        account = {"username": self.user, "password": self._password}
        self.session = self.call("login", account)["session"]

    def log_out(self) -> None:
        """End the session."""
        try:
            self.call("logout")
        except Refused as refused:
            # So it is said of a session that an attempt without an answer has ended.
            if refused.code != "unauthenticated" or self.attempts == 1:
                raise
        self.session = ""

    def call(
        self, call: str, args: dict[str, Any] | None = None, **fields: Any
    ) -> dict[str, Any]:
        """Do a call for certain.

        :raises Refused: with what is no passing trouble.
        """
        fields.setdefault("key", f"{call}-{self._number}-{next(self._numbers)}")
        if self.session:
            fields.setdefault("session", self.session)
        deadline = time.monotonic() + GIVE_UP_SECONDS
        self.attempts = 0
        for balancer in itertools.cycle(self._balancers):
            self.attempts += 1
            try:
                return self._attempt(balancer, call, args or {}, fields)
            except Refused as refused:
                if refused.code not in TRANSIENT or time.monotonic() > deadline:
                    raise
            except Lost:
                self.close()
                if time.monotonic() > deadline:
                    raise
            time.sleep(RETRY_SECONDS)
        raise AssertionError("there is no end of balancers")

    def _attempt(
        self, balancer: str, call: str, args: dict[str, Any], fields: dict[str, Any]
    ) -> dict[str, Any]:
        """Send a call once, by the connection there is, or a new one to ``balancer``.

        :raises Refused: its answer is an error.
        :raises Lost: no answer came.
        """
        if self._line is None:
            self._line = Line(balancer, self._patience)
        return self._line.call(call, args, **fields)

    def orders(self) -> list[dict[str, Any]]:
        """All orders, page after page."""
        orders: list[dict[str, Any]] = []
        before: dict[str, str] = {}
        while True:
            page = self.call("list_orders", {"limit": 1000, **before})
            orders += page["orders"]
            if page["next"] is None:
                return orders
            before = {"before": page["next"]}
