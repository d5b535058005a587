"""The operator's page for everybody: no finding of axe, at any width, in any theme."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.operating import (
    VIEWS,
    dialog,
    log_in_operator,
    menu,
    open_page,
    row,
    show,
)
from tests.browser.visits import Shop, Theme, Visits, violations

SMALL_TARGETS = """() => [...document.querySelectorAll(
        "#main :is(a, button, input, select, [role=button]), header :is(a, button)")]
    .filter((each) => each.checkVisibility() && !each.closest(".skip"))
    .map((each) => [each.outerHTML.slice(0, 90), each.getBoundingClientRect()])
    .filter(([, box]) => box.width > 1 && (box.width < 24 || box.height < 24))
    .map(([html, box]) => `${html} ${box.width} x ${box.height}`)"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_axe_finds_nothing(visits: Visits, shop: Shop, theme: Theme) -> None:
    """Every view, the menu and the dialogs are free of findings."""
    visits.tolerate("401")
    page = visits.page(theme)
    page.goto("/operator")
    expect(page.get_by_label("Password")).to_be_visible()
    assert violations(page) == []
    log_in_operator(page, shop)
    page.reload()
    for view in VIEWS:
        show(page, view.capitalize())
        expect(page.locator("#subtitle")).to_contain_text("Cluster test")
        assert violations(page) == [], view
    page.get_by_role("button", name="Edit A", exact=True).click()
    page.get_by_label("Price of A", exact=True).fill("much")
    page.keyboard.press("Enter")
    expect(row(page, "A")).to_contain_text("It must be an amount")
    assert violations(page) == []
    page.goto("/operator#replicas/s1r1")
    expect(page.get_by_role("region", name="Log of s1r1")).to_contain_text("s1r1")
    assert violations(page) == []
    show(page, "Overview")
    opened = menu(page, "s1r1")
    assert violations(page) == []
    opened.get_by_role("button", name="Kill").click()
    expect(dialog(page, "Kill s1r1?")).to_be_visible()
    assert violations(page) == []


@pytest.mark.parametrize("width", [320, 375, 768, 1920])
def test_it_fits_every_width(visits: Visits, shop: Shop, width: int) -> None:
    """Nothing reaches over the side, and every target is at least 24 pixels."""
    page = open_page(visits, shop, width=width)
    for view in VIEWS:
        show(page, view.capitalize())
        assert overhang(page) <= 0, view
        assert page.evaluate(SMALL_TARGETS) == [], view


def overhang(page: Page) -> int:
    """How many pixels the page is wider than its window."""
    wide: int = page.evaluate("document.documentElement.scrollWidth - innerWidth")
    return wide
