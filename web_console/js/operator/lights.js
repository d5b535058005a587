// Lights: a colour, an icon and a sentence for what must always hold.

import { fill, h, setAttribute, setText } from "../lib/dom.js";
import { picture } from "./pictures.js";
import { groupName } from "./quorum.js";

const ICONS = { ok: "check", bad: "warning", unknown: "question" };

/** A light; `show(tone, title, sentence)` with tone ok, bad or unknown. */
export class Light {
  #tone = null;

  constructor(name) {
    this.lamp = h("span", { class: "lamp" });
    this.title = h("p", { class: "light-title" });
    this.text = h("p", { class: "faint small" });
    this.element = h("div", { class: "light", "data-light": name },
      this.lamp, h("div", { class: "grow" }, this.title, this.text));
  }

  show(tone, title, sentence) {
    setText(this.title, title);
    setText(this.text, sentence);
    if (tone === this.#tone) return;
    this.#tone = tone;
    setAttribute(this.element, "data-tone", tone);
    fill(this.lamp, picture(ICONS[tone]));
  }
}

/** What the stock's light says of a report. */
export function stockLight({ conservation }) {
  const { conserved, items } = conservation;
  if (conserved === null) {
    return ["unknown", "Stock not checked", "The inventory does not answer just now."];
  }
  return conserved
    ? ["ok", "Stock is conserved",
      `What came in is on the shelf or sold, for each of ${items} items.`]
    : ["bad", "Stock does not add up",
      "For some item, what came in is neither on the shelf nor sold."];
}

/** What the digests' light says of a report. */
export function digestLight({ groups }) {
  const names = (digests) => groups.filter((g) => g.digests === digests)
    .map(groupName).join(", ");
  const differing = names("differ");
  if (differing) {
    return ["bad", "Tables differ", `Replicas of ${differing} do not hold the same.`];
  }
  const unknown = names("unknown");
  if (unknown) {
    return ["unknown", "Tables not all compared",
      `Not comparable just now: ${unknown}. All others are equal.`];
  }
  return ["ok", "Tables are equal", "In every group, all replicas hold the same."];
}
