// The cart: beside the items where there is room, a page of its own where there is not.

import { announce, announceError } from "../lib/announce.js";
import { fill, h, icon, KeyedList, oncePerFrame, setAttribute, setText } from "../lib/dom.js";
import { isolated, money, plural } from "../lib/format.js";
import { toast } from "../lib/toast.js";
import { asOf, bones, empty, linkButton, operatorCard, problem, stepper, unreachable } from "./parts.js";
import { lineError } from "./view_items.js";

/** Fill the section that index.html has for the cart. */
export function cartPanel(shop, section) {
  const { cart, session } = shop;
  const title = h("h2", { id: "cart-title", tabindex: "-1" }, "Cart");
  const count = h("span", { class: "badge" });
  const hide = h(
    "button",
    { type: "button", class: "button quiet icon-only small cart-hide", "aria-label": "Hide the cart", onclick: () => shop.toggleCart(false) },
    icon("close"),
  );
  const state = h("div");
  const list = h("ul", { class: "cart-lines", role: "list", id: "cart-lines" });
  const total = h("output", { class: "cart-total num", id: "cart-total" });
  const note = h("p", { class: "small muted" });
  const checkout = h(
    "a",
    {
      class: "button primary large block",
      href: "#/checkout",
      id: "to-checkout",
      onclick: (event) => {
        if (checkout.ariaDisabled === "true") event.preventDefault();
      },
    },
    "Check out",
  );
  const foot = h(
    "div",
    { class: "cart-foot stack" },
    h("div", { class: "row between" }, h("span", { class: "cart-total-label" }, "Total"), total),
    note,
    checkout,
  );
  const rows = new KeyedList(list, (line) => line.item, row);
  fill(section, h("div", { class: "card-head" }, h("div", { class: "row-s" }, title, count), hide), state, list, foot);

  function row({ item, name: firstName }) {
    let current;
    let shownFailure = null;
    const name = h("h3", { class: "wrap-anywhere" });
    const each = h("p", { class: "small muted num line-each" });
    const sum = h("p", { class: "num line-sum" });
    const busy = h("span", { class: "spinner", hidden: true });
    const quantity = stepper({
      label: firstName,
      min: 1,
      onset: (wanted) => {
        cart.set(item, wanted).then((worked) => {
          if (worked) announce(`${current.name}: ${current.quantity} in the cart.`);
        });
      },
    });
    const remove = h(
      "button",
      { type: "button", class: "button quiet icon-only small", "aria-label": `Remove ${firstName}`, onclick: () => removeLine(current) },
      icon("trash"),
    );
    const notes = h("div", { class: "line-notes" });
    const error = h("div");
    let noted = "";
    return {
      element: h(
        "li",
        { class: "cart-line", "data-item": item },
        h("div", { class: "line-words" }, name, each),
        h("div", { class: "line-sum-cell row-s" }, busy, sum),
        h("div", { class: "line-buy row-s" }, quantity.element, remove),
        notes,
        error,
      ),
      focus: () => remove.focus(),
      update(line) {
        const changedElsewhere = current && !line.busy && !current.busy && line.quantity !== current.quantity;
        current = line;
        setText(name, line.name ?? line.item);
        setText(each, line.price === null ? "Price not known" : `${money(line.price)} each`);
        setText(sum, line.price === null ? "–" : money(line.price * line.quantity));
        busy.hidden = !line.busy;
        quantity.update(line.quantity);
        if (changedElsewhere) announce(`${line.name ?? line.item}: now ${line.quantity} in the cart.`);
        const wanted = JSON.stringify([line.stock, line.quantity > line.stock, line.was, line.price, line.sold]);
        if (wanted !== noted) {
          noted = wanted;
          fill(notes, lineNotes(shop, line));
        }
        if (shownFailure !== line.failed) {
          shownFailure = line.failed;
          fill(error, line.failed && lineError(line.failed, () => cart.dismiss(item)));
          if (line.failed) announceError(`${line.name ?? line.item}: ${line.failed.error.message}`);
        }
      },
    };
  }

  async function removeLine(line) {
    const items = cart.shown().map((each) => each.item);
    const at = items.indexOf(line.item);
    const inside = list.contains(document.activeElement);
    if (!(await cart.remove(line.item))) return;
    toast(`${isolated(line.name ?? line.item)} removed.`, ["Undo", () => cart.add(line.item, line.quantity)]);
    if (!inside) return;
    requestAnimationFrame(() => {
      if (document.activeElement !== document.body) return;
      const next = rows.get(items[at + 1]) ?? rows.get(items[at - 1]);
      if (next) next.focus();
      else title.focus();
    });
  }

  let drawn;
  function drawOnce(what, make) {
    if (drawn === what) return;
    drawn = what;
    fill(state, make());
  }

  function draw() {
    const lines = cart.shown();
    const here = session.user || session.expired;
    const shown = here && cart.loaded && lines.length > 0;
    rows.show(here ? lines : []);
    foot.hidden = !shown;
    count.hidden = !shown;
    setText(count, plural(cart.count, "piece"));
    setText(total, money(cart.sum));
    total.classList.toggle("unsettled", !cart.settled);
    const [ready, words] = readiness(cart);
    setText(note, words);
    note.hidden = words === "";
    setAttribute(checkout, "aria-disabled", ready ? null : "true");
    if (session.user === undefined) drawOnce(session.away ? "away" : "waiting", session.away ? unreachable : waiting);
    else if (!here) {
      drawOnce("nobody", () =>
        empty("bag", "Your cart is waiting", "Log in to fill it. It will be the same on every device of yours.", linkButton("#/login", "Log in", "primary"), linkButton("#/register", "Create an account")),
      );
    } else if (session.operates) drawOnce("operator", operatorCard);
    else if (cart.error?.passing && !cart.loaded) drawOnce("away", unreachable);
    else if (cart.error && !cart.loaded) {
      drawOnce(cart.error, () =>
        h("div", { class: "card-pad" }, problem(cart.error, { title: "The cart could not be loaded", retry: () => cart.load() })),
      );
    } else if (!cart.loaded) drawOnce("waiting", waiting);
    else if (cart.asOf !== null && lines.length > 0) drawOnce("as of", () => asOf(cart.asOf));
    else if (lines.length === 0) {
      drawOnce("empty", () => empty("bag", "Your cart is empty", "Add something, and it appears here, on all your devices.", linkButton("#/", "Go to the shop", "to-shop")));
    } else drawOnce(null, () => []);
  }

  const drawSoon = oncePerFrame(draw);
  cart.subscribe(drawSoon);
  session.subscribe(drawSoon);
  draw();
  return { focus: () => title.focus() };
}

