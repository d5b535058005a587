"""Shopping in a browser, from the first visit to the order."""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.visits import PASSWORD, Shop, Visits, log_in


def item(page: Page, name: str) -> Locator:
    return page.locator(f'.item[data-item="{name}"]')


def line(page: Page, name: str) -> Locator:
    return page.locator(f'.cart-line[data-item="{name}"]')


def quantity(place: Locator) -> Locator:
    return place.get_by_role("spinbutton")


def test_the_whole_story(visits: Visits, shop: Shop) -> None:
    """Register, log in, fill the cart, check out; others see stock and cart live."""
    lamp = shop.put(shop.fresh("LAMP"), "Desk lamp", price=1250, stock=9)
    user = shop.fresh("ann")
    ann, other, phone = visits.page(), visits.page(), visits.page(width=375)
    other.goto("/")
    expect(item(other, lamp)).to_contain_text("9 in stock")

    ann.goto("/#/register")
    ann.get_by_label("Username").fill(user)
    ann.get_by_label("Password", exact=True).fill(PASSWORD)
    ann.get_by_role("button", name="Create the account").click()
    expect(ann.get_by_role("heading", level=1)).to_have_text("Shop")
    expect(ann.locator("#connection")).to_have_text("Live")
    ann.get_by_role("link", name=f"Account of {user}").click()
    ann.get_by_role("button", name="Log out").click()
    ann.get_by_role("navigation").get_by_role("link", name="Log in").click()
    ann.get_by_label("Username").fill(user)
    ann.get_by_label("Password", exact=True).fill(PASSWORD)
    ann.get_by_role("button", name="Log in").click()

    quantity(item(ann, lamp)).fill("3")
    ann.get_by_role("button", name="Add Desk lamp to the cart").click()
    expect(line(ann, lamp)).to_contain_text("12.50 each")
    expect(ann.locator("#cart-total")).to_have_text("37.50")

    log_in(phone, user)
    phone.goto("/#/cart")
    expect(quantity(line(phone, lamp))).to_have_value("3")
    line(phone, lamp).get_by_role("button", name="Increase").click()
    expect(quantity(line(ann, lamp))).to_have_value("4")
    expect(ann.locator("#cart-total")).to_have_text("50.00")

    ann.get_by_role("link", name="Check out").click()
    ann.get_by_role("button", name="Place the order for 50.00").click()
    expect(ann.get_by_text("Thank you, the order is placed")).to_be_visible()
    expect(ann.locator("#order-total")).to_have_text("50.00")
    ann.reload()
    expect(ann.locator("#order-total")).to_have_text("50.00")
    expect(ann.get_by_text("Thank you")).to_have_count(0)
    expect(item(other, lamp)).to_contain_text("Only 5 left")
    expect(phone.get_by_text("Your cart is empty")).to_be_visible()
    ann.get_by_role("navigation").get_by_role("link", name="Orders").click()
    expect(ann.locator(".order-row")).to_have_count(1)
    expect(ann.locator(".order-row")).to_contain_text("Desk lamp")
    ann.get_by_role("navigation").get_by_role("link", name="Shop").click()
    expect(item(ann, lamp)).to_contain_text("Only 5 left")
    assert shop.stock(lamp) == 5


