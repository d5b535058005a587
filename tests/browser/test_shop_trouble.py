"""Pages that stay open while the server, the session or an answer goes away."""

from __future__ import annotations

import re

from playwright.sync_api import APIResponse, Route, expect

from tests.browser.test_shop import item, line, quantity
from tests.browser.visits import PASSWORD, Shop, Visits, log_in, violations

ADDITIONS = "**/api/v1/cart/items"


def test_a_restart_loses_nothing_that_was_typed(visits: Visits, shop: Shop) -> None:
    """A page outlives its server: it reconnects, and what was typed is still there."""
    user = shop.account()
    thing = shop.put(shop.fresh("STAY"), "Still here", stock=40)
    page = visits.page()
    visits.tolerate("WebSocket connection to")
    visits.tolerate("ERR_CONNECTION_REFUSED")
    log_in(page, user)
    page.goto("/")
    page.get_by_role("searchbox").fill(thing)
    quantity(item(page, thing)).fill("7")

    shop.cluster.stop()
    expect(page.locator("#connection")).to_contain_text("Reconnecting")
    expect(page.get_by_text("Not connected since")).to_be_visible()
    shop.cluster.start_all()
    expect(page.locator("#connection")).to_have_text("Live")

    expect(page.get_by_role("searchbox")).to_have_value(thing)
    expect(quantity(item(page, thing))).to_have_value("7")
    item(page, thing).get_by_role("button", name="Add").click()
    expect(quantity(line(page, thing))).to_have_value("7")
    shop.put(thing, "Still here", stock=4)
    expect(item(page, thing)).to_contain_text("Only 4 left")


def test_a_session_that_ends_keeps_what_was_typed(visits: Visits, shop: Shop) -> None:
    """Who is logged out under an open page is asked for the password, and goes on."""
    user = shop.account()
    thing = shop.put(shop.fresh("KEEP"), "Kept quantity")
    page = visits.page()
    visits.tolerate("status of 401")
    log_in(page, user)
    page.goto("/")
    quantity(item(page, thing)).fill("6")
    expect(page.get_by_role("link", name=f"Account of {user}")).to_be_visible()

    page.context.request.delete("/api/v1/session")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Your session has ended")
    expect(dialog.get_by_label("Username")).to_have_value(user)
    dialog.get_by_role("button", name="Not now").click()
    expect(dialog).to_have_count(0)
    item(page, thing).get_by_role("button", name="Add").click()
    dialog.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(dialog).to_be_hidden()

    expect(quantity(line(page, thing))).to_have_value("6")
    expect(quantity(item(page, thing))).to_have_value("6")


def test_a_line_that_fails_says_so_where_it_is(visits: Visits, shop: Shop) -> None:
    """An addition that fails is said beside its item, and retried with the same key."""
    user = shop.account()
    thing = shop.put(shop.fresh("FAIL"), "Fails once")
    page = visits.page()
    visits.tolerate("status of 429")
    log_in(page, user)
    page.goto("/")
    keys = []
    page.on(
        "request",
        lambda request: (
            keys.append(request.headers["idempotency-key"])
            if request.method == "POST"
            else None
        ),
    )
    error = {"code": "rate_limited", "message": "Too fast.", "details": {}}
    page.route(
        "**/api/v1/cart/items",
        lambda route: route.fulfill(status=429, json={"error": error}),
    )

    item(page, thing).get_by_role("button", name="Add").click()
    expect(item(page, thing)).to_contain_text("Too fast.")
    page.unroute("**/api/v1/cart/items")
    item(page, thing).get_by_role("button", name="Try again").click()

    expect(quantity(line(page, thing))).to_have_value("1")
    expect(item(page, thing)).not_to_contain_text("Too fast.")
    assert len(keys) == 2
    assert keys[0] == keys[1]


