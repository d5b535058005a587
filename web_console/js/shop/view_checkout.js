// From the cart to the order: review, confirm once, and what became of it.

import { announce, announceError } from "../lib/announce.js";
import { fill, h, icon, oncePerFrame } from "../lib/dom.js";
import { clock, integer, money, plural } from "../lib/format.js";
import { bones, empty, heading, linkButton, problem } from "./parts.js";
import { go, hashOf } from "./router.js";
import { lineNotes, readiness } from "./view_cart.js";

export function checkoutView(shop) {
  const { cart, checkout, session } = shop;
  const body = h("div", { class: "stack-l" });
  const element = h("div", { class: "narrow-view" }, h("div", { class: "page-head" }, heading("Check out")), body);
  let drawn = "";

  function draw() {
    // Redrawn only where something that is shown differs: the focus stays.
    const picture = JSON.stringify([
      session.user === undefined,
      session.user,
      session.expired,
      checkout.state,
      checkout.attempts,
      checkout.error?.code,
      checkout.order?.id,
      cart.loaded,
      cart.pending,
      cart.settled,
      cart.sum,
      cart.error?.code,
      cart.shown().map(({ failed, ...line }) => [line, failed?.error.message]),
    ]);
    if (picture === drawn) return;
    drawn = picture;
    const focused = document.activeElement?.dataset?.focus;
    fill(body, content());
    if (focused) body.querySelector(`[data-focus="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
  }

  function content() {
    if (checkout.state === "placed") {
      const { id } = checkout.order;
      checkout.done();
      go(hashOf(["orders", id], { placed: "1" }), { replace: true });
      return [];
    }
    if (session.user === undefined) return h("div", { class: "card card-pad stack skeleton" }, bones(60, 90, 40));
    if (session.user === null && session.expired === null) {
      return h("div", { class: "card" }, empty("user", "Log in to check out", "Your order belongs to your account.", linkButton("#/login?next=checkout", "Log in", "primary"), linkButton("#/register?next=checkout", "Create an account")));
    }
    if (checkout.state === "unknown") return [unknown()];
    if (checkout.state === "waiting") return [waiting()];
    const above = [];
    if (checkout.state === "forgotten") above.push(forgotten());
    if (checkout.state === "refused") above.push(refused());
    if (!cart.loaded) {
      above.push(
        cart.error
          ? problem(cart.error, { title: "The cart could not be loaded", retry: () => cart.load() })
          : h("div", { class: "card card-pad stack skeleton", role: "status", "aria-label": "Loading the cart" }, bones(60, 90, 40)),
      );
    } else if (cart.shown().length === 0) {
      above.push(h("div", { class: "card" }, empty("bag", "There is nothing to check out", "Put something into the cart first.", linkButton("#/", "Go to the shop", "primary"), linkButton("#/orders", "Your orders"))));
    } else above.push(review());
    return above;
  }

  // --- Review -------------------------------------------------------------------------

  function review() {
    const [ready, words] = readiness(cart);
    const busy = checkout.state === "sending";
    const changed = checkout.state === "refused" && checkout.error.code === "price_changed";
    const total = changed && sameLines(checkout.error.details.lines, cart.lines) ? checkout.error.details.total : cart.sum;
    const confirm = h(
      "button",
      {
        type: "button",
        class: "button primary large block",
        id: "confirm",
        "data-focus": "confirm",
        "aria-busy": busy ? "true" : null,
        "aria-disabled": busy || !ready ? "true" : null,
        onclick: () => {
          if (confirm.ariaDisabled === "true") return;
          if (!session.user) {
            session.ended();
            return;
          }
          cart.acceptAll();
          const lines = cart.shown().map(({ item, name, quantity, price }) => ({ item, name, quantity, price }));
          checkout.confirm(lines, total);
        },
      },
      busy ? "Placing the order…" : changed ? `Accept, and order for ${money(total)}` : `Place the order for ${money(total)}`,
    );
    return h(
      "section",
      { class: "card", "aria-labelledby": "review-title" },
      h("div", { class: "card-head" }, h("h2", { id: "review-title" }, "Review your order"), h("a", { href: "#/cart", class: "small" }, "Change the cart")),
      h("ul", { class: "review-lines", role: "list" }, cart.shown().map(reviewLine)),
      h(
        "div",
        { class: "card-pad stack review-foot" },
        h("div", { class: "row between" }, h("span", { class: "cart-total-label" }, `Total, ${plural(cart.count, "piece")}`), h("strong", { class: "cart-total num" }, money(total))),
        h("p", { class: "small muted" }, words || "You are charged exactly this total, or the order is not placed."),
        confirm,
      ),
    );
  }

  function reviewLine(line) {
    // What is short is said once: above, where there has been a refusal.
    const short = checkout.state === "refused" && checkout.error.code === "out_of_stock";
    const notes = lineNotes(shop, short ? { ...line, stock: null } : line);
    return h(
      "li",
      { class: "review-line", "data-item": line.item },
      h("span", { class: "num review-count" }, `${integer(line.quantity)} ×`),
      h("div", { class: "stack-s" }, h("span", { class: "review-name wrap-anywhere" }, line.name ?? line.item), notes, line.failed && h("p", { class: "field-error" }, line.failed.error.message)),
      h("span", { class: "num" }, line.busy ? h("span", { class: "spinner" }) : line.price === null ? "–" : money(line.price * line.quantity)),
    );
  }

  // --- What became of it --------------------------------------------------------------

  function refused() {
    const { error } = checkout;
    if (error.code === "out_of_stock") return shortage(error);
    if (error.code === "price_changed") return newPrices(error);
    if (error.code === "empty_cart") return problem(error, { title: "The cart was empty" });
    return problem(error, { title: "The order was not placed" });
  }

  function shortage({ details }) {
    const lines = cart.shown();
    const rows = (details.shortages ?? []).map(({ item, wanted, stock }) => {
      const line = lines.find((each) => each.item === item);
      const name = line?.name ?? item;
      const left = line?.stock ?? stock;
      const solved = line === undefined || line.quantity <= left;
      return h(
        "li",
        { class: "shortage", "data-item": item },
        h(
          "div",
          { class: "stack-s" },
          h("strong", { class: "wrap-anywhere" }, name),
          h("span", { class: "small muted" }, solved ? (line ? `Now ${line.quantity}` : "Removed") : `You wanted ${integer(line?.quantity ?? wanted)}; ${left === 0 ? "none is left" : `${integer(left)} left`}`),
        ),
        solved
          ? h("span", { class: "badge ok" }, icon("check"), "Solved")
          : h(
              "div",
              { class: "row-s" },
              left > 0 && h("button", { type: "button", class: "button small", "data-focus": `set ${item}`, "aria-label": `Set ${name} to ${left}`, onclick: () => cart.set(item, left) }, `Set to ${left}`),
              h("button", { type: "button", class: "button small", "data-focus": `remove ${item}`, "aria-label": `Remove ${name}`, onclick: () => cart.remove(item) }, "Remove"),
            ),
      );
    });
    return h(
      "section",
      { class: "notice warn", "aria-labelledby": "refused-title", id: "refused" },
      icon("alert"),
      h("div", { class: "stack grow" }, h("div", {}, h("h2", { class: "title", id: "refused-title" }, "Not enough in stock"), h("p", { class: "muted" }, "Nothing was ordered. Change these lines, then place the order again.")), h("ul", { class: "shortages", role: "list" }, rows)),
    );
  }

  function newPrices({ details }) {
    const before = new Map(checkout.seen.map((line) => [line.item, line.price]));
    const rows = (details.lines ?? [])
      .filter((line) => before.get(line.item) !== line.price)
      .map((line) =>
        h(
          "tr",
          { "data-item": line.item },
          h("th", { scope: "row", class: "wrap-anywhere" }, line.name),
          h("td", { class: "num" }, before.has(line.item) ? h("s", {}, money(before.get(line.item))) : "–"),
          h("td", { class: "num" }, h("strong", {}, money(line.price))),
        ),
      );
    return h(
      "section",
      { class: "notice warn", "aria-labelledby": "refused-title", id: "refused" },
      icon("alert"),
      h(
        "div",
        { class: "stack grow" },
        h("div", {}, h("h2", { class: "title", id: "refused-title" }, "Prices have changed"), h("p", { class: "muted" }, `Nothing was ordered. The new total is ${money(details.total)}.`)),
        rows.length > 0 &&
          h("table", { class: "table" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Item"), h("th", { scope: "col", class: "num" }, "Old"), h("th", { scope: "col", class: "num" }, "New"))), h("tbody", {}, rows)),
      ),
    );
  }

  function unknown() {
    return h(
      "section",
      { class: "card", id: "unknown", "aria-labelledby": "unknown-title" },
      h(
        "div",
        { class: "empty" },
        h("span", { class: "big spinner" }),
        h("h2", { id: "unknown-title" }, "We do not know yet"),
        h("p", {}, "The order was sent, and no answer has come back. We keep asking, with the same key: it is placed once or not at all, never twice."),
        h("p", { class: "small faint" }, checkout.attempts > 0 ? `Asked ${plural(checkout.attempts, "time")} since ${clock(new Date(checkout.record.at))}.` : `Sent at ${clock(new Date(checkout.record.at))}.`),
        h("div", { class: "row" }, h("button", { type: "button", class: "button", "data-focus": "ask", onclick: () => checkout.askNow() }, "Ask now")),
        h("p", { class: "small muted" }, "You may close or reload this page: it goes on where it was."),
      ),
      sentLines(),
    );
  }

  function waiting() {
    return h(
      "section",
      { class: "card", id: "waiting", "aria-labelledby": "waiting-title" },
      h(
        "div",
        { class: "empty" },
        h("span", { class: "big spinner" }),
        h("h2", { id: "waiting-title" }, "Nothing is ordered yet"),
        h("p", {}, "Too few of the shop's machines can be reached just now, so your order has not been taken. We try again by ourselves."),
        checkout.error?.requestId && h("p", { class: "small faint mono" }, checkout.error.requestId),
        h(
          "div",
          { class: "row" },
          h("button", { type: "button", class: "button", "data-focus": "ask", onclick: () => checkout.askNow() }, "Try now"),
          h("button", { type: "button", class: "button quiet", "data-focus": "stop", onclick: () => checkout.giveUp() }, "Stop trying"),
        ),
      ),
      sentLines(),
    );
  }

  function sentLines() {
    const { lines, total } = checkout.record;
    return h(
      "div",
      { class: "card-pad review-foot" },
      h("h3", { class: "small muted" }, "What was sent"),
      h("ul", { class: "sent-lines", role: "list" }, lines.map((line) => h("li", { class: "row between" }, h("span", { class: "wrap-anywhere grow" }, `${integer(line.quantity)} × ${line.name ?? line.item}`), h("span", { class: "num" }, line.price === null ? "–" : money(line.price * line.quantity))))),
      h("div", { class: "row between" }, h("strong", {}, "Total"), h("strong", { class: "num" }, money(total))),
    );
  }

  function forgotten() {
    return h(
      "div",
      { class: "notice warn" },
      icon("info"),
      h("div", { class: "stack-s" }, h("p", { class: "title" }, "An order was begun here more than a day ago"), h("p", { class: "muted" }, "Whether it was placed is in your orders: look there before you order again."), h("p", {}, h("a", { href: "#/orders" }, "Your orders"))),
    );
  }

  let said = "idle";
  function tell() {
    if (checkout.state === said) return;
    said = checkout.state;
    if (said === "sending") announce("Placing the order.");
    if (said === "unknown") announce("We do not know yet whether the order was placed. We keep asking.");
    if (said === "waiting") announceError("Nothing has been ordered. The shop cannot be reached; we try again.");
    if (said === "refused") announceError(`The order was not placed. ${checkout.error.message}`);
    if (said === "placed") announce("The order is placed.");
  }

  const drawSoon = oncePerFrame(() => {
    if (element.isConnected) draw();
  });
  for (const store of [cart, checkout, session]) store.subscribe(drawSoon);
  checkout.subscribe(tell);

  return {
    element,
    title: "Check out",
    enter() {
      drawn = "";
      draw();
    },
    leave() {
      if (checkout.state === "refused" || checkout.state === "forgotten") checkout.done();
    },
  };
}

// The inventory's prices, which a refusal brings, may be newer than the cart's.
function sameLines(some, others) {
  const key = (lines) => JSON.stringify((lines ?? []).map(({ item, quantity }) => [item, quantity]).sort());
  return key(some) === key(others);
}
