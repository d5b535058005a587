"""Checkouts that do not go smoothly."""

from __future__ import annotations

import contextlib

from playwright.sync_api import Error, Page, Route, expect

from tests.browser.visits import Shop, Visits, log_in, violations

CHECKOUT = "**/api/v1/checkout"


def at_the_review(
    visits: Visits, shop: Shop, user: str, cart: dict[str, int], width: int = 1280
) -> Page:
    """A page where ``user`` is about to place an order."""
    with shop.customer(user) as customer:
        for item, quantity in cart.items():
            customer.call("add_to_cart", {"item": item, "quantity": quantity})
    page = visits.page(width=width)
    log_in(page, user)
    page.goto("/#/checkout")
    expect(page.locator("#confirm")).to_be_enabled()
    return page


def test_a_reload_resumes_the_same_order(visits: Visits, shop: Shop) -> None:
    """An order whose answer is lost is asked after with its key, beyond a reload, and
    placed once."""
    user = shop.account()
    item = shop.put(shop.fresh("ONCE"), "Bought once", price=300, stock=10)
    page = at_the_review(visits, shop, user, {item: 2})
    visits.tolerate("net::ERR_FAILED")
    keys = []
    losing = True

    def done_but_unanswered(route: Route) -> None:
        keys.append(route.request.headers["idempotency-key"])
        # A request that the reload has cancelled has nobody to be answered.
        with contextlib.suppress(Error):
            if losing:
                route.fetch()
                route.abort()
            else:
                route.continue_()

    page.route(CHECKOUT, done_but_unanswered)
    page.get_by_role("button", name="Place the order for 6.00").click()
    expect(page.locator("#unknown")).to_contain_text("We do not know yet")
    page.reload()
    expect(page.locator("#unknown")).to_contain_text("We do not know yet")
    losing = False
    page.get_by_role("button", name="Ask now").click()
    expect(page.get_by_text("Thank you, the order is placed")).to_be_visible()

    assert len(keys) >= 3
    assert set(keys) == {keys[0]}
    with shop.customer(user) as customer:
        assert len(customer.orders()) == 1
    assert shop.stock(item) == 8
    page.goto("/#/checkout")
    expect(page.get_by_text("There is nothing to check out")).to_be_visible()


def test_two_clicks_are_one_order(visits: Visits, shop: Shop) -> None:
    """Confirming is a single shot, however often it is pressed."""
    user = shop.account()
    item = shop.put(shop.fresh("TWICE"), "Pressed twice", stock=10)
    page = at_the_review(visits, shop, user, {item: 1})
    sent = []
    page.on(
        "request",
        lambda request: sent.append(request) if "checkout" in request.url else None,
    )

    page.locator("#confirm").evaluate("button => { button.click(); button.click(); }")
    expect(page.get_by_text("Thank you, the order is placed")).to_be_visible()

    assert len([each for each in sent if each.method == "POST"]) == 1


def test_a_shortage_is_settled_line_by_line(visits: Visits, shop: Shop) -> None:
    """What is out of stock is said per line: set to what is left, or removed."""
    user = shop.account()
    few = shop.put(shop.fresh("FEW"), "A few", stock=3)
    none = shop.put(shop.fresh("NONE"), "None left", stock=0)
    page = at_the_review(visits, shop, user, {few: 5, none: 1}, width=375)
    visits.tolerate("status of 409")

    page.locator("#confirm").click()
    refused = page.locator("#refused")
    expect(refused).to_contain_text("Not enough in stock")
    refused.get_by_role("button", name="Set A few to 3").click()
    refused.get_by_role("button", name="Remove None left").click()
    expect(refused.get_by_text("Solved")).to_have_count(2)
    page.get_by_role("button", name="Place the order for 7.50").click()

    expect(page.get_by_text("Thank you, the order is placed")).to_be_visible()
    assert shop.stock(few) == 0