def test_what_is_added_during_a_retry_is_added(visits: Visits, shop: Shop) -> None:
    """Pieces that are added while a failed addition is tried again come after it."""
    user = shop.account()
    thing = shop.put(shop.fresh("MORE"), "More of it", stock=40)
    page = visits.page()
    visits.tolerate("status of 429")
    log_in(page, user)
    page.goto("/")
    error = {"code": "rate_limited", "message": "Too fast.", "details": {}}
    held: list[Route] = []
    page.route(ADDITIONS, lambda route: held.append(route), times=1)
    page.route(
        ADDITIONS,
        lambda route: route.fulfill(status=429, json={"error": error}),
        times=1,
    )
    item(page, thing).get_by_role("button", name="Add").click()
    expect(item(page, thing)).to_contain_text("Too fast.")

    with page.expect_request(ADDITIONS):
        item(page, thing).get_by_role("button", name="Try again").click()
    quantity(item(page, thing)).fill("5")
    item(page, thing).get_by_role("button", name="Add").click()
    expect(quantity(line(page, thing))).to_have_value("5")
    (route,) = held
    route.continue_()

    expect(quantity(line(page, thing))).to_have_value("6")
    page.reload()
    expect(quantity(line(page, thing))).to_have_value("6")


def test_additions_survive_the_session(visits: Visits, shop: Shop) -> None:
    """Of two additions that both meet an ended session each can be tried again after
    the next login, and none is under way for ever."""
    user = shop.account()
    things = [shop.put(shop.fresh("BOTH"), f"One of two, {n}") for n in range(2)]
    page = visits.page()
    visits.tolerate("status of 401")
    log_in(page, user)
    page.goto("/")
    error = {"code": "unauthenticated", "message": "Log in.", "details": {}}
    held: list[Route] = []
    page.route(ADDITIONS, lambda route: held.append(route), times=2)
    for thing in things:
        with page.expect_request(ADDITIONS):
            item(page, thing).get_by_role("button", name="Add").click()

    for route in held:
        route.fulfill(status=401, json={"error": error})
    page.get_by_role("dialog").get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_hidden()
    for thing in things:
        item(page, thing).get_by_role("button", name="Try again").click()
        expect(quantity(line(page, thing))).to_have_value("1")

    expect(page.locator("#to-checkout")).to_be_enabled()


def test_a_reload_without_a_majority_keeps_the_name(visits: Visits, shop: Shop) -> None:
    """Who loads the page while nobody can say who they are is not logged out: the name
    stays, what cannot be had is called that, and all comes back by itself."""
    user = shop.account()
    page = visits.page()
    visits.tolerate("status of 503")
    log_in(page, user)
    page.goto("/#/orders")
    expect(page.get_by_text("No orders yet")).to_be_visible()
    error = {"code": "unavailable", "message": "no majority", "details": {}}
    away = re.compile("/api/v1/(session|cart|orders)")
    page.route(away, lambda route: route.fulfill(status=503, json={"error": error}))

    page.reload()
    expect(page.get_by_role("link", name=f"Account of {user}")).to_be_visible()
    expect(page.locator("#view")).to_contain_text("cannot be reached right now")
    expect(page.locator("#connection")).to_have_text("No majority")
    assert violations(page) == []
    page.evaluate(
        """() => {
          const pill = document.querySelector("#connection");
          window.said = [];
          const watch = new MutationObserver(() => said.push(pill.textContent));
          watch.observe(pill, { childList: true, characterData: true, subtree: true });
        }"""
    )
    for _ in range(3):
        with page.expect_response(away):
            pass
    assert page.evaluate("said") == []
    page.unroute(away)

    expect(page.get_by_text("No orders yet")).to_be_visible()
    expect(page.locator("#connection")).to_have_text("Live")


