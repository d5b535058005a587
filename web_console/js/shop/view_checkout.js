// From the cart to the order: review, confirm once, and what became of it.

import { announce, announceError } from "../lib/announce.js";
import { fill, h, icon, oncePerFrame } from "../lib/dom.js";
import { clock, integer, money, plural } from "../lib/format.js";
import { Agreement, totalOf } from "./agreement.js";
import { asOf, bones, empty, heading, linkButton, operatorCard, problem, reference, unreachable } from "./parts.js";
import { go, hashOf } from "./router.js";
import { lineNotes, readiness } from "./view_cart.js";

export function checkoutView(shop) {
  const { cart, checkout, session } = shop;
  const body = h("div", { class: "stack-l" });
  const element = h("div", { class: "narrow-view" }, h("div", { class: "page-head" }, heading("Check out")), body);
  const agreement = new Agreement();
  let agreementOf = session.user;
  let drawn = "";

  /** The cart's lines; a refusal's prices may be newer than the cart's: then with those. */
  function current() {
    const { error, cartThen } = checkout;
    const lines = cart.shown();
    if (checkout.state !== "refused" || error.code !== "price_changed") return lines;
    const newer = new Map((error.details.lines ?? []).map((line) => [line.item, line.price]));
    return lines.map((line) => (newer.has(line.item) && cartThen.get(line.item) === line.price ? { ...line, price: newer.get(line.item) } : line));
  }

  function draw() {
    // Redrawn only where something that is shown differs: the focus stays.
    const picture = JSON.stringify([
      session.away,
      // Not known yet and nobody are two things, which JSON writes alike.
      session.user === undefined,
      session.user,
      session.expired,
      checkout.state,
      checkout.attempts,
      checkout.state === "waiting" && checkout.asking,
      checkout.error?.code,
      checkout.order?.id,
      cart.loaded,
      cart.asOf !== null,
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
    if (session.user === undefined && session.away) return h("div", { class: "card" }, unreachable());
    if (session.user === undefined) return h("div", { class: "card card-pad stack skeleton" }, bones(60, 90, 40));
    if (session.user === null && session.expired === null) {
      return h("div", { class: "card" }, empty("user", "Log in to check out", "Your order belongs to your account.", linkButton("#/login?next=checkout", "Log in", "primary"), linkButton("#/register?next=checkout", "Create an account")));
    }
    if (session.operates) return h("div", { class: "card" }, operatorCard());
    if (checkout.state === "unknown") return [unknown()];
    if (checkout.state === "waiting") return [waiting()];
    const above = [];
    if (checkout.state === "forgotten") above.push(forgotten());
    if (checkout.state === "refused") above.push(refused());
    if (cart.loaded && cart.shown().length === 0) agreement.end();
    if (!cart.loaded) {
      above.push(noCart());
    } else if (cart.shown().length === 0) {
      above.push(h("div", { class: "card" }, empty("bag", "There is nothing to check out", "Put something into the cart first.", linkButton("#/", "Go to the shop", "primary"), linkButton("#/orders", "Your orders"))));
    } else {
      if (cart.asOf !== null) above.push(asOf(cart.asOf));
      above.push(review());
    }
    return above;
  }

  function noCart() {
    if (cart.error?.passing) return h("div", { class: "card" }, unreachable());
    if (cart.error) return problem(cart.error, { title: "The cart could not be loaded", retry: () => cart.load() });
    return h("div", { class: "card card-pad stack skeleton", role: "status", "aria-label": "Loading the cart" }, bones(60, 90, 40));
  }

  // --- Review -------------------------------------------------------------------------

  function review() {
    const [ready, words] = readiness(cart);
    const busy = checkout.state === "sending";
    const lines = current();
    if (!agreement.open) agreement.begin(cart.shown());
    const differences = busy ? [] : agreement.differences(lines);
    const { lines: agreed, total } = agreement;
    const changed = differences.length > 0;
    const confirm = h(
      "button",
      {
        type: "button",
        class: "button primary large block",
        id: "confirm",
        "data-focus": "confirm",
        "aria-busy": busy ? "true" : null,
        "aria-disabled": busy || !ready || changed ? "true" : null,
        "aria-describedby": changed ? "changed-title" : null,
        onclick: () => {
          if (confirm.ariaDisabled === "true") return;
          if (!session.user) {
            session.ended();
            return;
          }
          checkout.confirm(agreed, total);
        },
      },
      busy ? "Placing the order…" : cart.settled && !ready ? "Place the order" : `Place the order for ${money(total)}`,
    );
    return h(
      "section",
      { class: "card", "aria-labelledby": "review-title" },
      h("div", { class: "card-head" }, h("h2", { id: "review-title", tabindex: "-1" }, "Review your order"), h("a", { href: "#/cart", class: "small" }, "Change the cart")),
      h("ul", { class: "review-lines", role: "list" }, lines.map(reviewLine)),
      h(
        "div",
        { class: "card-pad stack review-foot" },
        h("div", { class: "row between" }, h("span", { class: "cart-total-label" }, `Total, ${plural(cart.count, "piece")}`), h("strong", { class: "cart-total num" }, money(totalOf(lines)))),
        h("p", { class: "small muted" }, words || "You are charged exactly this total, or the order is not placed."),
        confirm,
        // Below the button, which so stays where the finger is.
        changed && changes(differences, lines, total),
      ),
    );
  }

  /** What is not as it was when it was agreed to: old, new, and a button to accept it. */
  function changes(differences, lines, before) {
    const words = (line, other) => {
      if (line === null) return "–";
      return other && line.quantity !== other.quantity ? `${integer(line.quantity)} × ${money(line.price)}` : money(line.price);
    };
    const rows = differences.map(({ item, name, before: old, now }) =>
      h(
        "tr",
        { "data-item": item },
        h("th", { scope: "row", class: "wrap-anywhere" }, name ?? item),
        h("td", { class: "num" }, h("s", {}, words(old, now))),
        h("td", { class: "num" }, h("strong", {}, words(now, old))),
      ),
    );
    const prices = differences.every(({ before: old, now }) => old && now && old.quantity === now.quantity);
    const accept = () => {
      agreement.accept(lines);
      cart.acceptAll();
      drawn = "";
      draw();
      // Not to the order's button: who presses twice has not ordered.
      body.querySelector("#review-title")?.focus({ preventScroll: true });
    };
    return h(
      "section",
      { class: "notice warn", "aria-labelledby": "changed-title", id: "changed" },
      icon("alert"),
      h(
        "div",
        { class: "stack grow" },
        h("div", {}, h("h3", { class: "title", id: "changed-title" }, prices ? "Prices have changed" : "The cart has changed"), h("p", { class: "muted" }, "Nothing was ordered. The total was ", h("s", {}, money(before)), " and is now ", h("strong", {}, money(totalOf(lines))), ".")),
        h("table", { class: "table" }, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Item"), h("th", { scope: "col", class: "num" }, "Old"), h("th", { scope: "col", class: "num" }, "New"))), h("tbody", {}, rows)),
        h("div", {}, h("button", { type: "button", class: "button", id: "accept", "data-focus": "accept", onclick: accept }, `Accept the new total of ${money(totalOf(lines))}`)),
      ),
    );
  }

  function reviewLine(line) {
    // What is short is said once: above, where there has been a refusal; a new price below.
    const short = checkout.state === "refused" && checkout.error.code === "out_of_stock";
    const notes = lineNotes(shop, short ? { ...line, stock: null, was: null } : { ...line, was: null });
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
    if (error.code === "price_changed") return null; // Said with the review.
    if (error.code === "empty_cart") return problem(error, { title: "The cart was empty" });
    return problem(error, { title: "The order was not placed" });
  }

  function shortage({ details }) {
    const lines = cart.shown();
    const shortages = details.shortages ?? [];
    const unsold = ({ item }) => shop.inventory.loaded && !shop.inventory.items.has(item);
    let title = "Not enough in stock";
    if (shortages.some(unsold)) title = shortages.every(unsold) ? "No longer sold" : "Not all of it can be had";
    const rows = shortages.map(({ item, wanted, stock }) => {
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
          h("span", { class: "small muted" }, solved ? (line ? `Now ${line.quantity}` : "Removed") : `You wanted ${integer(line?.quantity ?? wanted)}; ${unsold({ item }) ? "it is no longer sold" : left === 0 ? "none is left" : `${integer(left)} left`}`),
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
      h("div", { class: "stack grow" }, h("div", {}, h("h2", { class: "title", id: "refused-title" }, title), h("p", { class: "muted" }, "Nothing was ordered. Change these lines, then place the order again.")), h("ul", { class: "shortages", role: "list" }, rows)),
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
        h("p", {}, "Your order is on its way, not decided yet: no answer has come back. We keep asking, with the same key: it is placed once or not at all, never twice."),
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
        h("h2", { id: "waiting-title" }, "On its way, not decided yet"),
        h("p", {}, "Too few of the shop's machines can be reached just now to decide your order. We try again by ourselves."),
        reference(checkout.error),
        h(
          "div",
          { class: "row" },
          h("button", { type: "button", class: "button", "data-focus": "ask", onclick: () => checkout.askNow() }, "Try now"),
          h("button", { type: "button", class: "button quiet", "data-focus": "stop", "aria-disabled": checkout.asking ? "true" : null, onclick: () => checkout.giveUp() }, "Stop trying"),
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
    if (said === "waiting") announceError("The order is on its way, not decided yet. Too few machines can be reached; we try again.");
    if (said === "refused") announceError(`The order was not placed. ${checkout.error.message}`);
    if (said === "placed") announce("The order is placed.");
  }

  const drawSoon = oncePerFrame(() => {
    if (element.isConnected) draw();
  });
  // At once, not with the next frame: a change of ours may be done by then.
  cart.subscribe(() => agreement.follow(cart.shown()));
  session.subscribe(() => {
    if (session.user !== agreementOf && session.expired === null) {
      agreementOf = session.user;
      agreement.end();
    }
  });
  for (const store of [cart, checkout, session]) store.subscribe(drawSoon);
  checkout.subscribe(tell);

  return {
    element,
    title: "Check out",
    enter() {
      agreement.end();
      drawn = "";
      draw();
    },
    leave() {
      if (checkout.state === "refused" || checkout.state === "forgotten") checkout.done();
    },
  };
}