def test_a_new_price_is_shown_beside_the_old(visits: Visits, shop: Shop) -> None:
    """A price that changes while the order is on its way is shown, and accepted."""
    user = shop.account()
    item = shop.put(shop.fresh("PRICE"), "Dearer soon", price=100)
    page = at_the_review(visits, shop, user, {item: 2})
    visits.tolerate("status of 409")

    def dearer_meanwhile(route: Route) -> None:
        shop.put(item, "Dearer soon", price=150)
        route.continue_()

    page.route(CHECKOUT, dearer_meanwhile, times=1)
    page.get_by_role("button", name="Place the order for 2.00").click()
    changed = page.locator("#changed")
    expect(changed).to_contain_text("Prices have changed")
    expect(changed.get_by_role("row").last).to_contain_text("1.00")
    expect(changed.get_by_role("row").last).to_contain_text("1.50")
    changed.get_by_role("button", name="Accept the new total of 3.00").click()
    page.get_by_role("button", name="Place the order for 3.00").click()

    expect(page.get_by_text("Thank you, the order is placed")).to_be_visible()
    expect(page.locator("#order-total")).to_have_text("3.00")


def test_a_price_that_changes_in_sight_is_accepted_first(
    visits: Visits, shop: Shop
) -> None:
    """While a review is open, no other total than the one that was read is ordered:
    a new one is shown beside the old, and nothing is sent until it is accepted."""
    user = shop.account()
    item = shop.put(shop.fresh("SIGHT"), "Dearer in sight", price=100)
    page = at_the_review(visits, shop, user, {item: 2})
    confirm = page.get_by_role("button", name="Place the order for 2.00")
    expect(confirm).to_be_enabled()

    shop.put(item, "Dearer in sight", price=150)
    changed = page.locator("#changed")
    expect(changed).to_contain_text("The total was 2.00 and is now 3.00")
    expect(confirm).to_be_disabled()
    confirm.dispatch_event("click")
    expect(changed).to_be_visible()
    assert violations(page) == []
    changed.get_by_role("button", name="Accept the new total of 3.00").click()
    expect(page.get_by_role("heading", name="Review your order")).to_be_focused()
    with page.expect_request(CHECKOUT) as sent:
        page.get_by_role("button", name="Place the order for 3.00").click()

    assert sent.value.post_data_json == {"expected_total": 300}
    expect(page.get_by_text("Thank you, the order is placed")).to_be_visible()


def test_what_is_not_sold_cannot_be_ordered(visits: Visits, shop: Shop) -> None:
    """Items that are not sold any more are called that, not short; nothing but such
    items makes no order."""
    user = shop.account()
    gone = shop.put(shop.fresh("GONE"), "Gone soon", price=100)
    kept = shop.put(shop.fresh("KEPT"), "Kept on", price=300)
    page = at_the_review(visits, shop, user, {gone: 1, kept: 1})
    visits.tolerate("status of 409")

    shop.operator.call("remove_item", {"item": gone})
    page.get_by_role("button", name="Accept the new total of 3.00").click()
    page.get_by_role("button", name="Place the order for 3.00").click()
    refused = page.locator("#refused")
    expect(refused.get_by_role("heading")).to_have_text("No longer sold")
    expect(refused).not_to_contain_text("Not enough in stock")
    page.evaluate("location.hash = '#/cart'")
    page.get_by_role("button", name="Remove Kept on").click()
    expect(page.locator("#cart")).to_contain_text("Nothing of it is sold any more")
    expect(page.locator("#to-checkout")).to_be_disabled()

    page.evaluate("location.hash = '#/checkout'")
    expect(page.locator("#confirm")).to_be_disabled()
    expect(page.locator("#confirm")).to_have_text("Place the order")


