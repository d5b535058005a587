"""Inventory editing on the operator's page."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.browser.operating import command, dialog, leads, open_page, row
from tests.browser.visits import Shop, Visits


def test_an_item_added_edited_and_removed(visits: Visits, shop: Shop) -> None:
    """What one browser changes stands in another's table, and in the shop."""
    page = open_page(visits, shop, "inventory")
    other, shopper = open_page(visits, shop, "inventory"), visits.page()
    shopper.goto("/")
    item = shop.fresh("TEAPOT")
    page.get_by_role("button", name="Add an item").click()
    asked = dialog(page, "Add an item")
    asked.get_by_role("button", name="Add").click()
    expect(asked.get_by_label("Id", exact=True)).to_be_focused()
    expect(asked).to_contain_text("It must be 1 to 32 of A-Z a-z 0-9 . _ -.")
    asked.get_by_label("Id", exact=True).fill(item)
    asked.get_by_label("Name").fill("Teapot")
    asked.get_by_label("Price").fill("12.5")
    asked.get_by_label("Stock").fill("40")
    asked.get_by_label("Stock").press("Enter")
    for each in (page, other):
        expect(row(each, item)).to_contain_text("12.50")
    expect(shopper.locator("#view")).to_contain_text("Teapot")

    row(page, item).get_by_role("button", name=f"Edit {item}").click()
    page.get_by_label(f"Name of {item}").fill("Red teapot")
    page.get_by_label(f"Price of {item}").fill("9.99")
    page.get_by_role("button", name=f"Save {item}").click()
    for each in (page, other):
        expect(row(each, item)).to_contain_text("Red teapot")
        expect(row(each, item)).to_contain_text("9.99")
        expect(row(each, item)).to_contain_text("40")

    page.get_by_label(f"How many of {item}").fill("15")
    page.get_by_role("button", name=f"Take from the stock of {item}").click()
    expect(row(other, item)).to_contain_text("25")
    page.get_by_role("button", name=f"Add to the stock of {item}").click()
    expect(row(other, item)).to_contain_text("40")
    assert shop.stock(item) == 40

    page.get_by_role("button", name=f"Remove {item}").click()
    dialog(page, f"Remove {item}?").get_by_role("button", name="Remove").click()
    expect(row(page, item)).to_have_count(0)
    expect(row(other, item)).to_have_count(0)


def test_a_name_is_as_long_as_the_server_takes(visits: Visits, shop: Shop) -> None:
    """The form refuses the first name that is too long, and none that is not."""
    page = open_page(visits, shop, "inventory")
    item = shop.fresh("LONG")
    page.get_by_role("button", name="Add an item").click()
    asked = dialog(page, "Add an item")
    asked.get_by_label("Id", exact=True).fill(item)
    asked.get_by_label("Price").fill("1")
    asked.get_by_label("Stock").fill("1")

    asked.get_by_label("Name").fill("é" * 75)
    asked.get_by_role("button", name="Add").click()
    expect(asked).to_contain_text("at most 150 bytes")
    expect(asked.get_by_label("Name")).to_be_focused()
    asked.get_by_label("Name").fill("é" * 74)
    asked.get_by_role("button", name="Add").click()

    expect(row(page, item)).to_contain_text("é" * 74)


def test_what_is_typed_outlives_what_others_do(visits: Visits, shop: Shop) -> None:
    """Others' changes, even of the same item or its removal, leave the fields alone."""
    item = shop.put(shop.fresh("CUP"), "Cup", stock=30)
    page = open_page(visits, shop, "inventory")
    row(page, item).get_by_role("button", name=f"Edit {item}").click()
    name = page.get_by_label(f"Name of {item}")
    name.fill("A cup in the making")
    shop.operator.call("update_inventory", {"item": item, "quantity_change": -7})
    stock = page.get_by_label(f"Stock of {item}", exact=True)
    expect(stock).to_have_value("23")
    stock.fill("500")
    shop.put(item, "Somebody else's cup", stock=11)
    expect(row(page, item)).to_contain_text("now 11")
    page.get_by_label("Search").fill("nothing is called this")
    shop.operator.call("remove_item", {"item": item})
    expect(row(page, item)).to_contain_text("removed meanwhile")
    expect(name).to_have_value("A cup in the making")
    expect(stock).to_have_value("500")
    stock.press("Enter")
    page.get_by_label("Search").fill(item)
    expect(row(page, item)).to_contain_text("A cup in the making")
    assert shop.stock(item) == 500


def test_a_refused_change_says_why_in_its_row(visits: Visits, shop: Shop) -> None:
    """Stock below zero is refused in the row it was asked for, and changes nothing."""
    item = shop.put(shop.fresh("BOWL"), "Bowl", stock=3)
    page = open_page(visits, shop, "inventory")
    page.get_by_role("button", name=f"Take from the stock of {item}").click()
    expect(row(page, item).locator(".item-note")).to_be_visible()
    page.get_by_label(f"How many of {item}").fill("two")
    page.get_by_role("button", name=f"Add to the stock of {item}").click()
    expect(row(page, item).locator(".item-note")).to_contain_text("A whole number")
    expect(page.get_by_label(f"How many of {item}")).to_be_focused()
    assert shop.stock(item) == 3


def test_without_a_leader_the_page_still_serves(visits: Visits, shop: Shop) -> None:
    """With no inventory leader the operator is still known, told so, and can act."""
    visits.tolerate("50[34]")
    item = shop.put(shop.fresh("LATER"), "Changed later", stock=5)
    page = open_page(visits, shop, "inventory")
    expect(row(page, item)).to_be_visible()
    for name in ("it0", "it1"):
        answer = page.context.request.post(f"/api/v1/cluster/replicas/{name}/kill")
        assert answer.json() == {"done": f"killed {name}"}
    expect(page.get_by_text("The inventory has no leader.")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^Stock as of \d\d:\d\d$"))).to_be_visible()
    expect(page.locator("#connection")).to_have_text("Live")
    page.get_by_role("button", name=f"Add to the stock of {item}").click()
    note = row(page, item).locator(".item-note")
    expect(note).to_be_visible()
    other = page.context.new_page()
    other.goto("/operator")
    expect(other.locator(".health")).to_contain_text("The inventory has no majority.")
    for name in ("it0", "it1"):
        command(other, "Start", name)
    leads(other, "it0")
    expect(page.get_by_text("The inventory has no leader.")).to_be_hidden()
    expect(page.get_by_text(re.compile("^Stock as of"))).to_be_hidden()
    note.get_by_role("button").click()
    expect(note).to_be_hidden()
    expect(row(page, item)).to_contain_text("15")
    assert shop.stock(item) == 15


def test_names_are_text(visits: Visits, shop: Shop) -> None:
    """An item's name with HTML in it is shown as it was written, everywhere."""
    name = "<img src=x onerror=alert(1)><b>bold</b>"
    item = shop.put(shop.fresh("HTML"), name, stock=0)
    page = open_page(visits, shop, "inventory")
    expect(row(page, item)).to_contain_text(name)
    row(page, item).get_by_role("button", name=f"Remove {item}").click()
    expect(dialog(page, f"Remove {item}?")).to_contain_text(name)
    page.keyboard.press("Escape")
    page.goto("/operator#charts")
    expect(page.get_by_role("combobox", name="Stock of")).to_contain_text(name)
    expect(page.locator("#view img, #view b:text('bold')")).to_have_count(0)
    shop.operator.call("remove_item", {"item": item})