def test_who_logs_out_is_not_asked_to_log_in_again(visits: Visits, shop: Shop) -> None:
    """The server ends what the session watched before the page has its answer."""
    user = shop.account()
    page = visits.page()
    page.add_init_script(
        """window.WebSocket = class extends WebSocket {
          constructor(...args) {
            super(...args);
            this.addEventListener("message", ({ data }) => {
              const refused = data.includes("unauthenticated");
              if (refused) document.documentElement.dataset.refused = "yes";
            });
          }
        };"""
    )
    log_in(page, user)
    page.goto("/")
    expect(page.get_by_text("Your cart is empty")).to_be_visible()
    page.get_by_role("link", name=f"Account of {user}").click()
    answers: list[tuple[Route, APIResponse]] = []
    page.route(
        "**/api/v1/session",
        lambda route: answers.append((route, route.fetch())),
    )

    page.locator("#view").get_by_role("button", name="Log out").click()
    expect(page.locator("html")).to_have_attribute("data-refused", "yes")
    ((route, answer),) = answers
    route.fulfill(response=answer)

    expect(page.get_by_role("heading", level=1)).to_have_text("Shop")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_the_operator_is_offered_no_cart(visits: Visits, shop: Shop) -> None:
    """Whoever runs the shop is told so wherever somebody else would buy; a tab whose
    browser becomes somebody else says that."""
    user = shop.account()
    thing = shop.put(shop.fresh("RUN"), "Not for the operator")
    page = visits.page()
    log_in(page, user)
    page.goto("/")
    expect(page.get_by_text("Your cart is empty")).to_be_visible()
    expect(item(page, thing).get_by_role("button", name="Add")).to_be_enabled()

    log_in(page, "operator", shop.cluster.operator_password())
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(page.locator("#banner")).to_contain_text("logged in as")
    expect(item(page, thing).get_by_role("button", name="Add")).to_be_disabled()
    for place in ("cart", "checkout", "orders"):
        page.evaluate(f"location.hash = '#/{place}'")
        expect(page.locator("#main")).to_contain_text("No cart for the operator")


def test_the_operators_cart_is_not_asked_for(visits: Visits, shop: Shop) -> None:
    """A page knows that there is none: the browser's console stays clean."""
    page = visits.page()
    sent: list[str] = []

    def keep(frame: str | bytes) -> None:
        sent.append(str(frame))

    page.on("websocket", lambda socket: socket.on("framesent", keep))
    log_in(page, "operator", shop.cluster.operator_password())

    page.goto("/")
    expect(page.get_by_role("link", name="Account of operator")).to_be_visible()
    expect(page.locator("#connection")).to_have_text("Live")

    assert any("watch_inventory" in frame for frame in sent)
    assert not any("watch_cart" in frame for frame in sent)


def test_one_tab_too_many_says_so_and_works(visits: Visits, shop: Shop) -> None:
    """The sixth tab of a session has no live updates: it says why, shows the items and
    the cart, takes what is done in it, and is live when another tab is closed."""
    user = shop.account()
    thing = shop.put(shop.fresh("TAB"), "In many tabs")
    page = visits.page()
    visits.tolerate("WebSocket connection to")
    log_in(page, user)
    others = [page.context.new_page() for _ in range(5)]
    for other in others:
        other.goto("/#/account")
        expect(other.locator("#connection")).to_have_text("Live")

    page.goto("/")
    expect(page.locator("#banner")).to_contain_text("open in five other tabs")
    item(page, thing).get_by_role("button", name="Add").click()
    expect(quantity(line(page, thing))).to_have_value("1")
    expect(page.locator("#connection")).to_have_text("Not live")
    assert violations(page) == []
    others[0].close()

    expect(page.locator("#connection")).to_have_text("Live")
    expect(page.locator("#banner")).to_be_empty()


def test_four_thousand_items_stay_fast(visits: Visits, shop: Shop) -> None:
    """A full catalogue shows a part at once, the rest on the way down, and is searched
    as one types."""
    page = visits.page()
    everything = [
        {"id": f"N-{n}", "name": f"Number {n}", "price": n, "stock": n % 7}
        for n in range(4_000)
    ]
    page.route_web_socket("**/ws", lambda socket: None)
    page.route(
        "**/api/v1/inventory?stale=true",
        lambda route: route.fulfill(json={"revision": 1, "items": everything}),
    )

    page.goto("/")
    expect(page.locator("#summary")).to_have_text("4,000 items")
    assert page.locator(".item").count() < 200
    page.get_by_role("searchbox").fill("number 3999")

    expect(page.locator(".item")).to_have_count(1)
    expect(page.locator("#summary")).to_have_text("1 of 4,000 items")
