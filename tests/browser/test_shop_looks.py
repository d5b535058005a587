"""Every view and state of the shop, for everybody: contrast, names, widths."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.browser.scenes import ITEM, MAIN, STATES
from tests.browser.visits import Shop, Theme, Visits, violations

LOOKS: tuple[tuple[Theme, int], ...] = (("light", 320), ("dark", 1280))


@pytest.mark.parametrize("name", [*MAIN, *STATES])
def test_axe_finds_nothing(visits: Visits, furnished: Shop, name: str) -> None:
    """No view keeps anybody out, in either theme, and all fit the narrowest screen."""
    visits.tolerate("status of [45]")
    visits.tolerate("WebSocket connection to")
    page = visits.page()
    (MAIN | STATES)[name](page, furnished)

    for theme, width in LOOKS:
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=theme)
        fits = "document.documentElement.scrollWidth <= innerWidth"
        assert page.evaluate(fits), f"{name} does not fit {width}"
        assert violations(page) == [], (name, theme, width)


def test_the_theme_that_is_chosen_stays(visits: Visits) -> None:
    """The theme is the system's until one is chosen, which then holds at once after a
    reload: before the first paint."""
    page = visits.page("dark")
    shade = "getComputedStyle(document.documentElement).backgroundColor"
    page.goto("/")
    dark = page.evaluate(shade)

    page.get_by_role("button", name="Light theme").click()
    light = page.evaluate(shade)
    assert light != dark
    page.route("**/js/shop/*", lambda route: route.abort())
    visits.tolerate("net::ERR_FAILED")
    page.reload()

    assert page.evaluate(shade) == light, "no module has run yet"


def test_without_scripts_the_page_says_so(visits: Visits) -> None:
    """Where scripts are off, the page says what is missing."""
    page = visits.page(scripts=False)
    page.goto("/")

    expect(page.get_by_role("heading")).to_have_text("This shop needs JavaScript")
    assert page.get_by_role("heading").count() == 1


def test_the_first_load_is_small(visits: Visits, furnished: Shop) -> None:
    """Everything that the shop loads at first is at most 150 kB on the wire."""
    page = visits.page()
    page.goto("/")
    page.locator(ITEM).first.wait_for()

    size = page.evaluate(
        "[...performance.getEntriesByType('resource'),"
        " ...performance.getEntriesByType('navigation')]"
        ".reduce((sum, entry) => sum + entry.transferSize, 0)"
    )

    assert 10_000 < size <= 150_000
