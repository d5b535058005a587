// Pieces that several views show.

import { h, icon, setAttribute, setText, svg } from "../lib/dom.js";
import { clock, integer } from "../lib/format.js";

const LOW_STOCK_MAX = 5;
const QUANTITY_MAX = 1_000_000;

/** A stock badge; `update(stock)` with null where nothing is known. */
export function stockBadge() {
  const element = h("span", { class: "badge dot", "data-stock": "" });
  let before;
  return {
    element,
    update(stock) {
      if (stock === before) return;
      const [look, text] = stockWords(stock);
      setAttribute(element, "class", `badge dot ${look}`);
      setAttribute(element, "data-stock", stock);
      setText(element, text);
      if (before !== undefined) flash(element);
      before = stock;
    },
  };
}

/** The look of a stock badge, and its words. */
export function stockWords(stock) {
  if (stock === null) return ["", "Stock unknown"];
  if (stock === 0) return ["bad", "Sold out"];
  if (stock <= LOW_STOCK_MAX) return ["warn", `Only ${stock} left`];
  return ["ok", `${integer(stock)} in stock`];
}

/** Let a value that has changed light up for a moment. */
export function flash(element) {
  element.classList.remove("changed");
  void element.offsetWidth; // Restarts the animation.
  element.classList.add("changed");
}

/**
 * A number between two buttons.
 *
 * @param label what is counted, for screen readers
 * @param min the smallest value
 * @param onset called with each new value that the person has settled on
 */
export function stepper({ label, min = 1, value = min, onset = () => {} }) {
  let typing = false;
  let shown = value;
  const input = h("input", {
    type: "number",
    inputmode: "numeric",
    min,
    max: QUANTITY_MAX,
    step: 1,
    value,
    "aria-label": `Quantity of ${label}`,
    autocomplete: "off",
    oninput: () => {
      typing = true;
    },
    onchange: () => settle(current()),
    onblur: () => {
      if (typing) settle(current());
    },
  });
  const button = (picture, words, by) =>
    h(
      "button",
      {
        type: "button",
        "aria-label": `${words} quantity of ${label}`,
        onclick: () => settle(current() + by),
      },
      icon(picture),
    );
  const less = button("minus", "Decrease", -1);
  const more = button("plus", "Increase", 1);
  const element = h("div", { class: "stepper" }, less, input, more);

  function current() {
    const typed = Math.round(Number(input.value));
    return input.value === "" || !Number.isFinite(typed) ? shown : typed;
  }

  function settle(wanted) {
    typing = false;
    const next = Math.min(QUANTITY_MAX, Math.max(min, wanted));
    const changed = next !== shown;
    show(next);
    if (changed) onset(next);
  }

  function show(next) {
    shown = next;
    if (input.value !== String(next)) input.value = String(next);
    // Not `disabled`, which would drop the focus.
    setAttribute(less, "aria-disabled", next <= min ? "true" : null);
  }

  show(value);
  return {
    element,
    input,
    get value() {
      return Math.min(QUANTITY_MAX, Math.max(min, current()));
    },
    /** Show another value, unless somebody is just typing one. */
    update(next) {
      if (!typing && next !== shown) show(next);
    },
  };
}

/** What went wrong, with the id that the log has, and what to do about it. */
export function problem(error, { title, retry, label = "Try again" }) {
  return h(
    "div",
    { class: "notice bad", role: "group", "aria-label": title },
    icon("alert"),
    h(
      "div",
      { class: "stack-s grow" },
      h("p", { class: "title" }, title),
      h("p", { class: "muted wrap-anywhere" }, error.message),
      reference(error),
      retry && h("div", {}, h("button", { type: "button", class: "button small", onclick: retry }, label)),
    ),
  );
}

/** The id under which the shop's log has an error, labelled; nothing where it has none. */
export function reference(error) {
  return error?.requestId ? h("p", { class: "small faint wrap-anywhere" }, "Reference for the shop's log: ", h("span", { class: "mono" }, error.requestId)) : null;
}

/** A picture, a headline, a sentence, and the next step. */
export function empty(picture, title, text, ...actions) {
  return h(
    "div",
    { class: "empty" },
    icon(picture),
    h("h2", {}, title),
    h("p", {}, text),
    actions.length > 0 && h("div", { class: "row" }, actions),
  );
}

export const AWAY = "Your part of the shop cannot be reached right now";

/** Instead of what cannot be had, for now: it is asked for again by itself. */
export function unreachable() {
  return empty("clock", AWAY, "Nothing is lost. We keep trying, and show it as soon as we can.");
}

/** Above what a minority has. */
export function asOf(date) {
  return h("div", { class: "notice warn" }, icon("clock"), h("p", {}, `${AWAY}. This is as last known, read at ${clock(date)}; it may have changed since.`));
}

/** Whoever runs the shop does not buy in it. */
export function operatorCard() {
  return empty("user", "No cart for the operator", "This account runs the shop. To buy, log in as a shopper.", linkButton("/operator", "Open the operator's page"));
}

/** A link that looks like a button. */
export function linkButton(href, text, look = "") {
  return h("a", { class: `button ${look}`, href }, text);
}

/** Grey lines in the shape of what is to come; `widths` in percent. */
export function bones(...widths) {
  return widths.map((width) => h("span", { class: `bone w${width}` }));
}

/** The heading of a view, which gets the focus when the view is gone to. */
export function heading(text) {
  return h("h1", { tabindex: "-1" }, text);
}

// Two by two cells, each one of these, drawn in a square of 20.
const SHAPES = [
  "M0 0h20a20 20 0 0 1-20 20z",
  "M20 0v20a20 20 0 0 1-20-20z",
  "M20 20h-20a20 20 0 0 1 20-20z",
  "M0 20v-20a20 20 0 0 1 20 20z",
  "M10 0a10 10 0 0 1 0 20a10 10 0 0 1 0-20z",
  "M0 20l20-20v20z",
  "M0 0h10v20h-10z",
  "M0 0h20v20h-20z",
];

/** A picture for an item that has none: always the same for the same id. */
export function tile(id) {
  let bits = 2166136261; // FNV-1a
  for (const character of id) bits = Math.imul(bits ^ character.codePointAt(0), 16777619);
  bits ^= bits >>> 15; // Neighbouring ids should not look alike.
  bits = Math.imul(bits, 2246822507);
  bits = (bits ^ (bits >>> 13)) >>> 0;
  const cells = [0, 1, 2, 3].map((cell) => {
    const part = (bits >>> (cell * 7)) & 127;
    return svg("path", {
      d: SHAPES[part & 7],
      class: `tone-${(part >>> 3) % 4}`,
      transform: `translate(${(cell % 2) * 22} ${cell > 1 ? 22 : 0})`,
    });
  });
  return svg("svg", { class: "tile", viewBox: "-8 -8 58 58", "aria-hidden": "true", focusable: "false" }, cells);
}
