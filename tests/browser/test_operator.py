"""The operator's page: who may see it, and what it shows and does to the cluster."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, WebSocketRoute, expect

from tests.browser.operating import (
    command,
    dialog,
    leads,
    log_in_operator,
    menu,
    node,
    open_page,
    show,
)
from tests.browser.visits import Shop, Visits, log_in


def test_log_in_and_out(visits: Visits, shop: Shop) -> None:
    """Without a session there is a form; the password opens the page, nothing else."""
    visits.tolerate("401")
    page = visits.page()
    page.goto("/operator")
    password = page.get_by_label("Password")
    expect(password).to_be_focused()
    password.fill("not the password")
    password.press("Enter")
    expect(page.get_by_role("alert")).to_have_text(
        "This is not the operator's password."
    )
    password.fill(shop.cluster.operator_password())
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("article")).to_have_count(4)
    expect(page.locator("#connection")).to_have_text("Live")
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Password")).to_be_visible()


def test_a_shopper_is_told_whose_page_it_is(visits: Visits, shop: Shop) -> None:
    """A shopper sees nothing of the cluster, and ways to the shop and to be both."""
    visits.tolerate("401")
    user = shop.account()
    page = visits.page()
    page.goto("/")
    log_in(page, user)
    page.goto("/operator")
    expect(page.get_by_role("heading", level=2)).to_have_text(
        "This page is the operator's"
    )
    expect(page.locator("#view")).to_contain_text(user)
    expect(page.get_by_role("article")).to_have_count(0)
    expect(page.get_by_role("link", name="Back to the shop")).to_be_visible()
    view = page.locator("#view")
    expect(view).to_contain_text("open this page in a private window")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="http://localhost:").click()
    expect(opened.value.get_by_label("Password")).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Password")).to_be_visible()


def test_a_page_that_waits_says_what_for(visits: Visits, shop: Shop) -> None:
    """Who it is may take seconds to know; meanwhile the page is not blank."""
    page = visits.page()
    log_in_operator(page, shop)
    page.route("**/api/v1/session", lambda route: None)
    page.goto("/operator")
    expect(page.get_by_text("Asking the inventory group")).to_be_visible()
    expect(page.get_by_role("button", name="Connect now")).to_be_hidden()


def test_a_lost_connection_can_be_tried_again(visits: Visits, shop: Shop) -> None:
    """While it is reconnecting, nobody has to wait for the next attempt."""
    page = visits.page()
    log_in_operator(page, shop)
    refused = [True]

    def serve(socket: WebSocketRoute) -> None:
        if refused:
            socket.close()
        else:
            socket.connect_to_server()

    page.route_web_socket("**/ws", serve)
    page.goto("/operator")
    now = page.get_by_role("button", name="Connect now")
    expect(now).to_be_visible()
    refused.clear()
    now.click()
    expect(page.locator("#connection")).to_have_text("Live")
    expect(page.locator("#subtitle")).to_contain_text("Cluster test")
    expect(now).to_be_hidden()


def test_a_leader_killed_and_started_again(visits: Visits, shop: Shop) -> None:
    """Kill a shard's leader, told the effect before; see each step of what follows."""
    page, other = open_page(visits, shop), open_page(visits, shop, "timeline")
    leads(page, "s1r0")
    menu(page, "s1r0").get_by_role("button", name="Kill").click()
    asked = dialog(page, "Kill s1r0?")
    expect(asked).to_contain_text("s1 will have 2 of 3: it keeps its majority.")
    expect(asked).to_contain_text("It leads s1: another is elected")
    expect(asked.get_by_role("textbox")).to_have_count(0)
    asked.get_by_role("button", name="Kill s1r0").click()

    expect(node(page, "s1r0")).to_have_attribute("aria-label", "s1r0 of s1, dead")
    expect(node(page, "s1r0")).to_contain_text("dead")
    leads(page, "s1r1")
    card = page.get_by_role("article", name="s1")
    expect(card).to_contain_text("2 of 3 alive, none may fail now")
    expect(page.locator(".health")).to_contain_text("Not there: s1r0.")
    killed = other.get_by_role("listitem").filter(has_text="s1r0 was killed").first
    expect(killed).to_contain_text("by operator")
    expect(killed.locator("time")).to_have_attribute(
        "title", re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$")
    )
    led = other.get_by_role("listitem").filter(has_text="s1r1 leads s1 in term")
    expect(led.first).to_be_visible()

    command(page, "Start", "s1r0")
    leads(page, "s1r0")
    expect(card).to_contain_text("all 3 alive")
    expect(page.locator(".health")).to_contain_text("Everything works.")


