"""Browsers at the console, what they complain of, and what the shop has for them."""

from __future__ import annotations

import itertools
import re
from typing import Any, Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.system.clusters import Cluster
from tests.system.customers import Customer

PASSWORD = "correct horse battery"
WAIT_MS = 30_000
"""A busy machine is slow: what takes longer does not happen."""

Theme = Literal["light", "dark"]

expect.set_options(timeout=WAIT_MS)


class Visits:
    """Browsers, each with cookies of its own and one page.

    What a page logs as an error fails the test, but for what :meth:`tolerate` names.
    """

    def __init__(self, browser: Browser, url: str) -> None:
        self.url = url
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self._complaints: list[str] = []
        self._tolerated: list[str] = []

    def page(
        self,
        theme: Theme = "light",
        width: int = 1280,
        height: int = 860,
        scripts: bool = True,
    ) -> Page:
        """A new browser's page, with nothing in it."""
        context = self._browser.new_context(
            base_url=self.url,
            color_scheme=theme,
            java_script_enabled=scripts,
            reduced_motion="reduce",
            viewport={"width": width, "height": height},
        )
        context.set_default_timeout(WAIT_MS)
        self._contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: self._complaints.append(str(error)))
        page.on(
            "console",
            lambda message: (
                self._complaints.append(f"{message.text} {message.location}")
                if message.type == "error"
                else None
            ),
        )
        return page

    def tolerate(self, pattern: str) -> None:
        """Chromium logs every answer but success as an error: this one is wanted."""
        self._tolerated.append(pattern)

    def close(self) -> None:
        for context in self._contexts:
            context.close()

    def check(self) -> None:
        """Fail on what any page has complained of."""
        left = [
            each
            for each in self._complaints
            if not any(re.search(pattern, each) for pattern in self._tolerated)
        ]
        assert not left, left


class Shop:
    """What the shop has for a test: items by the operator, accounts by name."""

    def __init__(self, cluster: Cluster, operator: Customer) -> None:
        self.cluster = cluster
        self.operator = operator
        self._numbers = itertools.count(1)

    def fresh(self, stem: str) -> str:
        """A name that no test has had, for an account or an item."""
        return f"{stem}{next(self._numbers)}"

    def put(self, item: str, name: str, price: int = 250, stock: int = 20) -> str:
        wanted = {"item": item, "name": name, "price": price, "stock": stock}
        self.operator.call("put_item", wanted)
        return item

    def stock(self, item: str) -> int:
        return int(self._item(item)["stock"])

    def price(self, item: str) -> int:
        return int(self._item(item)["price"])

    def _item(self, item: str) -> dict[str, Any]:
        items = self.operator.call("get_inventory")["items"]
        return next(each for each in items if each["id"] == item)

    def account(self, stem: str = "ann") -> str:
        """A new account; its password is :data:`PASSWORD`."""
        name = self.fresh(stem)
        self.operator.call("create_account", {"username": name, "password": PASSWORD})
        return name

    def customer(self, user: str) -> Customer:
        """Somebody, logged in elsewhere, without a browser."""
        customer = Customer(user, self.cluster.balancers, PASSWORD)
        customer.log_in()
        return customer


def log_in(page: Page, user: str, password: str = PASSWORD) -> None:
    """Give the page's browser a session, without typing."""
    credentials = {"username": user, "password": password}
    answer = page.context.request.post("/api/v1/session", data=credentials)
    assert answer.ok, answer.text()


def violations(page: Page) -> list[Any]:
    """What axe finds wrong with the page as it is now: rules, and where."""
    found = Axe().run(page).response["violations"]
    return [(each["id"], [node["target"] for node in each["nodes"]]) for each in found]
