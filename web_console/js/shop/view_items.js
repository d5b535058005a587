// The shop itself: every item with its live stock, searched, sorted, filtered.

import { announce, announceError } from "../lib/announce.js";
import { fill, h, icon, KeyedList, oncePerFrame, setAttribute, setText } from "../lib/dom.js";
import { integer, money, plural } from "../lib/format.js";
import { bones, empty, heading, problem, stepper, stockBadge, stockWords, tile, reference } from "./parts.js";
import { hashOf, rewrite, route } from "./router.js";

const PAGE_ITEMS = 24;
const byName = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
const SORTS = {
  name: ["Name", (a, b) => byName.compare(a.name, b.name) || byName.compare(a.id, b.id)],
  cheap: ["Price, lowest first", (a, b) => a.price - b.price],
  dear: ["Price, highest first", (a, b) => b.price - a.price],
  stock: ["Most in stock", (a, b) => b.stock - a.stock],
};

export function itemsView(shop) {
  const { cart, inventory } = shop;
  let selected = null;
  let pages = 1;
  let order = [];
  let quantities = new Map();

  const search = h("input", {
    class: "input",
    type: "search",
    id: "search",
    placeholder: "Search the shop",
    autocomplete: "off",
    spellcheck: "false",
    "aria-label": "Search items",
    "aria-keyshortcuts": "/",
    oninput: () => refine(),
  });
  const sort = h(
    "select",
    { class: "select", "aria-label": "Sort by", onchange: () => refine() },
    Object.entries(SORTS).map(([value, [label]]) => h("option", { value }, label)),
  );
  const inStock = h("input", { type: "checkbox", role: "switch", onchange: () => refine() });
  const summary = h("p", { class: "muted", id: "summary" });
  const list = h("ul", { class: "items", id: "items", role: "list" });
  const state = h("div");
  const more = h("button", { type: "button", class: "button", hidden: true, onclick: () => showMore(true) }, "Show more");
  const rows = new KeyedList(list, (item) => item.id, card);
  const element = h(
    "div",
    { class: "items-view" },
    h("div", { class: "page-head" }, h("div", { class: "stack-s" }, heading("Shop"), summary)),
    h(
      "div",
      { class: "toolbar", role: "search" },
      h("div", { class: "with-icon grow" }, icon("search"), search, h("kbd", { "aria-hidden": "true" }, "/")),
      sort,
      h("label", { class: "switch" }, inStock, "In stock only"),
    ),
    state,
    list,
    h("div", { class: "more" }, more),
  );

  // --- One item -----------------------------------------------------------------------

  function card({ id, name: firstName }) {
    let current;
    const name = h("h2", { class: "item-name wrap-anywhere" });
    const price = h("p", { class: "item-price num" });
    const stock = stockBadge();
    const inCart = h("span", { class: "badge accent", hidden: true });
    const quantity = stepper({ label: firstName });
    const add = h("button", { type: "submit", class: "button tinted" }, "Add");
    const error = h("div", { class: "item-error" });
    let failed = null;
    const element = h(
      "li",
      { class: "item card", "data-item": id, onfocusin: () => select(id), onpointerdown: () => select(id) },
      h("div", { class: "item-picture" }, tile(id)),
      h("div", { class: "item-words" }, name, h("p", { class: "item-id mono" }, id)),
      price,
      h("div", { class: "item-badges row-s" }, stock.element, inCart),
      h(
        "form",
        {
          class: "item-buy",
          novalidate: true,
          onsubmit: (event) => {
            event.preventDefault();
            buy();
          },
        },
        quantity.element,
        add,
      ),
      error,
    );

    async function buy() {
      const count = quantity.value;
      quantity.update(count);
      if (shop.session.operates) {
        announceError("No cart for the operator. To buy, log in as a shopper.");
        return;
      }
      if (current.stock === 0) {
        announceError(`${current.name} is sold out.`);
        return;
      }
      if (await shop.add(id, count)) {
        const total = cart.quantity(id);
        announce(`${current.name} added: ${total} in the cart.`);
      }
    }

    return {
      element,
      focus: () => add.focus(),
      update(item) {
        const change = cart.change(id);
        const held = quantities.get(id) ?? 0;
        if (current !== item) {
          setText(name, item.name);
          setText(price, money(item.price));
          stock.update(item.stock);
          setAttribute(add, "aria-label", `Add ${item.name} to the cart`);
          setAttribute(element, "data-sold-out", item.stock === 0);
          if (current && current.stock !== item.stock && (id === selected || held > 0)) {
            announce(`${item.name}: ${stockWords(item.stock)[1]}.`);
          }
          current = item;
        }
        setText(inCart, `${integer(held)} in cart`);
        setAttribute(inCart, "hidden", held === 0);
        setAttribute(add, "aria-disabled", item.stock === 0 || shop.session.operates ? "true" : null);
        setAttribute(add, "aria-busy", change?.running ? "true" : null);
        setAttribute(element, "data-selected", id === selected);
        if (failed !== (change?.failed ?? null)) {
          failed = change?.failed ?? null;
          fill(error, failed && lineError(failed, () => cart.dismiss(id)));
        }
      },
    };
  }

  function select(id) {
    if (id === selected) return;
    const before = selected;
    selected = id;
    for (const each of [before, id]) rows.get(each)?.element.toggleAttribute("data-selected", each === id);
  }

  // --- The list -----------------------------------------------------------------------

  /** The person asks for something else: from the top, whatever is held. */
  function refine() {
    pages = 1;
    order = [];
    rewrite(
      hashOf([], {
        q: search.value.trim(),
        sort: sort.value === "name" ? "" : sort.value,
        stock: inStock.checked ? "1" : "",
      }),
    );
    draw();
  }

  let sorted = { key: "", ids: [] };

  function wanted() {
    // Of many thousands, only what changes the list makes for a new search.
    const stocks = inStock.checked || sort.value === "stock" ? inventory.revision : "";
    const key = JSON.stringify([search.value, sort.value, inStock.checked, inventory.listing, stocks]);
    if (key !== sorted.key) sorted = { key, ids: found().map((item) => item.id) };
    return sorted.ids.map((id) => inventory.items.get(id));
  }

  function found() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const items = [];
    for (const item of inventory.items.values()) {
      if (inStock.checked && item.stock === 0) continue;
      const text = `${item.name} ${item.id}`.toLowerCase();
      if (words.every((word) => text.includes(word))) items.push(item);
    }
    return items.sort(SORTS[sort.value][1]);
  }

  // Nothing changes places under a pointer or the focus: what is new goes to the end, and
  // what does not fit any more stays, until they have left the list.
  function held() {
    return order.length > 0 && list.matches(":hover, :focus-within");
  }

  function arranged() {
    const items = wanted();
    if (!held()) {
      order = items.map((item) => item.id);
      return items;
    }
    const kept = order.filter((id) => inventory.items.has(id));
    const known = new Set(kept);
    const fresh = items.filter((item) => !known.has(item.id)).map((item) => item.id);
    order = [...kept, ...fresh];
    return order.map((id) => inventory.items.get(id));
  }

  function showMore(focus) {
    const first = pages * PAGE_ITEMS;
    pages += 1;
    draw();
    if (focus) rows.get(order[first])?.focus();
  }

  function draw() {
    if (!inventory.loaded) {
      drawWaiting();
      return;
    }
    const items = arranged();
    quantities = new Map(cart.shown().map((line) => [line.item, line.quantity]));
    const part = items.slice(0, pages * PAGE_ITEMS);
    rows.show(part);
    more.hidden = part.length === items.length;
    const all = inventory.items.size;
    setText(summary, items.length === all ? plural(all, "item") : `${integer(items.length)} of ${plural(all, "item")}`);
    drawState(items.length, all);
  }

  let drawn = null;

  function drawOnce(what, make) {
    if (drawn === what) return;
    drawn = what;
    fill(state, make());
  }

  function drawWaiting() {
    if (inventory.error) {
      drawOnce(inventory.error, () =>
        problem(inventory.error, {
          title: "The items could not be loaded",
          retry: () => {
            inventory.error = null;
            draw();
            inventory.retry();
          },
        }),
      );
      setText(summary, "");
    } else {
      drawOnce("waiting", () =>
        h(
          "div",
          { class: "items skeleton", role: "status", "aria-label": "Loading the items" },
          Array.from({ length: 8 }, () =>
            h("div", { class: "item card" }, h("div", { class: "item-picture bone" }), h("div", { class: "item-words stack-s" }, bones(70, 30)), h("div", { class: "item-buy" }, bones(100))),
          ),
        ),
      );
      setText(summary, "Loading…");
    }
  }

  function drawState(found, all) {
    if (all === 0) {
      drawOnce("none", () => empty("box", "Nothing for sale yet", "As soon as the operator adds an item, it appears here by itself."));
    } else if (found === 0) {
      drawOnce("nothing found", () =>
        empty(
          "search",
          "Nothing matches",
          "Try fewer words, or look among what is sold out, too.",
          h(
            "button",
            {
              type: "button",
              class: "button",
              onclick: () => {
                search.value = "";
                inStock.checked = false;
                refine();
                search.focus();
              },
            },
            "Show all items",
          ),
        ),
      );
    } else {
      drawOnce(null, () => []);
    }
  }

  const drawSoon = oncePerFrame(() => {
    if (element.isConnected) draw();
  });
  inventory.subscribe(drawSoon);
  cart.subscribe(drawSoon);
  list.addEventListener("pointerleave", drawSoon);
  list.addEventListener("focusout", drawSoon);
  new IntersectionObserver(
    (entries) => {
      if (entries.some((entry) => entry.isIntersecting) && !more.hidden) showMore(false);
    },
    { rootMargin: "800px" },
  ).observe(more);

  return {
    element,
    title: "Shop",
    enter() {
      const { query } = route();
      search.value = query.get("q") ?? search.value;
      sort.value = query.get("sort") in SORTS ? query.get("sort") : sort.value;
      if (query.has("stock")) inStock.checked = true;
      order = [];
      draw();
    },
    focusSearch: () => search.focus(),
    /** Move the focus to the next item, or (-1) the one before. */
    step(by) {
      const at = order.indexOf(selected);
      const id = order[at < 0 ? 0 : Math.min(order.length - 1, Math.max(0, at + by))];
      if (id === undefined) return;
      if (!rows.get(id)) showMore(false);
      rows.get(id)?.focus();
    },
  };
}

/** What went wrong with one line, beside it. */
export function lineError({ error, retry }, dismiss) {
  return h(
    "div",
    { class: "line-error" },
    h(
      "p",
      { class: "field-error wrap-anywhere" },
      icon("alert"),
      h("span", {}, error.unknown ? "No answer came. Trying again does not do it twice." : error.message),
    ),
    error.code === "internal" && reference(error),
    h(
      "div",
      { class: "row-s" },
      h("button", { type: "button", class: "link-button small", onclick: retry }, "Try again"),
      h("button", { type: "button", class: "link-button small", onclick: dismiss }, "Dismiss"),
    ),
  );
}