def test_taking_a_majority_asks_for_the_name(visits: Visits, shop: Shop) -> None:
    """What would take a majority away is said so, and not done until it is typed."""
    page = open_page(visits, shop)
    command(page, "Kill", "s2r2")
    expect(node(page, "s2r2")).to_contain_text("dead")
    menu(page, "s2r1").get_by_role("button", name="Kill").click()
    asked = dialog(page, "Kill s2r1?")
    expect(asked).to_contain_text(
        "s2 will have 1 of 3: it loses its majority, carts and orders of its users"
        " cannot change until one is back."
    )
    typed = asked.get_by_label("Type s2r1 to confirm")
    expect(typed).to_be_focused()
    typed.fill("s2r")
    typed.press("Enter")
    expect(asked.get_by_role("alert").first).to_contain_text("Type s2r1")
    page.keyboard.press("Escape")
    expect(node(page, "s2r1")).to_be_focused()
    expect(node(page, "s2r1")).to_contain_text("follower")

    menu(page, "s2r1").get_by_role("button", name="Kill").click()
    typed.fill("s2r1")
    typed.press("Enter")
    expect(page.locator(".health")).to_contain_text("s2 has no majority.")
    expect(page.get_by_role("article", name="s2")).to_contain_text(
        "no majority: 1 of 3 alive"
    )
    command(page, "Start", "s2r1")
    command(page, "Start", "s2r2")
    leads(page, "s2r0")
    expect(page.locator(".health")).to_contain_text("Everything works.")


def test_paused_and_isolated_are_told_apart(visits: Visits, shop: Shop) -> None:
    """A replica that hangs and one that is cut off look different, and come back."""
    page = open_page(visits, shop)
    command(page, "Pause", "s1r2")
    expect(node(page, "s1r2")).to_contain_text("paused")
    command(page, "Resume", "s1r2")
    expect(node(page, "s1r2")).to_contain_text("follower")
    command(page, "Isolate", "s2r2")
    expect(node(page, "s2r2")).to_contain_text("isolated")
    show(page, "Replicas")
    isolated = page.locator('tr[data-replica="s2r2"]')
    expect(isolated).to_contain_text("isolated")
    isolated.get_by_role("button", name="Actions for s2r2").click()
    page.get_by_role("button", name="Heal").click()
    dialog(page, "Heal s2r2?").get_by_role("button", name="Heal s2r2").click()
    expect(isolated).to_contain_text("follower")


def test_leadership_is_handed_over(visits: Visits, shop: Shop) -> None:
    """A follower becomes leader on demand, and the picture says so."""
    page = open_page(visits, shop)
    leads(page, "s2r0")
    menu(page, "s2r1").get_by_role("button", name="Make leader").click()
    asked = dialog(page, "Make s2r1 leader?")
    expect(asked).to_contain_text("s2 will have 3 of 3: all of it.")
    asked.get_by_role("button", name="Make leader").click()
    leads(page, "s2r1")
    leads(page, "s2r0")  # The preferred one takes its office back.


def test_the_keyboard_alone(visits: Visits, shop: Shop) -> None:
    """Log in, read a chart, kill a replica and start it again without a pointer."""
    visits.tolerate("401")
    page = visits.page()
    page.goto("/operator")
    expect(page.get_by_label("Password")).to_be_focused()
    page.keyboard.type(shop.cluster.operator_password())
    page.keyboard.press("Enter")
    expect(node(page, "lb2")).to_be_visible()
    for label in ("Kill", "Start"):
        reach(page, '.node[data-replica="lb2"]')
        page.keyboard.press("Enter")
        within = page.get_by_role("dialog", name="lb2: what to do")
        expect(within.get_by_role("button").first).to_be_focused()
        reach(page, f'#command-menu .button:has-text("{label}")')
        page.keyboard.press("Enter")
        expect(dialog(page, f"{label} lb2?")).to_be_visible()
        reach(page, f'.dialog button[type=submit]:has-text("{label} lb2")')
        page.keyboard.press("Enter")
        expect(dialog(page, f"{label} lb2?")).to_have_count(0)
        expect(node(page, "lb2")).to_be_focused()
        said = "dead" if label == "Kill" else "follower"
        expect(node(page, "lb2")).to_contain_text(said)
    reach(page, ".tab[data-view=charts]")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    reach(page, ".plot")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".plot-tip").first).to_be_visible()
    expect(page.locator(".plot").first).to_have_attribute(
        "aria-valuetext", re.compile(r"^\d\d:\d\d:\d\d, requests ")
    )
    page.keyboard.press("Escape")
    expect(page.locator(".plot-tip").first).to_be_hidden()


