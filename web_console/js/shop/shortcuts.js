// Keys that do something by themselves, and the list of them.

import { h } from "../lib/dom.js";
import { openDialog } from "../lib/dialog.js";
import { recall } from "../lib/storage.js";

/** Listen for keys; `keys` has [key, words, what to do]. Returns what shows the list. */
export function shortcuts(keys) {
  function show() {
    if (document.querySelector("dialog[open]")) return;
    const dialog = openDialog({
      title: "Keyboard shortcuts",
      body: [
        h(
          "dl",
          { class: "keys" },
          [...keys, ["?", "This list"], ["Esc", "Close what is open"]].map(([key, words]) => h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, words))),
        ),
        h("p", { class: "small muted" }, "Single keys can be switched off in your account."),
      ],
      actions: [h("button", { type: "button", class: "button primary", onclick: () => dialog.close() }, "Close")],
    });
  }

  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, textarea, [contenteditable], dialog")) return;
    if (!recall("keys", true)) return;
    const found = keys.find(([key]) => key === event.key);
    if (event.key === "?") show();
    else if (found) found[2]();
    else return;
    event.preventDefault();
  });
  return show;
}
