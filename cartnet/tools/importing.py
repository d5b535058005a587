"""``cartnet import-catalog``: a catalogue into the inventory, through a balancer or a
console.

Every item has a key of its own, so what was sent before a failure is sent again
without being done twice (S6).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from cartnet.limits import IMPORT_ATTEMPTS_MAX, IMPORT_WINDOW_ITEMS
from cartnet.tools.balancer import Answer
from cartnet.tools.catalogue import Item
from cartnet.tools.failure import ToolError
from cartnet.wire.shown import one_line

PAUSE_SECONDS: Final = 1.0

AGAIN: Final = frozenset(
    {
        "unavailable",
        "overloaded",
        "not_leader",
        "rate_limited",
        "timeout",
        "internal",
        "unauthenticated",
    }
)
"""What another sending may cure; the last one, by another login."""


class Shop(Protocol):
    """A connection to the shop; what it does raises OSError where that fails."""

    def call_all(self, requests: list[Mapping[str, Any]], /) -> list[Answer]:
        """Send requests together; give their answers in the same order."""


class AgainError(Exception):
    """This connection gets no further; another one may."""


@dataclass
class Import:
    """One run of the tool.

    :ivar addresses: where the shop is to be had; the next is asked where one fails.
    :ivar connect: connects to one of them.
    :ivar run_id: what makes this run's keys its own.
    :ivar progress: is told how many items are done.
    :ivar pause: waits for so many seconds.
    :ivar done: how many items the inventory has taken.
    :ivar revision: the inventory's after the last of them.
    """

    addresses: Sequence[str]
    connect: Callable[[str], AbstractContextManager[Shop]]
    password: str
    run_id: str
    progress: Callable[[int], object]
    pause: Callable[[float], object]
    done: int = 0
    revision: int = 0
    _waiting: list[Item] = field(default_factory=list)

    def put(self, items: Sequence[Item]) -> None:
        """Put all items into the inventory.

        :raises ToolError: if that cannot be done; ``done`` items were.
        """
        self._waiting = list(items)
        attempts = 0
        while self._waiting:
            before = self.done
            address = self.addresses[attempts % len(self.addresses)]
            try:
                with self.connect(address) as shop:
                    self._log_in(shop)
                    while self._waiting:
                        self._put_some(shop)
            except (OSError, AgainError) as error:
                attempts = 1 if self.done > before else attempts + 1
                if attempts >= IMPORT_ATTEMPTS_MAX:
                    raise ToolError(f"{address}: {error}; {self._so_far()}") from None
                self.pause(PAUSE_SECONDS)

    def _log_in(self, shop: Shop) -> None:
        credentials = {"username": "operator", "password": self.password}
        (answer,) = shop.call_all([{"call": "login", "args": credentials}])
        if answer.error is None:
            return
        message = one_line(answer.error.message)
        if answer.error.code == "unauthenticated":
            raise ToolError(f"the operator's password is refused: {message}")
        self._wait_if_told(answer)
        if answer.error.code in AGAIN:
            raise AgainError(message)
        raise ToolError(f"the operator cannot log in: {message}")

    def _put_some(self, shop: Shop) -> None:
        window = self._waiting[:IMPORT_WINDOW_ITEMS]
        answers = shop.call_all([self._request(item) for item in window])
        left: list[Item] = []
        obstacle: Answer | None = None
        for item, answer in zip(window, answers, strict=True):
            if answer.error is None:
                self.done += 1
                if answer.ok is not None and answer.ok.revision is not None:
                    self.revision = max(self.revision, answer.ok.revision)
            elif answer.error.code in AGAIN:
                left.append(item)
                obstacle = answer
            else:
                raise ToolError(
                    f"line {item.line}, item {item.id}:"
                    f" {one_line(answer.error.message)}; {self._so_far()}"
                )
        self._waiting[: len(window)] = left
        self.progress(self.done)
        if obstacle is not None:
            assert obstacle.error is not None
            self._wait_if_told(obstacle)
            raise AgainError(one_line(obstacle.error.message))

    def _request(self, item: Item) -> Mapping[str, Any]:
        return {
            "call": "put_item",
            "args": item.arguments,
            "key": f"import-{self.run_id}-{item.line}",
        }

    def _wait_if_told(self, answer: Answer) -> None:
        assert answer.error is not None
        seconds = answer.error.details.get("retry_after")
        if isinstance(seconds, int) and 0 < seconds <= 120:
            self.pause(float(seconds))

    def _so_far(self) -> str:
        total = self.done + len(self._waiting)
        return f"{self.done} of {total} items were imported"
