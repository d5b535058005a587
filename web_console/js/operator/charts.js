// The charts: operations, latency, lag and stock over the last minutes.

import { h } from "../lib/dom.js";
import { integer } from "../lib/format.js";
import { Chart } from "./chart.js";
import { HISTORY_SECONDS } from "./model.js";
import { milliseconds, rate } from "./numbers.js";

const RANGES = [60, 300, HISTORY_SECONDS];
const LINES_MAX = 6;
const REDRAW_MS = 900;

/** The view. What it shows is kept in this page's memory, from its opening on. */
export class Charts {
  title = "Charts";
  #seconds = RANGES[0];
  #drawnAt = 0;

  constructor(model) {
    this.model = model;
    this.stockOf = h("select", {
      class: "select small-select", "aria-label": "Stock of", onchange: () => this.draw(true),
    });
    const points = (key) => model.past(key);
    this.charts = [
      new Chart({
        name: "operations", title: "Operations a second", format: rate, axis: short,
        points, series: () => this.#operations(),
      }),
      new Chart({
        name: "latency", title: "Latency of requests", format: milliseconds, axis: ms,
        points, series: () => [
          { key: "p99", label: "p99", slot: 1 }, { key: "p50", label: "p50", slot: 0 }],
      }),
      new Chart({
        name: "lag", title: "Lag: entries the last replica is behind", whole: true,
        format: integer, axis: short, points,
        series: () => this.#groups("lag"),
      }),
      new Chart({
        name: "stock", title: "Stock", whole: true, steps: true, format: integer,
        axis: short, tools: this.stockOf,
        points: (key) => model.stockOf(key), series: () => this.#stock(),
      }),
    ];
    this.ranges = RANGES.map((seconds) => h("button", {
      type: "button", "aria-pressed": String(seconds === this.#seconds),
      onclick: () => this.#setRange(seconds),
    }, `${seconds / 60} min`));
    this.element = h("div", { class: "stack" },
      h("div", { class: "row between" },
        h("p", { class: "muted small" }, "Measured by this console, kept while the page is open."),
        h("div", { class: "segmented", role: "group", "aria-label": "Time range" },
          this.ranges)),
      h("div", { class: "charts" }, this.charts.map((chart) => chart.element)));
  }

  draw(now = false) {
    const { report } = this.model;
    if (!report || (!now && performance.now() - this.#drawnAt < REDRAW_MS)) return;
    this.#drawnAt = performance.now();
    this.#offerItems();
    for (const chart of this.charts) chart.draw(report.at, this.#seconds);
  }

  /** Draw at once: the view has just been opened. */
  opened() {
    this.draw(true);
  }

  #operations() {
    return [
      { key: "requests", label: "requests", slot: 0 },
      { key: "errors", label: "errors", slot: 1 },
      ...this.#groups("writes").slice(0, LINES_MAX - 2).map((line, index) => ({
        ...line, label: `writes ${line.label}`, slot: index + 2 })),
    ];
  }

  #groups(sample) {
    return this.model.report.groups.slice(0, LINES_MAX).map(({ name }, slot) => (
      { key: `${sample} ${name}`, label: name, slot }));
  }

  #stock() {
    const chosen = this.stockOf.value;
    if (chosen === "all") return [{ key: "", label: "all items", slot: 0 }];
    const { items } = this.model;
    if (chosen.startsWith("item ")) {
      const id = chosen.slice("item ".length);
      return [{ key: id, label: items.get(id)?.name ?? id, slot: 0 }];
    }
    return [...items.values()]
      .sort((a, b) => a.stock - b.stock || a.id.localeCompare(b.id))
      .slice(0, LINES_MAX)
      .sort((a, b) => a.id.localeCompare(b.id))
      .map(({ id, name }, slot) => ({ key: id, label: name, slot }));
  }

  #offerItems() {
    const items = [...this.model.items.values()];
    const offered = items.map(({ id, name }) => `${id} ${name}`).join("\n");
    if (this.stockOf.dataset.offered === offered) return;
    this.stockOf.dataset.offered = offered;
    const before = this.stockOf.value;
    this.stockOf.replaceChildren(
      h("option", { value: "lowest" }, "the lowest six"),
      h("option", { value: "all" }, "all together"),
      ...items.map(({ id, name }) => h("option", { value: `item ${id}` }, name)));
    this.stockOf.value = before;
    if (this.stockOf.selectedIndex < 0) this.stockOf.selectedIndex = 0;
  }

  #setRange(seconds) {
    this.#seconds = seconds;
    RANGES.forEach((range, index) => {
      this.ranges[index].setAttribute("aria-pressed", String(range === seconds));
    });
    this.draw(true);
  }
}

function short(value) {
  if (value >= 1e6) return `${+(value / 1e6).toFixed(1)}M`;
  if (value >= 1e4) return `${+(value / 1e3).toFixed(1)}k`;
  return String(+value.toFixed(2));
}

function ms(value) {
  return value >= 1000 ? `${+(value / 1000).toFixed(1)} s` : `${+value.toFixed(2)} ms`;
}
