"""Pages that follow carts."""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from cartnet.workload import stale
from cartnet.workload.findings import Incorrect, Tally
from cartnet.workload.history import History
from cartnet.workload.page import Page


class FakeGroup:
    """Speaks as a shard's feed of one cart."""

    def watch(self, call: str, resume: Any, on_event: Any, *, session: str) -> None:
        assert (call, session) == ("watch_cart", "s1.secret")
        self.on_event = on_event

    def say(self, event: dict[str, Any]) -> None:
        self.on_event(msgspec.Raw(msgspec.json.encode(event)))


class PageTests(SynchronousTestCase):
    """What is shown is noted, and compared with what others saw."""

    def setUp(self) -> None:
        self.history, self.tally = History(), Tally()
        self.page = Page("ann", self.history, self.tally)
        self.shard = FakeGroup()
        self.page.follow(self.shard, "s1.secret")  # type: ignore[arg-type] # a fake

    def show(self, version: int, quantity: int) -> None:
        items = [{"item": "A", "quantity": quantity}]
        self.shard.say({"version": version, "items": items})

    def read(self, version: int, quantity: int) -> None:
        operation = self.history.begin("ann", "get_cart", {}, None, "ann.0")
        items = [{"item": "A", "quantity": quantity}]
        operation.answer = {"version": version, "items": items}
        self.history.end(operation, "ok")

    def test_shown(self) -> None:
        """The last cart is what the page shows; an empty event changes nothing."""
        self.show(1, 2)
        self.show(2, 5)
        self.shard.say({})
        self.read(2, 5)

        stale.check(self.history, self.tally)

        self.assertEqual(self.page.seen, (2, [("A", 5)]))

    def test_another_cart(self) -> None:
        """A cart that was otherwise at that version is found."""
        self.show(1, 2)
        self.read(1, 3)

        with self.assertRaisesRegex(Incorrect, "once was so"):
            stale.check(self.history, self.tally)
