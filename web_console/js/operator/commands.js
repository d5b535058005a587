// What can be done to a replica: buttons, and a menu of them beside what was chosen.

import { KeyedList, h, setText } from "../lib/dom.js";
import { picture, stateLook } from "./pictures.js";
import { Question, WORDS } from "./question.js";
import { offered } from "./quorum.js";

/** What is offered where chaos is off, and where it is not. */
export const NO_CHAOS = "Pausing and isolating are off here: [admin] chaos = no.";

/** What can be done to a replica now, as `[command, label]`. */
export function choices(model, name) {
  const replica = model.replica(name);
  const group = replica && model.group(replica.group);
  if (!group) return [];
  const commands = offered(replica, model.report.chaos);
  if (replica.state === "alive" && group.leader && group.leader !== name) {
    commands.unshift("transfer");
  }
  return commands.map((command) => [command, WORDS[command][0]]);
}

/** Buttons for what can be done to a replica, kept as they are while it stays so. */
export class CommandButtons {
  constructor(model, { onask = () => {}, small = true } = {}) {
    this.model = model;
    this.name = null;
    this.element = h("div", { class: "commands" });
    this.list = new KeyedList(this.element, ([command]) => command, ([command, label]) => {
      const button = h("button", {
        type: "button",
        class: `button ${small ? "small" : ""} ${command === "kill" ? "kill" : ""}`,
        onclick: () => {
          onask();
          new Question(model, command, this.name).open();
        },
      }, picture(WORDS[command][1]), label);
      return { element: button, update() {} };
    });
  }

  show(name) {
    this.name = name;
    this.list.show(choices(this.model, name));
  }
}

/** A menu of a replica's commands that opens beside whatever asks for it. */
export class CommandMenu {
  #of = null;

  constructor(model) {
    this.model = model;
    this.title = h("p", { class: "menu-title" });
    this.said = h("p", { class: "muted small" });
    this.buttons = new CommandButtons(model, { onask: () => this.element.hidePopover() });
    this.reason = h("p", { class: "faint small" }, NO_CHAOS);
    this.more = h("a", { class: "menu-more" }, "Details and log", picture("arrow"));
    this.more.addEventListener("click", () => this.element.hidePopover());
    this.element = h("div", {
      class: "menu", popover: "auto", role: "dialog", id: "command-menu",
    }, this.title, this.said, this.buttons.element, this.reason, this.more);
    this.element.addEventListener("toggle", (event) => {
      if (event.newState === "closed") this.#of?.setAttribute("aria-expanded", "false");
    });
    model.subscribe(() => this.#fill());
    document.body.append(this.element);
  }

  /** Open it for a replica beside `anchor`, which gets the focus back. */
  open(name, anchor) {
    this.name = name;
    this.#of = anchor;
    this.#fill();
    this.element.setAttribute("aria-label", `${name}: what to do`);
    this.element.showPopover();
    anchor.setAttribute("aria-expanded", "true");
    const box = anchor.getBoundingClientRect();
    const width = this.element.offsetWidth;
    const height = this.element.offsetHeight;
    // Beside the anchor, so that what is acted on stays in sight; below it where the
    // window is narrow.
    const beside = [box.right + 8, box.left - width - 8]
      .find((x) => x >= 8 && x + width <= innerWidth - 8);
    const left = beside ?? Math.min(Math.max(8, box.left), innerWidth - width - 8);
    const wanted = beside === undefined ? box.bottom + 6 : box.top - 8;
    const top = Math.max(8, Math.min(wanted, innerHeight - height - 8));
    this.element.style.left = `${left}px`;
    this.element.style.top = `${top}px`;
    (this.element.querySelector("button") ?? this.more).focus();
  }

  #fill() {
    const replica = this.name && this.model.replica(this.name);
    if (!replica) return;
    const word = stateLook(replica, this.model.isIsolated(replica.name))[2];
    setText(this.title, replica.name);
    setText(this.said, replica.state === "alive"
      ? `${replica.role} of ${replica.group}, term ${replica.term}` : word);
    this.buttons.show(replica.name);
    this.reason.hidden = this.model.report.chaos;
    this.more.href = `#replicas/${encodeURIComponent(replica.name)}`;
  }
}
