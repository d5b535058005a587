// Two live regions for screen readers. Each speaks at most once in two seconds; of what
// comes faster, the newest is said, and errors are said all together.

import { h } from "./dom.js";

const PAUSE_MS = 2000;
const ERRORS_MAX = 3;

class Region {
  constructor(politeness, kept) {
    this.kept = kept;
    this.waiting = [];
    this.busy = false;
    this.element = h("div", {
      class: "visually-hidden",
      "aria-live": politeness,
      "aria-atomic": "true",
      role: politeness === "assertive" ? "alert" : "status",
    });
    document.body.append(this.element);
  }

  say(text) {
    if (!this.waiting.includes(text)) this.waiting.push(text);
    this.waiting = this.waiting.slice(-this.kept);
    if (!this.busy) this.speak();
  }

  speak() {
    this.busy = this.waiting.length > 0;
    if (!this.busy) return;
    this.element.textContent = this.waiting.join(" ");
    this.waiting = [];
    setTimeout(() => this.speak(), PAUSE_MS);
  }
}

let polite = null;
let assertive = null;

/** Have something said when the reader has finished: stock, progress, what was done. */
export function announce(text) {
  polite ??= new Region("polite", 1);
  polite.say(text);
}

/** Have something said at once: errors. */
export function announceError(text) {
  assertive ??= new Region("assertive", ERRORS_MAX);
  assertive.say(text);
}
