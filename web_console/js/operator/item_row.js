// A row of the inventory: shown, edited, changed; what is typed stays until it is saved.

import { newKey } from "../lib/api.js";
import { announceError } from "../lib/announce.js";
import { h, setText } from "../lib/dom.js";
import { integer, money } from "../lib/format.js";
import { ItemField, priceText, readAll } from "./item_form.js";
import { picture } from "./pictures.js";
import { sentence } from "./quorum.js";

const CHANGE_MAX = 1_000_000_000;

/** A row. `calls` has put(id, values, key), change(id, by, key), remove(id). */
export class ItemRow {
  editing = false;
  pending = false;

  constructor(item, calls) {
    this.calls = calls;
    this.item = item;
    this.#makeShown();
    this.#makeEdited();
    this.element = h("tr", { "data-item": item.id, role: "row" }, this.cells);
    this.#showMode();
  }

  #makeShown() {
    const { id } = this.item;
    this.nameShown = h("span", { class: "wrap-anywhere" });
    this.priceShown = h("span", {});
    this.stockShown = h("span", { class: "stock-now" });
    this.by = h("input", {
      value: "10", inputmode: "numeric", "aria-label": `How many of ${id}`,
      autocomplete: "off",
      onkeydown: (event) => { if (event.key === "Enter") this.#change(1); },
    });
    this.note = h("div", { class: "item-note", hidden: true });
    this.less = h("button", {
      type: "button", "aria-label": `Take from the stock of ${id}`,
      onclick: () => this.#change(-1),
    }, "−");
    this.moreButton = h("button", {
      type: "button", "aria-label": `Add to the stock of ${id}`,
      onclick: () => this.#change(1),
    }, "+");
    this.stepper = h("div", { class: "stepper", role: "group", "aria-label": `Change the stock of ${id}` },
      this.less, this.by, this.moreButton);
    this.edit = h("button", {
      type: "button", class: "button small", "aria-label": `Edit ${id}`,
      onclick: () => this.#begin(),
    }, "Edit");
    this.remove = h("button", {
      type: "button", class: "button small quiet", "aria-label": `Remove ${id}`,
      onclick: () => this.calls.remove(this),
    }, "Remove");
  }