def test_without_a_majority_an_order_waits(visits: Visits, shop: Shop) -> None:
    """An order that cannot be taken says so, and goes on by itself."""
    user = shop.account()
    item = shop.put(shop.fresh("WAIT"), "Worth waiting for", stock=10)
    page = at_the_review(visits, shop, user, {item: 1})
    visits.tolerate("status of 503")
    cluster = shop.cluster
    killed = cluster.members("it")[:2]

    for name in killed:
        cluster.do(f"kill {name}")
    page.locator("#confirm").click()
    expect(page.locator("#waiting, #unknown")).to_be_visible()
    expect(page.locator("#connection")).not_to_have_text("Live")
    for name in killed:
        cluster.do(f"start {name}")

    expect(page.get_by_text("Thank you, the order is placed")).to_be_visible()
    expect(page.locator("#connection")).to_have_text("Live")
    with shop.customer(user) as customer:
        assert len(customer.orders()) == 1


def refuse_once(page: Page) -> None:
    """Have the order refused once for want of a majority, for now."""
    details = {"retry_after": 3600}
    error = {"code": "unavailable", "message": "no majority", "details": details}
    page.route(
        CHECKOUT,
        lambda route: route.fulfill(status=503, json={"error": error}),
        times=1,
    )


def test_what_is_being_sent_is_not_given_up(visits: Visits, shop: Shop) -> None:
    """While an order is sent once more that may place it, so that it cannot be given
    up; the page shows what comes of it."""
    user = shop.account()
    item = shop.put(shop.fresh("HELD"), "Sent once more", stock=10)
    page = at_the_review(visits, shop, user, {item: 1})
    visits.tolerate("status of 503")
    held: list[Route] = []
    page.route(CHECKOUT, lambda route: held.append(route))
    refuse_once(page)
    page.locator("#confirm").click()
    stop = page.get_by_role("button", name="Stop trying")
    expect(stop).to_be_enabled()

    with page.expect_request(CHECKOUT):
        page.get_by_role("button", name="Try now").click()
    stop.dispatch_event("click")
    expect(stop).to_be_disabled()
    assert violations(page) == []
    (route,) = held
    route.continue_()

    expect(page.get_by_text("Thank you, the order is placed")).to_be_visible()
    with shop.customer(user) as customer:
        assert len(customer.orders()) == 1


def test_what_is_given_up_is_not_ordered(visits: Visits, shop: Shop) -> None:
    """Between two sendings an order can be given up: it is not sent again, and the
    next one is another."""
    user = shop.account()
    item = shop.put(shop.fresh("STOP"), "Not sent again", stock=10)
    page = at_the_review(visits, shop, user, {item: 1})
    visits.tolerate("status of 503")
    refuse_once(page)
    with page.expect_request(CHECKOUT) as first:
        page.locator("#confirm").click()
    page.get_by_role("button", name="Stop trying").click()

    expect(page.locator("#waiting")).to_have_count(0)
    with page.expect_request(CHECKOUT) as second:
        page.locator("#confirm").click()

    expect(page.get_by_text("Thank you, the order is placed")).to_be_visible()
    keys = [sent.value.headers["idempotency-key"] for sent in (first, second)]
    assert keys[0] != keys[1]


def test_a_reload_without_a_majority_finds_the_order(
    visits: Visits, shop: Shop
) -> None:
    """While the shard of its user cannot be asked, a reloaded page still knows the name
    and the order that is on its way, and goes on with it."""
    user = shop.account()
    item = shop.put(shop.fresh("AWAY"), "Worth the trouble", stock=10)
    page = at_the_review(visits, shop, user, {item: 1})
    visits.tolerate("status of 50[34]")
    cluster = shop.cluster
    shard = page.context.request.get("/api/v1/session").json()["shard"]
    killed = cluster.members(shard)[:2]

    for name in killed:
        cluster.do(f"kill {name}")
    page.locator("#confirm").click()
    expect(page.locator("#waiting, #unknown")).to_be_visible()
    page.reload()
    expect(page.get_by_role("link", name=f"Account of {user}")).to_be_visible()
    expect(page.locator("#unknown")).to_contain_text("on its way, not decided yet")
    expect(page.locator("#connection")).to_have_text("No majority")
    for name in killed:
        cluster.do(f"start {name}")

    expect(page.get_by_text("Thank you, the order is placed")).to_be_visible()
    with shop.customer(user) as customer:
        assert len(customer.orders()) == 1