/** Whether the cart can be checked out, and what there is to say about it. */
export function readiness(cart) {
  if (cart.pending !== null) return [false, "An order of these is on its way, not decided yet. The cart is held until it is."];
  if (!cart.settled) return [false, "Saving…"];
  const lines = cart.shown();
  if (lines.length === 0) return [false, ""];
  if (!lines.some((line) => line.sold)) return [false, "Nothing of it is sold any more."];
  if (lines.every((line) => !line.sold || line.price === null)) return [false, "What it costs is not known just now."];
  if (lines.some((line) => line.stock !== null && line.quantity > line.stock)) return [true, "Some of it is not in stock any more."];
  return [true, ""];
}

/** What there is to say about a line, with what can be done about it. */
export function lineNotes(shop, line) {
  const { cart } = shop;
  const notes = [];
  const label = line.name ?? line.item;
  const action = (text, words, todo) =>
    h("button", { type: "button", class: "link-button small", "aria-label": `${words} ${label}`, onclick: todo }, text);
  if (!line.sold) {
    notes.push(h("p", { class: "line-note" }, h("span", { class: "badge bad dot" }, "No longer sold"), action("Remove", "Remove", () => cart.remove(line.item))));
  } else if (line.stock !== null && line.quantity > line.stock) {
    notes.push(
      h(
        "p",
        { class: "line-note" },
        h("span", { class: `badge dot ${line.stock === 0 ? "bad" : "warn"}` }, line.stock === 0 ? "Sold out" : `Only ${line.stock} left`),
        line.stock > 0 && action(`Set to ${line.stock}`, `Set to ${line.stock}:`, () => cart.set(line.item, line.stock)),
        action("Remove", "Remove", () => cart.remove(line.item)),
      ),
    );
  }
  if (line.was !== null) {
    notes.push(
      h(
        "p",
        { class: "line-note" },
        h("span", { class: "badge accent" }, "Price ", h("s", {}, money(line.was)), ` → ${money(line.price)}`),
        action("All right", "Accept the new price of", () => cart.accept(line.item)),
      ),
    );
  }
  return notes;
}

/** The page around the panel where the cart is a page. */
export function cartView() {
  return {
    element: h("div", { class: "page-head" }, h("h1", { tabindex: "-1" }, "Your cart"), linkButton("#/", "Go on shopping", "small")),
    title: "Cart",
    enter() {},
  };
}

function waiting() {
  return h("div", { class: "card-pad stack skeleton", role: "status", "aria-label": "Loading the cart" }, bones(60, 90, 40, 80));
}
