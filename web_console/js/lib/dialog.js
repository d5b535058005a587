// Modal dialogs on <dialog>: Escape closes them, and the focus goes back where it was.

import { h } from "./dom.js";

let count = 0;

/**
 * Open a dialog.
 *
 * @param title its heading
 * @param body elements under the heading
 * @param actions buttons at its foot
 * @param onclose called with the dialog's return value, "" after Escape
 * @returns the <dialog>; close it with `.close(value)`
 */
export function openDialog({ title, body = [], actions = [], onclose = null }) {
  const id = `dialog-${(count += 1)}`;
  const dialog = h(
    "dialog",
    { class: "dialog", "aria-labelledby": id },
    h("div", { class: "dialog-body" }, h("h2", { id }, title), body),
    h("div", { class: "dialog-actions" }, actions),
  );
  const before = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    // It closed a moment ago: the person may have gone on to something else.
    const idle = document.activeElement === document.body;
    if (idle && before?.isConnected) before.focus({ preventScroll: true });
    onclose?.(dialog.returnValue);
  });
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * Ask before something is done; resolves to whether it may be.
 *
 * @param text one string, or elements, that say what will happen
 * @param typed where given, the word that has to be typed before the button works
 */
export function confirmDialog({ title, text, confirm, danger = false, typed = null }) {
  return new Promise((resolve) => {
    const yes = h(
      "button",
      {
        type: "button",
        class: `button ${danger ? "danger" : "primary"}`,
        onclick: () => {
          if (yes.ariaDisabled !== "true") dialog.close("yes");
        },
      },
      confirm,
    );
    const no = h(
      "button",
      { type: "button", class: "button", onclick: () => dialog.close("no") },
      "Cancel",
    );
    const body = [typeof text === "string" ? h("p", { class: "muted" }, text) : text];
    if (typed !== null) {
      yes.ariaDisabled = "true";
      const input = h("input", {
        class: "input mono",
        id: "dialog-typed",
        autocomplete: "off",
        spellcheck: "false",
        oninput: () => {
          yes.ariaDisabled = String(input.value.trim() !== typed);
        },
        onkeydown: (event) => {
          if (event.key === "Enter") yes.click();
        },
      });
      body.push(
        h(
          "div",
          { class: "field" },
          h("label", { for: "dialog-typed" }, "Type ", h("strong", { class: "mono" }, typed), " to confirm"),
          input,
        ),
      );
    }
    const dialog = openDialog({
      title,
      body,
      actions: [no, yes],
      onclose: (value) => resolve(value === "yes"),
    });
    if (typed === null) (danger ? no : yes).focus();
  });
}
