// The orders that were placed, and each of them.

import { api } from "../lib/api.js";
import { announce } from "../lib/announce.js";
import { fill, h, icon } from "../lib/dom.js";
import { integer, isolated, money, plural, when, whenUtc } from "../lib/format.js";
import { toast } from "../lib/toast.js";
import { asOf, bones, empty, heading, linkButton, operatorCard, problem, unreachable } from "./parts.js";
import { hashOf, rewrite, route } from "./router.js";

const PAGE_ORDERS = 20;
const POLL_MS = 2000;
const RETRY_MS = 5000;

/** What both views do: load for whoever is logged in, and show what became of it. */
function loading(shop, body, load, draw) {
  const { session } = shop;
  let turn = 0;
  let timer = 0;
  let left = true;

  async function enter() {
    clearTimeout(timer);
    left = false;
    const mine = (turn += 1);
    if (session.user === undefined) fill(body, session.away ? h("div", { class: "card" }, unreachable()) : skeleton());
    else if (session.operates) fill(body, h("div", { class: "card" }, operatorCard()));
    else if (session.user === null) fill(body, nobody());
    else {
      fill(body, skeleton());
      await attempt(mine);
    }
  }

  async function attempt(mine) {
    try {
      const again = await load();
      if (left || mine !== turn) return;
      draw();
      if (again) {
        timer = setTimeout(() => attempt(mine), POLL_MS);
      }
    } catch (error) {
      if (left || mine !== turn) return;
      if (error.code === "unauthenticated") session.ended();
      if (error.passing && error.code !== "internal") {
        await attemptStale(mine);
        return;
      }
      fill(body, problem(error, { title: "This could not be loaded", retry: enter }));
    }
  }

  async function attemptStale(mine) {
    let worked = true;
    try {
      await load(true);
    } catch {
      worked = false;
    }
    if (left || mine !== turn) return;
    if (worked) {
      draw();
      body.prepend(asOf(new Date()));
    } else fill(body, h("div", { class: "card" }, unreachable()));
    timer = setTimeout(() => attempt(mine), RETRY_MS);
  }

  let known = `${session.user} ${session.user === undefined && session.away}`;
  session.subscribe(() => {
    const before = known;
    known = `${session.user} ${session.user === undefined && session.away}`;
    if (before === known) return;
    if (!left) enter();
  });
  return {
    enter,
    leave() {
      left = true;
      clearTimeout(timer);
    },
  };
}

export function ordersView(shop) {
  const body = h("div", { class: "stack" });
  let orders = [];
  let next = null;

  async function load(stale = false) {
    const page = await api("GET", `/orders?limit=${PAGE_ORDERS}${stale ? "&stale=true" : ""}`);
    orders = page.orders;
    next = page.next;
    return orders.some((order) => order.status === "pending");
  }

  async function loadMore(button) {
    button.ariaBusy = "true";
    const first = orders.length;
    try {
      const page = await api("GET", `/orders?limit=${PAGE_ORDERS}&before=${encodeURIComponent(next)}`);
      orders = [...orders, ...page.orders];
      next = page.next;
      draw();
      body.querySelectorAll(".order-row")[first]?.focus();
    } catch (error) {
      button.ariaBusy = null;
      toast(`The older orders could not be loaded. ${error.message}`);
    }
  }

  function draw() {
    if (orders.length === 0) {
      fill(body, h("div", { class: "card" }, empty("receipt", "No orders yet", "What you order appears here, and stays.", linkButton("#/", "Go to the shop", "primary"))));
      return;
    }
    fill(
      body,
      h("ul", { class: "orders", role: "list" }, orders.map(orderRow)),
      next !== null && h("div", { class: "more" }, h("button", { type: "button", class: "button", onclick: (event) => loadMore(event.currentTarget) }, "Show older orders")),
    );
  }

  const view = loading(shop, body, load, draw);
  return {
    ...view,
    element: h("div", { class: "narrow-view" }, h("div", { class: "page-head" }, heading("Orders")), body),
    title: "Orders",
  };
}

function orderRow(order) {
  const words = order.lines.map((line) => `${integer(line.quantity)} × ${isolated(line.name ?? line.item)}`).join(", ");
  return h(
    "li",
    { class: "card" },
    h(
      "a",
      { class: "order-row", href: hashOf(["orders", order.id]), "data-order": order.id },
      h("span", { class: "order-when" }, order.placed_at === null ? "On its way" : when(order.placed_at)),
      status(order),
      h("span", { class: "order-words muted small truncate" }, words),
      h("strong", { class: "num order-sum" }, money(order.total)),
    ),
  );
}