  #makeEdited() {
    const prefix = `edit-${this.item.id}`;
    this.name = new ItemField("name", `Name of ${this.item.id}`, prefix, false);
    this.price = new ItemField("price", `Price of ${this.item.id}`, prefix, false);
    this.stock = new ItemField("stock", `Stock of ${this.item.id}`, prefix, false);
    this.fields = [this.name, this.price, this.stock];
    this.live = h("p", { class: "hint" });
    this.stock.element.append(this.live);
    for (const field of this.fields) {
      field.input.addEventListener("keydown", (event) => {
        if (event.key === "Enter") this.#save();
        else if (event.key === "Escape") this.#cancel();
      });
    }
    this.stock.input.addEventListener("input", () => { this.stockTyped = true; });
    this.save = h("button", {
      type: "button", class: "button small primary", "aria-label": `Save ${this.item.id}`,
      onclick: () => this.#save(),
    }, "Save");
    this.cancel = h("button", {
      type: "button", class: "button small", "aria-label": `Cancel editing ${this.item.id}`,
      onclick: () => this.#cancel(),
    }, "Cancel");
    const cell = (label, ...children) => h("td", { role: "cell", "data-label": label },
      children);
    this.cells = [
      h("th", { scope: "row", role: "rowheader", class: "mono wrap-anywhere" }, this.item.id),
      cell("Name", this.nameShown, this.name.element, this.note),
      cell("Price", this.priceShown, this.price.element),
      cell("Stock", this.stockShown, this.stock.element),
      cell("Change stock", this.stepper),
      cell("Actions", h("div", { class: "row-actions" },
        this.edit, this.remove, this.save, this.cancel)),
    ];
    this.cells[2].className = "num";
    this.cells[3].className = "num";
  }

  /** The item as it is now; `gone` where it has been removed while it was edited. */
  update(item) {
    const stock = this.item.stock;
    this.item = item;
    setText(this.nameShown, item.name);
    setText(this.priceShown, money(item.price));
    setText(this.stockShown, integer(item.stock));
    this.stockShown.dataset.level = item.stock === 0 ? "out" : item.stock < 10 ? "low" : "";
    if (stock !== item.stock) this.#flash(this.stockShown);
    if (!this.editing) return;
    if (!this.stockTyped) this.stock.value = String(item.stock);
    setText(this.live, item.gone
      ? "removed meanwhile: saving adds it again"
      : this.stockTyped ? `now ${integer(item.stock)}` : "live until you type");
  }

  #flash(element) {
    element.classList.remove("changed");
    void element.offsetWidth; // Begins the animation anew.
    element.classList.add("changed");
  }

  #begin() {
    this.editing = true;
    this.stockTyped = false;
    this.name.value = this.item.name;
    this.price.value = priceText(this.item.price);
    this.update(this.item);
    this.#say(null);
    this.#showMode();
    this.name.input.focus();
    this.name.input.select();
  }

  #cancel() {
    if (this.pending) return;
    this.editing = false;
    this.#say(null);
    this.#showMode();
    this.edit.focus();
    this.calls.changed();
  }

  #showMode() {
    for (const element of [this.nameShown, this.priceShown, this.stockShown, this.stepper,
      this.edit, this.remove]) element.hidden = this.editing;
    for (const element of [this.name.element, this.price.element, this.stock.element,
      this.save, this.cancel]) element.hidden = !this.editing;
    this.element.classList.toggle("editing", this.editing);
  }

  #save() {
    const values = readAll(this.fields);
    if (!values || this.pending) return;
    const { name, price } = values;
    const key = newKey();
    this.attempt(() => this.calls.put(this.item.id, {
      // Untyped, it is what the shelf holds at the moment of sending.
      name, price, stock: this.stockTyped ? values.stock : this.item.stock,
    }, key), () => {
      this.editing = false;
      this.#showMode();
      this.edit.focus();
    });
  }

  #change(sign) {
    const text = this.by.value.trim();
    const by = Number(text);
    if (!/^\d+$/.test(text) || by < 1 || by > CHANGE_MAX) {
      this.by.setAttribute("aria-invalid", "true");
      this.#say("How many? A whole number from 1 on.");
      this.by.focus();
      return;
    }
    this.by.removeAttribute("aria-invalid");
    if (this.pending) return;
    const key = newKey();
    this.attempt(() => this.calls.change(this.item.id, sign * by, key));
  }

  /** Do `write`, showing that it is under way and, under the row, what went wrong. */
  async attempt(write, done = () => {}) {
    this.pending = true;
    this.#showPending();
    this.#say(null);
    try {
      await write();
      this.pending = false;
      this.#showPending();
      done();
      this.calls.changed();
    } catch (error) {
      this.pending = false;
      this.#showPending();
      if (error.code === undefined) throw error;
      const words = error.unknown
        ? "We do not know whether it was done." : `${sentence(error.message)}.`;
      // With the same key it has one effect, however often it is sent.
      this.#say(words, error.passing || error.unknown
        ? [error.unknown ? "Find out" : "Try again", () => this.attempt(write, done)] : null);
    }
  }

  #showPending() {
    this.element.classList.toggle("pending", this.pending);
    this.element.setAttribute("aria-busy", String(this.pending));
    for (const button of [this.save, this.edit, this.remove]) {
      if (this.pending) button.setAttribute("aria-disabled", "true");
      else button.removeAttribute("aria-disabled");
    }
    this.save.setAttribute("aria-busy", String(this.pending));
  }

  #say(words, action = null) {
    this.note.hidden = words === null;
    this.note.replaceChildren();
    if (words === null) return;
    announceError(`${this.item.id}: ${words}`);
    this.note.append(picture("warning"), h("span", { class: "wrap-anywhere" }, words));
    if (action) {
      this.note.append(h("button", {
        type: "button", class: "link-button", onclick: action[1],
      }, action[0]));
    }
  }
}
