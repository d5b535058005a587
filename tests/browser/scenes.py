"""Every view of the shop in every state that it has, and how a page gets there."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from playwright.sync_api import Page, expect

from tests.browser.visits import Shop, log_in

Scene = Callable[[Page, Shop], None]
"""Brings a page that has not been anywhere yet to what is to be looked at."""

CATALOGUE: Final = (
    ("LAMP-01", "Desk lamp, brass", 6850, 24),
    ("NOTE-A5", "Linen notebook A5", 1290, 112),
    ("MUG-350", "Ceramic mug, 350 ml", 1850, 4),
    ("TRAY-OAK", "Oak pencil tray", 3400, 17),
    ("THROW-W", "Wool throw", 11900, 0),
    ("KETTLE", "Field kettle", 5275, 8),
    ("RULER-B", "Brass ruler", 2160, 60),
    ("TAPE-6", "Paper tape, six colours", 940, 240),
    ("TOTE", "Canvas tote", 2400, 35),
    ("BOWL", "Enamel bowl", 1725, 2),
    ("HOOK-W", "Walnut coat hook", 2890, 41),
    ("APRON", "Cotton apron", 4350, 12),
)
CART: Final[Mapping[str, int]] = {"LAMP-01": 1, "NOTE-A5": 3, "TRAY-OAK": 1}
ITEM: Final = ".item[data-item]"
CHECKOUT: Final = "**/api/v1/checkout"


def furnish(shop: Shop) -> None:
    """Put the items there that the scenes show."""
    for item, name, price, stock in CATALOGUE:
        shop.put(item, name, price, stock)


def visitor(path: str, ready: str) -> Scene:
    """A view as somebody sees it who is not logged in."""

    def scene(page: Page, shop: Shop) -> None:
        page.goto(path)
        page.locator(ready).first.wait_for()

    return scene


def shopper(
    path: str,
    ready: str,
    cart: Mapping[str, int] | None = None,
    orders: int = 0,
    then: Scene | None = None,
) -> Scene:
    """A view as a shopper sees it who has placed ``orders`` and has this cart."""

    def scene(page: Page, shop: Shop) -> None:
        user = shop.account("robin")
        with shop.customer(user) as customer:
            for n in range(orders):
                for item in list(CART)[: n + 1]:
                    customer.call("add_to_cart", {"item": item, "quantity": 1})
                customer.call("checkout")
            for item, quantity in (cart or {}).items():
                customer.call("add_to_cart", {"item": item, "quantity": quantity})
        log_in(page, user)
        page.goto(path)
        page.locator(ready).first.wait_for()
        if cart:
            page.locator(".cart-line").first.wait_for(state="attached")
        if then is not None:
            then(page, shop)

    return scene


def _refused(code: str, status: int, **details: Any) -> Scene:
    """The order is answered with an error."""
    message = "Said by the test."
    error = {"code": code, "message": message, "details": details}

    def then(page: Page, shop: Shop) -> None:
        page.route(
            CHECKOUT, lambda route: route.fulfill(status=status, json={"error": error})
        )
        page.locator("#confirm:not([aria-disabled])").click()
        page.locator("#refused, #changed, #unknown, #waiting").first.wait_for()

    return then


def _new_price(page: Page, shop: Shop) -> None:
    price = shop.price("KETTLE")
    shop.put("KETTLE", "Field kettle", price + 400, 8)
    page.locator(".line-note s").wait_for()


def _placed(page: Page, shop: Shop) -> None:
    page.locator("#confirm:not([aria-disabled])").click()
    page.locator("#thanks").wait_for()


def _newest_order(page: Page, shop: Shop) -> None:
    page.locator(".order-row").first.click()
    page.locator(".order-table").wait_for()


def _broken_orders(page: Page, shop: Shop) -> None:
    details = {"request_id": "7f3a1c9e2b04d6a8"}
    error = {"code": "internal", "message": "It went wrong here.", "details": details}
    page.route(
        "**/api/v1/orders?*",
        lambda route: route.fulfill(status=500, json={"error": error}),
    )
    page.reload()
    page.get_by_role("button", name="Try again").wait_for()


def _failed_line(page: Page, shop: Shop) -> None:
    error = {"code": "rate_limited", "message": "Too fast.", "details": {}}
    page.route(
        "**/api/v1/cart/items",
        lambda route: route.fulfill(status=429, json={"error": error}),
    )
    page.get_by_role("button", name="Add Canvas tote").click()
    page.locator(".line-error").wait_for()


def _removed(page: Page, shop: Shop) -> None:
    page.get_by_role("button", name="Remove Desk lamp, brass").click()
    page.locator(".toast").wait_for()


def _session_ended(page: Page, shop: Shop) -> None:
    page.locator(".cart-line").first.wait_for(state="attached")
    page.context.request.delete("/api/v1/session")
    page.get_by_role("dialog").wait_for()


def _shortcuts(page: Page, shop: Shop) -> None:
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()


def _empty_form(page: Page, shop: Shop) -> None:
    page.goto("/#/register")
    page.get_by_role("button", name="Create the account").click()
    page.get_by_role("alert").first.wait_for()


def _socket_says(*events: dict[str, Any]) -> Scene:
    """The items come over a socket that says only this; none: it cannot be had."""

    def scene(page: Page, shop: Shop) -> None:
        def serve(socket: Any) -> None:
            def hear(message: str) -> None:
                if '"watch_inventory"' in message:
                    for event in events:
                        socket.send(json.dumps({"id": 1, "event": event}))

            if events:
                socket.on_message(hear)
            else:
                socket.close()

        page.route_web_socket("**/ws", serve)
        page.goto("/")

    return scene


def _stale(page: Page, shop: Shop) -> None:
    fields = ("id", "name", "price", "stock")
    items = [dict(zip(fields, each, strict=True)) for each in CATALOGUE]
    full = {"revision": 1, "full": True, "items": items, "removed": [], "stale": True}
    _socket_says(full)(page, shop)
    expect(page.locator("#connection")).to_contain_text("Stale since")


def _reconnecting(page: Page, shop: Shop) -> None:
    _socket_says()(page, shop)
    expect(page.locator("#connection")).to_contain_text("Reconnecting in")
    page.locator(ITEM).first.wait_for()


def _loading(page: Page, shop: Shop) -> None:
    page.route_web_socket("**/ws", lambda socket: None)
    page.route("**/api/v1/inventory?*", lambda route: None)
    page.goto("/")
    expect(page.locator(".skeleton").first).to_have_css("opacity", "1")


def _operator(page: Page, shop: Shop) -> None:
    log_in(page, "operator", shop.cluster.operator_password())
    page.goto("/#/cart")
    expect(page.locator("#cart")).to_contain_text("No cart for the operator")


SHORT: Final = {"shortages": [{"item": "MUG-350", "wanted": 9, "stock": 4}]}
DEARER: Final = {
    "total": 14520,
    "lines": [
        {"item": "LAMP-01", "name": "Desk lamp, brass", "quantity": 1, "price": 7250},
        {"item": "NOTE-A5", "name": "Linen notebook A5", "quantity": 3, "price": 1290},
        {"item": "TRAY-OAK", "name": "Oak pencil tray", "quantity": 1, "price": 3400},
    ],
}

MAIN: Final[Mapping[str, Scene]] = {
    "shop": shopper("/", ITEM, CART),
    "cart": shopper("/#/cart", ".cart-line", {**CART, "BOWL": 3}),
    "checkout": shopper("/#/checkout", "#confirm", CART),
    "order": shopper("/#/checkout", "#confirm", CART, then=_placed),
    "orders": shopper("/#/orders", ".order-row", orders=3),
    "login": visitor("/#/login", "form"),
}
"""The main views, as they mostly are."""

STATES: Final[Mapping[str, Scene]] = {
    "shop of a visitor": visitor("/", ITEM),
    "shop, loading": _loading,
    "shop, nothing found": visitor("/#/?q=nothing+like+this", ".empty"),
    "shop, empty cart": shopper("/", ITEM),
    "shop, line failed": shopper("/", ITEM, CART, then=_failed_line),
    "shop, stale": _stale,
    "shop, reconnecting": _reconnecting,
    "shop, shortcuts": shopper("/", ITEM, CART, then=_shortcuts),
    "shop, session ended": shopper("/", ITEM, CART, then=_session_ended),
    "cart of a visitor": visitor("/#/cart", ".empty"),
    "cart of the operator": _operator,
    "cart, empty": shopper("/#/cart", ".empty"),
    "cart, new price": shopper(
        "/#/cart", ".cart-line", {**CART, "KETTLE": 1}, then=_new_price
    ),
    "cart, removed": shopper("/#/cart", ".cart-line", CART, then=_removed),
    "checkout of a visitor": visitor("/#/checkout", ".empty"),
    "checkout, empty": shopper("/#/checkout", ".empty"),
    "checkout, shortage": shopper(
        "/#/checkout",
        "#confirm",
        {**CART, "MUG-350": 9},
        then=_refused("out_of_stock", 409, **SHORT),
    ),
    "checkout, dearer": shopper(
        "/#/checkout",
        "#confirm",
        CART,
        then=_refused("price_changed", 409, **DEARER),
    ),
    "checkout, unknown": shopper(
        "/#/checkout", "#confirm", CART, then=_refused("timeout", 504)
    ),
    "checkout, waiting": shopper(
        "/#/checkout", "#confirm", CART, then=_refused("unavailable", 503)
    ),
    "orders of a visitor": visitor("/#/orders", ".empty"),
    "orders, empty": shopper("/#/orders", ".empty"),
    "orders, broken": shopper("/#/orders", ".empty", then=_broken_orders),
    "order, older": shopper("/#/orders", ".order-row", orders=1, then=_newest_order),
    "order, unknown": shopper("/#/orders/nothing", ".empty"),
    "register, wrong": _empty_form,
    "account": shopper("/#/account", ".facts"),
    "nowhere": visitor("/#/nowhere", ".empty"),
}
"""What else there is to be seen."""
