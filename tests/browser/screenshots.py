"""Pictures of the consoles' main pages in both themes, narrow and wide.

``python -m tests.browser.screenshots FOLDER [PART OF A NAME]`` runs a cluster of its
own for them. They are to be looked at: no test can say whether they are any good.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.browser.conftest import CHROMIUM
from tests.browser.operating import VIEWS, log_in_operator
from tests.browser.scenes import MAIN, STATES, Scene, furnish
from tests.browser.visits import Shop, Theme, Visits
from tests.system.clusters import running

SIZES = ((375, 780), (1280, 860))
THEMES: tuple[Theme, ...] = ("light", "dark")


def _operators(view: str) -> Scene:
    """A view of the operator's page."""

    def scene(page: Page, shop: Shop) -> None:
        log_in_operator(page, shop)
        page.goto(f"/operator#{view}")
        expect(page.locator("#subtitle")).to_contain_text("Cluster test")
        if view == "charts":
            expect(page.get_by_text("Nothing measured yet").first).to_be_hidden()

    return scene


OPERATORS = {f"operator {view}": _operators(view) for view in VIEWS}


def take(folder: Path, part: str = "") -> None:
    """Put the pictures into ``folder``: of scenes with ``part`` in their names."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as place,
        running(Path(place) / "cluster", console=True) as cluster,
        sync_playwright() as playwright,
    ):
        cluster.start_all()
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        visits = Visits(browser, f"http://127.0.0.1:{cluster.console_port}")
        with cluster.operator() as operator:
            for item in operator.call("get_inventory")["items"]:
                operator.call("remove_item", {"item": item["id"]})
            shop = Shop(cluster, operator)
            furnish(shop)
            for name, scene in {**MAIN, **STATES, **OPERATORS}.items():
                if part in name:
                    _take_one(visits, shop, folder, name, scene)
        visits.close()
        browser.close()


def _take_one(
    visits: Visits, shop: Shop, folder: Path, name: str, scene: Scene
) -> None:
    stem = name.replace(",", "").replace(" ", "-")
    for width, height in SIZES:
        page = visits.page(width=width, height=height)
        scene(page, shop)
        for theme in THEMES:
            page.emulate_media(color_scheme=theme)
            page.mouse.move(0, 0)
            path = folder / f"{stem}-{width}-{theme}.png"
            page.screenshot(path=path)
            print(path)
        page.context.close()


if __name__ == "__main__":
    take(Path(sys.argv[1]), *sys.argv[2:3])