export function orderView(shop) {
  const body = h("div", { class: "stack-l" });
  const title = heading("Order");
  let order = null;
  let missing = null;
  let thanked = null;

  async function load(stale = false) {
    const [, id] = route().path;
    const before = order?.id === id ? order.status : null;
    missing = null;
    try {
      order = await api("GET", `/orders/${encodeURIComponent(id)}${stale ? "?stale=true" : ""}`);
    } catch (error) {
      if (error.code !== "not_found" && error.code !== "bad_request") throw error;
      missing = before === "pending" ? "refused" : "unknown";
      order = null;
      return false;
    }
    if (before === "pending" && order.status === "placed") announce("The order is placed.");
    return order.status === "pending";
  }

  function draw() {
    if (order === null) {
      fill(
        body,
        h(
          "div",
          { class: "card" },
          missing === "refused"
            ? empty("info", "This order was not placed", "Its checkout was refused. Your cart is as it was.", linkButton("#/cart", "To the cart", "primary"))
            : empty("receipt", "There is no such order", "Not among yours, at least.", linkButton("#/orders", "Your orders", "primary")),
        ),
      );
      return;
    }
    if (route().query.has("placed")) {
      thanked = order.id;
      rewrite(hashOf(["orders", order.id])); // Thanked once, not after a reload.
    }
    fill(body, thanked === order.id && thanks(), details());
  }

  function thanks() {
    return h(
      "div",
      { class: "card thanks", id: "thanks" },
      h("span", { class: "thanks-mark" }, icon("check")),
      h("div", { class: "stack-s" }, h("h2", {}, "Thank you, the order is placed"), h("p", { class: "muted" }, "Its stock is yours, and the order is kept.")),
      h("div", { class: "row" }, linkButton("#/", "Go on shopping", "primary"), linkButton("#/orders", "Your orders")),
    );
  }

  function details() {
    return h(
      "div",
      { class: "card" },
      h(
        "div",
        { class: "card-head" },
        h("div", { class: "stack-s" }, h("h2", { id: "order-details", class: "order-id wrap-anywhere" }, "Order ", h("span", { class: "mono" }, order.id)), h("p", { class: "small muted" }, order.placed_at === null ? "On its way, not decided yet." : [when(order.placed_at), h("span", { class: "faint" }, ` · ${whenUtc(order.placed_at)}`)])),
        h("div", { class: "row-s" }, status(order), copyButton(order.id)),
      ),
      h(
        "div",
        { class: "table-wrap", tabindex: "0", role: "region", "aria-labelledby": "order-details" },
        h(
          "table",
          { class: "table order-table" },
          h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "Item"), h("th", { scope: "col", class: "num" }, "Price"), h("th", { scope: "col", class: "num" }, "Quantity"), h("th", { scope: "col", class: "num" }, "Sum"))),
          h(
            "tbody",
            {},
            order.lines.map((line) =>
              h("tr", { "data-item": line.item }, h("th", { scope: "row", class: "wrap-anywhere" }, line.name ?? line.item), h("td", { class: "num" }, money(line.price)), h("td", { class: "num" }, integer(line.quantity)), h("td", { class: "num" }, line.price === null ? "–" : money(line.price * line.quantity))),
            ),
          ),
          h("tfoot", {}, h("tr", {}, h("th", { scope: "row", colspan: "3" }, `Total, ${plural(order.lines.reduce((sum, line) => sum + line.quantity, 0), "piece")}`), h("td", { class: "num" }, h("strong", { id: "order-total" }, money(order.total))))),
        ),
      ),
    );
  }

  const view = loading(shop, body, load, draw);
  return {
    ...view,
    element: h("div", { class: "narrow-view" }, h("div", { class: "page-head" }, title, linkButton("#/orders", "All orders", "small")), body),
    title: "Order",
    leave() {
      thanked = null;
      view.leave();
    },
  };
}

function copyButton(text) {
  return h(
    "button",
    {
      type: "button",
      class: "button small quiet",
      onclick: async () => {
        try {
          await navigator.clipboard.writeText(text);
          toast("The order's id is copied.");
        } catch {
          toast(`Copy it from here: ${text}`);
        }
      },
    },
    "Copy id",
  );
}

function status(order) {
  return order.status === "placed" ? h("span", { class: "badge ok dot" }, "Placed") : h("span", { class: "badge warn" }, h("span", { class: "spinner" }), "Not decided yet");
}

function nobody() {
  return h("div", { class: "card" }, empty("user", "Log in to see your orders", "They belong to your account.", linkButton("#/login?next=orders", "Log in", "primary"), linkButton("#/register?next=orders", "Create an account")));
}

function skeleton() {
  return h("div", { class: "stack skeleton", role: "status", "aria-label": "Loading" }, [1, 2, 3].map(() => h("div", { class: "card card-pad stack-s" }, bones(40, 80))));
}
