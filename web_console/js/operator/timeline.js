// What happened: elections, kills, recoveries, newest first.

import { KeyedList, fill, h, setText } from "../lib/dom.js";
import { plural, whenUtc } from "../lib/format.js";
import { clockTime } from "./chart.js";
import { KINDS, picture } from "./pictures.js";

const SHOWN_MAX = 400;
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

/** What tells entries apart: ids begin anew with the console's process. */
export function entryKey({ id, at }) {
  return `${id} ${at}`;
}

/** One line of the timeline. */
export class Entry {
  #said = "";

  constructor() {
    this.element = h("li", { class: "entry" });
  }

  update(entry) {
    const said = JSON.stringify(entry);
    if (said === this.#said) return;
    this.#said = said;
    const [icon, tone, word] = KINDS[entry.kind] ?? ["question", "", entry.kind];
    const at = new Date(entry.at * 1000);
    const today = new Date().toDateString() === at.toDateString();
    this.element.dataset.kind = entry.kind;
    fill(this.element,
      h("span", { class: `entry-icon ${tone}` }, picture(icon)),
      h("div", { class: "grow" },
        h("p", { class: "wrap-anywhere" },
          h("span", { class: "visually-hidden" }, `${word}: `), entry.text),
        h("p", { class: "faint small" },
          h("time", { datetime: at.toISOString(), title: whenUtc(entry.at) },
            today ? "" : `${date.format(at)}, `, clockTime(entry.at)),
          entry.group ? ` · ${entry.group}` : "",
          entry.by ? ` · by ${entry.by}` : "")));
  }
}

/** The view: filters, and a pause that counts what it holds back. */
export class Timeline {
  title = "Timeline";
  #pausedAt = null;

  constructor(model) {
    this.model = model;
    this.kinds = new Set();
    this.list = h("ol", { class: "entries card" });
    this.entryList = new KeyedList(this.list, entryKey, () => new Entry());
    this.search = h("input", {
      class: "input", type: "search", id: "timeline-search", placeholder: "s1r0",
      autocomplete: "off", oninput: () => this.draw(),
    });
    this.group = h("select", {
      class: "select", id: "timeline-group", onchange: () => this.draw(),
    }, h("option", { value: "" }, "All groups"));
    this.chips = Object.entries(KINDS).map(([kind, [icon, , word]]) => h("button", {
      type: "button", class: "chip", "aria-pressed": "false", "data-kind": kind,
      onclick: (event) => this.#toggle(kind, event.currentTarget),
    }, picture(icon), word));
    this.pause = h("button", {
      type: "button", class: "button small", "aria-pressed": "false",
      onclick: () => this.#setPaused(this.#pausedAt === null),
    }, picture("pause"), "Pause");
    this.count = h("p", { class: "muted small" });
    this.none = h("div", { class: "empty card" }, h("p", {}, "Nothing here fits."),
      h("button", { type: "button", class: "button small", onclick: () => this.#clear() },
        "Show everything"));
    this.element = h("div", { class: "stack" },
      h("div", { class: "filters card" },
        h("div", { class: "field grow" },
          h("label", { for: "timeline-search" }, "Text"), this.search),
        h("div", { class: "field" },
          h("label", { for: "timeline-group" }, "Group"), this.group),
        h("div", { class: "chips", role: "group", "aria-label": "Kinds shown" },
          this.chips)),
      h("div", { class: "row between" }, this.count, this.pause),
      this.list, this.none);
  }

  draw() {
    const { report, timeline } = this.model;
    if (!report) return;
    this.#offerGroups(report.groups);
    const newest = this.#pausedAt ?? Infinity;
    const text = this.search.value.trim().toLowerCase();
    const fits = timeline.filter((entry) => entry.id <= newest
      && (!this.kinds.size || this.kinds.has(entry.kind))
      && (!this.group.value || entry.group === this.group.value)
      && (!text || entry.text.toLowerCase().includes(text)));
    const shown = fits.slice(-SHOWN_MAX).reverse();
    this.entryList.show(shown);
    this.list.hidden = shown.length === 0;
    this.none.hidden = shown.length > 0;
    const waiting = timeline.filter((entry) => entry.id > newest).length;
    setText(this.count, this.#pausedAt === null
      ? plural(fits.length, "entry", "entries")
      : `Paused; ${waiting ? `${waiting} new since` : "nothing new"}`);
  }

  #offerGroups(groups) {
    if (this.group.options.length === groups.length + 1) return;
    this.group.append(...groups.map(({ name }) => h("option", { value: name }, name)));
  }

  #toggle(kind, chip) {
    if (!this.kinds.delete(kind)) this.kinds.add(kind);
    chip.setAttribute("aria-pressed", String(this.kinds.has(kind)));
    this.draw();
  }

  #setPaused(paused) {
    this.#pausedAt = paused ? (this.model.timeline.at(-1)?.id ?? 0) : null;
    this.pause.setAttribute("aria-pressed", String(paused));
    this.pause.replaceChildren(picture(paused ? "play" : "pause"),
      paused ? "Go on" : "Pause");
    this.draw();
  }

  #clear() {
    this.search.value = "";
    this.group.value = "";
    this.kinds.clear();
    for (const chip of this.chips) chip.setAttribute("aria-pressed", "false");
    this.draw();
    this.search.focus();
  }
}
