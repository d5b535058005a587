// The fields of an item, and what may be in them.

import { h, setText } from "../lib/dom.js";

const PRICE_MAX = 10_000_000;
const STOCK_MAX = 1_000_000_000;
const NAME_BYTES_MAX = 150; // As JSON, its quotes included.

/** A price in cents as one types it: 12.50. */
export function priceText(cents) {
  return (cents / 100).toFixed(2);
}

const CHECKS = {
  id: (text) => (/^[A-Za-z0-9._-]{1,32}$/.test(text)
    ? [text] : [null, "1 to 32 of A-Z a-z 0-9 . _ -"]),
  name: (text) => {
    const size = new TextEncoder().encode(JSON.stringify(text)).length;
    return text !== "" && [...text].length <= 100 && size <= NAME_BYTES_MAX
      ? [text] : [null, `1 to 100 characters, at most ${NAME_BYTES_MAX} bytes as JSON`];
  },
  price: (text) => {
    const parts = /^(\d{1,9})(?:[.,](\d{1,2}))?$/.exec(text);
    const cents = parts && Number(parts[1]) * 100 + Number((parts[2] ?? "").padEnd(2, "0"));
    return parts && cents <= PRICE_MAX
      ? [cents] : [null, "an amount such as 12.50"];
  },
  stock: (text) => (/^\d{1,10}$/.test(text) && Number(text) <= STOCK_MAX
    ? [Number(text)] : [null, "a whole number from 0 to 1000000000"]),
};

/** One labelled field; `read()` gives its value, or null and says what would be right. */
export class ItemField {
  constructor(kind, label, prefix, visibleLabel = true) {
    this.kind = kind;
    const id = `${prefix}-${kind}`;
    this.input = h("input", {
      class: `input${kind === "price" || kind === "stock" ? " num" : ""}${
        kind === "id" ? " mono" : ""}`,
      id, autocomplete: "off", spellcheck: "false",
      inputmode: { price: "decimal", stock: "numeric" }[kind],
      "aria-describedby": `${id}-error`,
    });
    this.error = h("p", { class: "field-error", id: `${id}-error`, hidden: true });
    this.element = h("div", { class: "field" },
      h("label", { for: id, class: visibleLabel ? null : "visually-hidden" }, label),
      this.input, this.error);
  }

  set value(text) {
    this.input.value = text;
  }

  read() {
    const [value, wrong] = CHECKS[this.kind](this.input.value.trim());
    setText(this.error, wrong ? `It must be ${wrong}.` : "");
    this.error.hidden = !wrong;
    if (wrong) this.input.setAttribute("aria-invalid", "true");
    else this.input.removeAttribute("aria-invalid");
    return value;
  }
}

/** Read all fields; null where one is wrong, which then has the focus. */
export function readAll(fields) {
  const values = Object.fromEntries(fields.map((field) => [field.kind, field.read()]));
  const wrong = fields.find((field) => values[field.kind] === null);
  wrong?.input.focus();
  return wrong ? null : values;
}
