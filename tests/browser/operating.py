"""The operator's page as its tests use it: log in, look at the cluster, act on it."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.visits import Shop, Visits

VIEWS = ("overview", "replicas", "charts", "timeline", "inventory")


def log_in_operator(page: Page, shop: Shop) -> None:
    """Give the page's browser the operator's session, without typing."""
    password = shop.cluster.operator_password()
    answer = page.context.request.post(
        "/api/v1/session", data={"username": "operator", "password": password}
    )
    assert answer.ok, answer.text()


def open_page(
    visits: Visits, shop: Shop, view: str = "overview", width: int = 1280
) -> Page:
    """A browser of the operator's, at a view that has had its first report."""
    page = visits.page(width=width)
    log_in_operator(page, shop)
    page.goto(f"/operator#{view}")
    expect(page.locator("#subtitle")).to_contain_text("Cluster test")
    return page


def show(page: Page, view: str) -> None:
    """Go to a view by its tab."""
    page.get_by_role("navigation", name="Operator").get_by_role(
        "link", name=view, exact=True
    ).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(view)


def node(page: Page, name: str) -> Locator:
    """A replica in the picture."""
    return page.locator(f'.node[data-replica="{name}"]')


def menu(page: Page, name: str) -> Locator:
    """Open a replica's commands from the picture."""
    node(page, name).click()
    return page.get_by_role("dialog", name=f"{name}: what to do")


def dialog(page: Page, title: str) -> Locator:
    return page.get_by_role("dialog", name=title)


def command(page: Page, label: str, name: str) -> None:
    """Have something done that takes no majority away, from the picture."""
    menu(page, name).get_by_role("button", name=label).click()
    dialog(page, f"{label} {name}?").get_by_role("button", name=label).click()
    expect(dialog(page, f"{label} {name}?")).to_have_count(0)


def leads(page: Page, name: str) -> None:
    """Wait until the picture shows ``name`` as a leader."""
    expect(node(page, name)).to_have_attribute(
        "aria-label", re.compile(rf"^{name}, leader of ")
    )


def row(page: Page, item: str) -> Locator:
    """An item's row in the inventory."""
    return page.locator(f'tr[data-item="{item}"]')
