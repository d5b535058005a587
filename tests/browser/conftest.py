"""A cluster with a console, and a browser before it: one of each for all tests."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.scenes import furnish
from tests.browser.visits import Shop, Visits
from tests.system.clusters import Cluster, running

CHROMIUM = os.environ.get("CARTNET_CHROMIUM") or shutil.which("chromium")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Nothing here can be tried without a browser."""
    if CHROMIUM is None:
        reason = "no chromium: install it, or name one in CARTNET_CHROMIUM"
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The whole cluster in one process, with its console."""
    folder = tmp_path_factory.mktemp("browser") / "cluster"
    with running(folder, console=True, extra="chaos = yes\n") as cluster:
        cluster.start_all()
        yield cluster


@pytest.fixture(scope="session")
def stocked(cluster: Cluster) -> Iterator[Shop]:
    """The shop's other side: its operator, and accounts that no other test has."""
    with cluster.operator() as operator:
        yield Shop(cluster, operator)


@pytest.fixture
def shop(stocked: Shop) -> Shop:
    """The shop without the items of other tests, which would fill the page."""
    stocked.operator.call("reset_inventory")
    return stocked


@pytest.fixture(scope="module")
def furnished(stocked: Shop) -> Shop:
    """The shop with the items that the scenes show."""
    furnish(stocked)
    return stocked


@pytest.fixture
def visits(chromium: Browser, cluster: Cluster) -> Iterator[Visits]:
    """Browsers that share nothing, each with a page; what it complains of fails."""
    visits = Visits(chromium, f"http://127.0.0.1:{cluster.console_port}")
    try:
        yield visits
    finally:
        visits.close()
    visits.check()
