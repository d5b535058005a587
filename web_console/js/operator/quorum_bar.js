// A group's members as a bar: how many live, and where the majority begins.

import { h } from "../lib/dom.js";

/** A bar of `size` parts of which `alive` are filled; it says nothing by itself. */
export function quorumBar(size, alive, majority) {
  const tone = alive < majority ? "lost" : alive < size ? "reduced" : "full";
  const parts = Array.from({ length: size }, (_, index) => h("span", {
    class: `quorum-part${index < alive ? " filled" : ""}${
      index + 1 === majority ? " threshold" : ""}`,
  }));
  return h("span", { class: `quorum-bar ${tone}`, "aria-hidden": "true" }, parts);
}
