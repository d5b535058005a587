// The end of a replica's log: refreshed while one looks, filtered, paused.

import { ApiError } from "../lib/api.js";
import { fill, h, setText } from "../lib/dom.js";
import { plural } from "../lib/format.js";
import { errorNotice } from "./error_notice.js";
import { picture } from "./pictures.js";

const REFRESH_MS = 2000;
const LEVEL = /^\S+ (debug|info|warn|error|critical)\s/;

/** The log of the replica `name`; it asks from `start()` until `stop()`. */
export class Log {
  #timer = 0;
  #paused = false;
  #lines = [];
  #shown = "";

  constructor(socket, name) {
    this.socket = socket;
    this.name = name;
    this.filter = h("input", {
      class: "input", type: "search", id: "log-filter", autocomplete: "off",
      placeholder: "leads", oninput: () => this.#draw(),
    });
    this.count = h("select", {
      class: "select", id: "log-lines", onchange: () => this.#refresh(),
    }, [100, 200, 500, 1000].map((n) => h("option", { value: n }, `${n} lines`)));
    this.count.value = "200";
    this.pause = h("button", {
      type: "button", class: "button small", "aria-pressed": "false",
      onclick: () => this.#setPaused(!this.#paused),
    }, picture("pause"), "Pause");
    this.said = h("p", { class: "faint small" }, "Reading the log …");
    this.problem = h("div", {});
    this.list = h("div", {
      class: "log", tabindex: "0", role: "region", "aria-label": `Log of ${name}`,
    });
    this.element = h("section", { class: "card", "aria-labelledby": "log-title" },
      h("header", { class: "card-head" },
        h("h2", { id: "log-title", class: "card-title" }, "Log"), this.pause),
      h("div", { class: "log-tools" },
        h("div", { class: "field grow" },
          h("label", { for: "log-filter" }, "Filter"), this.filter),
        h("div", { class: "field" },
          h("label", { for: "log-lines" }, "Newest"), this.count)),
      this.problem, this.list, h("div", { class: "log-foot" }, this.said));
  }

  start() {
    if (this.#timer) return;
    this.#timer = setInterval(() => {
      if (!this.#paused && !document.hidden) this.#refresh();
    }, REFRESH_MS);
    this.#refresh();
  }

  stop() {
    clearInterval(this.#timer);
    this.#timer = 0;
  }

  async #refresh() {
    try {
      const { lines } = await this.socket.call("get_log", {
        replica: this.name, lines: Number(this.count.value),
      });
      this.#lines = lines;
      this.problem.replaceChildren();
      this.#draw();
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      // While the connection is down, what was read stays; the pill says why.
      if (this.socket.open) fill(this.problem, errorNotice(error));
    }
  }

  #draw() {
    const wanted = this.filter.value.trim().toLowerCase();
    const lines = wanted
      ? this.#lines.filter((line) => line.toLowerCase().includes(wanted)) : this.#lines;
    setText(this.said, wanted
      ? `${plural(lines.length, "line")} of ${this.#lines.length}`
      : plural(lines.length, "line"));
    const text = lines.join("\n");
    if (text === this.#shown) return;
    this.#shown = text;
    const box = this.list;
    const atEnd = box.scrollTop + box.clientHeight >= box.scrollHeight - 8;
    fill(box, lines.map((line) => {
      const level = LEVEL.exec(line)?.[1] ?? "";
      return h("div", { class: `log-line ${level}` }, line);
    }));
    if (atEnd) box.scrollTop = box.scrollHeight;
  }

  #setPaused(paused) {
    this.#paused = paused;
    this.pause.setAttribute("aria-pressed", String(paused));
    fill(this.pause, picture(paused ? "play" : "pause"), paused ? "Go on" : "Pause");
    if (!paused) this.#refresh();
  }
}
