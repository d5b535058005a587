// The inventory: live, searched, edited in place.

import { ApiError, api, newKey } from "../lib/api.js";
import { confirmDialog, openDialog } from "../lib/dialog.js";
import { KeyedList, fill, h, setText } from "../lib/dom.js";
import { plural } from "../lib/format.js";
import { toast } from "../lib/toast.js";
import { errorNotice } from "./error_notice.js";
import { ItemField, readAll } from "./item_form.js";
import { ItemRow } from "./item_row.js";
import { picture } from "./pictures.js";

const SHOWN_STEP = 200;

/** The view. */
export class Inventory {
  title = "Inventory";
  #shown = SHOWN_STEP;
  #inventory = null;

  constructor(model, socket) {
    this.model = model;
    this.socket = socket;
    this.search = h("input", {
      class: "input", type: "search", id: "item-search", autocomplete: "off",
      placeholder: "name or id", oninput: () => this.#drawItems(),
    });
    this.count = h("p", { class: "muted small" });
    this.notice = h("div", { class: "notice warn", role: "status", hidden: true });
    this.problem = h("div", { role: "alert" });
    this.table = h("table", { class: "table items", role: "table", "aria-label": "Items" });
    const head = h("thead", { role: "rowgroup" }, h("tr", { role: "row" },
      ["Item", "Name", "Price", "Stock", "Change stock", "Actions"].map((label, index) => (
        h("th", {
          scope: "col", role: "columnheader", class: index === 2 || index === 3 ? "num" : null,
        }, label)))));
    const body = h("tbody", { role: "rowgroup" });
    this.table.append(head, body);
    this.rows = new KeyedList(body, (item) => item.id,
      (item) => new ItemRow(item, this.#calls()));
    this.more = h("button", {
      type: "button", class: "button", onclick: () => {
        this.#shown += SHOWN_STEP;
        this.#drawItems();
      },
    });
    this.none = h("div", { class: "empty" });
    this.element = h("div", { class: "stack" },
      this.notice,
      h("div", { class: "inventory-tools" },
        h("div", { class: "field grow" },
          h("label", { for: "item-search" }, "Search"), this.search),
        h("button", {
          type: "button", class: "button primary", onclick: () => this.#add(),
        }, "Add an item"),
        h("button", {
          type: "button", class: "button", onclick: () => this.#reset(),
        }, "Reset …")),
      this.problem, this.count,
      h("div", { class: "card items-card" }, this.table, this.none),
      h("div", { class: "row" }, this.more));
  }

  /** Draw what has changed: reports come four times a second, the rest rarely. */
  draw() {
    const { inventory, report } = this.model;
    const leader = report?.groups.find((g) => g.kind === "inventory")?.leader;
    const stale = Boolean(inventory.stale || (report && !leader));
    if (inventory === this.#inventory && stale !== this.notice.hidden) return;
    this.#inventory = inventory;
    this.#drawStale(stale);
    this.#drawItems();
  }

  #drawStale(stale) {
    this.notice.hidden = !stale;
    if (stale && !this.notice.firstChild) {
      this.notice.append(picture("warning"), h("div", {},
        h("p", { class: "title" }, "The inventory has no leader."),
        h("p", {}, "What you see may be old, and changes are refused until it has one.")));
    }
  }

  #drawItems() {
    const { items } = this.model;
    const text = this.search.value.trim().toLowerCase();
    const fits = [...items.values()].filter(({ id, name }) => !text
      || id.toLowerCase().includes(text) || name.toLowerCase().includes(text));
    const shown = new Map(fits.slice(0, this.#shown).map((item) => [item.id, item]));
    // What somebody edits, or still has to read an error of, stays.
    for (const [id, row] of this.rows.rows) {
      if (shown.has(id) || !(row.editing || row.pending)) continue;
      shown.set(id, items.get(id) ?? { ...row.item, gone: true });
    }
    this.rows.show([...shown.values()].sort((a, b) => (a.id < b.id ? -1 : 1)));
    setText(this.count, text
      ? `${plural(fits.length, "item")} of ${items.size}` : plural(items.size, "item"));
    this.more.hidden = fits.length <= this.#shown;
    setText(this.more, `Show ${Math.min(SHOWN_STEP, fits.length - this.#shown)} more`);
    this.#drawNone(shown.size === 0, text);
  }

  #drawNone(none, text) {
    this.table.hidden = none;
    this.none.hidden = !none;
    const words = !this.model.inventory.received ? "Waiting for the inventory …"
      : text ? "No item has that in its name or id." : "There is nothing in the shop.";
    if (none && this.none.textContent !== words) fill(this.none, h("p", {}, words));
  }

  #calls() {
    return {
      put: (id, values, key) => this.#put(id, values, key),
      change: (id, by, key) => this.socket.call(
        "update_inventory", { item: id, quantity_change: by }, { key }),
      remove: (row) => this.#remove(row),
      changed: () => this.#drawItems(),
    };
  }

  #put(id, values, key) {
    return api("PUT", `/inventory/${encodeURIComponent(id)}`, { body: values, key });
  }

