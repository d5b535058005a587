"""The whole of it in two browsers: somebody shops while the operator kills a leader."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.browser.operating import command, leads, node, open_page
from tests.browser.test_shop import item, line, quantity
from tests.browser.visits import Shop, Visits, log_in


def test_shopping_goes_on_through_a_failover(visits: Visits, shop: Shop) -> None:
    """The leader of the shopper's shard is killed from the operator's page; carts, the
    checkout and the stock in sight go on, and the leader comes back."""
    mug = shop.put(shop.fresh("MUG"), "Enamel mug", price=900, stock=9)
    user = shop.account()
    with shop.customer(user) as customer:
        shard = customer.call("whoami")["shard"]
    first, second = f"{shard}r0", f"{shard}r1"
    shopper, operator = visits.page(), open_page(visits, shop)
    log_in(shopper, user)
    shopper.goto("/")
    add = shopper.get_by_role("button", name="Add Enamel mug to the cart")
    add.click()
    expect(quantity(line(shopper, mug))).to_have_value("1")
    leads(operator, first)

    command(operator, "Kill", first)
    add.click()
    expect(quantity(line(shopper, mug))).to_have_value("2")
    expect(shopper.locator("#cart-total")).to_have_text("18.00")
    leads(operator, second)
    expect(node(operator, first)).to_contain_text("dead")
    shopper.get_by_role("link", name="Check out").click()
    shopper.get_by_role("button", name="Place the order for 18.00").click()
    expect(shopper.get_by_text("Thank you, the order is placed")).to_be_visible()
    shopper.get_by_role("navigation").get_by_role("link", name="Orders").click()
    expect(shopper.locator(".order-row")).to_have_count(1)
    shopper.get_by_role("navigation").get_by_role("link", name="Shop").click()
    expect(item(shopper, mug)).to_contain_text("7 in stock")

    command(operator, "Start", first)
    leads(operator, first)
    expect(operator.locator(".health")).to_contain_text("Everything works.")
    add.click()
    expect(quantity(line(shopper, mug))).to_have_value("1")
    assert shop.stock(mug) == 7
