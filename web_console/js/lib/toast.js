// Short messages at the foot of the page. They wait while pointed at or focused.

import { h, icon } from "./dom.js";
import { announce } from "./announce.js";

const SHOWN_MS = 8000;
const TOASTS_MAX = 3;
let shelf = null;

/**
 * Show `text` for eight seconds, with a button where `action` is `[label, what to do]`.
 * Returns what takes it away.
 */
export function toast(text, action = null) {
  shelf ??= document.body.appendChild(
    h("section", { class: "toasts", "aria-label": "Messages" }),
  );
  while (shelf.children.length >= TOASTS_MAX) shelf.firstChild.remove();
  let timer = 0;
  const leave = () => {
    clearTimeout(timer);
    element.remove();
  };
  const element = h(
    "div",
    { class: "toast" },
    h("span", { class: "grow wrap-anywhere" }, text),
    action &&
      h(
        "button",
        {
          type: "button",
          class: "link-button",
          onclick: () => {
            leave();
            action[1]();
          },
        },
        action[0],
      ),
    h(
      "button",
      { type: "button", class: "link-button", "aria-label": "Dismiss", onclick: leave },
      icon("close"),
    ),
  );
  const wait = () => clearTimeout(timer);
  const goOn = () => {
    clearTimeout(timer);
    if (element.matches(":hover, :focus-within")) return;
    timer = setTimeout(leave, SHOWN_MS);
  };
  element.addEventListener("pointerenter", wait);
  element.addEventListener("pointerleave", goOn);
  element.addEventListener("focusin", wait);
  element.addEventListener("focusout", () => setTimeout(goOn));
  shelf.append(element);
  goOn();
  announce(action ? `${text} ${action[0]} is at the end of the page.` : text);
  return leave;
}