  async #remove(row) {
    const { id, name } = row.item;
    if (row.pending) return;
    const sure = await confirmDialog({
      title: `Remove ${id}?`,
      text: h("p", { class: "muted wrap-anywhere" },
        `${name} leaves the shop. Carts that hold it cannot check out until it is`
        + " taken out of them. Past orders keep it."),
      confirm: "Remove", danger: true,
    });
    if (!sure) return;
    const key = newKey();
    row.attempt(() => api("DELETE", `/inventory/${encodeURIComponent(id)}`, { key }),
      () => {
        toast(`${id} is removed.`);
        this.search.focus();
      });
  }

  async #reset() {
    const sure = await confirmDialog({
      title: "Reset the inventory?",
      text: "A, B and C come back with 100 each, at 1.00, 2.50 and 9.99."
        + " All other items go.",
      confirm: "Reset", danger: true,
    });
    if (!sure) return;
    this.problem.replaceChildren();
    try {
      await api("POST", "/inventory/reset", { key: newKey() });
      toast("The inventory is reset.");
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      fill(this.problem, errorNotice(error));
    }
  }

  #add() {
    const fields = [
      new ItemField("id", "Id", "new"), new ItemField("name", "Name", "new"),
      new ItemField("price", "Price", "new"), new ItemField("stock", "Stock", "new")];
    const problem = h("div", { role: "alert" });
    const yes = h("button", { type: "submit", class: "button primary", form: "new-item" },
      "Add");
    let [key, busy, sent] = [newKey(), false, ""];
    const form = h("form", {
      class: "stack", id: "new-item", novalidate: true,
      onsubmit: async (event) => {
        event.preventDefault();
        const values = readAll(fields);
        if (!values || busy) return;
        problem.replaceChildren();
        if (this.model.items.has(values.id)) {
          fill(problem, h("p", { class: "field-error" },
            `There is an item ${values.id} already: edit it in the table.`));
          return;
        }
        const text = JSON.stringify(values);
        if (sent && sent !== text) key = newKey();
        sent = text;
        busy = true;
        yes.setAttribute("aria-busy", "true");
        const { id, name, price, stock } = values;
        try {
          await this.#put(id, { name, price, stock }, key);
          dialog.close();
          toast(`${id} is in the shop.`);
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          if (!error.passing) key = newKey();
          fill(problem, errorNotice(error));
        } finally {
          busy = false;
          yes.removeAttribute("aria-busy");
        }
      },
    }, fields[0].element, fields[1].element,
    h("div", { class: "two-fields" }, fields[2].element, fields[3].element), problem);
    const dialog = openDialog({
      title: "Add an item",
      body: [form],
      actions: [h("button", {
        type: "button", class: "button", onclick: () => dialog.close(),
      }, "Cancel"), yes],
    });
    fields[0].input.focus();
  }
}
