// Doing something to a replica: the menu of what can be done, and the question before.

import { ApiError, api } from "../lib/api.js";
import { openDialog } from "../lib/dialog.js";
import { KeyedList, fill, h, setText } from "../lib/dom.js";
import { toast } from "../lib/toast.js";
import { picture, stateLook } from "./pictures.js";
import { quorumBar } from "./quorum_bar.js";
import { effect, offered, sentence } from "./quorum.js";

const WORDS = {
  kill: ["Kill", "cross"],
  start: ["Start", "play"],
  restart: ["Restart", "restart"],
  pause: ["Pause", "pause"],
  resume: ["Resume", "play"],
  isolate: ["Isolate", "cut"],
  heal: ["Heal", "link"],
  transfer: ["Make leader", "crown"],
};

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
          ask(model, command, this.name);
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

/** Say what a command does, and do it where that is wanted. */
export function ask(model, command, name) {
  const [label] = WORDS[command];
  const title = command === "transfer" ? `Make ${name} leader?` : `${label} ${name}?`;
  const does = h("p", {});
  const election = h("p", { class: "muted" });
  const bar = h("div", { class: "effect-bar" });
  const quorum = h("p", { class: "effect-text" });
  const box = h("div", { class: "effect notice" }, h("div", {}, bar, quorum));
  const back = command === "transfer" ? h("p", { class: "muted small" },
    "With prefer = lexical the office goes back to the smallest address a few seconds",
    " later.") : null;
  const typed = h("input", {
    class: "input mono", id: "typed-name", autocomplete: "off", spellcheck: "false",
    autocapitalize: "none", "aria-describedby": "typed-error",
  });
  const typedError = h("p", { class: "field-error", id: "typed-error", role: "alert" });
  const typing = h("div", { class: "field" },
    h("label", { for: "typed-name" }, "Type ", h("strong", { class: "mono" }, name),
      " to confirm"), typed, typedError);
  const problem = h("div", { role: "alert" });
  const yes = h("button", { type: "submit", class: "button" },
    command === "transfer" ? label : `${label} ${name}`);
  const no = h("button", {
    type: "button", class: "button", onclick: () => dialog.close(),
  }, "Cancel");
  let loses = false;
  let busy = false;
  const show = () => {
    const replica = model.replica(name);
    const group = replica && model.group(replica.group);
    if (!group || busy) return;
    const will = effect(command, replica, group);
    loses = will.loses;
    setText(does, will.does);
    setText(election, will.election);
    election.hidden = !will.election;
    setText(quorum, will.quorum);
    fill(bar, quorumBar(group.members.length, will.after, group.majority));
    const short = will.after < group.majority;
    box.className = `effect notice ${short ? "bad" : "ok"}`;
    typing.hidden = !loses;
    yes.className = `button ${loses || command === "kill" ? "danger" : "primary"}`;
  };
  const submit = async (event) => {
    event.preventDefault();
    if (busy) return;
    if (loses && typed.value.trim() !== name) {
      typed.setAttribute("aria-invalid", "true");
      setText(typedError, `Type ${name}: this takes the group's majority away.`);
      typed.focus();
      return;
    }
    busy = true;
    yes.setAttribute("aria-busy", "true");
    problem.replaceChildren();
    try {
      const answer = await send(model, command, name);
      dialog.close();
      toast(`${sentence(answer?.done ?? `${label}: done`)}.`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      fill(problem, errorNotice(error));
    } finally {
      busy = false;
      yes.removeAttribute("aria-busy");
      show();
    }
  };
  const form = h("form", { class: "stack", id: "ask-form", novalidate: true, onsubmit: submit },
    does, box, election, back, typing, problem);
  yes.setAttribute("form", "ask-form");
  show();
  const stop = model.subscribe(show);
  const dialog = openDialog({
    title, body: [form], actions: [no, yes], onclose: stop,
  });
  (loses ? typed : command === "kill" ? no : yes).focus();
}

function send(model, command, name) {
  if (command === "transfer") {
    const group = encodeURIComponent(model.replica(name).group);
    return api("POST", `/cluster/groups/${group}/transfer`, { body: { to: name } });
  }
  return api("POST", `/cluster/replicas/${encodeURIComponent(name)}/${command}`);
}

/** An error as people can use it: what happened, whether it may have been done, its id. */
export function errorNotice(error) {
  return h("div", { class: "notice bad" }, picture("warning"),
    h("div", { class: "wrap-anywhere" },
      h("p", {}, sentence(error.message)),
      error.unknown ? h("p", { class: "small muted" },
        "It may have been done all the same: look at what is shown now.") : null,
      error.requestId ? h("p", { class: "small faint" },
        `Request ${error.requestId}`) : null));
}