def test_charts_are_tables_too(visits: Visits, shop: Shop) -> None:
    """Every chart has its numbers as a table, and the range is the reader's choice."""
    page = open_page(visits, shop, "charts")
    toggles = page.get_by_role("button", name=re.compile("as a table$"))
    expect(toggles).to_have_count(4)
    for _ in range(4):
        toggles.first.click()
    expect(page.get_by_role("table")).to_have_count(4)
    expect(page.get_by_role("columnheader", name="p99")).to_be_visible()
    page.get_by_role("button", name="15 min").click()
    expect(page.get_by_role("button", name="15 min")).to_have_attribute(
        "aria-pressed", "true"
    )


def test_replicas_sort_and_open(visits: Visits, shop: Shop) -> None:
    """The table sorts by a heading; a replica's own page has its facts and its log."""
    page = open_page(visits, shop, "replicas")
    expect(page.locator("tbody tr")).to_have_count(12)
    page.get_by_role("button", name="Role").click()
    expect(page.get_by_role("columnheader", name="Role")).to_have_attribute(
        "aria-sort", "ascending"
    )
    expect(page.locator("tbody tr").last).to_contain_text("leader")
    page.get_by_role("link", name="it1").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("it1")
    log = page.get_by_role("region", name="Log of it1")
    expect(log).to_contain_text("the group has formed")
    page.get_by_label("Filter").fill("the group has formed")
    expect(log.locator(".log-line")).to_have_count(1)
    page.get_by_role("button", name="Pause", exact=True).last.click()
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    page.get_by_role("link", name="All replicas").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Replicas")


def test_the_timeline_filters_and_pauses(visits: Visits, shop: Shop) -> None:
    """Kinds narrow the timeline; while it is paused, what happens is counted."""
    page, other = open_page(visits, shop, "timeline"), open_page(visits, shop)
    page.get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_text("Paused; nothing new")).to_be_visible()
    command(other, "Restart", "lb1")
    expect(page.get_by_text(re.compile(r"Paused; \d+ new since"))).to_be_visible()
    page.get_by_role("button", name="Go on").click()
    page.get_by_role("button", name="Started").click()
    expect(page.locator(".entry").first).to_contain_text("lb1")
    expect(page.locator('.entry:not([data-kind="started"])')).to_have_count(0)
    page.get_by_label("Text").fill("nothing is called this")
    page.get_by_role("button", name="Show everything").click()
    expect(page.locator('.entry[data-kind="leader"]').first).to_be_visible()


def test_what_is_offered_and_said_of_it(visits: Visits, shop: Shop) -> None:
    """Without chaos nothing can be hung or cut off; effects follow the counts."""
    page = open_page(visits, shop)
    said: dict[str, Any] = page.evaluate(
        """async () => {
            const main = document.querySelector("script[type=module]").src;
            const { effect, offered } = await import(new URL("quorum.js", main));
            const group = (kind, alive, leader) => ({
                name: kind === "inventory" ? "it" : "s1", kind, alive, leader,
                majority: 2, members: ["r0", "r1", "r2"],
            });
            const r0 = (state) => ({ name: "r0", state });
            return {
                quiet: offered(r0("alive"), false),
                chaotic: offered(r0("alive"), true),
                hung: offered(r0("paused"), false),
                killed: effect("kill", r0("alive"), group("shard", 3, "r0")),
                last: effect("pause", r0("alive"), group("inventory", 2, "r0")),
                back: effect("start", r0("dead"), group("shard", 1, null)),
                hopeless: effect("kill", r0("alive"), group("shard", 1, null)),
                again: effect("restart", r0("alive"), group("shard", 3, "r1")),
            };
        }"""
    )
    assert said["quiet"] == ["restart", "kill"]
    assert said["chaotic"] == ["restart", "kill", "pause", "isolate"]
    assert said["hung"] == ["restart", "kill"]
    assert said["killed"]["election"].startswith("It leads s1")
    assert not said["killed"]["loses"]
    assert said["last"]["loses"]
    assert said["last"]["quorum"] == (
        "The inventory will have 1 of 3: it loses its majority, nobody can check out"
        " and no stock can change until one is back."
    )
    assert said["back"]["quorum"] == "s1 will have 2 of 3: it has a majority again."
    assert "still has no majority" in said["hopeless"]["quorum"]
    assert not said["hopeless"]["loses"]
    assert said["again"]["quorum"] == (
        "s1 will have 2 of 3 for a moment: it keeps its majority."
    )


def reach(page: Page, selector: str) -> None:
    """Press Tab until the element has the focus, which must not take for ever."""
    for _ in range(80):
        if page.evaluate("s => document.activeElement.matches(s)", _plain(selector)):
            text = re.search(r':has-text\("(.+)"\)', selector)
            said = page.evaluate("document.activeElement.textContent")
            if text is None or text[1] in said:
                return
        page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {selector}")


def _plain(selector: str) -> str:
    return re.sub(r":has-text\(.*\)", "", selector)
