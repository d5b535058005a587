// A line chart in SVG: crosshair for pointers and keys, and the same numbers as a table.

import { h, setText, svg } from "../lib/dom.js";
import { greatest, linePath, niceStep, timeStep, valueAt } from "./scale.js";

const HEIGHT = 190;
const MARGIN = { top: 10, right: 12, bottom: 24, left: 52 };
const GAP_SECONDS = 3;
const TABLE_ROWS = 20;

const clock = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23",
});

/** A time of the server as this machine's clock shows it. */
export function clockTime(seconds) {
  return clock.format(new Date(seconds * 1000));
}

/** One chart.
 *
 *  `series()` gives `[{key, label, slot}]`, at most six, slot 0 to 5 its colour and
 *  dashes; `points(key)` the past of one; `format(value)` a number with its unit;
 *  `steps` draws values that hold until they change; `whole` has no fractions on the
 *  axis.
 */
export class Chart {
  #options;
  #cursor = null;
  #drawn = null;
  #tableShown = false;
  #width = 0;

  constructor(options) {
    this.#options = options;
    const { title, name } = options;
    this.legend = h("ul", { class: "legend" });
    this.svg = svg("svg", { class: "plot-svg", "aria-hidden": "true" });
    this.tip = h("div", { class: "plot-tip", hidden: true, "aria-hidden": "true" });
    this.plot = h("div", {
      class: "plot",
      hidden: true,
      tabindex: "0",
      role: "slider",
      "aria-label": `${title}: a moment in the chart, arrow keys move`,
      "aria-orientation": "horizontal",
    }, this.svg, this.tip);
    this.empty = h("p", { class: "plot-empty muted" }, "Nothing measured yet.");
    this.body = h("tbody");
    this.head = h("tr");
    this.table = h("div", {
      class: "chart-table", hidden: true, tabindex: "0", role: "region",
      "aria-label": `${title} as a table`,
    }, h("table", { class: "table" },
      h("caption", { class: "visually-hidden" }, title),
      h("thead", {}, this.head), this.body));
    this.toggle = h("button", {
      type: "button", class: "button small quiet", "aria-pressed": "false",
      "aria-label": `${title} as a table`,
    }, "Table");
    this.toggle.addEventListener("click", () => this.#showTable(!this.#tableShown));
    this.element = h("section", { class: "card chart", "aria-labelledby": `${name}-title` },
      h("header", { class: "chart-head" },
        h("h2", { id: `${name}-title`, class: "card-title" }, title),
        options.tools ?? null, this.toggle),
      this.legend, this.plot, this.empty, this.table);
    this.#listen();
  }

  /** Draw the `seconds` before `now`, a time of the server. */
  draw(now, seconds) {
    const series = this.#options.series();
    this.#drawn = { now, seconds, series, from: now - seconds };
    if (!this.element.isConnected) return;
    this.#width = this.plot.clientWidth;
    const any = series.some(({ key }) => this.#options.points(key)
      .some((point) => point.value !== null && point.at >= now - seconds - GAP_SECONDS)
      || (this.#options.steps && this.#options.points(key).length > 0));
    this.empty.hidden = any;
    this.plot.hidden = !any || this.#tableShown;
    this.table.hidden = !any || !this.#tableShown;
    this.#drawLegend();
    if (this.#tableShown) this.#drawTable();
    else if (any && this.#width > 0) this.#drawPlot();
  }

  #value(key, at) {
    const gap = this.#options.steps ? Infinity : GAP_SECONDS;
    return valueAt(this.#options.points(key), at, gap);
  }

  #said(value) {
    return value === null || value === undefined ? "–" : this.#options.format(value);
  }

  #drawLegend() {
    const { series, now } = this.#drawn;
    while (this.legend.children.length > series.length) this.legend.lastChild.remove();
    series.forEach(({ key, label, slot }, index) => {
      let item = this.legend.children[index];
      if (!item) {
        item = h("li", { class: "legend-item" },
          svg("svg", { class: "swatch", viewBox: "0 0 22 8", "aria-hidden": "true" },
            svg("path", { d: "M1 4H21" })),
          h("span", { class: "legend-label" }), h("span", { class: "legend-value" }));
        this.legend.append(item);
      }
      const [swatch, name, value] = item.children;
      swatch.firstChild.setAttribute("class", `line series-${slot}`);
      setText(name, label);
      setText(value, this.#said(this.#value(key, now)));
    });
  }

  #drawPlot() {
    const { now, seconds, from, series } = this.#drawn;
    const { points, steps, whole, axis } = this.#options;
    const width = this.#width;
    const most = Math.max(0, ...series.map(({ key }) => greatest(points(key), from, now)));
    const step = niceStep(most * 1.05, 4, whole);
    const top = step * Math.max(1, Math.ceil((most * 1.02) / step));
    const right = width - MARGIN.right;
    const bottom = HEIGHT - MARGIN.bottom;
    const x = (at) => round(MARGIN.left + ((at - from) / seconds) * (right - MARGIN.left));
    const y = (value) => round(bottom - (value / top) * (bottom - MARGIN.top));
    this.scale = { x, y, right, bottom };
    const grid = svg("g", { class: "grid" });
    for (let value = 0; value <= top + step / 2; value += step) {
      grid.append(
        svg("line", { x1: MARGIN.left, x2: right, y1: y(value), y2: y(value) }),
        svg("text", {
          x: MARGIN.left - 8, y: y(value) + 4, "text-anchor": "end",
        }, axis(value)));
    }
    const every = timeStep(seconds, Math.max(2, Math.floor(width / 110)));
    for (let at = Math.ceil(from / every) * every; at <= now; at += every) {
      if (x(at) < MARGIN.left + 24 || x(at) > right - 24) continue;
      const label = clockTime(at);
      grid.append(
        svg("line", { class: "tick", x1: x(at), x2: x(at), y1: bottom, y2: bottom + 4 }),
        svg("text", { x: x(at), y: HEIGHT - 6, "text-anchor": "middle" },
          every < 60 ? label : label.slice(0, 5)));
    }
    const gap = steps ? Infinity : GAP_SECONDS;
    const lines = series.map(({ key, slot }) => svg("path", {
      class: `line series-${slot}`,
      d: linePath(points(key), { from, to: now, x, y, gap, steps }),
    }));
    this.cross = svg("g", { class: "cross" });
    this.svg.setAttribute("viewBox", `0 0 ${width} ${HEIGHT}`);
    this.svg.replaceChildren(grid, ...lines.reverse(), this.cross);
    this.#drawCursor();
  }

  #drawCursor() {
    if (!this.#drawn || !this.scale || !this.cross) return;
    const { now, from, series } = this.#drawn;
    if (this.#cursor !== null && this.#cursor < from) this.#cursor = from;
    const at = this.#cursor ?? now;
    const shown = series.map(({ key, label, slot }) => (
      { label, slot, value: this.#value(key, at) }));
    this.plot.setAttribute("aria-valuemin", Math.round(from));
    this.plot.setAttribute("aria-valuemax", Math.round(now));
    this.plot.setAttribute("aria-valuenow", Math.round(at));
    this.plot.setAttribute("aria-valuetext", [clockTime(at),
      ...shown.map(({ label, value }) => `${label} ${this.#said(value)}`)].join(", "));
    this.tip.hidden = this.#cursor === null;
    if (this.#cursor === null) {
      this.cross.replaceChildren();
      return;
    }
    const { x, y, bottom, right } = this.scale;
    const left = x(at);
    this.cross.replaceChildren(
      svg("line", { x1: left, x2: left, y1: MARGIN.top, y2: bottom }),
      ...shown.filter(({ value }) => value !== null && value !== undefined)
        .map(({ slot, value }) => svg("circle", {
          class: `dot series-${slot}`, cx: left, cy: y(value), r: 3.5,
        })));
    this.tip.replaceChildren(
      h("div", { class: "plot-tip-time" }, clockTime(at)),
      ...shown.map(({ label, slot, value }) => h("div", { class: "plot-tip-row" },
        svg("svg", { class: "swatch", viewBox: "0 0 22 8" },
          svg("path", { class: `line series-${slot}`, d: "M1 4H21" })),
        h("span", {}, label), h("b", {}, this.#said(value)))));
    const room = this.tip.offsetWidth + 12;
    const place = left + room > right ? left - room : left + 12;
    this.tip.style.transform = `translate(${Math.max(0, place)}px, ${MARGIN.top}px)`;
  }

  #drawTable() {
    const { now, seconds, series } = this.#drawn;
    const every = seconds / TABLE_ROWS;
    const newest = Math.floor(now / every) * every;
    replaceCells(this.head, "th", ["Time", ...series.map(({ label }) => label)], "col");
    for (let row = 0; row < TABLE_ROWS; row += 1) {
      const at = newest - row * every;
      const line = this.body.children[row] ?? this.body.appendChild(h("tr"));
      replaceCells(line, "td",
        [clockTime(at), ...series.map(({ key }) => this.#said(this.#value(key, at)))]);
    }
  }

  #showTable(shown) {
    this.#tableShown = shown;
    this.toggle.setAttribute("aria-pressed", String(shown));
    this.toggle.textContent = shown ? "Chart" : "Table";
    this.toggle.setAttribute("aria-label",
      `${this.#options.title} as a ${shown ? "chart" : "table"}`);
    if (this.#drawn) this.draw(this.#drawn.now, this.#drawn.seconds);
  }

  #listen() {
    this.plot.addEventListener("pointermove", (event) => {
      if (!this.#drawn) return;
      const { from, now, seconds } = this.#drawn;
      const box = this.plot.getBoundingClientRect();
      const span = this.#width - MARGIN.left - MARGIN.right;
      const share = (event.clientX - box.left - MARGIN.left) / span;
      this.#moveTo(Math.min(now, Math.max(from, from + share * seconds)));
    });
    this.plot.addEventListener("pointerleave", () => this.#leave());
    this.plot.addEventListener("blur", () => this.#leave());
    this.plot.addEventListener("keydown", (event) => {
      if (!this.#drawn) return;
      const { from, now, seconds } = this.#drawn;
      const at = this.#cursor ?? now;
      const small = seconds / 60;
      const moves = {
        ArrowLeft: at - small, ArrowDown: at - small,
        ArrowRight: at + small, ArrowUp: at + small,
        PageDown: at - seconds / 6, PageUp: at + seconds / 6,
        Home: from, End: now,
      };
      if (event.key === "Escape") this.#leave();
      else if (event.key in moves) {
        event.preventDefault();
        this.#moveTo(Math.min(now, Math.max(from, moves[event.key])));
      }
    });
    new ResizeObserver(() => {
      if (this.#drawn && this.plot.clientWidth !== this.#width) {
        this.draw(this.#drawn.now, this.#drawn.seconds);
      }
    }).observe(this.element);
  }

  #moveTo(at) {
    this.#cursor = at;
    this.#drawCursor();
  }

  #leave() {
    this.#cursor = null;
    this.#drawCursor();
  }
}

/** Make a row's cells say `texts`, touching only those that differ. */
function replaceCells(row, tag, texts, scope) {
  while (row.children.length > texts.length) row.lastChild.remove();
  texts.forEach((text, index) => {
    const cell = row.children[index]
      ?? row.appendChild(h(tag, scope ? { scope } : {}));
    setText(cell, text);
  });
}

function round(pixels) {
  return Math.round(pixels * 10) / 10;
}