def test_the_keyboard_is_enough(visits: Visits, shop: Shop) -> None:
    """Everything from the login to the order works without a pointer."""
    user = shop.account()
    mug = shop.put(shop.fresh("MUG"), "Keyboard mug", price=800, stock=30)
    page = visits.page()
    page.goto("/#/login")

    def tab_to(target: Locator) -> None:
        for _ in range(60):
            if target.evaluate("element => element === document.activeElement"):
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"{target} is not reached by Tab")

    tab_to(page.get_by_label("Username"))
    page.keyboard.type(user)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("Shop")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Search the items")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.keyboard.press("/")
    page.keyboard.type(mug)
    expect(page.locator(".item")).to_have_count(1)
    tab_to(quantity(item(page, mug)))
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    expect(quantity(line(page, mug))).to_have_value("2")
    tab_to(page.get_by_role("link", name="Check out"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    tab_to(page.locator("#confirm"))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Thank you, the order is placed")).to_be_visible()

    assert shop.stock(mug) == 28


def test_live_updates_disturb_nobody(visits: Visits, shop: Shop) -> None:
    """What is selected, focused and half typed stays while stock, prices, names and
    the order of the list change."""
    user = shop.account()
    mine = shop.put(shop.fresh("LIVE"), "Live item", stock=50)
    page = visits.page()
    log_in(page, user)
    page.goto("/#/?sort=stock")
    field = quantity(item(page, mine))
    field.fill("")
    field.press_sequentially("1")

    shop.put(mine, "Live item, renamed", price=777, stock=2)
    shop.put(shop.fresh("LIVE"), "A newcomer", stock=999)

    expect(item(page, mine)).to_contain_text("Live item, renamed")
    expect(item(page, mine)).to_contain_text("Only 2 left")
    expect(page.get_by_text("A newcomer")).to_be_visible()
    expect(field).to_be_focused()
    field.press_sequentially("2")
    expect(field).to_have_value("12")
    expect(item(page, mine)).to_have_attribute("data-selected", "")
    field.press("Enter")
    expect(quantity(line(page, mine))).to_have_value("12")
    expect(line(page, mine)).to_contain_text("Only 2 left")
    line(page, mine).get_by_role("button", name="Set to 2").click()
    expect(quantity(line(page, mine))).to_have_value("2")
    shop.operator.call("remove_item", {"item": mine})
    expect(line(page, mine)).to_contain_text("No longer sold")
    expect(item(page, mine)).to_have_count(0)


def test_what_is_removed_can_be_had_back(visits: Visits, shop: Shop) -> None:
    """A removed line goes at once, moves the focus on, and comes back by Undo."""
    user = shop.account()
    first = shop.put(shop.fresh("UNDO"), "First thing")
    second = shop.put(shop.fresh("UNDO"), "Second thing")
    with shop.customer(user) as elsewhere:
        elsewhere.call("add_to_cart", {"item": first, "quantity": 4})
        elsewhere.call("add_to_cart", {"item": second, "quantity": 1})
    page = visits.page()
    log_in(page, user)
    page.goto("/#/cart")

    page.get_by_role("button", name="Remove First thing").press("Enter")
    expect(line(page, first)).to_have_count(0)
    expect(page.get_by_role("button", name="Remove Second thing")).to_be_focused()
    page.get_by_role("button", name="Undo").click()

    expect(quantity(line(page, first))).to_have_value("4")


def test_a_cart_waits_for_the_login(visits: Visits, shop: Shop) -> None:
    """What is added before anybody is logged in is in the cart after the login."""
    user = shop.account()
    wanted = shop.put(shop.fresh("WANT"), "Wanted thing")
    page = visits.page()
    page.goto("/")

    quantity(item(page, wanted)).fill("2")
    page.get_by_role("button", name="Add Wanted thing to the cart").click()
    page.get_by_label("Username").fill(user)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()

    expect(quantity(line(page, wanted))).to_have_value("2")


def test_markup_in_names_is_text(visits: Visits, shop: Shop) -> None:
    """An item's name with HTML in it is shown as it is, in the shop and the order."""
    user = shop.account()
    name = "<img src=x onerror=alert(1)><b>bold</b>"
    evil = shop.put(shop.fresh("EVIL"), name)
    page = visits.page()
    page.on("dialog", lambda dialog: dialog.dismiss())
    log_in(page, user)
    page.goto("/")

    expect(item(page, evil).get_by_role("heading")).to_have_text(name)
    item(page, evil).get_by_role("button", name=re.compile("^Add ")).click()
    expect(line(page, evil).get_by_role("heading")).to_have_text(name)
    page.get_by_role("link", name="Check out").click()
    page.locator("#confirm").click()
    expect(page.get_by_role("rowheader", name=name)).to_be_visible()

    assert page.locator("img, b").count() == 0


def test_a_wrong_form_says_where(visits: Visits, shop: Shop) -> None:
    """A form that is wrong names each field in a summary that leads there."""
    taken = shop.account()
    visits.tolerate("status of 401")
    visits.tolerate("status of 409")
    page = visits.page()
    page.goto("/#/register")

    page.get_by_role("button", name="Create the account").click()
    page.get_by_role("link", name="Enter a username.").click()
    expect(page.get_by_label("Username")).to_be_focused()
    page.keyboard.type(taken)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("taken")
    page.goto("/#/login")
    page.get_by_label("Username").fill(taken)
    page.get_by_label("Password", exact=True).fill("not this one")
    page.keyboard.press("Enter")

    expect(page.get_by_role("alert")).to_contain_text("wrong")
    expect(page.get_by_text("is wrong")).to_have_count(1)
    expect(page.get_by_label("Username")).to_have_value(taken)
